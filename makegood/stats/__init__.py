"""Figures: read from rollups and the events not yet folded, in one snapshot."""

from makegood.instants import begin_snapshot
from makegood.stats.figures import DayUsage, Health, ProviderUsage, TierCredits, Usage
from makegood.stats.overview import Overview, overview
from makegood.stats.period import Active, Period, StepUsage, period
from makegood.stats.recent import Failure, RecentRefund

__all__ = [
    "Active",
    "DayUsage",
    "Failure",
    "Health",
    "Overview",
    "Period",
    "ProviderUsage",
    "RecentRefund",
    "StepUsage",
    "TierCredits",
    "Usage",
    "begin_snapshot",
    "overview",
    "period",
]
