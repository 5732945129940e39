"""The imports that nobody has to start: yesterday's, wherever billing is configured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import calendars
from makegood.bills import imports
from makegood.models import Bill
from makegood.providers.protocol import Provider

CLOCK = "makegood"
"""Who starts them."""
SETTLED_AFTER = timedelta(hours=3)
"""WaveSpeed refunds what failed within three hours: https://wavespeed.ai/docs/troubleshooting-guide"""
LOOK_BACK = 7


def start_nightly(
    session: Session, providers: Mapping[str, Provider], timezone: ZoneInfo, *, at: datetime | None = None
) -> list[Bill]:
    """Start yesterday's imports, once, as soon as its refunds are there; and again, once a day, those of the last
    week that failed or had lines which were not final."""
    at = at or datetime.now(UTC)
    today = calendars.local_day(at, timezone)
    if at < calendars.start_of(today, timezone) + SETTLED_AFTER:
        return []
    started = []
    for name in sorted(name for name, provider in providers.items() if imports.billing(provider)):
        for back in range(1, LOOK_BACK + 1):
            day = today - timedelta(days=back)
            begin, end = imports.period(day, day, timezone)
            latest = _latest(session, name, begin, end)
            due = back == 1 if latest is None else _is_due_again(latest, today, timezone)
            if due and (bill := imports.add(session, name, begin, end, actor=CLOCK)):
                started.append(bill)
    return started


def _latest(session: Session, provider: str, begin: datetime, end: datetime) -> Bill | None:
    return session.scalar(
        select(Bill)
        .where(Bill.provider == provider, Bill.origin == "api")
        .where(Bill.period_start == begin, Bill.period_end == end)
        .order_by(Bill.id.desc())
        .limit(1)
    )


def _is_due_again(latest: Bill, today: date, timezone: ZoneInfo) -> bool:
    unfinished = latest.state == "failed" or (latest.state == "done" and latest.lines_pending > 0)
    return unfinished and calendars.local_day(latest.created_at, timezone) < today
