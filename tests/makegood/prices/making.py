"""Prices for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from makegood.models import Price
from makegood.prices import book, changes
from makegood.prices.lines import Entry, Line, Quote

SPRING = datetime(2026, 3, 1, tzinfo=UTC)
SUMMER = datetime(2026, 6, 1, tzinfo=UTC)
AUTUMN = datetime(2026, 9, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
LINE = Line("nanobanana", "acme/painter", "image")


def quote(micros: int = 40_000, **facts: Any) -> Quote:
    """So many micro-dollars for one."""
    return Quote(
        **{
            "per": 1,
            "currency": "USD",
            "amount_micros": micros,
            "rate_micros": None,
            "source": "price list",
            "certainty": "documented",
            **facts,
        }
    )


def place(
    session: Session,
    start: datetime = SPRING,
    micros: int = 40_000,
    *,
    line: Line = LINE,
    confirmed: bool = False,
    **facts: Any,
) -> Price:
    """A price from then on, by an operator who saw the line as it is."""
    seen = book.line(session, line).state
    entry = Entry(line, quote(micros, **facts), start)
    return changes.place(session, entry, state=seen, confirmed=confirmed, actor="ana@example.com")


def periods(session: Session, line: Line = LINE) -> list[tuple[int, int, datetime, datetime | None]]:
    """Version, micro-dollars, beginning and end of what was not withdrawn."""
    return [
        (price.version, price.unit_price_micros, price.effective_from, price.effective_to)
        for price in book.line(session, line).held
    ]
