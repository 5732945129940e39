"""Money on the dashboard."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from makegood.models import ExchangeRate, MrrSnapshot, MrrTotal
from makegood.ranges import Range
from makegood.revenue import in_short
from makegood.revenue.in_short import Amounts, Flow, Mrr
from tests.money import NOON, all_read, moved

UTC = ZoneInfo("UTC")
DAY = Range(date(2026, 11, 10), date(2026, 11, 10), UTC, NOON)


def test_profit_is_what_fees_and_providers_leave_in_dollars(session: Session) -> None:
    all_read(session, NOON)
    moved(session, "charge", 1_000, 59)
    moved(session, "refund", -200)
    moved(session, "tax", -1)
    moved(session, "charge", 100, 10, currency="eur")
    found = in_short.of(session, UTC, DAY, 2_500_000)
    assert found is not None
    assert (found.profit_micros, found.mrr) == (None, None)  # no rate
    session.add(
        ExchangeRate(currency="eur", day=date(2026, 11, 1), usd_per_unit=Decimal("1.5"), source="ECB", actor="t")
    )
    session.flush()
    found = in_short.of(session, UTC, DAY, 2_500_000)
    assert found is not None
    assert found.profit_micros == 7_400_000 + 1_350_000 - 2_500_000
    assert found.result.margin == Decimal("6.25") / Decimal("9.5")


def test_nothing_is_said_of_profit_before_stripe_has_been_read(session: Session) -> None:
    assert in_short.of(session, UTC, DAY, 0) is None
    moved(session, "charge", 1_000, 59)
    all_read(session, NOON, state="backfill", reached=NOON, finished_at=None, read_at=None)
    found = in_short.of(session, UTC, DAY, 0)
    assert found is not None
    assert found.profit_micros is None


def test_every_tile_is_of_all_currencies_or_says_of_which(session: Session) -> None:
    """Revenue, profit and MRR stand beside each other: what one leaves out the other must not count."""
    all_read(session, NOON)
    moved(session, "charge", 1_000, 60)
    moved(session, "charge", 500, at=NOON - timedelta(hours=26))
    moved(session, "charge", 100, 10, currency="eur")
    session.add(MrrSnapshot(day=date(2026, 11, 10), taken_at=NOON, estimated=False, rules={}, subscribers=5))
    session.flush()
    for currency, mrr, subscribers in (("usd", 2_000, 3), ("eur", 300, 2)):
        day = date(2026, 11, 10)
        session.add(MrrTotal(day=day, currency=currency, mrr=Fraction(mrr), subscribers=subscribers))
    session.flush()
    found = in_short.of(session, UTC, DAY, 0)
    assert found is not None
    assert found.flow == Flow("usd", False, Amounts(1_000, 0, 0, 60, 940), Amounts(500, 0, 0, 0, 500))
    assert found.mrr == Mrr(date(2026, 11, 10), "usd", False, 2_000, 3, ["eur"])

    session.add(
        ExchangeRate(currency="eur", day=date(2026, 11, 1), usd_per_unit=Decimal("1.5"), source="ECB", actor="t")
    )
    session.flush()
    found = in_short.of(session, UTC, DAY, 0)
    assert found is not None
    assert found.flow == Flow("usd", True, Amounts(1_150, 0, 0, 75, 1_075), Amounts(500, 0, 0, 0, 500))
    assert found.profit_micros == found.flow.now.net * 10_000
    assert found.mrr == Mrr(date(2026, 11, 10), "usd", True, 2_450, 5, [])
