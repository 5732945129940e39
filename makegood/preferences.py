"""How an operator wants the console: their time zone, rows per page, and whether single keys are shortcuts."""

from __future__ import annotations

from functools import cache
from uuid import UUID
from zoneinfo import available_timezones

from sqlalchemy.orm import Session

from makegood.errors import Invalid
from makegood.models import Operator

REGIONS = (
    "Africa/",
    "America/",
    "Antarctica/",
    "Asia/",
    "Atlantic/",
    "Australia/",
    "Europe/",
    "Indian/",
    "Pacific/",
)
PAGE_SIZES = (25, 50, 100, 200)


def save(session: Session, operator_id: UUID, *, timezone: str | None, page_size: int, single_keys: bool) -> None:
    """Keep an operator's choices. A time zone of None is the reporting time zone. Raises Invalid."""
    if timezone is not None and timezone not in zones():
        raise Invalid(f"There is no time zone {timezone!r}.", fields={"timezone": "must be one of the list"})
    if page_size not in PAGE_SIZES:
        choices = ", ".join(map(str, PAGE_SIZES))
        raise Invalid(f"A page has {choices} rows.", fields={"page_size": f"must be one of {choices}"})
    operator = session.get_one(Operator, operator_id)
    operator.timezone, operator.page_size, operator.single_keys = timezone, page_size, single_keys


@cache
def zones() -> tuple[str, ...]:
    """The time zones to choose from: UTC, and those of places. Read from files once."""
    return ("UTC", *sorted(name for name in available_timezones() if name.startswith(REGIONS)))
