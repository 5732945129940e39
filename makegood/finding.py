"""Finding things by an id that an operator has at hand; customers and generations by how their id begins, too.

Operators are found by their e-mail address, API keys by their name or by how they begin; `staff` says which of
these whoever asks may see.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from makegood import hits
from makegood.api_keys import HINT_LENGTH
from makegood.customer_list import begins_with
from makegood.hits import API_KEY, OPERATOR, Hit
from makegood.models import ApiKey, Customer, Generation, IdempotencyKey, Operator
from makegood.purchases import finding as at_stripe

LONGEST = 200
LISTED = 20
BEGINNING = re.compile(r"[0-9a-f]{6,31}")


@dataclass(frozen=True)
class Found:
    """What a search found: whether it has `exactly` what was sought as its id, and whether there may be `more`."""

    hits: list[Hit]
    exactly: bool
    more: bool


def sought(session: Session, wanted: str, *, staff: Collection[str] = ()) -> Found:
    """What has exactly this id, else what begins so; at most LISTED."""
    exactly = exact(session, wanted, staff=staff)
    hits = exactly or _begin_so(session, wanted, [], staff, LISTED)
    return Found(hits, bool(exactly), len(hits) >= LISTED)


def exact(session: Session, wanted: str, *, staff: Collection[str] = (), limit: int = LISTED) -> list[Hit]:
    """What has exactly this id, whatever it is of; at most `limit`."""
    if not _searchable(wanted):
        return []
    found = _by_uuid(session, wanted) + _by_foreign_id(session, wanted, limit) + at_stripe.find(session, wanted)
    same = func.lower(Customer.email) == wanted.lower()
    for condition in (Customer.id == wanted, same):
        found += [hits.customer(row) for row in session.scalars(select(Customer).where(condition).limit(limit))]
    found += [hit for hit in _staff(session, wanted, staff, limit) if hit.title.lower() == wanted.lower()]
    return _once(hit for hit in found if hit.kind not in (OPERATOR, API_KEY) or hit.kind in staff)[:limit]


def suggest(session: Session, typed: str, *, staff: Collection[str] = (), limit: int) -> list[Hit]:
    """What has this id, then customers whose id or e-mail address begins so, operators and keys, then generations
    whose id does."""
    return _begin_so(session, typed, exact(session, typed, staff=staff, limit=limit), staff, limit)


def _begin_so(session: Session, typed: str, exactly: list[Hit], staff: Collection[str], limit: int) -> list[Hit]:
    """What was found exactly, then what begins so; at most `limit`."""
    if not _searchable(typed):
        return []
    found = list(exactly)
    if len(found) < limit:
        found += _customers(session, typed, limit)
    found += _staff(session, typed, staff, limit)
    if len(found) < limit:
        found += _generations(session, typed, limit)
    return _once(found)[:limit]


def _staff(session: Session, typed: str, staff: Collection[str], limit: int) -> list[Hit]:
    """Operators whose address begins so, and keys whose name does, or that begin so themselves."""
    found: list[Hit] = []
    lower = typed.lower()
    if OPERATOR in staff:
        address = Operator.email.startswith(lower, autoescape=True)
        query = select(Operator).where(address).order_by(Operator.email).limit(limit)
        found += [hits.operator(session, row) for row in session.scalars(query)]
    if API_KEY in staff:
        named = func.lower(ApiKey.name).startswith(lower, autoescape=True)
        begins = ApiKey.hint.startswith(typed[:HINT_LENGTH], autoescape=True)
        keys = select(ApiKey).where(named | begins).order_by(ApiKey.name, ApiKey.id).limit(limit)
        found += [hits.api_key(session, row) for row in session.scalars(keys)]
    return found


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
