"""Everything at once, in real threads with real commits: each effect happens once, and nobody deadlocks."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.orm import Session

from makegood import (
    adjustment_approvals,
    adjustments,
    approvals,
    books,
    callbacks,
    customers,
    error_mappings,
    generations,
    grants,
    ledger,
    limits,
    operators,
    reconcile,
    refund_approvals,
    refunds,
)
from makegood.errors import Conflict, IdempotencyConflict, InsufficientCredits, MakegoodError, NeedsApproval
from makegood.generations import Ended
from makegood.limits import Limits
from makegood.models import (
    Approval,
    CreditAdjustment,
    ErrorMapping,
    Generation,
    Grant,
    IdempotencyKey,
    Refund,
    RefundPolicy,
)
from makegood.providers.protocol import Accepted, ErrorClass, Outcome, Report
from tests.making import FAILURE, SUCCESS, TERMS, FakeProvider, make_customer, make_generation, reserve

CROWD = 50
START = datetime(2026, 11, 15, 12, tzinfo=UTC)
LATER = START + timedelta(minutes=1)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)

Work = Callable[[Session], Any]


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """Connections for a crowd. At the end the books add up, and PostgreSQL has seen no deadlock."""
    engine = create_engine(database, pool_size=CROWD + 2, max_overflow=0)
    yield engine
    with Session(engine) as session:
        assert books.violations(session) == []
    engine.dispose()  # a connection's counts arrive when it ends
    with Session(engine) as session:
        deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert session.scalar(text(deadlocks)) == 0
    engine.dispose()


def at_once(engine: Engine, work: list[Work]) -> list[Any]:
    """Do everything in threads that start together, each in a transaction of its own.

    Returns results, and for a rule that said no its error; any other error is raised.
    """
    start = threading.Barrier(len(work))

    def do(one: Work) -> Any:
        with Session(engine) as session:
            session.connection()
            start.wait(timeout=30)
            try:
                result = one(session)
                session.commit()
            except MakegoodError as refusal:
                return refusal
            return result

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(do, work))


def committed(engine: Engine, work: Work) -> Any:
    """What the crowd starts from."""
    with Session(engine, expire_on_commit=False) as session:
        result = work(session)
        session.commit()
        return result


def balance(engine: Engine, customer_id: str) -> int:
    """The customer's credits now."""
    with Session(engine) as session:
        return ledger.balance(session, customer_id)


def count(engine: Engine, model: Any) -> int:
    """How many rows there are."""
    with Session(engine) as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def charged(
    session: Session, customer_id: str, credits: int, *, key: str | None = None, at: datetime = START
) -> UUID:
    """A charge; the generation's id."""
    return reserve(session, customer_id, credits=credits, key=key, at=at).generation_id


def test_fifty_charges_on_a_balance_for_ten_are_exactly_ten(engine: Engine) -> None:
    customer_id = committed(engine, lambda session: make_customer(session, 25, at=START))
    results = at_once(engine, [partial(charged, customer_id=customer_id, credits=3)] * CROWD)
    refusals = [result for result in results if isinstance(result, InsufficientCredits)]
    assert (len(refusals), len(set(results) - set(refusals))) == (CROWD - 10, 10)
    assert balance(engine, customer_id) == 0
    assert (count(engine, Generation), count(engine, IdempotencyKey)) == (10, 10)


def test_the_same_request_fifty_times_is_one_charge(engine: Engine) -> None:
    customer_id = committed(engine, lambda session: make_customer(session, 95, at=START))
    results = at_once(engine, [partial(charged, customer_id=customer_id, credits=7, key="k")] * CROWD)
    assert len(set(results)) == 1
    assert balance(engine, customer_id) == 93


def test_one_key_for_different_requests_is_one_charge_and_conflicts(engine: Engine) -> None:
    customer_id = committed(engine, lambda session: make_customer(session, 95, at=START))
    work = [partial(charged, customer_id=customer_id, credits=1 + n % 2, key="k") for n in range(CROWD)]
    results = at_once(engine, work)
    conflicts = [result for result in results if isinstance(result, IdempotencyConflict)]
    assert len(conflicts) == CROWD // 2
    assert len(set(results) - set(conflicts)) == 1
    assert balance(engine, customer_id) in (98, 99)


def test_a_key_is_free_again_when_its_request_is_refused(engine: Engine) -> None:
    customer_id = committed(engine, lambda session: make_customer(session, 0, at=START))
    work = [partial(charged, customer_id=customer_id, credits=6, key="k")] * 20
    assert all(isinstance(result, InsufficientCredits) for result in at_once(engine, work))
    assert (balance(engine, customer_id), count(engine, IdempotencyKey)) == (5, 0)


def test_the_same_grant_forty_times_is_given_once(engine: Engine) -> None:
    customer_id = committed(engine, lambda session: make_customer(session, 0, at=START))

    def give(session: Session) -> UUID:
        grant = grants.add(
            session, customer_id, 9, source="bonus", reason="-", actor="t", idempotency_key="k", at=START
        )
        return grant.id

    assert len(set(at_once(engine, [give] * 40))) == 1
    assert (balance(engine, customer_id), count(engine, Grant)) == (14, 2)


def test_the_same_new_customer_forty_times_gets_one_allowance(engine: Engine) -> None:
    def put(session: Session) -> str:
        customer = customers.upsert(session, "cus_new", email=None, tier="plus", timezone=TERMS.timezone, at=START)
        return customer.id

    assert at_once(engine, [put] * 40) == ["cus_new"] * 40
    assert balance(engine, "cus_new") == 50


def test_fifty_copies_of_one_failing_callback_are_one_refund(engine: Engine) -> None:
    customer_id = committed(engine, lambda session: make_customer(session, 95, at=START))
    reserved = committed(engine, lambda session: reserve(session, customer_id, credits=10, at=START))
    body = json.dumps({"outcome": "failed", "error_class": "timeout", "delivery": "d1"}).encode()

    def deliver(session: Session) -> str:
        provider = {"wavespeed": FakeProvider()}
        headers = {"x-genuine": "yes"}
        token = reserved.callback_token
        receipt = callbacks.receive(session, provider, "wavespeed", token, headers, body, TERMS, now=LATER)
        return f"{receipt.state} {receipt.detail}"

    assert Counter(at_once(engine, [deliver] * CROWD)) == {
        "applied ended": 1,
        "duplicate delivered before": CROWD - 1,
    }
    assert (balance(engine, customer_id), count(engine, Refund)) == (100, 1)


def test_fifty_reports_of_one_failure_are_one_refund(engine: Engine) -> None:
    customer_id = committed(engine, lambda session: make_customer(session, 95, at=START))
    generation_id = committed(engine, partial(make_generation, customer_id=customer_id, credits=10, at=START))
    work = partial(generations.settle, generation_id=generation_id, report=FAILURE, terms=TERMS, at=LATER)
    results = at_once(engine, [work] * CROWD)
    assert Counter(results) == {Ended("ended", 10, 100): 1, Ended("repeated"): CROWD - 1}
    assert (balance(engine, customer_id), count(engine, Refund)) == (100, 1)


SUPPORT = "support@example.com"


def limit_support(session: Session, per_refund: int, per_day: int) -> None:
    """A support operator with these limits."""
    operators.create(session, SUPPORT, "support", "x" * 20, actor="t")
    wanted = {"support": Limits(per_refund, per_day, 0, None), "admin": limits.of(session, "admin")}
    limits.publish(session, wanted, based_on=1, note="x", actor="t")


def ask_support(session: Session, generation_id: UUID, key: str = "k") -> UUID:
    """The support operator asks for 4 credits."""
    asked = refund_approvals.ask(
        session, generation_id, credits=4, reason="other", note="x", actor=SUPPORT, idempotency_key=key,
        expected_refunded=0, at=LATER,
    )  # fmt: skip
    return asked.id


def by_hand(session: Session, generation_id: UUID, key: str, credits: int = 4, actor: str = "ops") -> UUID:
    """An operator's refund of what was not refunded before."""
    refund = refunds.issue_manual(
        session, generation_id, TERMS, credits=credits, reason="other", note="x", actor=actor,
        idempotency_key=key, expected_refunded=0, at=LATER,
    )  # fmt: skip
    return refund.id


def test_forty_clicks_on_one_form_are_one_refund(engine: Engine) -> None:
    customer_id = committed(engine, lambda session: make_customer(session, 95, at=START))
    generation_id = committed(engine, partial(make_generation, customer_id=customer_id, credits=10, at=START))
    results = at_once(engine, [partial(by_hand, generation_id=generation_id, key="form")] * 40)
    assert len(set(results)) == 1
    assert isinstance(results[0], UUID)
    assert balance(engine, customer_id) == 94


def test_forty_operators_who_saw_the_same_page_are_one_refund_and_conflicts(engine: Engine) -> None:
    customer_id = committed(engine, lambda session: make_customer(session, 95, at=START))
    generation_id = committed(engine, partial(make_generation, customer_id=customer_id, credits=10, at=START))
    results = at_once(engine, [partial(by_hand, generation_id=generation_id, key=str(n)) for n in range(40)])
    assert sum(isinstance(result, Conflict) for result in results) == 39
    assert (balance(engine, customer_id), count(engine, Refund)) == (94, 1)


def test_an_operator_who_sends_forty_refunds_at_once_stays_within_the_days_limit(engine: Engine) -> None:
    """Forty refunds of 4, each of another customer's generation; the day's limit is 30."""
    committed(engine, partial(limit_support, per_refund=10, per_day=30))
    names = committed(engine, lambda session: [make_customer(session, 95, at=START) for _ in range(40)])
    made = [committed(engine, partial(make_generation, customer_id=name, credits=10, at=START)) for name in names]
    results = at_once(engine, [partial(by_hand, generation_id=one, key="k", actor=SUPPORT) for one in made])
    assert sum(isinstance(result, NeedsApproval) for result in results) == 33
    assert count(engine, Refund) == 7
    assert sum(balance(engine, name) for name in names) == 40 * 90 + 28


def test_a_request_that_everybody_decides_at_once_is_decided_once(engine: Engine) -> None:
    committed(engine, partial(limit_support, per_refund=3, per_day=30))
    for name in ("b@example.com", "c@example.com"):
        committed(engine, partial(operators.create, email=name, role="admin", password="x" * 20, actor="t"))
    customer_id = committed(engine, lambda session: make_customer(session, 995, at=START))
    for _ in range(8):
        made = committed(engine, partial(make_generation, customer_id=customer_id, credits=10, at=START))
        asked = committed(engine, partial(ask_support, generation_id=made))
        before = balance(engine, customer_id)
        approve = partial(approvals.approve, approval_id=asked, terms=TERMS, at=LATER)
        work: list[Work] = [partial(approve, actor="b@example.com"), partial(approve, actor="c@example.com")] * 5
        work += [partial(approvals.reject, approval_id=asked, actor="b@example.com", note="no", at=LATER)] * 5
        work += [partial(approvals.withdraw, approval_id=asked, actor=SUPPORT, at=LATER)] * 5
        work += [partial(by_hand, generation_id=made, key=str(n), credits=2, actor=SUPPORT) for n in range(3)]
        at_once(engine, work)
        with Session(engine) as session:
            approval = approvals.get(session, asked)
            refunded = generations.get(session, made).credits_refunded
            assert approval.state in ("approved", "rejected", "withdrawn", "pending")
            assert refunded == {"approved": 4}.get(approval.state, refunded)
            assert refunded in ((4,) if approval.state == "approved" else (0, 2))
            assert balance(engine, customer_id) == before + refunded


ADMINS = ("ana@example.com", "ben@example.com", "cid@example.com")


def limit_admins(session: Session, given: int, taken: int) -> None:
    """Three admins, each of whom gives and takes at most so much on a day."""
    for email in ADMINS:
        operators.create(session, email, "admin", "x" * 20, actor="t")
    wanted = Limits(None, given, None, None, per_taking_day=taken)
    limits.publish(session, {"support": wanted, "admin": wanted}, based_on=1, note="x", actor="t")


def adjust(session: Session, customer_id: str, credits: int, key: str) -> UUID:
    """By the first of them."""
    made = adjustments.adjust(
        session, customer_id, credits, TERMS, reason="other", note="x", actor=ADMINS[0], idempotency_key=key,
        at=LATER,
    )  # fmt: skip
    return made.id


def test_what_an_operator_gives_and_takes_at_once_stays_within_the_day(engine: Engine) -> None:
    """Refunds of 9 and adjustments of 8 make one sum, at most 100; adjustments that take 7 another, at most 45."""
    committed(engine, partial(limit_admins, given=100, taken=45))
    names = committed(engine, lambda session: [make_customer(session, 95, at=START) for _ in range(10)])
    made = [
        committed(engine, partial(make_generation, customer_id=name, credits=10, status="succeeded", at=START))
        for name in names
    ]
    work: list[Work] = [partial(by_hand, generation_id=one, key="k", credits=9, actor=ADMINS[0]) for one in made]
    work += [partial(adjust, customer_id=name, credits=8, key="give") for name in names]
    work += [partial(adjust, customer_id=name, credits=-7, key="take") for name in names]
    refused = [isinstance(result, NeedsApproval) for result in at_once(engine, work)]
    given = 9 * refused[:10].count(False) + 8 * refused[10:20].count(False)
    taken = 7 * refused[20:].count(False)
    assert (91 < given <= 100, taken) == (True, 42)
    assert sum(balance(engine, name) for name in names) == 10 * 90 + given - taken


def test_an_adjustment_that_everybody_decides_at_once_is_made_at_most_once(engine: Engine) -> None:
    committed(engine, partial(limit_admins, given=30, taken=30))
    customer_id = committed(engine, lambda session: make_customer(session, 95, at=START))
    for key in ("1", "2", "3", "4"):
        ask = partial(
            adjustment_approvals.ask, customer_id=customer_id, credits=400, reason="other", note="x",
            actor=ADMINS[0], idempotency_key=f"asked {key}", at=LATER,
        )  # fmt: skip
        asked = committed(engine, ask).id
        before = balance(engine, customer_id)
        approve = partial(approvals.approve, approval_id=asked, terms=TERMS, at=LATER)
        work: list[Work] = [partial(approve, actor=email) for email in ADMINS] * 4
        work += [partial(approvals.reject, approval_id=asked, actor=ADMINS[1], note="no", at=LATER)] * 3
        work += [partial(approvals.withdraw, approval_id=asked, actor=ADMINS[0], at=LATER)] * 3
        work += [partial(adjust, customer_id=customer_id, credits=3, key=key)] * 2
        results = at_once(engine, work)
        with Session(engine) as session:
            decided = approvals.get(session, asked)
            made = session.scalars(
                select(CreditAdjustment.id).where(CreditAdjustment.idempotency_key == key)
            ).all()
        assert decided.state in ("approved", "rejected", "withdrawn")
        assert decided.decided_by != ADMINS[0] or decided.state == "withdrawn"
        assert set(results[-2:]) == set(made)
        assert balance(engine, customer_id) == before + 3 + (400 if decided.state == "approved" else 0)


def test_two_requests_for_one_generation_at_once_are_one(engine: Engine) -> None:
    committed(engine, partial(limit_support, per_refund=3, per_day=30))
    customer_id = committed(engine, lambda session: make_customer(session, 95, at=START))
    made = committed(engine, partial(make_generation, customer_id=customer_id, credits=10, at=START))
    results = at_once(engine, [partial(ask_support, generation_id=made, key=str(n)) for n in range(20)])
    assert sum(isinstance(result, Conflict) for result in results) == 19
    assert count(engine, Approval) == 1


def test_a_message_that_is_mapped_twice_at_once_means_what_was_said_first(engine: Engine) -> None:
    classes = error_mappings.MAPPABLE * 2
    change = partial(error_mappings.change, provider="wavespeed", message="Oops 1", before=None, actor="t")
    results = at_once(engine, [partial(change, error_class=one) for one in classes])
    assert sum(isinstance(result, Conflict) for result in results) == len(classes) - 1
    assert count(engine, ErrorMapping) == 1


def share_cancellations(session: Session) -> None:
    """A policy that returns half when a customer gives up."""
    shares = dict.fromkeys(ErrorClass, 100) | {refunds.CANCELLED: 50}
    session.add_all(RefundPolicy(version=2, error_class=name, percent=share) for name, share in shares.items())


def test_success_failure_timeout_cancel_answer_and_refund_at_once_settle_it_once(engine: Engine) -> None:
    """Callback against manual refund against timeout, in rounds, because which one wins is chance."""
    customer_id = committed(engine, lambda session: make_customer(session, 995, at=START))
    committed(engine, share_cancellations)
    costly = Report(Outcome.FAILED, error_class=ErrorClass.PROVIDER_ACCOUNT, cost_micros=9_000)
    for _ in range(12):
        made = committed(engine, partial(make_generation, customer_id=customer_id, credits=10, status="unknown"))
        due = datetime.now(UTC) + TERMS.deadline
        [lease] = committed(engine, partial(reconcile.claim, at=due))
        work: list[Work] = [
            partial(generations.settle, generation_id=made, report=SUCCESS, terms=TERMS),
            partial(generations.settle, generation_id=made, report=FAILURE, terms=TERMS),
            partial(generations.settle, generation_id=made, report=costly, terms=TERMS),
            partial(reconcile.decide, claimed=lease, answer=None, terms=TERMS, at=due),
            partial(generations.record_submit, generation_id=made, result=Accepted("job", 12_000)),
            partial(generations.cancel, generation_id=made, terms=TERMS, actor="t"),
            partial(by_hand, generation_id=made, key="1"),
            partial(by_hand, generation_id=made, key="2", credits=10),
        ]
        before = balance(engine, customer_id)
        at_once(engine, work)
        with Session(engine) as session:
            generation = generations.get(session, made)
            assert balance(engine, customer_id) == before + generation.credits_refunded
            told = (generation.status, generation.late_outcome)
            failed = told[0] == "failed" or told == ("cancelled", "failed")
            least = 10 if failed else 5 if generation.status == "cancelled" else 0
            assert least <= generation.credits_refunded <= 10


def test_expiry_against_charges_spends_or_expires_each_credit_once(engine: Engine) -> None:
    customer_id = committed(engine, lambda session: make_customer(session, 0, tier="pro", at=START))
    before = DECEMBER - timedelta(microseconds=1)
    work: list[Work] = [partial(charged, customer_id=customer_id, credits=7, at=before)] * 30
    work += [partial(grants.expire_due, at=DECEMBER)] * 3
    results = at_once(engine, work)
    spent = 7 * sum(isinstance(result, UUID) for result in results)
    with Session(engine) as session:
        expired = sum(row.amount for row in ledger.transactions(session, customer_id) if row.kind == "expiry")
    assert spent - expired == 200
    assert balance(engine, customer_id) == 0


def test_the_months_allowance_from_many_workers_is_given_once(engine: Engine) -> None:
    customer_ids = committed(engine, lambda session: [make_customer(session, 0, at=START) for _ in range(20)])
    give = partial(grants.give_allowances, timezone=TERMS.timezone, at=DECEMBER)
    assert sum(at_once(engine, [give] * 8)) >= 20
    assert {balance(engine, customer_id) for customer_id in customer_ids} == {5}
    assert count(engine, Grant) == 40


def test_orders_that_cross_between_customers_never_deadlock(engine: Engine) -> None:
    """Workers that lock many balances, and requests that lock generations, cross each other's ways."""
    ids = committed(engine, lambda session: [make_customer(session, 95, at=START) for _ in range(4)])
    for day in range(3):
        at = DECEMBER + timedelta(days=31 * day)
        made = [
            committed(engine, partial(make_generation, customer_id=name, credits=10, status="unknown", at=START))
            for name in (*ids, *reversed(ids))
        ]
        refused_account = Report(Outcome.FAILED, error_class=ErrorClass.PROVIDER_ACCOUNT)
        work: list[Work] = [
            partial(generations.settle, generation_id=one, report=refused_account, terms=TERMS, at=at)
            for one in made
        ]
        work += [partial(by_hand, generation_id=one, key="k", credits=10) for one in reversed(made)]
        work += [partial(charged, customer_id=name, credits=1, at=at) for name in ids * 2]
        work += [partial(grants.expire_due, at=at)] * 3
        work += [partial(grants.give_allowances, timezone=TERMS.timezone, at=at)] * 3
        for tier, name in zip(("plus", "pro") * 4, ids * 2, strict=True):
            change = partial(customers.upsert, email=None, tier=tier, timezone=TERMS.timezone, at=at)
            work.append(partial(lambda session, change, name: change(session, name).id, change=change, name=name))
        at_once(engine, work)
        for one in made:
            with Session(engine) as session:
                assert generations.get(session, one).credits_refunded == 10


def test_a_retry_of_many_callbacks_and_a_worker_on_all_balances_never_deadlock(engine: Engine) -> None:
    names = committed(engine, lambda session: [make_customer(session, 95, tier="pro", at=START) for _ in range(6)])
    provider = {"wavespeed": FakeProvider()}
    waiting = json.dumps({"outcome": "failed", "error_class": "provider_account"}).encode()

    def break_refunds(session: Session) -> None:
        session.execute(text("ALTER TABLE refunds ADD CONSTRAINT broken CHECK (credits < 0) NOT VALID"))
        for name in (*names, *reversed(names)):
            made = reserve(session, name, credits=10, at=START)
            headers = {"x-genuine": "yes"}
            receipt = callbacks.receive(
                session, provider, "wavespeed", made.callback_token, headers, waiting, TERMS, now=LATER
            )
            assert receipt.state == "waiting"
        session.execute(text("ALTER TABLE refunds DROP CONSTRAINT broken"))

    def retry_all(session: Session) -> None:
        last = None
        while last := callbacks.retry_next(session, provider, TERMS, after=last):
            session.commit()

    committed(engine, break_refunds)
    at_once(engine, [retry_all] * 4 + [partial(grants.expire_due, at=DECEMBER)] * 2)
    with Session(engine) as session:
        assert session.scalars(select(Generation.status).distinct()).all() == ["failed"]
    assert count(engine, Refund) == 12


def test_a_retried_callback_and_the_look_up_of_its_job_never_deadlock(engine: Engine) -> None:
    def keep_waiting(session: Session) -> Any:
        reservation = reserve(session, make_customer(session), credits=10, at=START)
        generations.record_submit(session, reservation.generation_id, Accepted("job-1"), at=START)
        session.execute(text("ALTER TABLE refunds ADD CONSTRAINT broken CHECK (credits < 0) NOT VALID"))
        body = b'{"outcome": "failed", "error_class": "generation_failed"}'
        genuine = {"x-genuine": "yes"}
        receipt = callbacks.receive(
            session, {"wavespeed": FakeProvider()}, "wavespeed", reservation.callback_token, genuine, body, TERMS
        )
        assert receipt.state == "waiting"
        session.execute(text("ALTER TABLE refunds DROP CONSTRAINT broken"))
        return reservation.generation_id

    generation_id = committed(engine, keep_waiting)
    [claimed] = committed(engine, lambda session: reconcile.claim(session, at=START + TERMS.check_after))
    holds_the_callback = threading.Event()

    def retry(session: Session) -> None:
        session.execute(text("SELECT FROM callbacks WHERE state = 'waiting' FOR UPDATE"))
        holds_the_callback.set()
        time.sleep(0.3)
        callbacks.retry_next(session, {"wavespeed": FakeProvider()}, TERMS)

    def decide(session: Session) -> None:
        holds_the_callback.wait(timeout=30)
        reconcile.decide(session, claimed, FAILURE, TERMS)

    at_once(engine, [retry, decide])
    with Session(engine) as session:
        generation = generations.get(session, generation_id)
        assert (generation.status, generation.credits_refunded) == ("failed", 10)
