"""A small believable account, made with the rules themselves: what the browser's tests look at."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from makegood import alerts, customers, generations, grants, notes, refunds
from makegood.generations import NewGeneration
from makegood.models import Callback, StripeResource
from makegood.providers.protocol import Accepted, ErrorClass, File, Outcome, Provider, Report
from makegood.stripe import applying, events, progress, sync
from makegood.terms import Terms
from simulator import pictures
from simulator.stripe import deliveries
from simulator.stripe.billing import Account
from tests.money import a_month
from tests.selling import a_season
from tests.sold import sell
from tests.stripe import pack
from tests.subscribing import a_quarter

MODELS = ("google/nano-banana/text-to-image", "bytedance/seedream-v4/edit", "bytedance/seedream-v4/sequential")
FAILURES = {
    ErrorClass.CONTENT_POLICY_VIOLATION: "The prompt was rejected by the safety system.",
    ErrorClass.TIMEOUT: "No result within 30 minutes.",
    ErrorClass.PROVIDER_UNAVAILABLE: "upstream connect error or disconnect before headers (503)",
}
TERMS = Terms()
ACTOR = "API key platform (mg_3f)"
RICH = "user_1001"


@dataclass(frozen=True)
class Sample:
    """Generations, a Stripe event and a purchase that the tests open."""

    succeeded: UUID
    failed: UUID
    in_flight: UUID
    stripe_event: str
    purchase: UUID


class Maker:
    """Makes customers and generations with fixed random numbers."""

    def __init__(self, session: Session, provider: Provider, now: datetime) -> None:
        self.session, self.provider, self.now = session, provider, now
        self.random = random.Random(7)
        self.count = 0

    def customers(self) -> list[str]:
        """A dozen in three tiers, with purchased credits."""
        made = []
        for number in range(12):
            name = f"user_{1001 + number}"
            tier = ("pro", "plus", "free")[number % 3]
            start = self.now - timedelta(days=40)
            email = f"{name}@example.com"
            customers.upsert(self.session, name, email=email, tier=tier, timezone=TERMS.timezone, at=start)
            grants.add(self.session, name, 2000, source="purchase", reason="order 4711", actor=ACTOR, at=start)
            made.append(name)
        return made

    def charged(self, customer: str, at: datetime, model: str = MODELS[0]) -> UUID:
        """A generation that the provider accepted."""
        self.count += 1
        prompt = "A lighthouse at dusk, oil on canvas"
        new = NewGeneration(
            customer_id=customer,
            provider=self.provider.name,
            model=model,
            kind="image",
            input={"prompt": prompt, "size": "1024*1024", "seed": self.count},
            metadata={"order": f"A-{self.count}"},
            idempotency_key=f"sample-{self.count}",
            actor=ACTOR,
        )
        reservation = generations.reserve(self.session, new, self.provider, TERMS, at=at)
        job = f"task-{self.count:06d}-8f2c1d7e"
        generations.record_submit(
            self.session, reservation.generation_id, Accepted(job), at=at + timedelta(milliseconds=420)
        )
        return reservation.generation_id

    def succeed(self, generation_id: UUID, at: datetime, *, kept: bool = False) -> None:
        """The provider delivers, and its callback is in the inbox. A `kept` result is a file, not a link."""
        output = f"https://cdn.example.com/results/{generation_id}/0.png"
        report = Report(Outcome.SUCCEEDED, outputs=(output,))
        if kept:
            report = Report(Outcome.SUCCEEDED, files=(File("image/svg+xml", pictures.draw("sample", 1)),))
        self.callback(generation_id, at, {"status": "completed", "outputs": [output], "error": ""})
        generations.settle(self.session, generation_id, report, TERMS, at=at)

    def fail(self, generation_id: UUID, at: datetime, error_class: ErrorClass) -> None:
        """The provider gives up."""
        message = FAILURES[error_class]
        self.callback(generation_id, at, {"status": "failed", "outputs": [], "error": message})
        report = Report(Outcome.FAILED, error_class=error_class, message=message)
        generations.settle(self.session, generation_id, report, TERMS, at=at)

    def callback(self, generation_id: UUID, at: datetime, body: dict[str, object], state: str = "applied") -> None:
        """A delivery, as the inbox keeps it."""
        generation = generations.get(self.session, generation_id)
        self.session.add(
            Callback(
                generation_id=generation_id,
                customer_id=generation.customer_id,
                provider=self.provider.name,
                delivery=f"delivery-{generation_id}-{state}",
                headers={"content-type": "application/json", "webhook-id": f"msg_{generation_id.hex[:12]}"},
                body=json.dumps({"id": generation.provider_job_id, "model": generation.model, **body}).encode(),
                parsed={"outcome": "succeeded" if body["status"] == "completed" else "failed"},
                state=state,
                detail="ended" if state == "applied" else "the signature does not match",
                received_at=at - timedelta(milliseconds=3),
                applied_at=at if state == "applied" else None,
            )
        )


def stripe_events(session: Session, now: datetime) -> str:
    """What a simulated Stripe tells of some orders, in every state of the inbox. Returns one that failed."""
    account = Account()
    for hours in (30, 26, 5):
        account.at(now - timedelta(hours=hours))
        account.buy(pack(account), email=f"{RICH}@example.com")
    failed = ""
    for number, event in enumerate(reversed(account.all("events"))):
        events.receive(session, deliveries.body(event))
        kept = events.find(session, event["id"])
        kept.received_at = datetime.fromtimestamp(event["created"], UTC) + timedelta(seconds=2)
        if kept.state == "ignored":
            continue
        kept.state, kept.attempts = ("applied", 1) if number % 5 else ("failed", applying.ATTEMPTS)
        kept.done_at = kept.received_at + timedelta(seconds=4) if number % 5 else None
        kept.problem = None if number % 5 else "Stripe could not be asked: it answered HTTP 500."
        failed = failed if number % 5 else kept.id
    return failed


def stripe_lists(session: Session, now: datetime) -> None:
    """Stripe's lists in every state of reading."""
    session.flush()
    sync.prepare(session, False, now - timedelta(days=40), at=now - timedelta(hours=2))
    for number, row in enumerate(progress.read(session).lists):
        row.state, row.objects, row.next_try_at = "current", 37 * number**2, now + timedelta(minutes=4)
        row.read_at = row.finished_at = row.reread_at = now - timedelta(minutes=1)
        row.reached = now - timedelta(days=400)
        if row.name in ("charges", "disputes", "payouts"):
            row.finished_at = row.read_at = row.reread_at = None
    charges, disputes, payouts = (
        session.get_one(StripeResource, name) for name in ("charges", "disputes", "payouts")
    )
    charges.state, charges.cursor, charges.leased_until = "backfill", "ch_1", now + timedelta(minutes=4)
    disputes.state, disputes.problem = "no_permission", "In Stripe's dashboard let the key read “Disputes”."
    disputes.next_try_at = now + timedelta(hours=22)
    payouts.state, payouts.attempts = "failed", 3
    payouts.problem = "Stripe could not be asked: it answered HTTP 500."


def make(session: Session, provider: Provider, *, per_day: int = 4, now: datetime | None = None) -> Sample:
    """Fill the database with 30 days of use, and commit."""
    now = now or datetime.now(UTC)
    maker = Maker(session, provider, now)
    names = maker.customers()
    a_season(session, names, now)
    for back in range(29, -1, -1):
        day = now - timedelta(days=back)
        for number in range(maker.random.randint(per_day - 2, per_day + 2)):
            at = day - timedelta(minutes=20 + 37 * number)
            generation_id = maker.charged(maker.random.choice(names), at, maker.random.choice(MODELS))
            if maker.random.random() < 0.12:
                maker.fail(generation_id, at + timedelta(seconds=31), maker.random.choice(list(FAILURES)))
            else:
                maker.succeed(generation_id, at + timedelta(seconds=9, milliseconds=180 * number))
    succeeded = maker.charged(RICH, now - timedelta(minutes=9), MODELS[2])
    maker.callback(succeeded, now - timedelta(minutes=8, seconds=50), {"status": "completed"}, "rejected")
    maker.succeed(succeeded, now - timedelta(minutes=8, seconds=47), kept=True)
    failed = maker.charged(RICH, now - timedelta(minutes=6))
    maker.fail(failed, now - timedelta(minutes=5), ErrorClass.CONTENT_POLICY_VIOLATION)
    partly = maker.charged(names[1], now - timedelta(hours=2), MODELS[2])
    maker.succeed(partly, now - timedelta(hours=2) + timedelta(seconds=11))
    refunds.issue_manual(
        session,
        partly,
        TERMS,
        credits=1,
        reason="bad_result",
        note="The hands have six fingers.\nCustomer sent a screenshot.",
        actor="support@example.com",
        idempotency_key="0193aaaa-0000-7000-8000-000000000001",
        expected_refunded=0,
        at=now - timedelta(hours=1),
    )
    notes.add(
        session,
        RICH,
        "Called back: wants\nthe invoice by mail.",
        actor="support@example.com",
        idempotency_key="sample",
    )
    in_flight = maker.charged(names[2], now - timedelta(seconds=40))
    alerts.raise_alert(
        session,
        alerts.REFUND_FAILED,
        str(failed),
        "A refund could not be written; it is tried again by itself.",
        generation_id=failed,
    )
    stripe_event = stripe_events(session, now)
    a_month(session, now)
    stripe_lists(session, now)
    a_quarter(session, now)
    purchase = sell(session, RICH, now)
    session.commit()
    return Sample(
        succeeded=succeeded, failed=failed, in_flight=in_flight, stripe_event=stripe_event, purchase=purchase
    )
