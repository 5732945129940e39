"""What WaveSpeedAI says it charged: https://wavespeed.ai/docs/check-billings

Deductions and refunds are read page by page; amounts are in the unit that `wavespeed_prices` finds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from makegood.json_body import NotJSON, loads
from makegood.providers import fields
from makegood.providers import wavespeed_prices as prices
from makegood.providers.billing import CHARGE, REFUND, BilledLine, BillPage, BillUnreadable, as_received
from makegood.providers.http import Answer, Door, bearer
from makegood.providers.protocol import FetchFailed, Provider
from makegood.providers.wavespeed import WaveSpeed

PAGE_SIZE = 100
MOST_PAGES = 10_000
TYPES = ("deduct", "refund")
KINDS = {"deduct": CHARGE, "refund": REFUND}
PENDING = "pre"
"""The state of an order that is reserved and not yet charged."""


@dataclass(frozen=True)
class _Cursor:
    """Where an import is: the type of lines that is read, its page, the unit of prices as far as it is known, and
    how many lines of this type have come. As text: type:page:unit:seen."""

    type: str = TYPES[0]
    page: int = 1
    unit: str = prices.UNTOLD
    seen: int = 0

    def __str__(self) -> str:
        return f"{self.type}:{self.page}:{self.unit}:{self.seen}"

    @classmethod
    def parse(cls, text: str | None) -> _Cursor:
        if text is None:
            return cls()
        kind, page, unit, seen = text.split(":")
        return cls(kind, int(page), unit, int(seen))


@dataclass(frozen=True)
class WaveSpeedBilling:
    """The billing API, with the adapter's own key. `simulated` is this class too."""

    door: Door = field(repr=False)
    base_url: str
    api_key: str = field(repr=False)

    def page(self, start: datetime, end: datetime, cursor: str | None) -> BillPage:
        """One page of deductions, then of refunds: asked for apart, because it is not documented what comes
        without a type. Raises FetchFailed and BillUnreadable."""
        at = _Cursor.parse(cursor)
        if at.page > MOST_PAGES:
            raise BillUnreadable("The bill has more than a million lines. Import a shorter period.")
        body = {
            "billing_type": at.type,
            "start_time": _milliseconds(start),
            "end_time": _milliseconds(end),
            "page": at.page,
            "page_size": PAGE_SIZE,
        }
        answer = self.door.fetch(f"{self.base_url}/api/v3/billings/search", bearer(self.api_key), body)
        items, total = _read(answer, at)
        unit = prices.unit_of(items, at.unit)
        final = [item for item in items if fields.mapping(item.get("order")).get("state") != PENDING]
        return BillPage(
            lines=tuple(_line(item, at.type, unit) for item in final),
            next=_next(at, unit, len(items), total),
            pending=len(items) - len(final),
        )


def of(provider: Provider | None) -> WaveSpeedBilling | None:
    """The billing API behind this adapter; None where there is none, or no key."""
    if not isinstance(provider, WaveSpeed) or not provider.base_url or not provider.api_key:
        return None
    return WaveSpeedBilling(provider.door, provider.base_url, provider.api_key)


def _read(answer: Answer, at: _Cursor) -> tuple[list[Mapping[str, Any]], int | None]:
    if answer.code in (400, 401, 403, 404, 422):
        text = fields.message(fields.mapping(answer.body).get("message"))
        raise BillUnreadable(
            f"The billing API refuses with the code {answer.code}: {text or 'it does not say why'}. "
            "Check the provider's API key."
        )
    try:
        loads(answer.content, plain_text=True)  # with its limits
        body = json.loads(answer.content, parse_float=Decimal)
    except NotJSON:
        raise FetchFailed(f"an unreadable answer with HTTP {answer.status}") from None
    data = fields.mapping(fields.mapping(body).get("data"))
    items = data.get("items")
    if items is None and data.get("total") == 0:
        items = []
    if answer.code != 200 or not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise FetchFailed(f"an answer without lines, with the code {answer.code}")
    page = fields.integer(data.get("page"))
    if page not in (None, at.page):
        raise FetchFailed(f"page {page} instead of page {at.page}")
    return items, fields.integer(data.get("total"))


def _next(at: _Cursor, unit: str, count: int, total: int | None) -> str | None:
    """The cursor of what follows. A page that is not full is the last, unless lines are missing: the size of
    pages may be limited to less than we ask for."""
    seen = at.seen + count
    if count and (count >= PAGE_SIZE or (total is not None and seen < total)):
        return str(_Cursor(at.type, at.page + 1, unit, seen))
    if total is not None and seen < total:
        problem = (
            f"Only {seen} of {total} lines came: the list changed while it was read. Import the period again."
        )
        raise BillUnreadable(problem)
    following = TYPES.index(at.type) + 1
    return str(_Cursor(TYPES[following], 1, unit, 0)) if following < len(TYPES) else None


def _line(item: Mapping[str, Any], asked: str, unit: str) -> BilledLine:
    line_id = fields.job_id(item.get("uuid"))
    if line_id is None:
        raise BillUnreadable("A line has no usable id. Import the bill as CSV.")
    kind = KINDS.get(str(item.get("billing_type")))
    if kind is None or item.get("billing_type") != asked:
        raise BillUnreadable(f"Line {line_id} is of the type {item.get('billing_type')!r}, not {asked!r}.")
    amount = prices.amount(item.get("price"), unit)
    if amount is None:
        raise BillUnreadable(
            f"The price {item.get('price')!r} of line {line_id} is no amount from 0 to $1,000,000."
        )
    billed_at = fields.instant(item.get("created_at"))
    if billed_at is None:
        raise BillUnreadable(f"Line {line_id} does not say when it was billed.")
    job = fields.mapping(item.get("prediction"))
    return BilledLine(
        line_id,
        fields.job_id(job.get("uuid")),
        kind,
        amount,
        billed_at,
        as_received(item),
        model=(fields.message(job.get("model_uuid")) or "")[:200] or None,
    )


def _milliseconds(at: datetime) -> str:
    return str(int(at.timestamp()) * 1000)
