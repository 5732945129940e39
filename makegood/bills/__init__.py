"""The bill check: what providers say they charged, beside what was recorded.

An operator accepts differences; that changes costs, never credits.
"""

from makegood.bills.acceptance import Accepted, accept, accept_all
from makegood.bills.categories import CATEGORIES, Category
from makegood.bills.comparison import Scope, Sums, summary
from makegood.bills.drafts import Draft, Mapping, discard, import_draft, keep, preview
from makegood.bills.imports import IMPORTS, get, start, start_again
from makegood.bills.nightly import start_nightly
from makegood.bills.reviews import review, review_all
from makegood.bills.withdrawal import withdraw

__all__ = [
    "CATEGORIES",
    "IMPORTS",
    "Accepted",
    "Category",
    "Draft",
    "Mapping",
    "Scope",
    "Sums",
    "accept",
    "accept_all",
    "discard",
    "get",
    "import_draft",
    "keep",
    "preview",
    "review",
    "review_all",
    "start",
    "start_again",
    "start_nightly",
    "summary",
    "withdraw",
]
