"""A provider's bill as CSV: kept as a draft, looked at, corrected, then imported as a whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping as Pairs
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from makegood import json_body
from makegood.bills import columns, imports, lines, table
from makegood.bills.columns import FIELDS, REQUIRED, Reading
from makegood.bills.table import Table
from makegood.errors import Conflict, Invalid
from makegood.ids import uuid7
from makegood.models import Bill

MOST_BYTES = 10_000_000
KEPT = timedelta(days=7)
USD, CREDITS = "usd", "credits"
MOST_RATE = 1000

RATES = text(
    """
    SELECT DISTINCT CASE currency WHEN 'credits' THEN rate_micros ELSE unit_price_micros::numeric / per END AS rate
      FROM prices
     WHERE provider = :provider AND withdrawn_at IS NULL AND effective_from <= :at
       AND (effective_to IS NULL OR effective_to > :at)
       AND (currency = 'credits' OR (model = '*' AND unit IN ('credit', 'unit', 'point')))
    """
)


@dataclass(frozen=True)
class Mapping:
    """How the columns are read: for each field the number of its column (from 0), whether amounts are US dollars
    (`usd`) or the provider's credits, and what one credit is worth in US dollars, as typed."""

    fields: Pairs[str, int]
    currency: str = USD
    rate: str = ""


@dataclass(frozen=True)
class Draft:
    """A file as it would be imported. `missing` names what the mapping lacks; then nothing was read."""

    bill: Bill
    table: Table
    mapping: Mapping
    reading: Reading
    missing: dict[str, str]

    @property
    def ready(self) -> bool:
        """Everything can be imported."""
        return not self.missing and not self.reading.problems


def keep(
    session: Session,
    provider: str,
    file_name: str,
    content: bytes,
    first: date,
    last: date,
    timezone: ZoneInfo,
    *,
    actor: str,
) -> Bill:
    """Keep an uploaded file as a draft for these days, both included. Raises Invalid when it is no table."""
    if not content or len(content) > MOST_BYTES:
        problem = "is empty" if not content else f"is larger than {MOST_BYTES // 1_000_000} MB; split it"
        raise Invalid("The file cannot be imported. Nothing was kept.", fields={"file": problem})
    begin, end = imports.period(first, last, timezone)
    table.read(content)
    bill = Bill(
        id=uuid7(),
        provider=provider,
        origin="csv",
        file_name=file_name if json_body.is_plain(file_name) else "bill.csv",
        period_start=begin,
        period_end=end,
        state="draft",
        content=content,
        actor=actor,
    )
    session.add(bill)
    session.flush()
    return bill


def preview(session: Session, bill_id: UUID, mapping: Mapping | None = None) -> Draft:
    """The draft under a mapping, or the one that its header suggests. Raises NotFound, and Conflict when it was
    imported already."""
    bill = imports.get(session, bill_id)
    if bill.content is None:
        raise Conflict("This file was imported already. The list of bills shows it.")
    found = table.read(bill.content)
    mapping = mapping or Mapping(columns.guess(found.header), rate=known_rate(session, bill.provider))
    missing = {name: "choose its column" for name in REQUIRED if name not in mapping.fields}
    missing |= {
        name: "the file has no such column"
        for name, index in mapping.fields.items()
        if name not in FIELDS or not 0 <= index < len(found.header)
    }
    rate = _rate(mapping)
    if rate is None:
        missing["rate"] = f"must be the US dollars of one credit, more than 0 and at most {MOST_RATE}"
    reading = Reading()
    if not missing and rate is not None:
        reading = columns.interpret(found, mapping.fields, rate, bill.period_start)
    return Draft(bill, found, mapping, reading, missing)


def import_draft(
    session: Session, bill_id: UUID, mapping: Mapping, *, actor: str, address: str | None = None
) -> Draft:
    """Import the file. With any row that cannot be read nothing is: the draft that comes back is then not `ready`.
    Raises NotFound and Conflict."""
    bill = imports.get(session, bill_id, lock=True)
    draft = preview(session, bill_id, mapping)
    if not draft.ready:
        return draft
    lines.store(session, bill, draft.reading.lines)
    bill.state, bill.content, bill.finished_at = "done", None, datetime.now(UTC)
    session.flush()
    imports.record(session, bill, "bill.imported", actor, address)
    return draft


def discard(session: Session, bill_id: UUID) -> None:
    """Forget a draft. Raises NotFound, and Conflict for what was imported."""
    bill = imports.get(session, bill_id, lock=True)
    if bill.state != "draft":
        raise Conflict("This file was imported already, so it cannot be discarded. It can be withdrawn.")
    session.delete(bill)
    session.flush()


def clean(session: Session, *, at: datetime | None = None) -> int:
    """Forget drafts that nobody imported within a week; returns how many."""
    before = (at or datetime.now(UTC)) - KEPT
    gone = session.execute(delete(Bill).where(Bill.state == "draft", Bill.created_at < before))
    return int(gone.rowcount)  # type: ignore[attr-defined]


def known_rate(session: Session, provider: str) -> str:
    """What a credit of this provider is worth in US dollars by the price book, where it says one thing; else
    nothing."""
    rates = session.scalars(RATES, {"provider": provider, "at": datetime.now(UTC)}).all()
    return format((Decimal(rates[0]) / 1_000_000).normalize(), "f") if len(rates) == 1 else ""


def _rate(mapping: Mapping) -> Decimal | None:
    """US dollars for one of the amounts; None for what is no rate."""
    if mapping.currency == USD:
        return Decimal(1)
    try:
        rate = Decimal(mapping.rate) if len(mapping.rate) <= 20 else Decimal(0)
    except InvalidOperation:
        return None
    return rate if rate.is_finite() and 0 < rate <= MOST_RATE else None
