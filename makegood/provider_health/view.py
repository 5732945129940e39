"""What the provider pages show: all providers side by side, and one of them in detail."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from makegood import switches
from makegood.models import ProviderSwitch
from makegood.provider_health import balances, figures, observations
from makegood.provider_health.balances import Standing
from makegood.provider_health.figures import PROVIDER, STEP, Figures
from makegood.provider_health.observations import Deliveries, Ending, InFlight, Rejected
from makegood.ranges import Range, Step
from makegood.stats import failures
from makegood.stats.failure_lines import ClassLine
from makegood.terms import Terms


@dataclass(frozen=True)
class ProviderHealth:
    """How one provider does: in the range and in the period before, at present, and when it last ended a
    generation."""

    name: str
    now: Figures
    before: Figures
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
        """Whether it ever ended a generation, has one in flight, or was charged for one in the range."""
        return bool(self.success or self.failure or self.in_flight.count or self.now.usage.generations)


@dataclass(frozen=True)
class ProviderStep:
    """One step of the range."""

    step: Step
    figures: Figures


@dataclass(frozen=True)
class ModelHealth:
    """How one model did in the range and in the period before, and whether it is switched off by itself."""

    model: str
    now: Figures
    before: Figures
    switch: ProviderSwitch | None


@dataclass(frozen=True)
class AllProviders:
    """Every provider, those that are used most first."""

    as_of: datetime
    providers: list[ProviderHealth]


@dataclass(frozen=True)
class OneProvider:
    """One provider in detail. Failures and rejected callbacks begin with the most frequent."""

    as_of: datetime
    health: ProviderHealth
    steps: list[ProviderStep]
    models: list[ModelHealth]
    failures: list[ClassLine]
    rejections: list[Rejected]


def survey(session: Session, names: Collection[str], terms: Terms, asked: Range) -> AllProviders:
    """How the providers of these names do, and any other that is in use or switched off. The caller has begun a
    snapshot, so that all figures agree."""
    now, before = (
        figures.read(session, figures.by(session, terms, span, PROVIDER), "provider")
        for span in (asked, asked.previous())
    )
    healths = _healths(session, names, terms, asked, now, before, others=True)
    return AllProviders(asked.now, sorted(healths, key=lambda one: (-one.now.usage.generations, one.name)))


def examine(session: Session, name: str, terms: Terms, asked: Range) -> OneProvider:
    """How one provider does. The caller has begun a snapshot."""
    (now, models), (before, models_before) = (
        figures.of_models(session, terms, span, name) for span in (asked, asked.previous())
    )
    (health,) = _healths(session, [name], terms, asked, {name: now}, {name: before})
    found = figures.read(session, figures.by(session, terms, asked, STEP, name), "step")
    return OneProvider(
        asked.now,
        health,
        [ProviderStep(step, found.get(number, Figures())) for number, step in enumerate(asked.steps())],
        _models(models, models_before, health),
        failures.of_provider(session, terms, asked, name),
        observations.rejections(session, name, asked),
    )


def _healths(
    session: Session,
    names: Collection[str],
    terms: Terms,
    asked: Range,
    now: dict[str, Figures],
    before: dict[str, Figures],
    *,
    others: bool = False,
) -> list[ProviderHealth]:
    """Of these names, and of `others` that are in use or switched off."""
    flying = observations.in_flight(session)
    off = switches.listed(session)
    more = (*now, *before, *flying, *(switch.provider for switch in off)) if others else ()
    every = sorted({*names, *more})
    latest = observations.latest(session, every)
    delivered = observations.deliveries(session, asked)
    left = balances.standings(session, every, terms, at=asked.now)
    return [
        ProviderHealth(
            name,
            now.get(name, Figures()),
            before.get(name, Figures()),
            latest[name].success,
            latest[name].failure,
            flying.get(name, InFlight()),
            delivered.get(name, Deliveries()),
            left.get(name),
            [switch for switch in off if switch.provider == name],
        )
        for name in every
    ]


def _models(now: dict[str, Figures], before: dict[str, Figures], health: ProviderHealth) -> list[ModelHealth]:
    alone = {switch.model: switch for switch in health.switches if switch.model != switches.ALL_MODELS}
    models = [
        ModelHealth(model, now.get(model, Figures()), before.get(model, Figures()), alone.get(model))
        for model in {*now, *before, *alone}
    ]
    return sorted(models, key=lambda one: (-one.now.usage.generations, one.model))
