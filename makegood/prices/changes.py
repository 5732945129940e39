"""Changing the price book: a new price from a date on, a correction, an end.

Every change adds a version or moves an end, is audited, and touches no cost: what was charged keeps the version
that it was charged at.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood import audit
from makegood.errors import Conflict, Invalid
from makegood.models import Price
from makegood.prices import book
from makegood.prices.lines import Entry, Line, Quote, entry_of, fields_of, line_of

ONE_EDITOR = text("LOCK TABLE prices IN SHARE ROW EXCLUSIVE MODE")
"""Editors wait for each other; charges read on."""
JUMP = 100
"""A price that is so many times another, or so small a part of it, is confirmed before it is saved."""
CHANGED = (
    "Somebody else changed this price meanwhile. Nothing was saved. Look at it again, and send the form again."
)
UNCONFIRMED = "The price was not saved. Confirm that it is meant."


class Unconfirmed(Invalid):
    """The price is very different from the one before it, and nobody said that this is meant."""

    code = "unconfirmed"


def place(
    session: Session,
    entry: Entry,
    *,
    state: str,
    confirmed: bool,
    actor: str,
    address: str | None = None,
) -> Price:
    """Let a price hold from its start on: it ends the version that ran then, and holds as long as that would have.

    Without such a version it holds until the next one begins; a line that is new begins with it. `state` is
    the line's as the operator saw it. Raises Conflict (the line has changed), Unconfirmed, and Invalid (a version
    begins at that very instant).
    """
    listed = _locked(session, entry.line, state)
    before = listed.running(entry.start)
    later = [price.effective_from for price in listed.upcoming(entry.start)]
    if before is not None and before.effective_from == entry.start:
        problem = f"is when version {before.version} begins: correct that one instead"
        raise Invalid("The price was not saved.", fields={"effective_from": problem})
    _confirm(book.nearest(listed.held, entry.start), entry.quote, confirmed)
    end = before.effective_to if before is not None else min(later, default=None)
    was = snapshot(before)
    if before is not None:
        before.effective_to = entry.start
        session.flush()
    added = insert(session, Entry(entry.line, entry.quote, entry.start, end), _next(listed), actor)
    action = "price.changed" if listed.versions else "price.added"
    _record(session, action, entry.line, was, added, actor, address)
    return added


def correct(
    session: Session,
    price_id: UUID,
    quote: Quote,
    *,
    state: str,
    confirmed: bool,
    actor: str,
    at: datetime,
    address: str | None = None,
) -> Price:
    """Put another version in the place of one that was wrong, for the same period. The wrong one is withdrawn.

    Raises NotFound, Conflict, Unconfirmed, and Invalid when nothing is different.
    """
    wrong, listed = _found(session, price_id, state)
    entry = entry_of(wrong)
    if entry.quote == quote:
        raise Invalid("The price was not saved: it says what it said before.", fields={"amount": "is the same"})
    _confirm(wrong, quote, confirmed)
    was = snapshot(wrong)
    wrong.withdrawn_at = at
    session.flush()
    added = insert(session, Entry(entry.line, quote, entry.start, entry.end), _next(listed), actor)
    _record(session, "price.corrected", entry.line, was, added, actor, address)
    return added


def end(
    session: Session, price_id: UUID, *, ends: datetime, state: str, actor: str, address: str | None = None
) -> Price:
    """Let a version end at an instant within its period; what is charged after that has no price of this line
    until another version begins. Raises NotFound, Conflict and Invalid (outside the period)."""
    price, _ = _found(session, price_id, state)
    if not (price.effective_from < ends and (price.effective_to is None or ends < price.effective_to)):
        raise Invalid(
            "The price does not end then. Nothing was saved.",
            fields={"effective_to": "must lie within the period in which the price holds"},
        )
    was = snapshot(price)
    price.effective_to = ends
    session.flush()
    _record(session, "price.ended", line_of(price), was, price, actor, address)
    return price


def insert(session: Session, entry: Entry, version: int, actor: str) -> Price:
    """Write a version. The caller has made room for it."""
    line, quote = entry.line, entry.quote
    price = Price(
        provider=line.provider,
        model=line.model,
        unit=line.unit,
        qualifier=line.qualifier,
        version=version,
        per=quote.per,
        currency=quote.currency,
        amount_micros=quote.amount_micros,
        rate_micros=quote.rate_micros,
        unit_price_micros=quote.unit_price_micros,
        effective_from=entry.start,
        effective_to=entry.end,
        source=quote.source,
        certainty=quote.certainty,
        actor=actor,
    )
    session.add(price)
    session.flush()
    return price


def snapshot(price: Price | None) -> dict[str, Any] | None:
    """A version for the audit log."""
    return None if price is None else {"version": price.version, **fields_of(entry_of(price))}


def jump(before: Price | None, quote: Quote) -> str | None:
    """How the price for one unit differs from the one before, in words, if that is hard to believe."""
    if before is None:
        return None
    old = Fraction(before.unit_price_micros, before.per)
    new = Fraction(quote.unit_price_micros, quote.per)
    if old == new:
        return None
    if old == 0 or new == 0:
        return "was nothing before" if old == 0 else "is nothing now"
    if new > JUMP * old:
        return f"is {round(new / old):,} times what it was"
    if new * JUMP < old:
        return f"is less than a {round(old / new):,}th of what it was"
    return None


def _confirm(before: Price | None, quote: Quote, confirmed: bool) -> None:
    difference = jump(before, quote)
    if difference is not None and not confirmed:
        raise Unconfirmed(UNCONFIRMED, fields={"amount": difference})


def _locked(session: Session, line: Line, state: str) -> book.Listed:
    session.execute(ONE_EDITOR)
    listed = book.line(session, line)
    if listed.state != state:
        raise Conflict(CHANGED)
    return listed


def _found(session: Session, price_id: UUID, state: str) -> tuple[Price, book.Listed]:
    session.execute(ONE_EDITOR)
    price = book.get(session, price_id)
    listed = book.line(session, line_of(price))
    if listed.state != state or price.withdrawn_at is not None:
        raise Conflict(CHANGED)
    return price, listed


def _next(listed: book.Listed) -> int:
    return max((price.version for price in listed.versions), default=0) + 1


def _record(
    session: Session,
    action: str,
    line: Line,
    was: Mapping[str, Any] | None,
    now: Price,
    actor: str,
    address: str | None,
) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        subject=line.subject,
        details={"before": was, "after": snapshot(now)},
        address=address,
    )
