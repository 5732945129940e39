"""Money on the dashboard."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from makegood.models import ExchangeRate
from makegood.ranges import Range
from makegood.revenue import in_short
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
    assert (found.profit_micros, found.mrr_of) == (None, None)  # no rate
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
