"""The audit log as it is read: entries newest first, and what each changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, CompoundSelect, func, select, text, union
from sqlalchemy.orm import Session, aliased

from makegood import pages
from makegood.models import Approval, AuditEntry, BulkRefundItem
from makegood.pages import Listing

ACTIONS = text(
    """
    WITH RECURSIVE found AS (
        (SELECT action FROM audit_entries ORDER BY action LIMIT 1)
        UNION ALL
        SELECT (SELECT action FROM audit_entries WHERE action > found.action ORDER BY action LIMIT 1)
          FROM found WHERE found.action IS NOT NULL
    )
    SELECT action FROM found WHERE action IS NOT NULL
    """
)
"""Each action once, by one look into the index for each."""

PAIRS = ("before", "after")
CUSTOMER = "customer:"


@dataclass(frozen=True)
class AuditFilters:
    """What to list; None is no restriction. The instants are half open: [start, end).

    A `subject` "customer:<id>" names everything that was done to the customer, whatever the entry itself is about.
    """

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class Change:
    """A value before and after; None where there was none."""

    name: str
    before: Any
    after: Any


def _about(filters: AuditFilters) -> Iterator[ColumnElement[bool]]:
    if filters.subject is None:
        return
    customer_id = customer_of(filters.subject)
    if customer_id is None:
        yield AuditEntry.subject == filters.subject
        return
    # As an array of ids: each part has an index of its own, and no order of the pages is read through for it.
    theirs = _of_customer(customer_id).scalar_subquery()
    yield AuditEntry.id == func.any(func.array(theirs))


def _of_customer(customer_id: str) -> CompoundSelect[tuple[UUID]]:
    """The ids of the entries about a customer, about what was asked for, and of bulk refunds that took part."""
    entry = aliased(AuditEntry)
    ids = select(entry.id)
    themselves = (f"{CUSTOMER}{customer_id}", f"payment_methods:{customer_id}")
    requests = select(Approval.subject).where(Approval.details["customer_id"].astext == customer_id)
    bulk = select(func.concat("bulk_refund:", BulkRefundItem.bulk_refund_id))
    return union(
        ids.where(entry.details["customer_id"].astext == customer_id),
        ids.where(entry.subject.in_(themselves)),
        ids.where(entry.subject.in_(requests)),
        ids.where(entry.subject.in_(bulk.where(BulkRefundItem.customer_id == customer_id))),
    )


ENTRIES: Listing[AuditFilters, AuditEntry] = Listing(
    select(AuditEntry),
    pages.whole,
    at=AuditEntry.created_at,
    id=AuditEntry.id,
    equal={"actor": AuditEntry.actor, "action": AuditEntry.action},
    having=_about,
)
"""By when they were written."""


def customer_of(subject: str | None) -> str | None:
    """The id of the customer whose history a filter `subject` asks for; None where it is another's."""
    return subject.removeprefix(CUSTOMER) if subject and subject.startswith(CUSTOMER) else None


def actions(session: Session) -> list[str]:
    """Every action that the log has, by name."""
    return list(session.scalars(ACTIONS))


def last(session: Session, *actions: str) -> AuditEntry | None:
    """The latest entry with one of these actions."""
    query = select(AuditEntry).where(AuditEntry.action.in_(actions))
    return session.scalar(query.order_by(AuditEntry.created_at.desc(), AuditEntry.id.desc()).limit(1))


def changes(details: Mapping[str, Any]) -> list[Change]:
    """What an entry's details say was before and after, value by value; what stayed is left out.

    They hold `before` and `after`, or pairs such as `cost_before` and `cost_after`.
    """
    before, after = (dict(_flat(details.get(when))) for when in PAIRS)
    for name, value in details.items():
        stem, _, when = name.rpartition("_")
        if stem and when in PAIRS:
            (before if when == "before" else after)[stem] = value
    names = list(dict.fromkeys([*before, *after]))
    return [
        Change(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    ]


def facts(details: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The rest of an entry's details: name and value."""
    rest = {name: value for name, value in details.items() if name.rpartition("_")[2] not in PAIRS}
    return list(_flat(rest))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{name} {key}" if name else str(key))
    elif value is not None:
        yield name, value
