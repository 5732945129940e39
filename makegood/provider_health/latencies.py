"""How long what succeeded at providers took: percentiles from histograms, at most 3 % off the exact ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy.orm import Session

from makegood.stats import latency, sums
from makegood.stats.latency import LatencyFilters
from makegood.terms import Terms

AHEAD = timedelta(days=1)
"""What a clock ahead of ours dates later than now belongs to the last step."""


@dataclass(frozen=True)
class Latency:
    """How long what succeeded took, from the submit to the end, in milliseconds. None when nothing did."""

    p50: int | None = None
    p95: int | None = None


def by_provider(session: Session, terms: Terms, start: datetime, at: datetime) -> dict[str, Latency]:
    """Of each provider since `start`."""
    return _read(session, terms, (start, at + AHEAD), LatencyFilters(), "provider")


def by_model(session: Session, terms: Terms, provider: str, start: datetime, at: datetime) -> dict[str, Latency]:
    """Of each of a provider's models since `start`."""
    return _read(session, terms, (start, at + AHEAD), LatencyFilters(provider), "model")


def by_step(
    session: Session, terms: Terms, provider: str, edges: Sequence[datetime], at: datetime
) -> dict[int, Latency]:
    """Of a provider, from each edge to the next. The first is step 1."""
    found = _read(session, terms, (*edges, at + AHEAD), LatencyFilters(provider), sums.STEP)
    return {step + 1: one for step, one in found.items()}


def _read(
    session: Session, terms: Terms, edges: Sequence[datetime], filters: LatencyFilters, key: str
) -> dict[Any, Latency]:
    found = latency.of_steps(session, terms, list(pairwise(edges)), filters, (key,))
    return {value: Latency(one.p50_ms, one.p95_ms) for (value,), one in found.items()}
