"""What was charged and spent at providers, from the rollups and the events that are not folded yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, DateTime, Text, bindparam, text
from sqlalchemy.orm import Session

from makegood import rollups
from makegood.rollups import State
from makegood.stats.figures import MEASURE_NAMES, Usage
from makegood.stats.pieces import BUCKET

_COLUMNS = ", ".join(MEASURE_NAMES)
_SUMS = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in MEASURE_NAMES)

_FACTS = f"""
    (SELECT bucket AS at, provider, model, {_COLUMNS} FROM rollup_buckets WHERE :valid AND bucket >= :start
      UNION ALL
     SELECT at, provider, model, {_COLUMNS} FROM events
      WHERE xid >= CAST(:watermark AS xid8) AND provider <> '' AND at >= :start) AS facts
"""  # noqa: S608 (made of our own column names)
SPENT = text(
    f"""
    SELECT provider, sum(cost_micros)::bigint AS cost_micros, sum(unknown_costs)::bigint AS unknown_costs,
           min(at) FILTER (WHERE generations > 0) AS since
      FROM {_FACTS} GROUP BY provider
    """  # noqa: S608
)
BY_PROVIDER = text(f"SELECT provider, {_SUMS} FROM {_FACTS} GROUP BY provider")  # noqa: S608
BY_MODEL = text(
    f"SELECT model, {_SUMS} FROM {_FACTS} WHERE provider = :provider GROUP BY model"  # noqa: S608
).bindparams(bindparam("provider", type_=Text))
BY_STEP = text(
    f"""
    SELECT width_bucket(at, :edges) AS step, {_SUMS} FROM {_FACTS} WHERE provider = :provider GROUP BY step
    """  # noqa: S608
).bindparams(bindparam("provider", type_=Text), bindparam("edges", type_=ARRAY(DateTime(timezone=True))))


@dataclass(frozen=True)
class Spent:
    """What was spent at a provider: micro-dollars, how many costs are not in it, and since when it was used."""

    cost_micros: int
    unknown_costs: int
    since: datetime | None


def spent(session: Session, timezone: ZoneInfo, *, since: datetime) -> dict[str, Spent]:
    """What was spent at each provider since then, to the quarter of an hour."""
    values = _values(rollups.state(session, timezone), since)
    return {
        row.provider: Spent(row.cost_micros, row.unknown_costs, row.since)
        for row in session.execute(SPENT, values)
    }


def by_provider(session: Session, state: State, start: datetime) -> dict[str, Usage]:
    """Usage of each provider since `start`, which begins a quarter of an hour."""
    return {row.provider: _usage(row) for row in session.execute(BY_PROVIDER, _values(state, start))}


def by_model(session: Session, state: State, provider: str, start: datetime) -> dict[str, Usage]:
    """Usage of each of a provider's models since `start`."""
    values = {**_values(state, start), "provider": provider}
    return {row.model: _usage(row) for row in session.execute(BY_MODEL, values)}


def by_step(session: Session, state: State, provider: str, edges: Sequence[datetime]) -> dict[int, Usage]:
    """A provider's usage by step: from each of the edges, which begin quarters of an hour, to the next. The first
    is step 1."""
    values = {**_values(state, edges[0]), "provider": provider, "edges": list(edges)}
    return {row.step: _usage(row) for row in session.execute(BY_STEP, values)}


def _values(state: State, start: datetime) -> dict[str, object]:
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    whole = epoch + BUCKET * ((start - epoch) // BUCKET)
    return {"valid": state.valid, "watermark": state.watermark, "start": whole}


def _usage(row: object) -> Usage:
    return Usage(*(getattr(row, name) for name in MEASURE_NAMES))
