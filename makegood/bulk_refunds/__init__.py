"""Refunds of a whole incident: previewed, confirmed by typing how many, and done by the worker, once each.

What was confirmed is written down generation by generation, and the database lets nothing be refunded beyond it.
"""

from makegood.bulk_refunds.confirmation import approve, refuse, start
from makegood.bulk_refunds.previews import MOST, Changed, Group, Preview, Scope, preview
from makegood.bulk_refunds.records import Item, every, every_item, get, items, latest
from makegood.bulk_refunds.working import resume, stop, work

__all__ = [
    "MOST",
    "Changed",
    "Group",
    "Item",
    "Preview",
    "Scope",
    "approve",
    "every",
    "every_item",
    "get",
    "items",
    "latest",
    "preview",
    "refuse",
    "resume",
    "start",
    "stop",
    "work",
]
