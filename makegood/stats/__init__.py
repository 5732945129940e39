"""Figures: read from rollups and the events not yet folded, in one snapshot."""

from makegood.stats.figures import DayUsage, Health, ProviderUsage, TierCredits, Usage
from makegood.stats.overview import Failure, Overview, RecentRefund, begin_snapshot, overview

__all__ = [
    "DayUsage",
    "Failure",
    "Health",
    "Overview",
    "ProviderUsage",
    "RecentRefund",
    "TierCredits",
    "Usage",
    "begin_snapshot",
    "overview",
]
