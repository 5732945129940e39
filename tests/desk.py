"""A desk in front of one simulated provider: it charges, submits, takes callbacks in and looks jobs up."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from makegood import callbacks, generations, ledger, reconcile
from makegood.generations import NewGeneration, Refusal, Reservation
from makegood.ids import uuid7
from makegood.models import Generation
from makegood.providers import registry
from makegood.providers.http import Limits
from makegood.providers.protocol import Job, Provider
from settings import ProviderSettings
from simulator.server import API_KEY, WEBHOOK_SECRET, Simulator
from tests.loopback import Loopback, Request
from tests.making import TERMS, make_customer
from tests.offers import OFFERS

CHARGED = 30
BEFORE, AFTER = 105, 75
"""The customer's credits without the charge, and with it."""


class Desk:
    """One customer's generation at one provider, from its charge to its end."""

    def __init__(self, session: Session, simulator: Simulator, inbox: Loopback) -> None:
        self.session, self.simulator, self.inbox = session, simulator, inbox
        self.name = simulator.name
        reach = ProviderSettings(API_KEY, None, WEBHOOK_SECRET, simulator.base_url)
        self.provider: Provider = registry.build({self.name: reach}, Limits(submit_seconds=1.0))[self.name]
        self.customer = make_customer(session)
        self.reservation: Reservation
        self._taken = 0

    def start(self, wish: str, *, record: bool = True, **input: Any) -> Job:
        """Charge, submit a job with this fate, and (unless the crash comes first) record the answer."""
        offer = OFFERS[self.name]
        asked = {**offer.input(f"a red mug [simulate:{wish}]"), **input}
        new = NewGeneration(
            self.customer, self.name, offer.model, offer.kind, asked, uuid7().hex, "api-key:test", CHARGED
        )
        self.reservation = generations.reserve(self.session, new, self.provider, TERMS)
        url = f"{self.inbox.url}/callbacks/{self.name}/{self.reservation.callback_token}"
        job = Job(self.reservation.generation_id, offer.model, offer.kind, asked, url)
        result = generations.dispatch(self.provider, job)
        if isinstance(result, Refusal):
            generations.fail(
                self.session, job.generation_id, result.error_class, result.message, TERMS, refused=True
            )
        elif record:
            generations.record_submit(self.session, job.generation_id, result, TERMS)
        return job

    def arrived(self, count: int) -> list[Request]:
        """The next `count` callbacks."""
        self._taken += count
        return self.inbox.wait_for(self._taken)[self._taken - count : self._taken]

    def take_in(self, count: int) -> list[str]:
        """Take the next `count` callbacks in. Returns the states that they have in the inbox."""
        return [self.deliver(request).state for request in self.arrived(count)]

    def deliver(
        self, request: Request, *, token: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Take one in, with this token and these headers instead of its own."""
        token = token or self.reservation.callback_token or ""
        told = request.headers | dict(headers or {})
        providers = {self.name: self.provider}
        return callbacks.receive(self.session, providers, self.name, token, told, request.body, TERMS)

    def settled(self) -> Generation:
        """The generation, once reconcile has looked often enough."""
        at, give_up = datetime.now(UTC), time.monotonic() + 5
        while (
            self.generation.status in ("charged", "submitted", "unknown") or self.generation.check_at is not None
        ):
            assert time.monotonic() < give_up
            for claimed in reconcile.claim(self.session, at=at):
                answer = reconcile.look_up({self.name: self.provider}, claimed)
                reconcile.decide(self.session, claimed, answer, TERMS, at=datetime.now(UTC))
            at = datetime.now(UTC) + TERMS.check_after + timedelta(minutes=6)
            time.sleep(0.02)
        return self.generation

    @property
    def generation(self) -> Generation:
        """As it is now."""
        return generations.get(self.session, self.reservation.generation_id)

    @property
    def balance(self) -> int:
        """The customer's credits."""
        return ledger.balance(self.session, self.customer)

    @property
    def end(self) -> tuple[str, int]:
        """How it stands: the generation's status and the customer's credits."""
        return self.generation.status, self.balance


def body_of(request: Request) -> Any:
    """A callback's JSON."""
    return json.loads(request.body)
