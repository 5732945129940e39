"""The callbacks inbox as operators see it: every delivery, why it is in its state, and applying one again."""

from makegood.inbox.applying import Applied, apply_again
from makegood.inbox.deliveries import (
    DELIVERIES,
    LATE,
    LONG_WAIT,
    Counts,
    Delivery,
    InboxFilters,
    Listed,
    counts,
    long_waits,
    read,
)

__all__ = [
    "DELIVERIES",
    "LATE",
    "LONG_WAIT",
    "Applied",
    "Counts",
    "Delivery",
    "InboxFilters",
    "Listed",
    "apply_again",
    "counts",
    "long_waits",
    "read",
]
