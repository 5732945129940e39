"""Writing many lives at once: in rounds, so that each customer's steps stay in the order of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Executable, insert, text
from sqlalchemy.orm import Session

from demo import bodies, fates
from demo.fates import Delivery
from demo.lives import PLATFORM, Life
from demo.steps import Buy, Charge, Give, Look, Move, Refund, Return, Step
from makegood import customers, generations, reports
from makegood.callbacks import KEPT_HEADERS
from makegood.generations import NewGeneration
from makegood.generations.costs import SET_USAGE, set_cost
from makegood.generations.ending import END
from makegood.generations.reservation import RESERVE
from makegood.ledger import GIVE, LOCK
from makegood.models import Callback
from makegood.purchases.fulfilment import SELL
from makegood.purchases.returns import SET
from makegood.refunds import REFUND
from makegood.terms import Terms

SUBMIT = text(
    """
    UPDATE generations SET status = 'submitted', provider_job_id = :job, submitted_at = :at, checks = :checks
     WHERE id = :id AND status = 'charged'
    """
)
AUDIT = text(
    """
    INSERT INTO audit_entries (id, actor, action, subject, details, address, created_at)
    SELECT CAST(:entry AS uuid), r.actor, 'refund.issued', 'generation:' || r.generation_id, jsonb_build_object(
               'credits', r.credits, 'reason', r.reason, 'note', r.note, 'customer_id', r.customer_id,
               'balance_before', t.balance_after - r.credits, 'balance_after', t.balance_after),
           NULL, r.issued_at
      FROM refunds r JOIN credit_transactions t ON t.id = r.transaction_id WHERE r.id = :refund
    """
)
S = TypeVar("S", bound=Step)
Row = dict[str, Any]


def write(session: Session, lives: Sequence[Life], terms: Terms) -> Iterator[float]:
    """Write the lives of customers who exist. Yields the share of the steps that have been written."""
    queues = [(life, deque(life.steps)) for life in lives]
    total = sum(len(queue) for _, queue in queues)
    left = total
    while left:
        _look_and_give(session, queues)
        _move(session, queues, terms)
        charged = _leading(queues, Charge)
        if charged:
            _charge(session, charged, terms)
            _end(session, charged)
            _deliver(session, charged, terms)
        _refund(session, _leading(queues, Refund))
        left = sum(len(queue) for _, queue in queues)
        yield (total - left) / total


def _leading(queues: list[tuple[Life, deque[Step]]], kind: type[S]) -> list[tuple[Life, S]]:
    """Take the steps of one kind with which the queues begin."""
    taken = []
    for life, queue in queues:
        while queue and isinstance(queue[0], kind):
            taken.append((life, queue[0]))
            queue.popleft()
    return taken


def _look_and_give(session: Session, queues: list[tuple[Life, deque[Step]]]) -> None:
    kinds = Look | Give | Buy | Return
    first = [(life, queue.popleft()) for life, queue in queues if queue and isinstance(queue[0], kinds)]
    _many(session, LOCK, [{"customer": life.person.id, "at": step.at} for life, step in first])
    for statement, kind in ((GIVE, Give), (SELL, Buy), (SET, Return)):
        _many(session, statement, [step.values for _, step in first if isinstance(step, kind)])


def _move(session: Session, queues: list[tuple[Life, deque[Step]]], terms: Terms) -> None:
    for life, step in _leading(queues, Move):
        who = life.person
        customers.upsert(session, who.id, email=who.email, tier=step.tier, timezone=terms.timezone, at=step.at)


def _charge(session: Session, charged: list[tuple[Life, Charge]], terms: Terms) -> None:
    """As `makegood.generations.reserve`, and `record_submit` for what the provider took."""
    _many(session, RESERVE, [_reservation(life, charge, terms) for life, charge in charged])
    submits: list[Row] = [
        {
            "id": charge.id,
            "job": charge.fate.job,
            "at": charge.fate.submitted_at,
            "checks": charge.fate.checks,
        }
        for _, charge in charged
        if charge.fate.submitted_at
    ]
    _many(session, SUBMIT, submits)


def _reservation(life: Life, charge: Charge, terms: Terms) -> Row:
    offer = charge.offer
    new = NewGeneration(
        customer_id=life.person.id,
        provider=offer.provider,
        model=offer.model,
        kind=offer.kind,
        credits=offer.credits,
        input=charge.input,
        metadata=charge.metadata,
        idempotency_key=charge.key,
        actor=PLATFORM,
    )
    units = fates.readers()[offer.provider].units(offer.model, charge.input)
    return {
        "key": new.idempotency_key,
        "fingerprint": new.fingerprint(),
        "generation": charge.id,
        "transaction": charge.transaction,
        "customer": new.customer_id,
        "provider": new.provider,
        "model": new.model,
        "kind": new.kind,
        "input": new.input,
        "metadata": new.metadata,
        "credits": new.credits,
        "token_hash": charge.token_hash,
        "unit": units.unit,
        "quantity": units.quantity,
        "qualifier": units.qualifier,
        "actor": new.actor,
        "at": charge.at,
        "zone": terms.timezone.key,
        "check_after": terms.check_after,
    }


def _end(session: Session, charged: list[tuple[Life, Charge]]) -> None:
    """As `makegood.generations.settle` and `fail`: a refused job cost nothing."""
    ends: list[Row] = [
        {
            "id": charge.id,
            "status": charge.fate.status,
            "at": charge.fate.ended_at,
            "error_class": charge.fate.error_class,
            "message": charge.fate.message,
            "outputs": list(charge.fate.outputs) or None,
            "job": charge.fate.job,
            "expire_at": charge.fate.expire_at,
            "notify": False,
        }
        for _, charge in charged
    ]
    _many(session, END, ends)
    for _, charge in charged:
        if charge.fate.submitted_at is None:
            set_cost(session, charge.id, 0, source="refused")
    billed = [(charge.id, charge.fate.usage) for _, charge in charged if charge.fate.usage]
    usages = [
        {"generation": id, "unit": of.unit, "quantity": of.quantity, "qualifier": of.qualifier}
        for id, of in billed
    ]
    _many(session, SET_USAGE, usages)


def _deliver(session: Session, charged: list[tuple[Life, Charge]], terms: Terms) -> None:
    """As `makegood.callbacks.receive`, and what came too late."""
    rows = [_callback(life, charge, delivery) for life, charge in charged for delivery in charge.fate.deliveries]
    _many(session, insert(Callback), rows)
    for _, charge in charged:
        if charge.fate.late:
            generations.settle(session, charge.id, charge.fate.late, terms, at=charge.fate.late_at)


def _callback(life: Life, charge: Charge, delivery: Delivery) -> Row:
    identity = delivery.report.delivery or bodies.digest(delivery.body)
    applied = delivery.state == "applied"
    return {
        "id": life.chance.uuid7(delivery.received_at),
        "generation_id": charge.id,
        "customer_id": life.person.id,
        "provider": charge.offer.provider,
        "delivery": identity,
        "headers": {name: delivery.headers[name] for name in KEPT_HEADERS if name in delivery.headers},
        "body": delivery.body,
        "parsed": reports.to_json(delivery.report),
        "state": delivery.state,
        "detail": delivery.detail,
        "attempts": int(applied and fates.readers()[charge.offer.provider].signed),
        "received_at": delivery.received_at,
        "applied_at": delivery.applied_at,
    }


def _refund(session: Session, refunded: list[tuple[Life, Refund]]) -> None:
    """As `makegood.refunds`; an operator's refund has an entry in the audit log."""
    _many(session, REFUND, [refund.values for _, refund in refunded])
    by_hand = [(life, refund) for life, refund in refunded if refund.values["origin"] == "manual"]
    entries = [
        {"entry": life.chance.uuid7(refund.at), "refund": refund.values["refund"]} for life, refund in by_hand
    ]
    _many(session, AUDIT, entries)


def _many(session: Session, statement: Executable, rows: list[Row]) -> None:
    """One statement for many rows, without waiting for each."""
    if rows:
        session.execute(statement, rows)
