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
from makegood.revenue import movements, rates, reading
from makegood.revenue.figures import Figures
from makegood.revenue.movements import Standing
from makegood.revenue.period import Revenue, by_day, in_usd, period
from makegood.revenue.rates import MICROS, USD, Converted
from makegood.revenue.results import Result, added, micros

FEES = ("fees", "account_fees", "tax_on_fees")


@dataclass(frozen=True)
class Amounts:
    """What came in and what was taken off, in minor units of one currency."""

    gross: int
    refunds: int
    disputes: int
    fees: int
    net: int


@dataclass(frozen=True)
class Flow:
    """Amounts of the range, and of the period before (None: not known). `whole` says that all currencies are in
    them, in US dollars."""

    currency: str
    whole: bool
    now: Amounts
    before: Amounts | None


@dataclass(frozen=True)
class Mrr:
    """The snapshot of a day: MRR in minor units of a currency, and how many subscribers it comes from. `whole` as
    in `Flow`; `left_out` are the currencies that are not in it."""

    day: date
    currency: str
    whole: bool
    amount: int
    subscribers: int
    left_out: list[str]


@dataclass(frozen=True)
class InShort:
    """`result` is the cash result of all currencies in US dollars. `flow` is in the same dollars where every rate
    is there, else in the currency with the most transactions; None where nothing moved. `mrr` likewise; None
    without a snapshot."""

    revenue: Revenue
    result: Result
    flow: Flow | None
    mrr: Mrr | None

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
    snapshot = movements.snapshot_at(session, local_day(min(asked.end, asked.now), timezone))
    mrr = None if snapshot is None else _mrr(session, snapshot.day, snapshot.subscribers)
    return InShort(view, _result(view, cost_micros), _flow(session, view), mrr)


def _flow(session: Session, view: Revenue) -> Flow | None:
    """The range beside the one before, on one basis."""
    shown = view.of(None)
    if shown is None:
        return None
    now = None if view.in_dollars_only else _converted(view.usd)
    if now is None:
        return Flow(shown.currency, False, _own(shown.now), _own(shown.before) if shown.before else None)
    earlier = view.range.previous()
    known = view.reading.covers(earlier)
    before = _converted(in_usd(session, earlier, by_day(session, earlier))) if known else None
    return Flow(USD, True, now, before)


def _own(found: Figures) -> Amounts:
    fees = sum(getattr(found, name) for name in FEES)
    return Amounts(found.gross, found.refunds, found.disputes, fees, found.net)


def _converted(usd: dict[str, Converted]) -> Amounts | None:
    """All currencies in cents, each figure rounded once; None where a rate is missing."""
    fees = added(usd[name].usd for name in FEES)
    gross, refunds, disputes, net = (usd[name].cents for name in ("gross", "refunds", "disputes", "net"))
    if gross is None or refunds is None or disputes is None or net is None or fees is None:
        return None
    return Amounts(gross, refunds, disputes, money.rounded(fees * 100), net)


def _mrr(session: Session, day: date, subscribers: int) -> Mrr:
    """All currencies in US dollars at the rates of the day; else the currency with the most subscribers."""
    standing = sorted(movements.standing(session, day).items(), key=lambda one: (-one[1].subscribers, one[0]))
    first, own = standing[0] if standing else (USD, Standing())
    others = [currency for currency, _ in standing[1:]]
    if first != USD or others:
        found = rates.in_usd(rates.between(session, day, day), [(name, day, one.mrr) for name, one in standing])
        if found.cents is not None:
            return Mrr(day, USD, True, found.cents, subscribers, [])
    return Mrr(day, first, False, money.rounded(own.mrr), own.subscribers, others)


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
