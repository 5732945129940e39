"""Reports of providers as JSON, for the inbox: what was read from a delivery, and can be applied again."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from makegood.providers.protocol import ErrorClass, Outcome, Report, Units


def to_json(report: Report) -> dict[str, Any]:
    """The report without its delivery and its files, which a callback never has."""
    usage, expire_at = report.usage, report.outputs_expire_at
    return {
        "outcome": report.outcome.value,
        "provider_job_id": report.provider_job_id,
        "outputs": list(report.outputs),
        "error_class": report.error_class.value if report.error_class else None,
        "message": report.message,
        "cost_micros": report.cost_micros,
        "status": report.status,
        "usage": [usage.unit, str(usage.quantity), usage.qualifier]
        if usage and usage.quantity is not None
        else None,
        "outputs_expire_at": expire_at.isoformat() if expire_at else None,
        "incomplete": report.incomplete,
    }


def from_json(parsed: dict[str, Any]) -> Report:
    """The report again; of an inbox row that is older than a field, without that field."""
    usage, expire_at = parsed.get("usage"), parsed.get("outputs_expire_at")
    return Report(
        outcome=Outcome(parsed["outcome"]),
        provider_job_id=parsed["provider_job_id"],
        outputs=tuple(parsed["outputs"]),
        error_class=ErrorClass(parsed["error_class"]) if parsed["error_class"] else None,
        message=parsed["message"],
        cost_micros=parsed["cost_micros"],
        status=parsed["status"],
        usage=Units(usage[0], Decimal(usage[1]), usage[2]) if usage else None,
        outputs_expire_at=datetime.fromisoformat(expire_at) if expire_at else None,
        incomplete=parsed.get("incomplete", False),
    )
