"""Pages with a list: its rows as the filters in the URL say, their CSV, and how many newer ones there are.

A module with a list says once, beside its route, whose rows they are and what its filters are called:

    LIST = lists.add(
        lists.ListPage("admin.failures", failures.FAILURES, {"provider": "Provider"}, _wanted),
        "failures",
        "Failures",
        (exports.column("ended_at"), ...),
    )

and its route gives the template `**LIST.shown()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

from sqlalchemy import Select

from blueprints.admin import exports, filters, newer
from blueprints.admin.filters import Filters
from extensions import db
from makegood.exports import Column
from makegood.pages import Item, Listing, Page, Wanted


@dataclass(frozen=True)
class ListPage(Generic[Wanted, Item]):
    """A page with a list. `labels` are the filters in the URL and what they are called (the ends of a range only
    where they are called something of their own), `wanted` makes the rules' filters of them, `choices` are their
    values in words."""

    endpoint: str
    listing: Listing[Wanted, Item]
    labels: Mapping[str, str]
    wanted: Callable[[Filters], Wanted | None] = lambda asked: None
    choices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def asked(self) -> Filters:
        """The filters in the URL."""
        return filters.read(tuple(name for name in self.labels if name not in filters.ENDS))

    def shown(
        self, asked: Filters | None = None, choices: Mapping[str, Mapping[str, str]] | None = None
    ) -> dict[str, Any]:
        """What the template shows: the filters, as read or as given, their chips, and a page of rows."""
        asked = asked or self.asked()
        page = self.page(asked, filters.page_size())  # first: it may find that a filter is none
        chips = filters.chips(asked, self.labels, choices or self.choices)
        return {"filters": asked, "page": page, "chips": chips}

    def page(self, asked: Filters, limit: int) -> Page[Item]:
        """The page of rows that the URL asks for."""
        return self.listing.page(
            db.session(), self.wanted(asked), before=asked.before, after=asked.after, limit=limit
        )


def add(
    page: ListPage[Wanted, Item],
    name: str,
    title: str,
    columns: Sequence[Column],
    *,
    action: str = "view",
    every: Callable[[Wanted | None], Select[*tuple[Any, ...]]] | None = None,
    of_customer: Callable[[Mapping[str, str]], str | None] | None = None,
) -> ListPage[Wanted, Item]:
    """Make a list known: its newer rows can be asked for, and its CSV has this name, title and these columns.
    `action` is what the role must allow; `every` selects the rows where the file has another order; `of_customer`
    is the customer whose rows alone the filters ask for, if it is not the filter "Customer"."""
    rows = every or page.listing.every
    newer.add(page.endpoint, lambda most: page.page(page.asked(), most))
    query = lambda: rows(page.wanted(page.asked()))  # noqa: E731
    of_customer = of_customer or (lambda asked: asked.get("customer") if "customer" in page.labels else None)
    exports.add(exports.Table(name, title, page.endpoint, query, columns, action, of_customer))
    return page
