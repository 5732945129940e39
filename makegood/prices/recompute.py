"""Bringing the costs of past generations in line with the price book, when an operator asks for it.

Only costs that rest on the book, or are unknown, follow: an amount that a provider or its bill stated stays, and
so does a refusal. What would change is previewed; the operator confirms exactly that; the worker does it in
batches, each generation once, and stops if the provider's prices change meanwhile.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Text, bindparam, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from makegood import audit
from makegood.errors import Conflict, Invalid
from makegood.ids import uuid7
from makegood.models import Recompute
from makegood.prices import book

BATCH = 500
RECENT = 20
OFF_BOOK = "costs_off_book(:provider, :model, :since, :until)"
PER_MODEL = text(
    f"""
    SELECT model, count(*) AS generations,
           sum(coalesce(to_micros, 0) - coalesce(from_micros, 0))::bigint AS change_micros,
           count(*) FILTER (WHERE from_micros IS NULL) AS known,
           count(*) FILTER (WHERE to_micros IS NULL) AS unknown,
           sum(hashtextextended(concat_ws(' ', generation_id, from_micros, '>', to_micros, to_price), 0)) AS digest
      FROM {OFF_BOOK} GROUP BY model ORDER BY model
    """  # noqa: S608 (made of our own text)
).bindparams(bindparam("model", type_=Text))
UNKNOWN = text(
    """
    SELECT count(*) FILTER (WHERE quantity IS NOT NULL) AS unpriced,
           count(*) FILTER (WHERE quantity IS NULL) AS unmeasured
      FROM generations g
     WHERE provider = :provider AND (:model IS NULL OR model = :model)
       AND charged_at >= :since AND charged_at < :until AND cost_micros IS NULL
       AND NOT EXISTS (SELECT FROM find_price(g.provider, g.model, g.unit, g.qualifier, g.charged_at) p
                        WHERE cost_at(p, g.quantity) IS NOT NULL)
    """
).bindparams(bindparam("model", type_=Text))
LOCK_BATCH = text(
    f"""
    SELECT g.id, g.charged_at FROM generations g
      JOIN (SELECT generation_id FROM {OFF_BOOK} AS f
             WHERE NOT EXISTS (SELECT FROM cost_adjustments a WHERE a.reason = 'recompute' AND a.reference = :id
                                  AND a.generation_id = f.generation_id)
             ORDER BY charged_at, generation_id LIMIT :batch) AS due ON due.generation_id = g.id
     ORDER BY g.charged_at, g.id FOR NO KEY UPDATE OF g
    """  # noqa: S608
).bindparams(bindparam("model", type_=Text))
ADJUST = text(
    f"""
    WITH due AS MATERIALIZED (
        SELECT * FROM {OFF_BOOK} WHERE generation_id = ANY(:batch)
    ), written AS (
        INSERT INTO cost_adjustments (id, generation_id, reason, reference, from_micros, from_source, to_micros,
                                      to_source, actor)
        SELECT make_uuid7(), generation_id, 'recompute', :id, from_micros, from_source, to_micros, to_source,
               :actor
          FROM due
        ON CONFLICT DO NOTHING RETURNING generation_id
    )
    SELECT coalesce(to_micros, 0) - coalesce(from_micros, 0) AS change,
           set_cost(generation_id, to_micros, to_source, to_price, unit, quantity, qualifier)
      FROM due JOIN written USING (generation_id)
    """  # noqa: S608
).bindparams(bindparam("model", type_=Text))
NO_EDITOR = text("LOCK TABLE prices IN SHARE MODE")


@dataclass(frozen=True)
class Scope:
    """Whose costs: of a provider, of one model or all (None), charged from `since` until `until`."""

    provider: str
    model: str | None
    since: datetime
    until: datetime


@dataclass(frozen=True)
class ModelChange:
    """What would change at one model: `known` costs were unknown before, `unknown` ones would be from now on."""

    model: str
    generations: int
    change_micros: int
    known: int
    unknown: int


@dataclass(frozen=True)
class Preview:
    """What a recompute would do. `fingerprint` stands for exactly these generations and their costs.

    Costs that are unknown and stay so: `unpriced` ones, for which no price held when they were charged, and
    `unmeasured` ones, of which the provider has not said how much they used.
    """

    scope: Scope
    models: list[ModelChange]
    fingerprint: str
    unpriced: int
    unmeasured: int

    @property
    def generations(self) -> int:
        """How many generations would change."""
        return sum(model.generations for model in self.models)

    @property
    def change_micros(self) -> int:
        """By how much the total cost would change."""
        return sum(model.change_micros for model in self.models)


class Changed(Conflict):
    """The costs or the book are not what was previewed."""

    def __init__(self, preview: Preview) -> None:
        super().__init__(
            "Costs or prices changed meanwhile. Nothing was recomputed. This is what would change now."
        )
        self.preview = preview


def preview(session: Session, scope: Scope) -> Preview:
    """What would change. Writes nothing. Raises Invalid for a period that ends before it begins."""
    if scope.until <= scope.since:
        raise Invalid("The period ends before it begins.", fields={"to": "must be later"})
    models = []
    digest = hashlib.sha256(repr((scope.provider, scope.model)).encode())
    for row in session.execute(PER_MODEL, vars(scope)):
        models.append(ModelChange(row.model, row.generations, row.change_micros, row.known, row.unknown))
        digest.update(f"{row.model} {row.generations} {row.digest}\n".encode())
    stay = session.execute(UNKNOWN, vars(scope)).one()
    return Preview(scope, models, digest.hexdigest(), stay.unpriced, stay.unmeasured)


def start(
    session: Session,
    scope: Scope,
    *,
    fingerprint: str,
    count: int | None,
    actor: str,
    at: datetime,
    address: str | None = None,
) -> Recompute:
    """Ask for what was previewed; the operator typed how many generations that are. One audit entry.

    Raises Changed (something changed meanwhile), Invalid (nothing to do, or another number was typed) and Conflict
    (a recompute of this provider is running).
    """
    session.execute(NO_EDITOR)
    found = preview(session, scope)
    if found.fingerprint != fingerprint:
        raise Changed(found)
    if not found.generations:
        raise Invalid("Nothing was recomputed: no cost would change.")
    if count != found.generations:
        problem = f"must be {found.generations}, the number of generations that change"
        raise Invalid("Nothing was recomputed. Type the number of generations.", fields={"count": problem})
    asked = Recompute(
        id=uuid7(),
        provider=scope.provider,
        model=scope.model,
        since=scope.since,
        until=min(scope.until, at),
        generations=found.generations,
        change_micros=found.change_micros,
        book=_book(session, scope.provider),
        actor=actor,
    )
    try:
        with session.begin_nested():
            session.add(asked)
            session.flush()
    except IntegrityError:
        raise Conflict(
            f"A recompute of {scope.provider} is running. Nothing new was begun. Wait until it has ended."
        ) from None
    details = {
        "recompute": str(asked.id),
        "model": scope.model,
        "since": scope.since.isoformat(),
        "until": asked.until.isoformat(),
        "generations": found.generations,
        "change_micros": found.change_micros,
    }
    subject = f"costs:{scope.provider}"
    audit.record(
        session, actor=actor, action="costs.recomputed", subject=subject, details=details, address=address
    )
    return asked


def work(session: Session, *, batch: int = BATCH) -> bool:
    """Adjust the next batch of a recompute that nobody else works on; whether there may be more to do.

    Each batch is one transaction of the caller's. A killed worker's batch was not done; the next one does it.
    """
    asked = session.scalar(
        select(Recompute)
        .where(Recompute.ended_at.is_(None))
        .order_by(Recompute.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if asked is None:
        return False
    session.execute(NO_EDITOR)
    if _book(session, asked.provider) != asked.book:
        _end(asked, "book_changed")
        return True
    scope = {name: getattr(asked, name) for name in ("id", "provider", "model", "until")}
    scope["since"] = asked.reached or asked.since
    due = session.execute(LOCK_BATCH, scope | {"batch": batch}).all()
    if not due:
        _end(asked, "finished")
        return True
    adjusted = session.execute(ADJUST, scope | {"batch": [row.id for row in due], "actor": asked.actor}).all()
    asked.reached = due[-1].charged_at
    asked.done += len(adjusted)
    asked.done_micros += sum(row.change for row in adjusted)
    session.flush()
    return True


def recent(session: Session) -> list[Recompute]:
    """The latest recomputes, the newest first."""
    query = select(Recompute).order_by(Recompute.id.desc()).limit(RECENT)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def _end(asked: Recompute, outcome: str) -> None:
    asked.outcome = outcome
    asked.ended_at = datetime.now(UTC)


def _book(session: Session, provider: str) -> str:
    return book.state(book.versions(session, provider=provider))
