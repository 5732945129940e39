"""Kling's tasks, as callbacks and answers show them alike, and what they say:
https://app.klingai.com/global/dev/document-api/apiReference/callbackProtocol (read through public mirrors of it)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from makegood.providers import failures, fields
from makegood.providers.protocol import ErrorClass, Outcome, Report, Units

# `submitted` and `processing` end nothing.
ENDS = {"succeed": Outcome.SUCCEEDED, "failed": Outcome.FAILED}

# In `task_status_msg`, the only word on why a task failed. The first text is seen in public integrations.
TEXTS = {"risk control": ErrorClass.CONTENT_POLICY_VIOLATION}

FILES_LIVE = timedelta(days=30)


def report(task: Mapping[str, Any]) -> Report | None:
    """The report of a task; None if it is none."""
    job_id = fields.job_id(task.get("task_id"))
    if job_id is None:
        return None
    said = task.get("task_status")
    status = (fields.message(said) or "")[:50]
    outcome = ENDS.get(said, Outcome.PENDING) if isinstance(said, str) else Outcome.PENDING
    if outcome is Outcome.PENDING:
        return Report(outcome, job_id, status=status)
    billed = fields.quantity(task.get("final_unit_deduction"))
    usage = Units("unit", billed) if billed is not None else None
    if outcome is Outcome.SUCCEEDED:
        outputs = _outputs(fields.mapping(task.get("task_result")))
        expire_at = _expire_at(task.get("created_at"))
        return Report(outcome, job_id, outputs, status=status, usage=usage, outputs_expire_at=expire_at)
    text = fields.message(task.get("task_status_msg"))
    return Report(
        outcome,
        job_id,
        error_class=_by_text(text),
        message=text or "The provider ended the task as failed.",
        status=status,
        usage=usage,
    )


def _by_text(text: str | None) -> ErrorClass:
    if text is None:
        return ErrorClass.GENERATION_FAILED
    own = next((error_class for part, error_class in TEXTS.items() if part in text.lower()), None)
    return own or failures.from_text(text) or ErrorClass.UNKNOWN_ERROR


def _outputs(result: Mapping[str, Any]) -> tuple[str, ...]:
    listed = [result.get(name) for name in ("videos", "images")]
    files = [fields.mapping(file).get("url") for some in listed if isinstance(some, list) for file in some]
    return fields.links(files)


def _expire_at(created_at: Any) -> datetime | None:
    """Files live 30 days. Counted from when the task was made: its end is later, so this is never too late."""
    if not isinstance(created_at, int) or isinstance(created_at, bool) or not 0 < created_at < 10**14:
        return None
    return datetime.fromtimestamp(created_at // 1000, UTC) + FILES_LIVE
