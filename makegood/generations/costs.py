"""The cost of a generation, once something better than the price book says what it is."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

SET_COST = text(
    """
    WITH before AS (
        SELECT * FROM generations WHERE id = :id FOR NO KEY UPDATE
    ), changed AS (
        UPDATE generations SET cost_micros = :micros, cost_source = :source
          FROM before WHERE generations.id = before.id
    )
    INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind,
                        cost_micros, unknown_costs)
    SELECT charged_at, 'cost', customer_id, id, tier, provider, model, kind,
           CAST(:micros AS bigint) - coalesce(cost_micros, 0), -(cost_micros IS NULL)::int
      FROM before WHERE cost_micros IS DISTINCT FROM CAST(:micros AS bigint)
    """
)


def set_cost(session: Session, generation_id: UUID, micros: int, *, source: str) -> None:
    """Replace the cost (USD micro-dollars). The figures change where the generation was charged."""
    session.execute(SET_COST, {"id": generation_id, "micros": micros, "source": source})
