"""What was spent at providers, from the rollups and the events that are not folded yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.rollups import State
from makegood.stats import snapshot
from makegood.stats.pieces import BUCKET

SPENT = text(
    """
    SELECT provider, sum(cost_micros)::bigint AS cost_micros, sum(unknown_costs)::bigint AS unknown_costs,
           min(at) FILTER (WHERE generations > 0) AS since
      FROM (SELECT bucket AS at, provider, generations, cost_micros, unknown_costs FROM rollup_buckets
             WHERE :valid AND bucket >= :start
             UNION ALL
            SELECT at, provider, generations, cost_micros, unknown_costs FROM events
             WHERE xid >= CAST(:watermark AS xid8) AND provider <> '' AND at >= :start) AS facts
     GROUP BY provider
    """
)


@dataclass(frozen=True)
class Spent:
    """What was spent at a provider: micro-dollars, how many costs are not in it, and since when it was used."""

    cost_micros: int
    unknown_costs: int
    since: datetime | None


def spent(session: Session, timezone: ZoneInfo, *, since: datetime) -> dict[str, Spent]:
    """What was spent at each provider since then, to the quarter of an hour."""
    values = _values(snapshot.state(session, timezone), since)
    return {
        row.provider: Spent(row.cost_micros, row.unknown_costs, row.since)
        for row in session.execute(SPENT, values)
    }


def _values(state: State, start: datetime) -> dict[str, object]:
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    whole = epoch + BUCKET * ((start - epoch) // BUCKET)
    return {"valid": state.valid, "watermark": state.watermark, "start": whole}
