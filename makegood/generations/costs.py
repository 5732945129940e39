"""The cost of a generation, once something better than the price book says what it is."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

SET_COST = text("SELECT set_cost(:generation, :micros, :source)")


def set_cost(session: Session, generation_id: UUID, micros: int, *, source: str) -> None:
    """Replace the cost (USD micro-dollars). The figures change where the generation was charged, and the
    loss of a refunded one where it was refunded first."""
    session.execute(SET_COST, {"generation": generation_id, "micros": micros, "source": source})
