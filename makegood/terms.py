"""The terms that the rules work under: the reporting time zone, time limits and thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Terms:
    """Set once for a deployment.

    `timezone` decides what "today" and "this month" mean. A generation still in flight after `check_after` is
    looked up at its provider, and past `deadline` it fails as a timeout. `stuck_after` and
    `failures_per_hour` (more than that many) decide the health banner. Credits returned to a grant that has
    expired live on for `returned_credits_live`. Results that we keep ourselves are kept for `outputs_live`. With
    `notify` the platform is told of every generation's end. A provider's balance that lasts less than
    `balance_days` days is worth an alert.
    """

    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    check_after: timedelta = timedelta(minutes=2)
    deadline: timedelta = timedelta(minutes=30)
    stuck_after: timedelta = timedelta(minutes=10)
    failures_per_hour: int = 5
    returned_credits_live: timedelta = timedelta(days=30)
    outputs_live: timedelta = timedelta(hours=24)
    notify: bool = False
    balance_days: int = 3
