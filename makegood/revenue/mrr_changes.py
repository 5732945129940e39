"""What changed of MRR from one day to the next, and how it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

from sqlalchemy import case, delete, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from makegood.ids import uuid7
from makegood.models import MrrChange, MrrTotal
from makegood.revenue.prices_of_items import ZERO

Payer = tuple[str, str]
"""A customer of Stripe, and the currency of what they pay."""
State = dict[Payer, Fraction]
"""What each pays a month, in minor units."""


@dataclass(frozen=True)
class Change:
    """One change of a day."""

    payer: Payer
    kind: str
    before: Fraction
    after: Fraction


def state_before(session: Session, day: date) -> tuple[State, set[Payer]]:
    """What each paid at the end of the last day before; 0 for those who once paid. And whose last change was a
    restatement to nothing: when it is known again what they pay, that is no news from them."""
    latest = (
        select(MrrChange.stripe_customer_id, MrrChange.currency, MrrChange.after, MrrChange.kind)
        .ext(distinct_on(MrrChange.stripe_customer_id, MrrChange.currency))
        .where(MrrChange.day < day)
        .order_by(
            MrrChange.stripe_customer_id,
            MrrChange.currency,
            MrrChange.day.desc(),
            case((MrrChange.kind == "restated", 0), else_=1),
        )
    )
    rows = session.execute(latest).all()
    lost = {(row[0], row[1]) for row in rows if row.kind == "restated" and not row.after}
    return {(row[0], row[1]): row.after for row in rows}, lost


def compared(before: Mapping[Payer, Fraction], after: State, *, restated: Iterable[Payer] = ()) -> list[Change]:
    """What changed for each payer. Who is in `before`, even with 0, has paid once."""
    same = set(restated)
    changes = []
    for payer in sorted(before.keys() | after.keys()):
        was, now = before.get(payer, ZERO), after.get(payer, ZERO)
        if was != now:
            kind = "restated" if payer in same else kind_of(was, now, returning=payer in before)
            changes.append(Change(payer, kind, was, now))
    return changes


def kind_of(before: Fraction, after: Fraction, *, returning: bool) -> str:
    """What a change is called."""
    if not before:
        return "reactivation" if returning else "new"
    if not after:
        return "churn"
    return "expansion" if after > before else "contraction"


def joined(first: list[Change], second: list[Change]) -> list[Change]:
    """The changes under the old rules, then those of the rules; two restatements of one payer are one."""
    by_payer = {change.payer: change for change in first if change.kind == "restated"}
    found = [change for change in first if change.kind != "restated"]
    for change in second:
        earlier = by_payer.pop(change.payer, None)
        before = earlier.before if earlier else change.before
        if before != change.after:
            found.append(Change(change.payer, "restated", before, change.after))
    return found + list(by_payer.values())


def keep(session: Session, day: date, at: datetime, changes: list[Change]) -> None:
    """Write the day's changes. One that an earlier snapshot of the day found keeps its time."""
    wanted = {(change.payer, change.kind): change for change in changes}
    for row in session.scalars(select(MrrChange).where(MrrChange.day == day)):
        key = ((row.stripe_customer_id, row.currency), row.kind)
        change = wanted.get(key)
        if change is None:
            session.delete(row)
            continue
        del wanted[key]
        if (row.before, row.after) != (change.before, change.after):
            row.before, row.after, row.at = change.before, change.after, at
    session.flush()
    session.add_all(row_of(change, day, at) for change in wanted.values())
    session.flush()


def row_of(change: Change, day: date, at: datetime) -> MrrChange:
    """A change as it is kept."""
    customer, currency = change.payer
    return MrrChange(
        id=uuid7(),
        day=day,
        at=at,
        stripe_customer_id=customer,
        currency=currency,
        kind=change.kind,
        before=change.before,
        after=change.after,
    )


def keep_totals(session: Session, day: date, state: State) -> None:
    """Write the day's sum of each currency."""
    session.execute(delete(MrrTotal).where(MrrTotal.day == day))
    sums: dict[str, list[Fraction]] = {}
    for (_, currency), amount in state.items():
        sums.setdefault(currency, []).append(amount)
    for currency, amounts in sums.items():
        session.add(MrrTotal(day=day, currency=currency, mrr=sum(amounts, ZERO), subscribers=len(amounts)))
    session.flush()
