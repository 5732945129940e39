"""The whole machine under random histories: after every step the books add up.

`HISTORIES=20000 pytest tests/makegood/test_histories.py` looks at more of them than the ordinary run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, create_engine, select, text
from sqlalchemy.orm import Session

from makegood import (
    books,
    bulk_refunds,
    callbacks,
    customers,
    generations,
    grants,
    ledger,
    purchases,
    reconcile,
    refunds,
    reversals,
)
from makegood.errors import Conflict, IdempotencyConflict, InsufficientCredits, Invalid, MakegoodError
from makegood.generations import external
from makegood.ids import uuid7
from makegood.models import BulkRefund, Purchase, Refund, RefundPolicy
from makegood.providers.external import External
from makegood.providers.protocol import Accepted, ErrorClass, FetchFailed, Outcome, Report
from makegood.purchases import fulfilment, returns
from makegood.terms import Terms
from tests.making import MODEL, FakeProvider, reserve

HISTORIES = int(os.environ.get("HISTORIES", "100"))
START = datetime(2026, 10, 20, 12, tzinfo=UTC)
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/Santiago", "Asia/Kathmandu", "Pacific/Apia")]
ADA, BOB = "cus_ada", "cus_bob"
CLASSES = [ErrorClass.TIMEOUT, ErrorClass.GENERATION_FAILED, ErrorClass.PROVIDER_ACCOUNT]
NEWEST = "(SELECT max(version) FROM refund_policies)"

ORDERS = text(
    """
    SELECT 'what expires soonest is spent first, purchases last' AS rule, t.id::text
      FROM credit_transactions t
      JOIN movements m ON m.transaction_id = t.id
      JOIN grants g ON g.id = m.grant_id
      JOIN grants earlier ON earlier.customer_id = g.customer_id
       AND (earlier.expires_at IS NULL OR earlier.expires_at > t.occurred_at)
       AND (earlier.source = 'purchase', coalesce(earlier.expires_at, 'infinity'), earlier.id)
         < (g.source = 'purchase', coalesce(g.expires_at, 'infinity'), g.id)
     WHERE t.kind = 'charge'
       AND (SELECT sum(credits) FROM movements n JOIN credit_transactions u ON u.id = n.transaction_id
             WHERE n.grant_id = earlier.id AND u.entry <= t.entry) > 0
    UNION ALL
    SELECT 'what was drawn last returns first', generation_id::text FROM (
        SELECT t.generation_id, -sum(m.credits) FILTER (WHERE t.kind = 'charge') AS drawn,
               coalesce(sum(m.credits) FILTER (WHERE t.kind = 'refund'), 0) AS returned,
               sum(-sum(m.credits) FILTER (WHERE t.kind = 'charge')) OVER returning_order AS drawn_until_here,
               g.credits_refunded
          FROM credit_transactions t
          JOIN movements m ON m.transaction_id = t.id
          JOIN grants o ON o.id = coalesce(m.origin_grant_id, m.grant_id)
          JOIN generations g ON g.id = t.generation_id
         WHERE t.generation_id NOT IN (SELECT generation_id FROM reversals)
         GROUP BY t.generation_id, g.credits_refunded, o.id
        WINDOW returning_order AS (PARTITION BY t.generation_id
            ORDER BY o.source = 'purchase' DESC, o.expires_at DESC NULLS FIRST, o.id DESC)) AS d
     WHERE returned <> least(drawn, greatest(0, credits_refunded - (drawn_until_here - drawn)))
    UNION ALL
    SELECT 'a customer becomes active with the first charge of a day and of a month', id::text FROM (
        SELECT *, at AT TIME ZONE :zone AS local,
               lag(at AT TIME ZONE :zone) OVER (PARTITION BY customer_id ORDER BY id) AS before
          FROM events WHERE type = 'charge') AS e
     WHERE active_day <> (before IS NULL OR before::date < local::date)::int
        OR active_month <> (before IS NULL OR date_trunc('month', before) < date_trunc('month', local))::int
    """
)
"""What the books cannot ask of histories in which grants were extended, clocks went back or the zone changed."""

STATES = text(
    f"""
    SELECT g.id, g.status, g.late_outcome, g.error_class, g.provider, g.submitted_at, g.credits_charged,
           coalesce(sum(r.credits) FILTER (WHERE r.origin <> 'automatic'), 0)::bigint AS by_hand,
           coalesce(sum(r.credits) FILTER (WHERE r.origin = 'automatic'), 0)::bigint AS by_policy,
           max(p.percent) AS percent
      FROM generations g
      LEFT JOIN refunds r ON r.generation_id = g.id AND r.id NOT IN (SELECT refund_id FROM reversals)
      LEFT JOIN refund_policies p ON p.version = {NEWEST} AND p.error_class = coalesce(g.error_class, 'cancelled')
     GROUP BY g.id
    """
)


@dataclass
class Costing(FakeProvider):
    """A provider whose callbacks may say what the job cost."""

    def parse_callback(self, headers: Any, body: bytes, now: datetime, token: str = "") -> Report:
        """Read the body."""
        return replace(super().parse_callback(headers, body, now), cost_micros=json.loads(body).get("cost"))


@dataclass(frozen=True)
class Made:
    """A generation of this history."""

    id: UUID
    provider: str
    token: str
    request: tuple[tuple[str, Any], ...]


CUSTOMERS = st.sampled_from([ADA, BOB])
PAUSES = st.sampled_from([timedelta(minutes=m) for m in (0, 0, 1, 30, 720, 4 * 1440, 33 * 1440)])
PICKS = st.integers(0, 5)
COSTS = st.none() | st.sampled_from([0, 9_000, 27_000])
ENDINGS = st.sampled_from(
    [
        Report(Outcome.SUCCEEDED),
        Report(Outcome.SUCCEEDED, cost_micros=9_000),
        Report(Outcome.FAILED, error_class=ErrorClass.TIMEOUT),
    ]
)
REPORTS = st.builds(
    lambda outcome, error, cost: Report(
        outcome, error_class=error if outcome is Outcome.FAILED else None, cost_micros=cost
    ),
    st.sampled_from([*Outcome, Outcome.FAILED]),
    st.none() | st.sampled_from(CLASSES),
    COSTS,
)


class Machine(RuleBasedStateMachine):
    """One platform: customers, a clock that only goes forward, and everything that can happen in any order.

    Each step is one unit of work, as a route or the worker does it; the history is undone at the end.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection
        self.history = connection.begin()
        self.reader = Session(connection, join_transaction_mode="rollback_only")
        self.now = START
        self.terms = Terms()
        self.providers: dict[str, Any] = {
            "wavespeed": Costing(),
            "nanobanana": Costing("nanobanana", signed=False),
        }
        self.providers["external"] = External()
        self.policies = 1
        self.made: list[Made] = []
        self.states: dict[UUID, Any] = {}

    def teardown(self) -> None:
        """Undo the history."""
        self.reader.close()
        self.history.rollback()

    def picked(self, pick: int) -> Made:
        """One of the newest generations."""
        return self.made[-1 - pick % len(self.made)]

    @contextmanager
    def unit(self) -> Iterator[Session]:
        """A unit of work: all or nothing, checked as at commit."""
        with Session(self.connection, join_transaction_mode="create_savepoint") as session:
            session.execute(text("SET CONSTRAINTS ALL DEFERRED"))
            yield session
            session.flush()
            session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
            session.commit()

    def spendable(self, customer_id: str) -> int:
        """What the customer can spend now."""
        open_ = "customer_id = :customer AND (expires_at IS NULL OR expires_at > :now)"
        query = text(f"SELECT coalesce(sum(remaining), 0)::bigint FROM grants WHERE {open_}")
        return int(self.reader.scalar(query, {"customer": customer_id, "now": self.now}) or 0)

    @initialize(zone=st.sampled_from(ZONES), live=st.sampled_from([1, 30]), credits=st.integers(1, 9))
    def begin(self, zone: ZoneInfo, live: int, credits: int) -> None:
        """The deployment's terms, two customers, and one generation of each."""
        self.terms = Terms(timezone=zone, returned_credits_live=timedelta(days=live))
        for customer_id, tier in ((ADA, "free"), (BOB, "plus")):
            with self.unit() as session:
                customers.upsert(session, customer_id, email=None, tier=tier, timezone=zone, at=self.now)
                grants.add(session, customer_id, 30, source="purchase", reason="-", actor="t", at=self.now)
        for customer_id in (ADA, BOB):
            self.reserve(customer_id, credits, "wavespeed", MODEL, "accepted")

    def reserve(self, customer_id: str, credits: int | None, provider: str, model: str, answer: str) -> None:
        """A charge, which must leave what could be spent before less what it cost, and the provider's answer."""
        request = {"customer_id": customer_id, "credits": credits, "model": model, "key": uuid7().hex}
        can_spend = self.spendable(customer_id)
        with self.unit() as session:
            made = reserve(session, provider=self.providers[provider], terms=self.terms, at=self.now, **request)
        assert made.balance == can_spend - made.credits_charged
        assert credits in (None, made.credits_charged)
        one = Made(made.generation_id, provider, made.callback_token, tuple(request.items()))
        self.made.append(one)
        self.submit(one, answer, None)

    def submit(self, one: Made, answer: str, cost: int | None) -> None:
        """The provider's answer to the submit; for an external one the platform says that it submitted."""
        if not answer:
            return
        with self.unit() as session:
            if one.provider == "external":
                external.report(session, one.id, Report(Outcome.PENDING), self.terms, at=self.now)
            elif answer == "refused":
                generations.fail(
                    session, one.id, ErrorClass.INVALID_INPUT, "no", self.terms, refused=True, at=self.now
                )
            else:
                accepted = Accepted(f"job-{one.id}", cost)
                result = accepted if answer == "accepted" else generations.Lost("timed out")
                generations.record_submit(session, one.id, result, at=self.now)

    @rule(customer_id=CUSTOMERS, tier=st.sampled_from(["free", "plus", "pro"]))
    def change_tier(self, customer_id: str, tier: str) -> None:
        """The customer pays for more, or less."""
        with self.unit() as session:
            customers.upsert(
                session, customer_id, email="a@b.c", tier=tier, timezone=self.terms.timezone, at=self.now
            )

    @rule(percent=st.sampled_from([0, 33, 50, 100]), cancelled=st.sampled_from([0, 50]))
    def change_policy(self, percent: int, cancelled: int) -> None:
        """Another share for timeouts and cancellations."""
        self.policies += 1
        shares = dict.fromkeys(ErrorClass, 100) | {"timeout": percent, "cancelled": cancelled}
        with self.unit() as session:
            session.add_all(
                RefundPolicy(version=self.policies, error_class=name, percent=share)
                for name, share in shares.items()
            )

    @rule(
        customer_id=CUSTOMERS,
        credits=st.integers(1, 15),
        source=st.sampled_from(["purchase", "bonus", "adjustment"]),
        days=st.none() | st.integers(1, 40),
        key=st.none() | st.sampled_from(["give-1", "give-2"]),
    )
    def give(self, customer_id: str, credits: int, source: str, days: int | None, key: str | None) -> None:
        """A grant, perhaps with a key that was used before."""
        expires_at = None if days is None or source == "purchase" else self.now + timedelta(days=days)
        with suppress(IdempotencyConflict), self.unit() as session:
            before = ledger.lock(session, customer_id, self.now)
            debt = purchases.debts.owed(session, customer_id)
            grants.add(
                session, customer_id, credits, source=source, reason="-", actor="t",
                expires_at=expires_at, idempotency_key=key, at=self.now,
            )  # fmt: skip
            given = credits - (min(credits, debt) if source == "purchase" else 0)
            session.expire_all()
            assert ledger.balance(session, customer_id) - before in ({given} if key is None else {0, given})

    @rule(
        customer_id=CUSTOMERS,
        credits=st.integers(1, 15),
        days=st.none() | st.integers(1, 40),
        paid=st.sampled_from([0, 7, 900]),
        source=st.sampled_from(["one", "two", "three", "four"]),
    )
    def sell(self, customer_id: str, credits: int, days: int | None, paid: int, source: str) -> None:
        """Something was paid for, perhaps credited before."""
        values = {
            "purchase": uuid7(), "grant": uuid7(), "transaction": uuid7(), "customer": customer_id,
            "linked_by": "charge", "kind": "checkout_session", "source": source, "credits": credits,
            "ends": None if days is None else self.now + timedelta(days=days), "currency": "usd", "amount": paid,
            "paid": paid, "paid_at": self.now, "reason": "-", "at": self.now,
        }  # fmt: skip
        with self.unit() as session:
            before = ledger.lock(session, customer_id, self.now)
            owed = purchases.debts.owed(session, customer_id) if days is None else 0
            sold = session.scalar(fulfilment.SELL, values)
            session.expire_all()
            gained = credits - min(credits, owed) if sold else 0
            assert ledger.balance(session, customer_id) == before + gained

    @rule(
        pick=PICKS,
        refunded=st.sampled_from([0, 1, 300, 450, 900]),
        disputed=st.sampled_from([0, 0, 450, 900]),
        pause=PAUSES,
    )
    def money_moves(self, pick: int, refunded: int, disputed: int, pause: timedelta) -> None:
        """So much of a payment stands refunded and disputed from now on: more than before, or less."""
        self.now += pause
        found = self.reader.scalars(select(Purchase.id).order_by(Purchase.id)).all()
        if not found:
            return
        with self.unit() as session:
            purchase = session.get_one(Purchase, found[pick % len(found)])
            ledger.lock(session, purchase.customer_id, self.now)
            before, clawed = self.purchased(session, purchase), purchase.clawed
            moved = returns.Return(purchase.id, purchase.customer_id, refunded, disputed)
            returns.follow(session, [moved], self.terms.returned_credits_live, at=self.now)
            session.expire_all()
            took = before - self.purchased(session, purchase)
            assert took <= max(0, purchase.clawed - clawed) + before * (purchase.clawed < clawed)
            assert not (purchase.owed and self.purchased(session, purchase))

    def purchased(self, session: Session, purchase: Purchase) -> int:
        """What may be taken back for this purchase."""
        query = text(
            "SELECT coalesce(sum(remaining), 0)::bigint FROM grants "
            "WHERE customer_id = :customer AND (source = 'purchase' OR purchase_id = :purchase)"
        )
        values = {"customer": purchase.customer_id, "purchase": purchase.id}
        return int(session.scalar(query, values) or 0)

    @rule()
    def settle_debts(self) -> None:
        """The worker takes what is owed from what refunds returned: then nobody owes who has purchased credits."""
        with self.unit() as session:
            purchases.debts.settle(session, at=self.now)
            assert purchases.debts.settle(session, at=self.now) == 0

    @rule(early=st.sampled_from([timedelta(), timedelta(), timedelta(minutes=30)]))
    def wait_for_an_expiry(self, early: timedelta) -> None:
        """The instant at which the next credits expire, or shortly before."""
        query = text("SELECT min(expires_at) FROM grants WHERE remaining > 0 AND expires_at > :now")
        due = self.reader.scalar(query, {"now": self.now})
        self.now = max(self.now, due - early) if due else self.now

    @rule(work=st.sampled_from(["expire", "allowances", "retry"]), pause=PAUSES, limit=st.integers(1, 5))
    def work(self, work: str, pause: timedelta, limit: int) -> None:
        """The worker does one of its rounds."""
        self.now += pause
        with self.unit() as session:
            if work == "expire":
                grants.expire_due(session, at=self.now, limit=limit)
            elif work == "allowances":
                grants.give_allowances(session, timezone=self.terms.timezone, at=self.now, limit=limit)
            else:
                callbacks.retry_next(session, self.providers, self.terms)

    @rule(customer_id=CUSTOMERS, credits=st.integers(1, 9), pause=PAUSES)
    def charge(self, customer_id: str, credits: int, pause: timedelta) -> None:
        """A generation is reserved and submitted, unless the customer is short of credits."""
        self.now += pause
        if self.spendable(customer_id) >= credits:
            self.reserve(customer_id, credits, "wavespeed", MODEL, "accepted")
        else:
            with pytest.raises(InsufficientCredits):
                self.reserve(customer_id, credits, "wavespeed", MODEL, "accepted")

    @rule(
        customer_id=CUSTOMERS,
        credits=st.none() | st.integers(1, 9),
        provider=st.sampled_from(["wavespeed", "nanobanana", "external"]),
        model=st.sampled_from([MODEL, "nano-banana", "brand/new"]),
        answer=st.sampled_from(["accepted", "lost", "refused", ""]),
        pause=PAUSES,
    )
    def charge_otherwise(
        self, customer_id: str, credits: int | None, provider: str, model: str, answer: str, pause: timedelta
    ) -> None:
        """Another provider, a model without a price, or another answer."""
        self.now += pause
        with suppress(InsufficientCredits, Invalid):
            self.reserve(customer_id, credits, provider, model, answer)

    @rule(pick=PICKS, credits=st.integers(1, 12))
    def charge_again(self, pick: int, credits: int) -> None:
        """The platform sends a request again, or uses its key for another."""
        one = self.picked(pick)
        provider = self.providers[one.provider]
        with self.unit() as session:
            again = reserve(session, provider=provider, terms=self.terms, at=self.now, **dict(one.request))
            assert (again.repeated, again.generation_id) == (True, one.id)
        other = dict(one.request) | {"credits": credits}
        if other != dict(one.request):
            with pytest.raises(IdempotencyConflict), self.unit() as session:
                reserve(session, provider=provider, terms=self.terms, at=self.now, **other)

    @rule(pick=PICKS, answer=st.sampled_from(["accepted", "lost"]), cost=COSTS)
    def answer_late(self, pick: int, answer: str, cost: int | None) -> None:
        """The provider's answer is recorded after other things have happened, or once more."""
        self.submit(self.picked(pick), answer, cost)

    @rule(pick=PICKS, report=REPORTS, pause=PAUSES)
    def report(self, pick: int, report: Report, pause: timedelta) -> None:
        """An outcome reported straight to the rules."""
        one = self.picked(pick)
        self.now += pause
        with self.unit() as session:
            if one.provider == "external":
                external.report(session, one.id, report, self.terms, at=self.now)
            else:
                ended = generations.settle(session, one.id, report, self.terms, at=self.now)
                assert (ended.change == "pending") == (report.outcome is Outcome.PENDING)
                if report.cost_micros is not None and ended.change != "pending":
                    assert generations.get(session, one.id).cost_micros == report.cost_micros

    @rule(pick=PICKS, report=REPORTS, delivery=st.sampled_from(["d1", "d2"]), genuine=st.integers(0, 9))
    def call_back(self, pick: int, report: Report, delivery: str, genuine: int) -> None:
        """A callback comes, perhaps again, perhaps forged."""
        one = self.picked(pick)
        said = {"outcome": report.outcome, "error_class": report.error_class, "cost": report.cost_micros}
        headers = {"x-genuine": "yes" if genuine else "no"}
        body = json.dumps(said | {"delivery": delivery}).encode()
        with self.unit() as session:
            receipt = callbacks.receive(
                session, self.providers, one.provider, one.token, headers, body, self.terms, now=self.now
            )
            assert not receipt.detail.startswith("could not be applied")

    @rule(report=REPORTS | st.just(FetchFailed("503")), limit=st.integers(1, 5))
    def reconcile(self, report: Report | Exception, limit: int) -> None:
        """A pass of the worker over what is due."""
        for provider in ("wavespeed", "nanobanana"):
            self.providers[provider].fetched = report
        with self.unit() as session:
            claimed = reconcile.claim(session, limit=limit, at=self.now)
        for one in claimed:
            found = reconcile.look_up(self.providers, one)
            with self.unit() as session:
                reconcile.decide(session, one, found, self.terms, at=self.now)

    @rule(pick=PICKS)
    def cancel(self, pick: int) -> None:
        """The customer gives up."""
        with suppress(Conflict), self.unit() as session:
            generations.cancel(session, self.picked(pick).id, self.terms, actor="t", at=self.now)

    @rule(
        pick=PICKS,
        credits=st.integers(1, 12),
        stale=st.integers(0, 9),
        key=st.none() | st.sampled_from(["form-1", "form-2"]),
        pause=PAUSES,
    )
    def refund_by_hand(self, pick: int, credits: int, stale: int, key: str | None, pause: timedelta) -> None:
        """An operator refunds, perhaps twice, perhaps from a page that is no longer true."""
        one = self.picked(pick)
        self.now += pause
        with suppress(MakegoodError), self.unit() as session:
            generation = generations.get(session, one.id)
            done = generation.credits_refunded
            left = generation.credits_charged - done
            refunds.issue_manual(
                session, one.id, self.terms, credits=min(credits, left) or 1, reason="other", note="x",
                actor="ops", idempotency_key=key or uuid7().hex, expected_refunded=done - (stale == 0),
                at=self.now,
            )  # fmt: skip
            # A stale page refunds nothing: it can only meet the first refund of its form again.
            assert stale or generations.get(session, one.id).credits_refunded == done

    @rule(which=PICKS, by_policy=st.integers(0, 5), key=st.sampled_from(["reverse-1", "reverse-2"]), pause=PAUSES)
    def reverse(self, which: int, by_policy: int, key: str, pause: timedelta) -> None:
        """An operator takes a refund back, perhaps twice: it succeeds only while its credits are there."""
        self.now += pause
        query = select(Refund.id).where((Refund.origin == "automatic") == (by_policy == 0))
        found = self.reader.scalars(query.order_by(Refund.id.desc())).all()
        if not found:
            return
        refund_id = found[which % len(found)]
        with suppress(Conflict), self.unit() as session:
            refund = session.get_one(Refund, refund_id)
            can_spend = self.spendable(refund.customer_id)
            repeated = reversals.of(session, refund_id) is not None
            prospect = reversals.look(session, refund_id, at=self.now)
            done = generations.get(session, refund.generation_id).credits_refunded
            try:
                reversals.reverse(
                    session, refund_id, self.terms, note="x", actor="ops", idempotency_key=key, at=self.now
                )
            except Conflict:
                assert repeated or prospect.problem
                raise
            session.expire_all()
            taken = 0 if repeated else refund.credits
            assert repeated or prospect.problem is None
            assert generations.get(session, refund.generation_id).credits_refunded == done - taken
            assert ledger.balance(session, refund.customer_id) == can_spend - taken or repeated

    @rule(
        pick=PICKS,
        status=st.sampled_from([None, "succeeded", "failed", "cancelled"]),
        stale=st.integers(0, 9),
        key=st.sampled_from(["bulk-1", "bulk-2", "bulk-3"]),
        steps=st.integers(0, 3),
    )
    def confirm_a_bulk_refund(self, pick: int, status: str | None, stale: int, key: str, steps: int) -> None:
        """An operator refunds an incident, perhaps from a page that is no longer true, perhaps twice."""
        one = self.picked(pick)
        with self.unit() as session:  # most incidents are results that nobody can use
            if one.provider == "external":
                external.report(session, one.id, Report(Outcome.SUCCEEDED), self.terms, at=self.now)
            else:
                generations.settle(session, one.id, Report(Outcome.SUCCEEDED), self.terms, at=self.now)
        scope = bulk_refunds.Scope(one.provider, START, self.now + timedelta(minutes=1), status=status)
        with suppress(MakegoodError), self.unit() as session:
            found = bulk_refunds.preview(session, scope)
            bulk_refunds.start(
                session, scope, self.terms, fingerprint=found.fingerprint if stale else "",
                count=found.generations, reason="outage", note="x", actor="ops", idempotency_key=key,
            )  # fmt: skip
        self.work_on_bulk_refunds(steps)

    @rule(steps=st.integers(1, 4), pause=PAUSES)
    def go_on_with_bulk_refunds(self, steps: int, pause: timedelta) -> None:
        """The worker comes to some more of their generations."""
        self.now += pause
        self.work_on_bulk_refunds(steps)

    def work_on_bulk_refunds(self, steps: int) -> None:
        """So many rounds of the worker."""
        for _ in range(steps):
            with self.unit() as session:
                bulk_refunds.work(session, self.terms, at=self.now)

    @rule(pick=PICKS, way=st.sampled_from([bulk_refunds.stop, bulk_refunds.resume]))
    def stop_or_resume(self, pick: int, way: Any) -> None:
        """An operator stops a bulk refund, or lets it go on."""
        found = self.reader.scalars(select(BulkRefund.id).order_by(BulkRefund.id)).all()
        if found:
            with suppress(Conflict), self.unit() as session:
                way(session, found[pick % len(found)], actor="ops")

    @invariant()
    def books_add_up(self) -> None:
        """Everything that must hold in production too, and the orders of spending and returning."""
        assert books.violations(self.reader) == []
        assert self.reader.execute(ORDERS, {"zone": self.terms.timezone.key}).all() == []

    @invariant()
    def what_ended_is_settled_or_refunded_by_policy(self) -> None:
        """Ends are final; what ended in this step got what today's policy says."""
        states = {row.id: row for row in self.reader.execute(STATES)}
        for generation_id, now in states.items():
            before = self.states.get(generation_id)
            assert before is None or before.status in (now.status, "charged", "submitted", "unknown")
            assert before is None or now.by_policy >= before.by_policy
            if (before and before.status) == now.status:
                continue
            share = now.percent
            if now.status == "cancelled" and now.submitted_at is None and now.provider == "external":
                share = 100
            if now.status in ("failed", "cancelled"):
                assert now.by_policy == max(0, (now.credits_charged * share + 50) // 100 - now.by_hand)
            else:
                assert now.by_policy == 0
        self.states = states


def test_after_every_step_of_any_history_the_books_add_up(database: str) -> None:
    engine = create_engine(database, connect_args={"options": "-c jit=off"})
    profile = settings(
        max_examples=HISTORIES,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    with engine.connect() as connection:
        run_state_machine_as_test(lambda: Machine(connection), settings=profile)  # type: ignore[no-untyped-call]
    engine.dispose()


def steps_of_refunds() -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Names and arguments of the machine's rules that refunds, bulk refunds and reversals meet."""
    form, soon = st.sampled_from(["f1", "f2"]), st.sampled_from([timedelta(), timedelta(hours=1)])
    return st.lists(
        st.one_of(
            st.tuples(st.just("charge"), CUSTOMERS, st.integers(1, 9), soon),
            st.tuples(st.just("report"), PICKS, ENDINGS, soon),
            st.tuples(st.just("cancel"), PICKS),
            st.tuples(st.just("change_policy"), st.sampled_from([33, 100]), st.just(50)),
            st.tuples(st.just("refund_by_hand"), PICKS, st.integers(1, 9), st.integers(0, 9), st.none(), soon),
            st.tuples(st.just("refund_by_hand"), PICKS, st.integers(1, 9), st.just(1), st.none(), soon),
            st.tuples(st.just("reverse"), PICKS, st.integers(0, 5), form, PAUSES),
            st.tuples(st.just("reverse"), PICKS, st.just(1), form, soon),
            st.tuples(
                st.just("confirm_a_bulk_refund"), PICKS, st.none(), st.integers(0, 9), form, st.integers(0, 3)
            ),
            st.tuples(st.just("go_on_with_bulk_refunds"), st.integers(1, 4), soon),
            st.tuples(st.just("stop_or_resume"), PICKS, st.sampled_from([bulk_refunds.stop, bulk_refunds.resume])),
        ),
        min_size=10,
        max_size=25,
    )


def test_refunds_and_reversals_in_any_order_leave_the_books_in_order(database: str) -> None:
    engine = create_engine(database, connect_args={"options": "-c jit=off"})

    @settings(max_examples=max(HISTORIES // 3, 1), deadline=None, suppress_health_check=list(HealthCheck))
    @given(credits=st.integers(2, 9), steps=steps_of_refunds())
    def play(credits: int, steps: list[tuple[Any, ...]]) -> None:
        machine = Machine(connection)
        try:
            machine.begin(zone=ZONES[0], live=30, credits=credits)
            for name, *arguments in steps:
                getattr(machine, name)(*arguments)
                machine.books_add_up()
                machine.what_ended_is_settled_or_refunded_by_policy()
        finally:
            machine.teardown()

    with engine.connect() as connection:
        play()
    engine.dispose()


def steps_of_purchases() -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Names and arguments of the machine's rules that purchases and what is taken back of them meet."""
    sold = st.sampled_from(["one", "two", "three"])
    shares = st.sampled_from([0, 1, 300, 450, 900])
    soon = st.sampled_from([timedelta(), timedelta(hours=1)])
    one = st.just(ADA)
    return st.lists(
        st.one_of(
            st.tuples(st.just("sell"), one, st.integers(1, 15), st.none(), st.just(900), sold),
            st.tuples(st.just("sell"), one, st.integers(1, 15), st.integers(1, 40), st.just(900), sold),
            st.tuples(st.just("money_moves"), PICKS, shares, st.sampled_from([0, 0, 450, 900]), PAUSES),
            st.tuples(st.just("charge"), one, st.integers(1, 9), soon),
            st.tuples(st.just("charge"), one, st.integers(5, 9), soon),
            st.tuples(st.just("report"), PICKS, ENDINGS, soon),
            st.tuples(st.just("refund_by_hand"), PICKS, st.integers(1, 9), st.just(1), st.none(), PAUSES),
            st.tuples(st.just("reverse"), PICKS, st.just(1), st.just("f1"), soon),
            st.tuples(st.just("give"), one, st.integers(1, 9), st.just("purchase"), st.none(), st.none()),
            st.tuples(st.just("wait_for_an_expiry"), st.just(timedelta())),
            st.tuples(st.just("settle_debts")),
        ),
        min_size=10,
        max_size=25,
    )


def test_purchases_and_what_is_taken_back_in_any_order_leave_the_books_in_order(database: str) -> None:
    engine = create_engine(database, connect_args={"options": "-c jit=off"})

    @settings(max_examples=max(HISTORIES // 3, 1), deadline=None, suppress_health_check=list(HealthCheck))
    @given(credits=st.integers(2, 9), steps=steps_of_purchases())
    def play(credits: int, steps: list[tuple[Any, ...]]) -> None:
        machine = Machine(connection)
        try:
            machine.begin(zone=ZONES[0], live=30, credits=credits)
            for name, *arguments in steps:
                getattr(machine, name)(*arguments)
                machine.books_add_up()
        finally:
            machine.teardown()

    with engine.connect() as connection:
        play()
    engine.dispose()
