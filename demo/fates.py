"""What becomes of a generation in the demo's history: how its provider took it, worked on it and said so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from demo import bodies, deliveries, troubles
from demo.bodies import Ran
from demo.catalogue import LIVE, NANOBANANA, OFFERS, Offer
from demo.chance import Chance
from makegood.providers import registry
from makegood.providers.protocol import ErrorClass, Provider, Report, Units
from settings import ProviderSettings

PREDICTING = ("wavespeed", "simulated")
"""Providers that send predictions in WaveSpeed's form."""

BILLED = {"bfl": Units("credit", 3)}
"""What a provider says it billed when it takes the job."""

LOOKS = 8
"""How often reconcile asks for a job in half an hour."""

MEANS = {"video": 4.0, "audio": 0.4}
"""Of the logarithm of how many seconds a job takes."""

TOKEN = "not-stored"  # noqa: S105 (what the callbacks of history came to is not kept)
SECRET = "whsec_ZGVtbw=="  # noqa: S105 (signs what the next line reads, and is stored nowhere)


@dataclass(frozen=True)
class Delivery:
    """A callback and what became of it in the inbox."""

    received_at: datetime
    headers: dict[str, str]
    body: bytes
    report: Report
    state: str
    detail: str
    applied_at: datetime | None


@dataclass(frozen=True)
class Fate:
    """The end of a generation, and what led to it. `submitted_at` is None when the provider refused the job;
    `late` is what it reported after the generation had ended without it, `checks` how often it was asked."""

    status: str
    ended_at: datetime
    submitted_at: datetime | None = None
    job: str | None = None
    error_class: ErrorClass | None = None
    message: str | None = None
    outputs: tuple[str, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    expire_at: datetime | None = None
    usage: Units | None = None
    late: Report | None = None
    late_at: datetime | None = None
    checks: int = 0

    @property
    def last_at(self) -> datetime:
        """When the last thing happened."""
        received = [delivery.received_at for delivery in self.deliveries]
        return max([self.ended_at, self.late_at or self.ended_at, *received])


def decide(
    chance: Chance,
    offer: Offer,
    input: Mapping[str, Any],
    charged_at: datetime,
    deadline: timedelta,
    *,
    incident: bool,
) -> Fate:
    """Draw the fate of a generation."""
    kind = chance.weighted(troubles.INCIDENT if incident else troubles.USUAL)
    submitted_at = charged_at + chance.seconds(0.2, 1.4)
    if kind == "refuse" or (kind == "fail" and offer.kind == "audio"):  # speech comes with the answer, or not
        error_class, message = chance.weighted(troubles.REFUSALS)
        return Fate("failed", submitted_at, error_class=error_class, message=message)
    failure = troubles.failure(chance, offer, input, incident=incident) if kind == "fail" else None
    mean = MEANS.get(offer.kind, 2.9 if offer.provider == NANOBANANA else 2.0)
    took = timedelta(milliseconds=round(1000 * min(chance.lognormvariate(mean, 0.4), 110)))
    ran = Ran(chance.hex(32), offer.model, input, submitted_at, submitted_at + took, failure)
    if offer.kind == "audio":
        return Fate("succeeded", ran.done_at, ran.submitted_at, ran.job)
    if kind == "overdue":
        return _overdue(chance, offer, ran, charged_at + deadline, deadline)
    if kind == "cancel":
        return _cancelled(chance, offer, ran)
    return _reported(chance, offer, ran)


def _reported(chance: Chance, offer: Offer, ran: Ran) -> Fate:
    delivery = _delivery(chance, offer, ran, "ended")
    report = delivery.report
    return Fate(
        report.outcome.value,
        delivery.applied_at or delivery.received_at,
        ran.submitted_at,
        ran.job,
        report.error_class,
        report.message,
        report.outputs,
        _with_company(chance, offer, ran, delivery),
        report.outputs_expire_at,
        BILLED.get(offer.provider, report.usage),
        checks=_fetches(offer),
    )


def _cancelled(chance: Chance, offer: Offer, ran: Ran) -> Fate:
    """The customer gave up half-way. Providers cannot be stopped: most results come all the same."""
    cancelled_at = ran.submitted_at + (ran.done_at - ran.submitted_at) * chance.uniform(0.3, 0.9)
    fate = Fate("cancelled", cancelled_at, ran.submitted_at, ran.job, usage=BILLED.get(offer.provider))
    return _too_late(chance, offer, ran, fate) if chance.happens(0.7) else fate


def _overdue(chance: Chance, offer: Offer, ran: Ran, ended_at: datetime, deadline: timedelta) -> Fate:
    """Nothing came before the deadline; sometimes it comes after it."""
    message = f"no result within {deadline.total_seconds():.0f} seconds"
    fate = Fate("failed", ended_at, ran.submitted_at, ran.job, ErrorClass.TIMEOUT, message, checks=LOOKS)
    fate = replace(fate, usage=BILLED.get(offer.provider))
    if chance.happens(0.5):
        return fate
    return _too_late(chance, offer, replace(ran, done_at=ended_at + chance.seconds(40, 900)), fate)


def _too_late(chance: Chance, offer: Offer, ran: Ran, fate: Fate) -> Fate:
    delivery = _delivery(chance, offer, ran, "late")
    late_at = delivery.applied_at or delivery.received_at
    checks = fate.checks + _fetches(offer)
    return replace(fate, deliveries=(delivery,), late=delivery.report, late_at=late_at, checks=checks)


def _delivery(chance: Chance, offer: Offer, ran: Ran, change: str) -> Delivery:
    """The provider's callback. Where nothing is signed, the job is fetched before it counts."""
    received_at = ran.done_at + chance.seconds(0.1, 0.9)
    provider = readers()[offer.provider]
    if offer.provider == NANOBANANA:
        headers, body = {"content-type": "application/json"}, bodies.task(ran)
    elif offer.provider in PREDICTING:
        body = bodies.prediction(ran)
        headers = bodies.signed(ran, body, received_at, SECRET)
    else:
        headers, body = deliveries.called_back(offer.provider, ran, provider.job_secret(TOKEN))
    report = provider.parse_callback(headers, body, received_at, TOKEN)
    if provider.signed:
        return Delivery(received_at, headers, body, report, "applied", change, received_at)
    applied_at = received_at + chance.seconds(0.4, 4.5)
    return Delivery(received_at, headers, body, report, "applied", f"fetched: {report.outcome.value}", applied_at)


def _fetches(offer: Offer) -> int:
    """How often the provider is asked because it called back."""
    return int(not readers()[offer.provider].signed)


def _with_company(chance: Chance, offer: Offer, ran: Ran, delivery: Delivery) -> tuple[Delivery, ...]:
    """The callback with a copy of it, or with an early one that changes nothing, now and then."""
    if readers()[offer.provider].signed and chance.happens(0.02):
        again = delivery.received_at + chance.seconds(1.5, 6)
        copy = replace(delivery, received_at=again, state="duplicate", detail="delivered before", applied_at=None)
        return delivery, copy
    if offer.provider == "simulated" and chance.happens(0.02):
        early = ran.submitted_at + (ran.done_at - ran.submitted_at) / 4
        body = bodies.prediction(ran, "processing")
        headers = bodies.signed(ran, body, early, SECRET)
        report = readers()["simulated"].parse_callback(headers, body, early, TOKEN)
        return Delivery(early, headers, body, report, "ignored", "not an end: processing", None), delivery
    return (delivery,)


@lru_cache(maxsize=1)
def readers() -> dict[str, Provider]:
    """The adapters themselves read these callbacks, so that the history says what they would have understood."""
    names = {offer.provider for _, offer in (*OFFERS, *LIVE)}
    return registry.build({name: ProviderSettings("key", "secret", SECRET) for name in names})
