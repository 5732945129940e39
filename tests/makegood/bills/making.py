"""What the tests of the bill check start from: generations at known costs, and the lines of a bill about them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import generations
from makegood.bills import lines
from makegood.ids import uuid7
from makegood.models import Bill, CostAdjustment
from makegood.providers.billing import BilledLine
from tests.making import make_customer, make_generation

DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
START = datetime(2026, 11, 20, tzinfo=UTC)
COST = 27_000
"""What the price book says of `making.MODEL`, in micro-dollars."""


def make_bill(session: Session, provider: str = "wavespeed") -> Bill:
    """An import of that day that is done, without lines."""
    bill = Bill(
        id=uuid7(),
        provider=provider,
        origin="api",
        period_start=START,
        period_end=START + timedelta(days=1),
        state="done",
        finished_at=NOON,
        actor="makegood",
    )
    session.add(bill)
    session.flush()
    return bill


def line(job: str | None, micros: int, kind: str = "charge", *, name: str | None = None) -> BilledLine:
    """A line about a job."""
    return BilledLine(name or uuid7().hex, job, kind, micros, NOON, '{"price": 0.027}')


def bill_of(session: Session, *billed: BilledLine, provider: str = "wavespeed") -> Bill:
    """A bill with these lines."""
    bill = make_bill(session, provider)
    lines.store(session, bill, billed)
    return bill


def billed_generation(session: Session, job: str, *, status: str = "succeeded", customer: str = "") -> UUID:
    """A generation of that day whose job has this id; it costs COST."""
    customer = customer or make_customer(session, at=START)
    return make_generation(session, customer, status=status, job=job, at=NOON)


def cost(session: Session, generation_id: UUID) -> tuple[int | None, str]:
    """Its recorded cost, and where that comes from."""
    session.expire_all()
    generation = generations.get(session, generation_id)
    return generation.cost_micros, generation.cost_source


def adjustments(session: Session, generation_id: UUID) -> list[CostAdjustment]:
    """What operators changed of its cost."""
    query = select(CostAdjustment).where(CostAdjustment.generation_id == generation_id)
    return list(session.scalars(query.order_by(CostAdjustment.id)))
