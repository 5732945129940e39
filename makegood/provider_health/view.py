"""What the provider pages show: all providers side by side, and one of them in detail."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from makegood import rollups, switches
from makegood.models import ProviderSwitch
from makegood.provider_health import balances, latencies, observations, usage
from makegood.provider_health.balances import Standing
from makegood.provider_health.latencies import Latency
from makegood.provider_health.observations import Deliveries, Ending, InFlight
from makegood.provider_health.spans import Span, look_back
from makegood.stats.figures import Usage
from makegood.terms import Terms


@dataclass(frozen=True)
class ProviderHealth:
    """How one provider does: in the span, now, and when it last ended a generation."""

    name: str
    usage: Usage
    latency: Latency
    success: Ending | None
    failure: Ending | None
    in_flight: InFlight
    deliveries: Deliveries
    balance: Standing | None
    switches: list[ProviderSwitch]

    @property
    def off(self) -> ProviderSwitch | None:
        """The switch of all its models, if they are off."""
        return next((switch for switch in self.switches if switch.model == switches.ALL_MODELS), None)

    @property
    def used(self) -> bool:
        """Whether it ever ended a generation, has one in flight, or was charged for one in the span."""
        return bool(self.success or self.failure or self.in_flight.count or self.usage.generations)


@dataclass(frozen=True)
class Step:
    """One step of the span: what ended and was charged in it, and how long what succeeded took."""

    start: datetime
    usage: Usage
    latency: Latency


@dataclass(frozen=True)
class ModelHealth:
    """How one model did in the span, and whether it is switched off by itself."""

    model: str
    usage: Usage
    latency: Latency
    switch: ProviderSwitch | None


@dataclass(frozen=True)
class AllProviders:
    """Every provider, those that are used most first."""

    as_of: datetime
    span: Span
    providers: list[ProviderHealth]


@dataclass(frozen=True)
class OneProvider:
    """One provider in detail. Counts are by error class and by reason, most frequent first."""

    as_of: datetime
    span: Span
    health: ProviderHealth
    steps: list[Step]
    models: list[ModelHealth]
    failures: list[tuple[str, int]]
    rejections: list[tuple[str, int]]


def survey(
    session: Session, names: Collection[str], terms: Terms, *, span: str = "", at: datetime | None = None
) -> AllProviders:
    """How the providers of these names do, and any other that is in use or switched off. The caller has begun a
    snapshot, so that all figures agree."""
    at = at or datetime.now(UTC)
    looked = look_back(span, at, terms.timezone)
    healths = _healths(session, names, terms, looked, at)
    return AllProviders(at, looked, sorted(healths, key=lambda one: (-one.usage.generations, one.name)))


def examine(
    session: Session, name: str, terms: Terms, *, span: str = "", at: datetime | None = None
) -> OneProvider:
    """How one provider does. The caller has begun a snapshot."""
    at = at or datetime.now(UTC)
    looked = look_back(span, at, terms.timezone)
    (health,) = (one for one in _healths(session, [name], terms, looked, at, alone=True) if one.name == name)
    state = rollups.state(session, terms.timezone)
    used = usage.by_step(session, state, name, looked.edges)
    took = latencies.by_step(session, terms, name, looked.edges, at)
    steps = [
        Step(edge, used.get(number, Usage()), took.get(number, Latency()))
        for number, edge in enumerate(looked.edges, start=1)
    ]
    return OneProvider(
        at,
        looked,
        health,
        steps,
        _models(
            usage.by_model(session, state, name, looked.start),
            latencies.by_model(session, terms, name, looked.start, at),
            health.switches,
        ),
        observations.failures(session, name, looked.start),
        observations.rejections(session, name, looked.start),
    )


def _healths(
    session: Session, names: Collection[str], terms: Terms, span: Span, at: datetime, *, alone: bool = False
) -> list[ProviderHealth]:
    used = usage.by_provider(session, rollups.state(session, terms.timezone), span.start)
    flying = observations.in_flight(session)
    off = switches.listed(session)
    others = () if alone else (*used, *flying, *(switch.provider for switch in off))
    every = sorted({*names, *others})
    latest = observations.latest(session, every)
    took = latencies.by_provider(session, terms, span.start, at)
    delivered = observations.deliveries(session, span.start)
    left = balances.standings(session, every, terms, at=at)
    return [
        ProviderHealth(
            name,
            used.get(name, Usage()),
            took.get(name, Latency()),
            latest[name].success,
            latest[name].failure,
            flying.get(name, InFlight()),
            delivered.get(name, Deliveries()),
            left.get(name),
            [switch for switch in off if switch.provider == name],
        )
        for name in every
    ]


def _models(used: dict[str, Usage], took: dict[str, Latency], off: list[ProviderSwitch]) -> list[ModelHealth]:
    alone = {switch.model: switch for switch in off if switch.model != switches.ALL_MODELS}
    models = [
        ModelHealth(model, used.get(model, Usage()), took.get(model, Latency()), alone.get(model))
        for model in {*used, *took, *alone}
    ]
    return sorted(models, key=lambda one: (-one.usage.generations, one.model))
