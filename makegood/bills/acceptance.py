"""Accepting what a bill says: the recorded cost becomes what was billed, once, with an adjustment.

Credits are never touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, bindparam, select, text
from sqlalchemy.dialects.postgresql import UUID as PGUUID
from sqlalchemy.orm import Session

from makegood import audit
from makegood.bills import comparison, imports
from makegood.bills.categories import CATEGORIES
from makegood.bills.comparison import Row, Scope
from makegood.errors import Conflict, Invalid, NotFound
from makegood.models import Generation

MOST = 10_000
"""Rows that are accepted at once, so that their locks are held for seconds and not for minutes."""

CHANGED = "This has changed meanwhile. Nothing was accepted, and no credits moved. Check the figures below again."

_ARRAYS = (
    bindparam("generations", type_=ARRAY(PGUUID(as_uuid=True))),
    bindparam("nets", type_=ARRAY(BigInteger())),
    bindparam("references", type_=ARRAY(PGUUID(as_uuid=True))),
)
ADJUST = text(
    """
    INSERT INTO cost_adjustments (id, generation_id, reason, reference, from_micros, from_source, to_micros,
                                  to_source, actor)
    SELECT make_uuid7(), g.id, 'bill', a.reference, g.cost_micros, g.cost_source, a.net, 'bill', :actor
      FROM unnest(:generations, :nets, :references) AS a (generation_id, net, reference)
      JOIN generations g ON g.id = a.generation_id
    """
).bindparams(*_ARRAYS)
SET_COSTS = text(
    """
    SELECT count(*) FROM (
        SELECT set_cost(a.generation_id, a.net, 'bill')
          FROM unnest(:generations, :nets) AS a (generation_id, net)) AS changed
    """
).bindparams(*_ARRAYS[:2])
MARK = text(
    """
    UPDATE bill_lines SET accepted_at = :at, accepted_by = :actor
     WHERE id = ANY(:lines) AND accepted_at IS NULL
    """
).bindparams(bindparam("lines", type_=ARRAY(PGUUID(as_uuid=True))))


@dataclass(frozen=True)
class Accepted:
    """What was accepted: how many generations, their cost before and after in micro-dollars, and the line that the
    first adjustment refers to."""

    rows: int
    before: int
    after: int
    reference: UUID


@dataclass(frozen=True)
class Preview:
    """What accepting all of a category would do now; `seen` names exactly these rows and figures."""

    rows: int
    before: int
    after: int
    unknown: int
    seen: str


def accept(
    session: Session,
    generation_id: UUID,
    *,
    net: int,
    recorded: int | None,
    actor: str,
    address: str | None = None,
) -> Accepted:
    """Accept for one generation what its bill says, as the operator saw it: `net` billed, `recorded` until now.

    Raises NotFound, and Conflict when that has changed or was accepted already.
    """
    if not _lock(session, [generation_id]):
        raise NotFound("There is no such generation.")
    row = next(iter(comparison.among(session, [generation_id])), None)
    if row is None or not row.acceptable or (row.net, row.recorded) != (net, recorded):
        raise Conflict(CHANGED)
    done = _apply(session, [row], actor)
    audit.record(
        session,
        actor=actor,
        action="bill.accepted",
        subject=f"generation:{generation_id}",
        details={
            "line": str(done.reference),
            "cost_before": recorded,
            "cost_after": net,
            "category": row.category,
        },
        address=address,
    )
    return done


def preview_all(session: Session, bill_id: UUID, category: str) -> Preview:
    """What `accept_all` would do now. Raises NotFound, and Invalid for a category that cannot be accepted."""
    scope = _scope(session, bill_id, category)
    return _summed(comparison.waiting(session, scope, category, MOST))


def accept_all(
    session: Session,
    bill_id: UUID,
    category: str,
    *,
    typed: str,
    seen: str,
    actor: str,
    address: str | None = None,
) -> Accepted:
    """Accept every difference of a category, at most MOST at once. `typed` is the count that the operator typed,
    `seen` names what they were shown.

    Raises NotFound, Invalid (the count is wrong), and Conflict when any of it has changed.
    """
    scope = _scope(session, bill_id, category)
    found = comparison.waiting(session, scope, category, MOST)
    _lock(session, [row.id for row in found])
    # Under the locks, in a snapshot of its own: what another operator accepted meanwhile shows here.
    rows = comparison.among(session, [row.id for row in found])
    if not rows or not all(row.acceptable for row in rows) or _fingerprint(rows) != seen:
        raise Conflict(CHANGED)
    if typed.strip().replace(",", "") != str(len(rows)):
        problem = f"must be {len(rows)}, the number of generations"
        raise Invalid("Nothing was accepted: the count is not right.", fields={"typed": problem})
    done = _apply(session, rows, actor)
    audit.record(
        session,
        actor=actor,
        action="bill.accepted_all",
        subject=f"bill:{bill_id}",
        details={
            "category": category,
            "generations": done.rows,
            "cost_before": done.before,
            "cost_after": done.after,
        },
        address=address,
    )
    return done


def _scope(session: Session, bill_id: UUID, category: str) -> Scope:
    scope = Scope.of(imports.get(session, bill_id))
    if category not in CATEGORIES:
        raise NotFound("There is no such category of a bill.")
    if not CATEGORIES[category].acceptable:
        raise Invalid(f"“{CATEGORIES[category].title}” cannot be accepted: there is no charge to take over.")
    return scope


def _lock(session: Session, generation_ids: Sequence[UUID]) -> int:
    """Lock the generations in the order of their ids, as everybody does who locks several."""
    query = select(Generation.id).where(Generation.id.in_(generation_ids)).order_by(Generation.id)
    return len(session.execute(query.with_for_update(key_share=True)).all())


def _apply(session: Session, rows: Sequence[Row], actor: str) -> Accepted:
    generations, nets = [row.id for row in rows], [row.net for row in rows]
    open_lines = comparison.open_lines(session, generations)
    lines = [line for one in open_lines.values() for line in one]
    marked = session.execute(MARK, {"lines": lines, "at": datetime.now(UTC), "actor": actor})
    if marked.rowcount != len(lines) or len(open_lines) != len(rows):  # type: ignore[attr-defined]
        raise Conflict(CHANGED)  # the import was withdrawn this moment
    references = [open_lines[generation_id][-1] for generation_id in generations]
    given = {"generations": generations, "nets": nets}
    session.execute(ADJUST, given | {"references": references, "actor": actor})
    session.execute(SET_COSTS, given)
    return Accepted(len(rows), sum(row.recorded or 0 for row in rows), sum(nets), references[0])


def _summed(rows: Sequence[Row]) -> Preview:
    before = sum(row.recorded or 0 for row in rows)
    unknown = sum(row.recorded is None for row in rows)
    return Preview(len(rows), before, sum(row.net for row in rows), unknown, _fingerprint(rows))


def _fingerprint(rows: Sequence[Row]) -> str:
    told = "\n".join(f"{row.id} {row.net} {row.recorded}" for row in rows)
    return hashlib.sha256(told.encode()).hexdigest()
