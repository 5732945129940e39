"""MRR of the days before the first snapshot, estimated from paid invoices.

What Stripe says of a subscription is what it is now, not what it was. Each line of a paid invoice says what was
paid for a period; by month, it counts on each day of the period. Prorations are left out, so that a change counts
from the next whole period on, and so are metered prices. Under the rule that coupons never reduce MRR a line
counts before its discounts, else after all of them: an invoice does not say how long a discount lasts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from makegood.calendars import local_day, start_of
from makegood.models import Invoice, MrrChange, MrrSnapshot, MrrTotal, StripePrice, StripeResource, Subscription
from makegood.revenue import mrr_changes, prices_of_items
from makegood.revenue.mrr_changes import Payer, State
from makegood.revenue.mrr_rules import MrrRules
from makegood.revenue.prices_of_items import ZERO, Object, Unknown

DAY = timedelta(days=1)
AT_ONCE = 500
LONGEST = 3660
"""Days that are estimated at most: ten years."""


@dataclass(frozen=True)
class Paid:
    """What was paid a month for one item of a subscription, from one instant until another."""

    payer: Payer
    item: str
    start: datetime
    end: datetime
    monthly: Fraction


def rebuild(session: Session, rules: MrrRules, timezone: ZoneInfo, *, at: datetime | None = None) -> bool:
    """Estimate the days before the first snapshot, once all invoices have been read, and again when the rules
    changed. Returns whether there was anything to do."""
    at = at or datetime.now(UTC)
    first = session.scalar(select(func.min(MrrSnapshot.day)).where(~MrrSnapshot.estimated))
    if first is None or not _due(session, rules):
        return False
    session.get_one(MrrSnapshot, first, with_for_update=True)
    paid = _cut(_paid(session, rules), _ends(session))
    since = min([first - DAY, *(local_day(one.start, timezone) for one in paid)])
    since = max(since, first - LONGEST * DAY)
    now, _ = mrr_changes.state_before(session, first + DAY)
    session.execute(delete(MrrSnapshot).where(MrrSnapshot.estimated))
    session.execute(delete(MrrChange).where(MrrChange.day == first))
    before = _write(session, paid, (since, first), timezone, rules, at)
    taken_at = session.get_one(MrrSnapshot, first).taken_at
    restated = mrr_changes.compared(before, now, restated=before.keys() | now.keys())
    mrr_changes.keep(session, first, taken_at, restated)
    _returned(session)
    return True


def _due(session: Session, rules: MrrRules) -> bool:
    """Whether the invoices are all read, and what they say is not yet estimated."""
    read = session.get(StripeResource, "invoices")
    if read is None or read.finished_at is None:
        return False
    last = session.scalar(
        select(MrrSnapshot).where(MrrSnapshot.estimated).order_by(MrrSnapshot.day.desc()).limit(1)
    )
    return last is None or last.taken_at < read.finished_at or last.rules != rules.as_dict()


def _write(
    session: Session,
    paid: list[Paid],
    days: tuple[date, date],
    timezone: ZoneInfo,
    rules: MrrRules,
    at: datetime,
) -> State:
    """Write every day from the first to before the last; what each paid at the end, 0 for those who once did."""
    steps = _steps(paid, days[0], timezone)
    state: State = {}
    sums: dict[str, Fraction] = {}
    counts: Counter[str] = Counter()
    currencies: Counter[str] = Counter()
    snapshots: list[MrrSnapshot] = []
    rows: list[MrrTotal | MrrChange] = []
    for day in (days[0] + n * DAY for n in range((days[1] - days[0]).days)):
        changed = {payer: state.get(payer, ZERO) + step for payer, step in steps.get(day, {}).items()}
        # Who once paid stays in it, with 0: to pay again is to come back.
        before = {payer: state[payer] for payer in changed if payer in state}
        for (customer, currency), now in changed.items():
            was = before.get((customer, currency), ZERO)
            sums[currency] = sums.get(currency, ZERO) + now - was
            counts[currency] += bool(now) - bool(was)
            currencies[customer] += bool(now) - bool(was)
            if not currencies[customer]:
                del currencies[customer]
        snapshots.append(
            MrrSnapshot(day=day, taken_at=at, estimated=True, rules=rules.as_dict(), subscribers=len(currencies))
        )
        rows += [MrrTotal(day=day, currency=one, mrr=sums[one], subscribers=n) for one, n in counts.items() if n]
        end = start_of(day + DAY, timezone) - timedelta(microseconds=1)
        rows += [mrr_changes.row_of(one, day, end) for one in mrr_changes.compared(before, changed)]
        state |= changed
    session.execute(delete(MrrTotal).where(MrrTotal.day >= days[0], MrrTotal.day < days[1]))
    session.add_all(snapshots)
    session.flush()
    session.add_all(rows)
    session.flush()
    return state


def _steps(paid: Iterable[Paid], first: date, timezone: ZoneInfo) -> dict[date, dict[Payer, Fraction]]:
    """By how much what each pays changes, by day; what was before the first day belongs to it."""
    steps: dict[date, dict[Payer, Fraction]] = {}
    for one in paid:
        for instant, amount in ((one.start, one.monthly), (one.end, -one.monthly)):
            step = steps.setdefault(max(local_day(instant, timezone), first), {})
            step[one.payer] = step.get(one.payer, ZERO) + amount
    return steps


def _returned(session: Session) -> None:
    """Who was new when nobody knew the past, and is known to have paid before, has come back."""
    earlier = aliased(MrrChange)
    known = exists().where(
        earlier.stripe_customer_id == MrrChange.stripe_customer_id,
        earlier.currency == MrrChange.currency,
        earlier.day < MrrChange.day,
    )
    session.execute(update(MrrChange).where(MrrChange.kind == "new", known).values(kind="reactivation"))


def _paid(session: Session, rules: MrrRules) -> list[Paid]:
    """What the lines of all paid invoices say, in the order of their periods."""
    prices = {row.id: row.body for row in session.execute(select(StripePrice.id, StripePrice.body))}
    query = select(Invoice.stripe_customer_id, Invoice.id, Invoice.body).where(Invoice.status == "paid")
    found: dict[tuple[str, datetime], Paid] = {}
    for row in session.execute(query.order_by(Invoice.created_at), execution_options={"yield_per": AT_ONCE}):
        for line in row.body["lines"]["data"]:
            one = _read(line, row.stripe_customer_id or row.id, prices, rules)
            if one is None:
                continue
            key = (one.item, one.start)
            # A price with tiers has a line for each of them.
            found[key] = one if key not in found else _added(found[key], one)
    return sorted(found.values(), key=lambda one: (one.item, one.start))


def _added(one: Paid, other: Paid) -> Paid:
    return Paid(one.payer, one.item, one.start, max(one.end, other.end), one.monthly + other.monthly)


def _read(line: Object, customer: str, prices: dict[str, Object], rules: MrrRules) -> Paid | None:
    """A line as what it pays a month; None for one that pays for no whole period."""
    source = (line.get("parent") or {}).get("subscription_item_details")
    if not source or source.get("proration"):
        return None
    price = prices.get(str(((line.get("pricing") or {}).get("price_details") or {}).get("price")), {})
    if prices_of_items.is_metered(price):
        return None
    start, end = (datetime.fromtimestamp(line["period"][name], UTC) for name in ("start", "end"))
    if end <= start:
        return None
    amount = Fraction(line["amount"])
    if rules.durations:
        amount -= sum(part["amount"] for part in line.get("discount_amounts") or ())
    amount -= sum(tax["amount"] for tax in line.get("taxes") or () if tax.get("tax_behavior") == "inclusive")
    monthly = max(amount, ZERO) / _months(price, end - start)
    return Paid((customer, line["currency"]), source["subscription_item"], start, end, monthly)


def _months(price: Object, length: timedelta) -> Fraction:
    """The months of a line: those of its price where it was read, else of its period."""
    try:
        return prices_of_items.months(price)
    except Unknown:
        months = Fraction(length // timedelta(hours=1) * 12, 365 * 24)
        return Fraction(round(months)) if months > Fraction(9, 10) else months


def _ends(session: Session) -> dict[str, datetime]:
    """When the items' subscriptions ended that have ended."""
    rows = session.execute(
        select(Subscription.body["items"]["data"], Subscription.ended_at).where(Subscription.ended_at.is_not(None))
    )
    return {item["id"]: row.ended_at for row in rows for item in row[0] or ()}


def _cut(paid: Iterable[Paid], ends: dict[str, datetime]) -> list[Paid]:
    """Each period until the item's next begins, or its subscription ended."""
    cut: list[Paid] = []
    following: Paid | None = None
    for one in reversed(list(paid)):
        end = min(one.end, ends.get(one.item, one.end))
        if following is not None and following.item == one.item:
            end = min(end, following.start)
        if one.monthly and end > one.start:
            cut.append(Paid(one.payer, one.item, one.start, end, one.monthly))
        following = one
    return cut
