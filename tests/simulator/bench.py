"""A provider's adapter in front of its simulator, as tests of both use them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from uuid import UUID

from makegood.ids import hash_token, uuid7
from makegood.providers import registry
from makegood.providers.http import Limits
from makegood.providers.protocol import Job, LostJob, Provider, Report
from settings import ProviderSettings
from simulator.server import API_KEY, API_SECRET, WEBHOOK_SECRET, Simulator
from tests.loopback import Loopback
from tests.offers import OFFERS


class Bench:
    """A provider's adapter in front of its simulator, and the inbox for its callbacks."""

    def __init__(self, name: str, simulator: Simulator, inbox: Loopback) -> None:
        self.name, self.simulator, self.inbox = name, simulator, inbox
        self.offer = OFFERS[name]
        self.model = self.offer.model
        self.provider = self.reached()

    def reached(self, **settings: str) -> Provider:
        """The adapter, with other settings than the right ones."""
        right = {"api_key": API_KEY, "api_secret": API_SECRET, "webhook_secret": WEBHOOK_SECRET}
        reach = ProviderSettings(**{**right, **settings}, base_url=self.simulator.base_url)
        return registry.build({self.name: reach}, Limits(submit_seconds=1.0))[self.name]

    def job(
        self, wish: str, generation_id: UUID | None = None, *, model: str | None = None, token: str = "token"
    ) -> Job:
        """A job with this fate, for which its prompt has a marker."""
        asked = self.offer.input(f"a red mug [simulate:{wish}]")
        url = f"{self.inbox.url}/callbacks/{self.name}/{token}"
        return Job(generation_id or uuid7(), model or self.model, self.offer.kind, asked, url)

    def submit(self, wish: str, generation_id: UUID | None = None, *, model: str | None = None) -> str:
        """Submit such a job. Returns the provider's id of it."""
        return self.provider.submit(self.job(wish, generation_id, model=model)).provider_job_id

    def lost(self, job: Job) -> LostJob:
        """The job as reconcile looks for it."""
        token = job.callback_url.rpartition("/")[2]
        return LostJob(job.generation_id, job.model, job.input, datetime.now(UTC), hash_token(token))

    def read(self, count: int) -> list[Report]:
        """What the first `count` callbacks say, verified where they are signed."""
        now = datetime.now(UTC)
        requests = self.inbox.wait_for(count)[:count]
        return [self.provider.parse_callback(one.headers, one.body, now, "token") for one in requests]

    def ended(self) -> None:
        """Wait until every job has ended."""
        give_up = time.monotonic() + 5
        while not all(job.ended for job in self.simulator.accepted):
            assert time.monotonic() < give_up
            time.sleep(0.01)
