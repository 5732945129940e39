"""Charts: what `static/chart.js` draws and, from the same object, the table behind it (`admin/_chart.html`).

A page makes a `Chart` of a range's steps and some series, one value for each step:

    charts.Chart("failures", "Failures", "By the class of their error", asked.range,
                 [charts.Series("Timeout", [3, 0, 1], "chart-3")], link=url_for("admin.failures"))

The page shows it with `{{ charts.figure(chart, "Nothing failed in this range.") }}` below a heading with the id
`title-failures`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from functools import cached_property
from zoneinfo import ZoneInfo

from blueprints import formats
from blueprints.admin.comparisons import WRITTEN
from blueprints.admin.filters import reporting_zone
from makegood.calendars import start_of
from makegood.ranges import DAY, Range, Step

Value = int | Decimal | None
COLOURS = tuple(f"chart-{n}" for n in range(1, 7))
OTHER = "chart-other"
HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True)
class Series:
    """One value for each step, None where there is no data. `total` is the figure of the whole range, `link` the
    address of the rows behind the series (without a range). `unit` is set where it is not the chart's."""

    label: str
    values: Sequence[Value]
    colour: str
    total: Value = None
    link: str | None = None
    line: bool = False
    unit: str | None = None


@dataclass(frozen=True)
class Chart:
    """What one figure shows. `unit` is count, usd (values in micro-dollars), rate or duration (milliseconds).

    `link` is the address of the rows behind a step, `target` a value that is drawn across; `stacked` bars stand
    on each other. The table's further columns are `beside`, which are not drawn. `pieces` replace the range's own
    steps.
    """

    id: str
    title: str
    description: str
    range: Range
    series: Sequence[Series]
    unit: str = "count"
    link: str | None = None
    target: Decimal | None = None
    stacked: bool = True
    beside: Sequence[Series] = ()
    pieces: Sequence[Step] = ()

    @cached_property
    def steps(self) -> Sequence[Step]:
        """What the values are of."""
        return self.pieces or self.range.steps()

    @cached_property
    def reached(self) -> list[int]:
        """The positions of the steps that have begun."""
        return [n for n, step in enumerate(self.steps) if step.start <= self.range.now]

    @cached_property
    def partial(self) -> int | None:
        """The position of the step that is not over yet."""
        return next((n for n, step in enumerate(self.steps) if step.start <= self.range.now < step.end), None)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value for series in self.series for value in series.values)

    @cached_property
    def spans(self) -> list[str]:
        """The query of each step's own range."""
        zone = self.range.zone
        carried = "" if zone.key == reporting_zone().key else f"&zone={zone.key}"
        return [_ends(step, zone) + carried for step in self.steps]

    def label(self, step: Step, *, long: bool = False) -> str:
        """A step in words: 3 Nov, or Tue, 3 Nov 2026."""
        local = step.start.astimezone(self.range.zone)
        if step.unit == "month":
            return formats.dated(step.first, "MMMM y" if long else "MMM y")
        if step.unit == "day":
            return formats.dated(step.first, "EEE, d MMM y" if long else "d MMM")
        if long:
            until = step.end.astimezone(self.range.zone)
            return f"{formats.long_day(step.first)}, {local:%H:%M} – {until:%H:%M}"
        return (
            f"{local:%H:%M}" if self.range.first == self.range.last else f"{formats.day(step.first)} {local:%H:%M}"
        )

    def address(self, link: str | None, step: int) -> str | None:
        """The rows behind a step."""
        return link and f"{link}{'&' if '?' in link else '?'}{self.spans[step]}"

    def written(self, value: Value, series: Series) -> str:
        """A value as the table and the legend show it."""
        return "–" if value is None else WRITTEN[series.unit or self.unit](value)

    def header(self, series: Series) -> str:
        """What stands above the series in the table: it names the unit."""
        return f"{series.label} (USD)" if self.unit == "usd" and not series.unit else series.label

    def rows(self) -> Iterator[tuple[str, str | None, list[tuple[str, str | None]]]]:
        """The table's rows, the latest step first: its label and address, and each series' figure and address."""
        columns = [*self.series, *self.beside]
        for n in reversed(self.reached):
            label = self.label(self.steps[n], long=True) + (", so far" if n == self.partial else "")
            cells = [
                (self.written(value, series), self.address(series.link, n) if value else None)
                for series in columns
                for value in (series.values[n],)
            ]
            yield label, self.address(self.link, n), cells

    @cached_property
    def data(self) -> str:
        """What the script draws, as JSON."""
        reached = set(self.reached)
        return json.dumps(
            {
                "labels": [self.label(step) for step in self.steps],
                "said": [self.label(step, long=True) for step in self.steps],
                "spans": self.spans,
                "partial": self.partial,
                "unit": self.unit,
                "stacked": self.stacked,
                "link": self.link,
                "target": None if self.target is None else float(self.target * 100),
                "series": [
                    {
                        "label": series.label,
                        "colour": series.colour,
                        "line": series.line,
                        "total": None if series.total is None else self.written(series.total, series),
                        "values": [
                            self._drawn(value) if n in reached else None for n, value in enumerate(series.values)
                        ],
                    }
                    for series in self.series
                ],
            },
            separators=(",", ":"),
        )

    def _drawn(self, value: Value) -> float | int | None:
        """A value in the unit of the axis: dollars, percent, a count, milliseconds."""
        if value is None or self.unit in ("count", "duration"):
            return None if value is None else int(value)
        if self.unit == "usd":
            return int(value) / formats.MICROS
        return float((Decimal(value) * 100).quantize(HUNDREDTH))


def most(parts: Sequence[dict[str, int]], *, shown: int = 5) -> tuple[list[str], list[str]]:
    """The names with the largest sums over all steps, and the others: a stack of more colours nobody can read."""
    sums: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            sums[name] = sums.get(name, 0) + value
    names = sorted(sums, key=lambda name: (-sums[name], name))
    return (names, []) if len(names) <= shown + 1 else (names[:shown], names[shown:])


def _ends(step: Step, zone: ZoneInfo) -> str:
    """A step as `from` and `to` of a query: days where it is made of days, else instants."""
    whole = (start_of(step.first, zone), start_of(step.last + DAY, zone))
    if step.unit != "hour" and whole == (step.start, step.end):
        return f"from={step.first}&to={step.last}"
    return f"from={step.start.astimezone(UTC):%Y-%m-%dT%H:%M}Z&to={step.end.astimezone(UTC):%Y-%m-%dT%H:%M}Z"
