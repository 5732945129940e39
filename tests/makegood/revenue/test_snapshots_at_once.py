"""Two workers take a day's snapshot at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from zoneinfo import ZoneInfo

from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from makegood.models import MrrChange, MrrSnapshot, SubscriptionWorth
from makegood.revenue import movements, snapshots
from makegood.revenue.mrr_rules import MrrRules
from tests.subscribing import NOW, all_read, keep, price, subscription


def test_the_second_finds_what_the_first_wrote(database: str) -> None:
    engine = create_engine(database)
    with Session(engine) as session, session.begin():
        all_read(session, "subscriptions")
        for number in range(20):
            keep(session, subscription(price(100)) | {"id": f"sub_{number}", "customer": f"cus_{number % 7}"})

    def take(_: int) -> None:
        with Session(engine) as session, session.begin():
            snapshots.take(session, MrrRules(), ZoneInfo("UTC"), at=NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take, range(8)))
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(MrrSnapshot)) == 1
        assert session.scalar(select(func.count()).select_from(MrrChange)) == 7
        assert session.scalar(select(func.count()).select_from(SubscriptionWorth)) == 20
        assert movements.standing(session, NOW.date())["usd"] == movements.Standing(movements.ZERO + 2000, 7)
    engine.dispose()
