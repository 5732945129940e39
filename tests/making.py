"""What tests start from: a provider that answers as told, customers with credits, generations in any state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from makegood import customers, generations, grants
from makegood.generations import NewGeneration, Reservation
from makegood.ids import uuid7
from makegood.providers.protocol import (
    Accepted,
    Account,
    CallbackRejected,
    ErrorClass,
    Found,
    Job,
    LostJob,
    Outcome,
    Report,
    Units,
)
from makegood.terms import Terms

TERMS = Terms()
MODEL = "bytedance/seedream-v4"
"""A model that ships with a price (27,000 micro-dollars an image) and a credit price (2 credits)."""


@dataclass
class FakeProvider:
    """A provider without a network: it submits and fetches what it was told to.

    A callback's body is JSON of Report's fields; it is genuine with the header `x-genuine: yes`.
    """

    name: str = "wavespeed"
    signed: bool = True
    answer: Accepted | Exception = field(default_factory=lambda: Accepted("job-1"))
    fetched: Report | Exception = field(default_factory=lambda: Report(Outcome.PENDING))
    found: Found | Exception | None = None
    submitted: list[Job] = field(default_factory=list)
    lost: list[LostJob] = field(default_factory=list)
    fetches: int = 0

    @property
    def configured(self) -> bool:
        """Always."""
        return True

    def job_secret(self, token: str) -> str | None:
        """There is none."""
        return None

    def find(self, lost: LostJob) -> Found | None:
        """What was set to be found."""
        self.lost.append(lost)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def account(self) -> Account | None:
        """There is none."""
        return None

    def units(self, model: str, input: Mapping[str, Any]) -> Units:
        """One image, or `input["images"]` of them."""
        return Units("image", int(input.get("images", 1)))

    def submit(self, job: Job) -> Accepted:
        """The answer that was set."""
        self.submitted.append(job)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime, token: str = "") -> Report:
        """Read the body."""
        if self.signed and headers.get("x-genuine") != "yes":
            raise CallbackRejected("the signature is wrong")
        data = json.loads(body)
        return Report(
            outcome=Outcome(data["outcome"]),
            provider_job_id=data.get("job"),
            outputs=tuple(data.get("outputs", ())),
            error_class=ErrorClass(data["error_class"]) if data.get("error_class") else None,
            message=data.get("message"),
            delivery=data.get("delivery"),
            status=data["outcome"],
            incomplete=data.get("incomplete", False),
        )

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """The report that was set."""
        self.fetches += 1
        if isinstance(self.fetched, Exception):
            raise self.fetched
        return self.fetched


SUCCESS = Report(Outcome.SUCCEEDED, outputs=("https://results.example/1.png",))
FAILURE = Report(Outcome.FAILED, error_class=ErrorClass.GENERATION_FAILED, message="The task execution failed.")


def make_customer(
    session: Session,
    credits: int = 100,
    *,
    customer_id: str | None = None,
    tier: str = "free",
    at: datetime | None = None,
) -> str:
    """A customer who holds exactly this many purchased credits beside the tier's allowance of 5 (free)."""
    customer_id = customer_id or f"cus_{uuid7().hex}"
    customers.upsert(session, customer_id, email=None, tier=tier, timezone=TERMS.timezone, at=at)
    if credits:
        grants.add(session, customer_id, credits, source="purchase", reason="order 1", actor="test", at=at)
    return customer_id


def reserve(
    session: Session,
    customer_id: str,
    *,
    provider: FakeProvider | None = None,
    credits: int | None = None,
    key: str | None = None,
    terms: Terms = TERMS,
    at: datetime | None = None,
    **request: Any,
) -> Reservation:
    """A charged generation."""
    provider = provider or FakeProvider()
    new = NewGeneration(
        customer_id=customer_id,
        provider=provider.name,
        model=request.pop("model", "nano-banana" if provider.name == "nanobanana" else MODEL),
        kind=request.pop("kind", "image"),
        input=request.pop("input", {"prompt": "a red mug"}),
        idempotency_key=key or uuid7().hex,
        actor="api-key:test",
        credits=credits,
        **request,
    )
    return generations.reserve(session, new, provider, terms, at=at)


def make_generation(
    session: Session,
    customer_id: str,
    *,
    status: str = "submitted",
    job: str | None = None,
    at: datetime | None = None,
    **request: Any,
) -> UUID:
    """A generation that is charged, submitted, unknown, succeeded or failed (and refunded)."""
    generation_id = reserve(session, customer_id, at=at, **request).generation_id
    if status in ("submitted", "succeeded", "failed"):
        accepted = Accepted(job or f"job-{generation_id.hex}")
        generations.record_submit(session, generation_id, accepted, at=at)
    if status == "unknown":
        generations.record_submit(session, generation_id, generations.Lost("timed out"), at=at)
    if status == "succeeded":
        generations.settle(session, generation_id, SUCCESS, TERMS, at=at)
    if status == "failed":
        generations.settle(session, generation_id, FAILURE, TERMS, at=at)
    return generation_id
