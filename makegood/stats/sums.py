"""Sums over a range as one statement: of the rollups, of the events around them, and of those not folded yet.

The statement is a `Select`, so that a page and its CSV have the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Select,
    Text,
    bindparam,
    column,
    func,
    select,
    text,
)
from sqlalchemy.types import TypeEngine

from makegood.ranges import Range
from makegood.rollup_tables import Rollup
from makegood.rollups import State
from makegood.stats import arrays, pieces
from makegood.stats.pieces import Interval, Pieces

STEP = "step"
NAMES = re.compile(r"(?<![:\w]):(\w+)")
LAST = "last_charged_at"
TYPES: dict[str, TypeEngine[Any]] = {STEP: BigInteger(), "bin": BigInteger(), LAST: DateTime(timezone=True)}
INSTANTS = (
    "starts",
    "buckets_since",
    "buckets_until",
    "hours_since",
    "hours_until",
    "quarters_since",
    "quarters_until",
    "moved_since",
    "moved_until",
    "moved_first",
    "moved_last",
)
STEPS = ("moved_of", "moved_to")
DAYS = ("days", "days_since", "days_until", "blocks_since", "blocks_until")


def cut(asked: Range, timezone: ZoneInfo, by: Sequence[str]) -> Pieces:
    """The pieces of a range: of each of its steps where `step` is a key, else of it as a whole."""
    return _cut(asked, timezone, STEP in by)


@lru_cache(maxsize=32)  # several figures of a page are of the same pieces
def _cut(asked: Range, timezone: ZoneInfo, in_steps: bool) -> Pieces:
    steps = [(step.start, step.end) for step in asked.steps()] if in_steps else [(asked.start, asked.end)]
    return pieces.of_steps(steps, timezone)


def totals(
    rollup: Rollup,
    state: State,
    parts: Pieces,
    by: Sequence[str],
    where: Mapping[str, str | None] | None = None,
    measures: Sequence[str] | None = None,
) -> Select[*tuple[Any, ...]]:
    """The rollup's measures by these keys, and by `step`, counted from 0, where that is one of them.

    `where` are keys that must have a value; None is no restriction.
    """
    sums = ", ".join(f"bigint_sum({name}) AS {name}" for name in measures or rollup.measures)
    grouped = f"GROUP BY {', '.join(by)}" if by else ""
    statement = f"SELECT {', '.join((*by, sums))} FROM ({facts(rollup, parts, by, where)}) AS facts {grouped}"  # noqa: S608
    return selected(statement, by, measures or rollup.measures, state, parts, where)


def facts(
    rollup: Rollup,
    parts: Pieces,
    by: Sequence[str],
    where: Mapping[str, str | None] | None,
    *,
    dated: bool = False,
) -> str:
    """The rows to sum, as SQL: keys, measures, `step`, and when it was last charged if `dated`. Only tables that
    hold a part of the range are in it, each interval by itself: of a join with arrays the planner knows neither
    that one is empty nor how little two intervals are."""
    keys = [name for name in by if name != STEP]
    stored = ", ".join((*keys, *rollup.measures))
    counted = ", ".join(part for part in (rollup.of_events(*keys), *rollup.measures) if part)
    only = [name for name, value in (where or {}).items() if value is not None]
    given = "".join(f" AND {name} = :only_{name}" for name in only)
    of = {
        at: (f", width_bucket({at}, :{starts}) - 1 AS step" if STEP in by else "") + (f", {last}" if dated else "")
        for at, starts, last in (
            ("day", "days", LAST),
            ("hour", "starts", LAST),
            ("bucket", "starts", LAST),
            ("at", "starts", f"CASE WHEN generations > 0 THEN at END AS {LAST}"),
        )
    }
    tail = "events WHERE xid >= CAST(:watermark AS xid8) AND at >= :start AND at < :end"
    folded = edges(len(parts.edges))
    rows = [f"SELECT {counted}{of['at']} FROM {one} AND {rollup.only}{given}" for one in (tail, *folded)]  # noqa: S608
    coarse = rollup.coarse if rollup.coarse and {*keys, *only} <= rollup.coarse.keys.keys() else None
    tables = rollup.tables | (coarse.tables if coarse else {})
    for period, since, until in _intervals(parts, tables):
        inside = f":valid AND {period} >= {since} AND {period} < {until}"
        rows.append(f"SELECT {stored}{of[period]} FROM {tables[period]} WHERE {inside}{given}")  # noqa: S608
    if STEP in by and parts.moved:
        rows.append(_moved(rollup, tables, keys, given, ", NULL" if dated else ""))
    return " UNION ALL ".join(rows)


def _intervals(parts: Pieces, tables: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """The period of each table to read, with the ends of each interval to read of it."""
    held: list[tuple[str, str, Sequence[object]]]
    held = [("day", "days", parts.whole_days), ("bucket", "buckets", parts.whole_buckets)]
    if "hour" in tables:
        held[1:] = [("hour", "hours", parts.whole_hours), ("bucket", "quarters", parts.quarters)]
    for period, name, intervals in held:
        for number in range(1, len(intervals) + 1):
            yield period, f"(:{name}_since)[{number}]", f"(:{name}_until)[{number}]"


def _moved(rollup: Rollup, tables: Mapping[str, str], keys: Sequence[str], given: str, last: str) -> str:
    """What whole days count in the wrong step, taken from it and added to the right one: by hours where there are
    some with these keys, since they are few. Each interval is summed by itself, for the planner's sake as well."""
    inside = [("bucket", "since", "until")]
    if "hour" in tables:
        inside = [("hour", "first", "last"), ("bucket", "since", "first"), ("bucket", "last", "until")]
    listed = "".join(f"{name}, " for name in keys)
    stored = ", ".join(rollup.measures)
    summed = ", ".join(f"bigint_sum({name}) AS {name}" for name in rollup.measures)
    signed = ", ".join(f"sign * {name}" for name in rollup.measures)
    rows = " UNION ALL ".join(
        f"""
        SELECT {listed}{stored} FROM {tables[period]}
         WHERE :valid AND {period} >= {since} AND {period} < {until}{given}"""  # noqa: S608
        for period, since, until in inside
    )
    grouped = f"GROUP BY {', '.join(keys)}" if keys else "HAVING count(*) > 0"
    return f"""
        SELECT {listed}{signed}, CASE WHEN sign > 0 THEN "to" ELSE of END - 1{last}
          FROM unnest(:moved_since, :moved_until, :moved_first, :moved_last, :moved_of, :moved_to)
               AS moved (since, until, first, last, of, "to")
         CROSS JOIN LATERAL (SELECT {listed}{summed} FROM ({rows}) AS inside {grouped}) AS moves
         CROSS JOIN (VALUES (1), (-1)) AS signs (sign)"""  # noqa: S608


def edges(count: int) -> list[str]:
    """Folded events of that many intervals, each by itself so that it is found by its times."""
    return [
        f"events WHERE xid < CAST(:watermark AS xid8) AND at >= :edge_{number}_since AND at < :edge_{number}_until"
        for number in range(count)
    ]


def edge_values(intervals: Sequence[Interval]) -> dict[str, object]:
    """The parameters of `edges`."""
    ends = (("since", "until"),) * len(intervals)
    return {
        f"edge_{number}_{name}": at
        for number, (names, interval) in enumerate(zip(ends, intervals, strict=True))
        for name, at in zip(names, interval, strict=True)
    }


def selected(
    statement: str,
    keys: Sequence[str],
    measures: Sequence[str],
    state: State,
    parts: Pieces,
    where: Mapping[str, str | None] | None = None,
    more: Mapping[str, object] | None = None,
) -> Select[*tuple[Any, ...]]:
    """A statement over such rows with its parameters, as a Select of those keys and whole numbers."""
    values = {"valid": state.valid, "watermark": state.watermark, **parts.parameters}
    values |= edge_values(parts.edges) | dict(more or {})
    values |= {f"only_{name}": value for name, value in (where or {}).items() if value is not None}
    used = sorted(set(NAMES.findall(statement)))
    bound = text(statement).bindparams(*(bindparam(name, values[name], type_=_type(name)) for name in used))
    columns = [column(name, TYPES.get(name, Text())) for name in keys]
    columns += [column(name, TYPES.get(name, BigInteger())) for name in measures]
    return select(bound.columns(*columns).subquery("sums"))


def every_step(
    sums: Select[*tuple[Any, ...]], parts: Pieces, measures: Sequence[str], unknown: Sequence[str] = ()
) -> Select[*tuple[Any, ...]]:
    """Sums by step with the step's beginning, `starts_at`. Where there is nothing, measures are zero and the
    `unknown` columns null."""
    found = sums.order_by(None).subquery("found")
    starts = bindparam("every_start", parts.starts, type_=arrays.INSTANTS)
    steps = (
        func.unnest(starts)
        .table_valued(column("starts_at", DateTime(timezone=True)), with_ordinality="number", name="steps")
        .render_derived()
    )
    columns: list[ColumnElement[Any]] = [func.coalesce(found.c[name], 0).label(name) for name in measures]
    columns += [found.c[name] for name in unknown]
    return (
        select(steps.c.starts_at, *columns)
        .select_from(steps.outerjoin(found, found.c.step == steps.c.number - 1))
        .order_by(steps.c.starts_at)
    )


def _type(name: str) -> Any:
    if name in ("start", "end") or name.startswith("edge_"):
        return DateTime(timezone=True)
    if name == "only":
        return ARRAY(Text)
    if name in INSTANTS:
        return arrays.INSTANTS
    if name in STEPS:
        return arrays.NUMBERS
    return arrays.DAYS if name in DAYS else None
