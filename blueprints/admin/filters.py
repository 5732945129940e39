"""The filters of a list: read from the URL, shown as chips, and carried on by the links to other pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import current_app, request, url_for

from blueprints import formats
from makegood import calendars
from makegood.pages import Cursor
from makegood.providers.external import EXTERNAL

DATES = ("from", "to")
LONGEST = 200


@dataclass(frozen=True)
class Chip:
    """An active filter in words, and the address of the list without it."""

    label: str
    without: str


@dataclass(frozen=True)
class Filters:
    """What the URL asks for. `values` are the filters as given; `start` and `end` are half-open instants."""

    values: dict[str, str]
    start: datetime | None
    end: datetime | None
    problems: list[str]
    before: Cursor | None
    after: Cursor | None

    def __getitem__(self, name: str) -> str | None:
        return self.values.get(name)

    def url(self, **changes: object) -> str:
        """This list with other filters or another page; a value of None leaves it out."""
        return url_for(request.endpoint or "", **(self.values | changes))


def read(names: tuple[str, ...]) -> Filters:
    """The filters in the URL. A date that is none, or a range that ends before it starts, is said so."""
    timezone = _timezone()
    values = {name: request.args.get(name, "").strip()[:LONGEST] for name in (*names, *DATES)}
    values = {name: value for name, value in values.items() if value and "\0" not in value}
    problems: list[str] = []
    first, last = (_date(values, name, problems) for name in DATES)
    if first and last and first > last:
        first, last = last, first
        values["from"], values["to"] = first.isoformat(), last.isoformat()
        problems.append("The range ended before it started, so its ends were exchanged.")
    return Filters(
        values,
        start=calendars.start_of(first, timezone) if first else None,
        end=calendars.start_of(last + timedelta(days=1), timezone) if last else None,
        problems=problems,
        before=Cursor.parse(request.args.get("older")),
        after=Cursor.parse(request.args.get("newer")),
    )


def chips(filters: Filters, labels: dict[str, str], choices: dict[str, dict[str, str]]) -> list[Chip]:
    """One chip for each active filter; `choices` turns a filter's values into words."""
    shown = []
    for name, value in filters.values.items():
        words = choices.get(name, {}).get(value, value)
        if name in DATES:
            words = formats.long_day(date.fromisoformat(value))
        shown.append(Chip(f"{labels[name]}: {words}", filters.url(**{name: None})))
    return shown


def presets(filters: Filters) -> list[tuple[str, str, bool]]:
    """Common ranges: label, address, and whether it is the present one."""
    today = calendars.local_day(datetime.now(UTC), _timezone())
    month = calendars.month_of(today)
    ranges = {
        "Today": (today, None),
        "7 days": (today - timedelta(days=6), None),
        "30 days": (today - timedelta(days=29), None),
        "This month": (month, None),
        "Last month": (calendars.month_of(month - timedelta(days=1)), month - timedelta(days=1)),
    }
    present = (filters["from"], filters["to"])
    return [
        (label, filters.url(**{"from": first, "to": last}), present == (str(first), last and str(last)))
        for label, (first, last) in ranges.items()
    ]


def provider_choices() -> list[str]:
    """The providers that a generation can have."""
    return sorted({*current_app.extensions["providers"], EXTERNAL})


def _timezone() -> ZoneInfo:
    zone: ZoneInfo = current_app.config["SETTINGS"].terms.timezone
    return zone


def _date(values: dict[str, str], name: str, problems: list[str]) -> date | None:
    """The date of a filter. What is none is left out of the filters and reported."""
    text = values.get(name)
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
        if not 2000 <= found.year <= 2999:
            raise ValueError
    except ValueError:
        del values[name]
        problems.append(f"“{text[:40]}” is no date. Write dates as 2026-11-21.")
        return None
    values[name] = found.isoformat()
    return found
