"""Whether the platform works: failures of the last hour, generations that are stuck, and the worker's presence."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from makegood import presence
from makegood.models import Generation
from makegood.models.generations import IN_FLIGHT
from makegood.rollups import State
from makegood.stats import facts
from makegood.stats.figures import Health
from makegood.terms import Terms

HEALTHY, HIGH_FAILURE_RATE, STUCK, NO_WORKER = "healthy", "high_failure_rate", "stuck_generations", "no_worker"
LABELS = {
    HEALTHY: "Healthy",
    HIGH_FAILURE_RATE: "High failure rate",
    STUCK: "Stuck generations",
    NO_WORKER: "No worker is at work",
}


def health(session: Session, state: State, terms: Terms, at: datetime) -> Health:
    """The health at an instant. Its windows are rolling: no range moves them. It is not healthy without a worker,
    whatever has failed so far: what is late is not looked up then, nor refunded."""
    recent = facts.recent(session, state, at)
    in_flight, oldest, away = session.execute(
        select(func.count(), func.min(Generation.charged_at), presence.AWAY_SINCE).where(
            Generation.status.in_(IN_FLIGHT)
        )
    ).one()
    if recent.failed_in_hour > terms.failures_per_hour:
        status = HIGH_FAILURE_RATE
    elif oldest is not None and oldest < at - terms.stuck_after:
        status = STUCK
    elif away is not None:
        status = NO_WORKER
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
        worker_away_since=away,
    )
