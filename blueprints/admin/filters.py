"""The filters of a list: read from the URL, shown as chips, and carried on by the links to other pages.

A range is either one of the presets (`range=7d`) or two ends (`from=2026-11-01&to=2026-11-21`), in the reporting
time zone or in another one (`zone=Europe/Berlin`; `zone=local` is the operator's own). The ends are days, or
instants of UTC (`2026-11-21T14:00Z`, half open), as a chart's hour links to its rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from flask import current_app, g, request, url_for
from flask_login import current_user

from blueprints import times
from blueprints.admin import blueprint
from makegood import money, ranges
from makegood.calendars import local_day, start_of
from makegood.pages import Cursor
from makegood.providers.external import EXTERNAL
from makegood.ranges import PRESETS, Range

ENDS = {"from": "From", "to": "Until"}
SPAN = ("range", *ENDS, "zone")
OF_URL_FOR = ("endpoint", "name")
LONGEST = 200
LONGEST_RANGE = 3660


@dataclass(frozen=True)
class Chip:
    """An active filter in words, and the address of the list without it."""

    label: str
    without: str


@dataclass(frozen=True)
class Filters:
    """What the URL asks for. `values` are the filters as given, `range` what they ask for or the page's default.

    `start` and `end` are half-open instants. They are set without a range where the URL has one end only:
    `to` alone asks for everything before. `endpoint` is the page's where another one answers for it.
    """

    values: dict[str, str]
    range: Range | None
    start: datetime | None
    end: datetime | None
    zone: ZoneInfo
    problems: list[str]
    before: Cursor | None
    after: Cursor | None
    default_range: str | None = None
    endpoint: str | None = None

    def __getitem__(self, name: str) -> str | None:
        return self.values.get(name)

    def url(self, **changes: object) -> str:
        """This page with other filters or another page; a value of None leaves it out. A new range takes the
        place of the present one, and the time zone stays."""
        values: dict[str, object] = dict(self.values)
        if not {"range", *ENDS}.isdisjoint(changes):
            values = {name: value for name, value in values.items() if name not in ("range", *ENDS)}
        return url_for(self.endpoint or request.endpoint or "", **((request.view_args or {}) | values | changes))

    @property
    def currency(self) -> str | None:
        """The filter of that name as a currency's code, which figures are kept by; None where it is none."""
        currency = self.values.get("currency", "").lower()
        return currency if money.is_currency(currency) else None

    @property
    def span(self) -> dict[str, str]:
        """The range and zone for a link to another page: `url_for("admin.refunds", **filters.span)`."""
        given = {name: self.values[name] for name in SPAN if name in self.values}
        if self.default_range and not {"range", *ENDS} & given.keys():
            given["range"] = self.default_range
        return given

    @property
    def kept(self) -> dict[str, str]:
        """The filters that a form of this range has to carry on: all but the range."""
        return {name: value for name, value in self.values.items() if name not in ("range", *ENDS)}

    @property
    def narrows(self) -> bool:
        """Whether it asks for less than everything: a time zone does not."""
        return bool(self.values.keys() - {"zone"})

    @property
    def cleared(self) -> dict[str, str]:
        """What stays when all filters go: the time zone, and the range where the page always has one."""
        stays = SPAN if self.default_range else ("zone",)
        return {name: self.values[name] for name in stays if name in self.values}

    def presets(self) -> list[tuple[str, str, bool]]:
        """The ranges to choose from: label, address, and whether it is the present one."""
        chosen = self.range.preset if self.range else None
        return [(label, self.url(range=name), name == chosen) for name, label in PRESETS.items()]


def read(names: tuple[str, ...], default_range: str | None = None) -> Filters:
    """The filters in the URL. What is no date, range or zone is left out and said so, as is a range that ends
    before it starts. Without a range in the URL it is `default_range`, or all time."""
    now = datetime.now(UTC)
    values = {name: request.args.get(name, "").strip()[:LONGEST] for name in (*names, *SPAN)}
    values = {name: value for name, value in values.items() if value and "\0" not in value}
    problems: list[str] = []
    zone = g.zone = _zone(values, problems)
    found, start, end = _asked(values, zone, now, problems)
    if found is None and default_range:
        found = _default(default_range, end, zone, now)
    if found is not None and default_range and (found.last - found.first).days > LONGEST_RANGE:
        problems.append("A range is at most ten years long here, so it was cut.")
        found = Range(found.last - timedelta(days=LONGEST_RANGE), found.last, zone, now)
    if found is not None:
        start, end = found.start, found.end
    before, after = place()
    return Filters(
        values,
        found,
        start=start,
        end=end,
        zone=zone,
        problems=problems,
        before=before,
        after=after,
        default_range=default_range,
    )


def place() -> tuple[Cursor | None, Cursor | None]:
    """Which page of a list the URL is about: older than the first, or newer than the second."""
    return Cursor.parse(request.args.get("older")), Cursor.parse(request.args.get("newer"))


def carried(*without: str) -> dict[str, str]:
    """The query string's values but these, for links that carry it on: cut to a length, and nothing among them
    that `url_for` would take for its own arguments."""
    given = {name: value.strip()[:LONGEST] for name, value in request.args.items()}
    return {
        name: value
        for name, value in given.items()
        if value and "\0" not in value and name not in (*OF_URL_FOR, *without) and not name.startswith("_")
    }


def chips(filters: Filters, labels: Mapping[str, str], choices: Mapping[str, Mapping[str, str]]) -> list[Chip]:
    """One chip for each active filter but the range and zone, which stand in the bar of ranges; `choices` turns
    a filter's values into words. On a list without a default range, what narrows it to a range is a chip too."""
    shown = []
    for name, value in filters.values.items():
        if name == "zone" or (name in SPAN and filters.default_range):
            continue
        if name == "range":
            shown.append(Chip(f"Range: {PRESETS[value]}", filters.url(range=None)))
            continue
        words = choices.get(name, {}).get(value, value.upper() if name == "currency" else value)
        if name in ENDS:
            others = {end: filters[end] for end in ENDS if end != name}
            shown.append(
                Chip(f"{labels.get(name, ENDS[name])}: {_end(value)}", filters.url(**{name: None}, **others))
            )
            continue
        shown.append(Chip(f"{labels[name]}: {words}", filters.url(**{name: None})))
    return shown


def page_size() -> int:
    """How many rows of a list the operator wants on a page."""
    size: int = current_user.page_size
    return size


def provider_choices() -> list[str]:
    """The providers that a generation can have."""
    return sorted({*current_app.extensions["providers"], EXTERNAL})


@blueprint.app_template_global()
def reporting_zone() -> ZoneInfo:
    """The zone in which this deployment counts its days."""
    zone: ZoneInfo = current_app.config["SETTINGS"].terms.timezone
    return zone


@blueprint.app_template_global()
def own_zone() -> ZoneInfo | None:
    """The operator's own time zone: of their account, else of their browser (the cookie `timezone`)."""
    name = getattr(current_user, "timezone", None) or unquote(request.cookies.get("timezone", ""))
    return ranges.zone_named(name)


def _zone(values: dict[str, str], problems: list[str]) -> ZoneInfo:
    """The zone that the URL names. An address that is passed on should mean the same to everybody, so the
    operator's own stands in it by its name."""
    name = values.pop("zone", None)
    if name is None:
        return reporting_zone()
    zone = own_zone() or reporting_zone() if name == "local" else ranges.zone_named(name)
    if zone is None:
        problems.append(f"“{name[:40]}” is no time zone that is known here. Days are those of {reporting_zone()}.")
        return reporting_zone()
    if zone.key != reporting_zone().key:
        values["zone"] = zone.key
    return zone


def _asked(
    values: dict[str, str], zone: ZoneInfo, now: datetime, problems: list[str]
) -> tuple[Range | None, datetime | None, datetime | None]:
    """The range in the URL, or its only end."""
    first, last = (_instant(values, name, zone, problems) for name in ENDS)
    if first is not None and last is not None and first >= last:
        values["from"], values["to"] = values["to"], values["from"]
        problems.append("The range ended before it started, so its ends were exchanged.")
        first, last = (_instant(values, name, zone, problems) for name in ENDS)
    if first is not None and first == last:
        last = None
        del values["to"]
    name = values.pop("range", None)
    if first is None and last is None and name is not None:
        if name not in PRESETS:
            problems.append(f"“{name[:40]}” is no range. Choose one of these, or two dates.")
            return None, None, None
        values["range"] = name
        return ranges.preset(name, zone, now), None, None
    if first is None:
        return None, None, last
    tomorrow = start_of(local_day(now, zone) + timedelta(days=1), zone)
    found = ranges.within(first, last or max(tomorrow, first + timedelta(days=1)), zone, now)
    if "T" not in values["from"] + values.get("to", ""):
        found = Range(found.first, found.last, zone, now)
    return found, None, None


def _default(name: str, end: datetime | None, zone: ZoneInfo, now: datetime) -> Range:
    """A page's own range; where the URL has only an end, as many days that end with it."""
    found = ranges.preset(name, zone, now)
    if end is None:
        return found
    last = local_day(end - timedelta(microseconds=1), zone)
    return Range(last - (found.last - found.first), last, zone, now)


def _instant(values: dict[str, str], name: str, zone: ZoneInfo, problems: list[str]) -> datetime | None:
    """Where a range begins or ends: a day's beginning or end, or an instant. What is neither is reported."""
    text = values.get(name)
    if text is None:
        return None
    try:
        found = _parsed(text)
    except ValueError:
        del values[name]
        problems.append(f"“{text[:40]}” is no date. Write dates as 2026-11-21.")
        return None
    if isinstance(found, datetime):
        return found
    values[name] = found.isoformat()
    return start_of(found + timedelta(days=1) if name == "to" else found, zone)


def _parsed(text: str) -> date | datetime:
    """A day, or an instant of UTC that ends with Z. Raises ValueError for anything else."""
    instant = "T" in text and text.endswith("Z")
    found = datetime.fromisoformat(text) if instant else date.fromisoformat(text)
    if not 2000 <= found.year <= 2999:
        raise ValueError
    return found


def _end(value: str) -> str:
    found = _parsed(value)
    return times.moment_text(found) if isinstance(found, datetime) else times.long_day(found)
