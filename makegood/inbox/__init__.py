"""The callbacks inbox as operators see it: every delivery, why it is in its state, and applying one again."""

from makegood.inbox.applying import Applied, apply_again
from makegood.inbox.deliveries import (
    LATE,
    LONG_WAIT,
    Counts,
    Delivery,
    InboxFilters,
    Listed,
    counts,
    every,
    listed,
    long_waits,
    read,
)

__all__ = [
    "LATE",
    "LONG_WAIT",
    "Applied",
    "Counts",
    "Delivery",
    "InboxFilters",
    "Listed",
    "apply_again",
    "counts",
    "every",
    "listed",
    "long_waits",
    "read",
]
