"""Money on the dashboard: what came in, what is left of it, and what subscriptions bring by month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from makegood import money
from makegood.calendars import local_day
from makegood.ranges import Range
from makegood.revenue import movements, reading
from makegood.revenue.period import Revenue, period
from makegood.revenue.rates import MICROS
from makegood.revenue.results import Result, micros


@dataclass(frozen=True)
class InShort:
    """`result` is the cash result in US dollars. `mrr` is by currency, in minor units, the one with the most
    subscribers first, and with all its `subscribers` as the snapshot of the day `mrr_of` says; without one, that
    is None."""

    revenue: Revenue
    result: Result
    mrr: dict[str, int]
    subscribers: int
    mrr_of: date | None

    @property
    def profit_micros(self) -> int | None:
        """What is left, in micro-dollars, rounded once."""
        return micros(self.result.profit)


def of(session: Session, timezone: ZoneInfo, asked: Range, cost_micros: int | None) -> InShort | None:
    """Money in a range, in which the known cost of what was charged is `cost_micros`; None while Stripe has never
    been read."""
    if not reading.has_begun(session):
        return None
    view = period(session, asked)
    last = min(asked.end, asked.now)
    snapshot = movements.snapshot_at(session, local_day(last, timezone))
    result = _result(view, cost_micros)
    if snapshot is None:
        return InShort(view, result, {}, 0, None)
    standing = sorted(
        movements.standing(session, snapshot.day).items(), key=lambda one: (-one[1].subscribers, one[0])
    )
    mrr = {currency: money.rounded(one.mrr) for currency, one in standing}
    return InShort(view, result, mrr, snapshot.subscribers, snapshot.day)


def _result(view: Revenue, cost_micros: int | None) -> Result:
    """What is left: charges less refunds and disputes, less all fees, less what the providers take."""
    cost = None if cost_micros is None else Fraction(cost_micros, MICROS)
    gross, refunds, disputes, fees, account_fees, tax = (
        view.usd[name].usd for name in ("gross", "refunds", "disputes", "fees", "account_fees", "tax_on_fees")
    )
    if not view.complete or gross is None or refunds is None or disputes is None:
        return Result(cost=cost)
    if fees is None or account_fees is None or tax is None:
        return Result(cost=cost)
    return Result(cash=gross - refunds - disputes, fees=fees + account_fees + tax, cost=cost)
