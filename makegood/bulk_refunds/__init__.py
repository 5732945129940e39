"""Refunds of a whole incident: previewed, confirmed by typing how many, and done by the worker, once each.

What was confirmed is written down generation by generation, and the database lets nothing be refunded beyond it.
"""

from makegood.bulk_refunds.confirmation import approve, refuse, start
from makegood.bulk_refunds.previews import MOST, Changed, Group, Preview, Scope, preview
from makegood.bulk_refunds.records import BULK_REFUNDS, ITEMS, NOW, Item, ItemFilters, get, yet_to_come
from makegood.bulk_refunds.working import resume, stop, work

__all__ = [
    "BULK_REFUNDS",
    "ITEMS",
    "MOST",
    "NOW",
    "Changed",
    "Group",
    "Item",
    "ItemFilters",
    "Preview",
    "Scope",
    "approve",
    "get",
    "preview",
    "refuse",
    "resume",
    "start",
    "stop",
    "work",
    "yet_to_come",
]
