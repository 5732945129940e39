"""Whether the platform works: failures of the last hour, generations that are stuck, and the worker's presence."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from makegood.models import Generation
from makegood.models.generations import IN_FLIGHT
from makegood.rollups import State
from makegood.stats import facts
from makegood.stats.figures import Health
from makegood.terms import Terms

WORKER_AWAY_AFTER = timedelta(minutes=2)
HEALTHY, HIGH_FAILURE_RATE, STUCK = "healthy", "high_failure_rate", "stuck_generations"
LABELS = {HEALTHY: "Healthy", HIGH_FAILURE_RATE: "High failure rate", STUCK: "Stuck generations"}


def health(session: Session, state: State, terms: Terms, at: datetime) -> Health:
    """The health at an instant. Its windows are rolling: no range moves them."""
    recent = facts.recent(session, state, at)
    in_flight, oldest = session.execute(
        select(func.count(), func.min(Generation.charged_at)).where(Generation.status.in_(IN_FLIGHT))
    ).one()
    if recent.failed_in_hour > terms.failures_per_hour:
        status = HIGH_FAILURE_RATE
    elif oldest is not None and oldest < at - terms.stuck_after:
        status = STUCK
    else:
        status = HEALTHY
    return Health(
        status,
        LABELS[status],
        generations_24h=recent.generations,
        failures_24h=recent.failed,
        failures_last_hour=recent.failed_in_hour,
        in_flight=in_flight,
        oldest_in_flight=oldest,
        worker_away_since=state.folded_at if state.folded_at < at - WORKER_AWAY_AFTER else None,
    )
