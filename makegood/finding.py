"""Finding things by an id that an operator has at hand; customers and generations by how their id begins, too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from makegood import hits
from makegood.customer_list import begins_with
from makegood.hits import Hit
from makegood.models import Customer, Generation, IdempotencyKey
from makegood.purchases import finding as at_stripe

LONGEST = 200
LISTED = 20
BEGINNING = re.compile(r"[0-9a-f]{6,31}")


def find(session: Session, wanted: str, *, limit: int = LISTED) -> list[Hit]:
    """What has exactly this id, whatever it is of; without any, what begins so. None twice, at most `limit`."""
    exact = _exact(session, wanted, limit)
    return exact or suggest(session, wanted, limit=limit)


def suggest(session: Session, typed: str, *, limit: int) -> list[Hit]:
    """What has this id, then customers whose id or e-mail address begins so, then generations whose id does."""
    if not _searchable(typed):
        return []
    found = _exact(session, typed, limit)
    for query in (_customers, _generations):
        if len(found) < limit:
            found += query(session, typed, limit)
    return _once(found)[:limit]


def _exact(session: Session, wanted: str, limit: int) -> list[Hit]:
    if not _searchable(wanted):
        return []
    found = _by_uuid(session, wanted) + _by_foreign_id(session, wanted, limit) + at_stripe.find(session, wanted)
    same = func.lower(Customer.email) == wanted.lower()
    for condition in (Customer.id == wanted, same):
        found += [hits.customer(row) for row in session.scalars(select(Customer).where(condition).limit(limit))]
    return _once(found)[:limit]


def _by_uuid(session: Session, wanted: str) -> list[Hit]:
    """Whatever of ours has this id."""
    try:
        identifier = UUID(wanted)
    except ValueError:
        return []
    rows = ((describe, session.get(model, identifier)) for model, describe in hits.BY_ID.items())
    return [describe(session, row) for describe, row in rows if row is not None]


def _by_foreign_id(session: Session, wanted: str, limit: int) -> list[Hit]:
    """Generations of a provider's job, newest first, and what the platform's request with this key made."""
    jobs = select(Generation).where(Generation.provider_job_id == wanted).order_by(Generation.id.desc())
    found = [hits.generation(session, row) for row in session.scalars(jobs.limit(limit))]
    key = session.get(IdempotencyKey, wanted)
    return found + (_by_uuid(session, str(key.resource_id)) if key else [])


def _customers(session: Session, typed: str, limit: int) -> list[Hit]:
    """Some that begin so, by their indexes: to sort in the database, it would have to read all that do."""
    found: list[Hit] = []
    columns: tuple[tuple[ColumnElement[str], str], ...] = (
        (Customer.id.expression, typed),
        (func.lower(Customer.email), typed.lower()),
    )
    for column, beginning in columns:
        query = select(Customer).where(begins_with(column, beginning)).limit(limit)
        found += [hits.customer(row) for row in sorted(session.scalars(query), key=lambda row: row.id)]
    return found


def _generations(session: Session, typed: str, limit: int) -> list[Hit]:
    digits = typed.lower().replace("-", "")
    if not BEGINNING.fullmatch(digits):
        return []
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    query = select(Generation).where(Generation.id.between(first, last)).order_by(Generation.id.desc())
    return [hits.generation(session, row) for row in session.scalars(query.limit(limit))]


def _searchable(text: str) -> bool:
    return 1 <= len(text) <= LONGEST and "\0" not in text


def _once(found: Iterable[Hit]) -> list[Hit]:
    return list({(hit.kind, tuple(hit.place.items())): hit for hit in found}.values())
