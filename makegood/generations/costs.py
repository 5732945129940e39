"""The cost of a generation, once something better than the price book says what it is."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Numeric, bindparam, text
from sqlalchemy.orm import Session

from makegood.providers.protocol import Accepted, Report, Units

SET_COST = text("SELECT set_cost(:generation, :micros, :source)")
SET_USAGE = text("SELECT set_usage(:generation, :unit, :quantity, :qualifier)").bindparams(
    bindparam("quantity", type_=Numeric(18, 3))
)


def set_cost(session: Session, generation_id: UUID, micros: int | None, *, source: str) -> None:
    """Replace the cost (USD micro-dollars; None: unknown). The figures change where the generation was charged,
    and the loss of a refunded one where it was refunded first. What a bill said stands against all but a bill."""
    session.execute(SET_COST, {"generation": generation_id, "micros": micros, "source": source})


def set_usage(session: Session, generation_id: UUID, usage: Units) -> None:
    """Take what the provider says it billed, at the price that held when the generation was charged. Without such
    a price the cost is unknown."""
    session.execute(
        SET_USAGE,
        {
            "generation": generation_id,
            "unit": usage.unit,
            "quantity": usage.quantity,
            "qualifier": usage.qualifier,
        },
    )


def take(session: Session, generation_id: UUID, answer: Accepted | Report) -> None:
    """Take what a provider's answer says of the cost, if it says anything: an amount counts before a quantity."""
    if answer.cost_micros is not None:
        set_cost(session, generation_id, answer.cost_micros, source="provider")
    elif answer.usage is not None and answer.usage.quantity is not None:
        set_usage(session, generation_id, answer.usage)
