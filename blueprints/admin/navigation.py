"""The console's navigation: its groups and entries (`places`), for this operator and this page.

An entry appears as soon as its endpoint is registered, and only to roles that may open it: the view's own
`@requires` decides. A number beside an entry comes from the function that `badge` registered for it, a dot from
that of `mark`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flask import Flask, g, request, url_for
from flask_login import current_user

from blueprints.admin.places import GROUPS, Entry, open_to_operator
from extensions import db
from makegood import saved_views


@dataclass(frozen=True)
class Link:
    """An entry as this page shows it. `current` is the value of aria-current, "" elsewhere; `mark` says in words
    what waits there, where that is not counted."""

    entry: Entry
    address: str
    current: str
    badge: int
    mark: str


Counter = Callable[[], int]
_badges: dict[str, Counter] = {}
_marks: dict[str, tuple[str, Callable[[], bool]]] = {}


def badge(endpoint: str, count: Counter) -> None:
    """Show a number beside an entry where it is above zero. `count` runs for every page: one cheap query."""
    _badges[endpoint] = count


def mark(endpoint: str, words: str, holds: Callable[[], bool]) -> None:
    """Show a dot beside an entry while something holds, with `words` for who cannot see it: one cheap query."""
    _marks[endpoint] = words, holds


def init_app(app: Flask) -> None:
    """Give the templates `navigation()`, and `endpoints`, the names of everything that is there."""
    app.add_template_global(navigation)
    app.jinja_env.globals["endpoints"] = app.view_functions


def navigation() -> list[tuple[str, list[Link]]]:
    """The groups that have something for this operator, each with its links. The page's own is marked."""
    shown = [
        (title, [(entry, url_for(entry.endpoint)) for entry in entries if open_to_operator(entry)])
        for title, entries in GROUPS
    ]
    here = _nearest(address for _, entries in shown for _, address in entries)
    views = {} if g.get("answering_error") else saved_views.defaults(db.session(), current_user.operator_id)
    return [(title, [_link(*entry, here, views) for entry in entries]) for title, entries in shown if entries]


def _link(entry: Entry, address: str, here: str, views: dict[str, str]) -> Link:
    """The link to the page, with the filters of the operator's default view of it."""
    current = "" if address != here else "page" if request.path == address else "true"
    query = views.get(entry.endpoint)
    count = None if g.get("answering_error") else _badges.get(entry.endpoint)
    words, holds = ("", None) if g.get("answering_error") else _marks.get(entry.endpoint, ("", None))
    return Link(
        entry,
        f"{address}?{query}" if query else address,
        current,
        count() if count else 0,
        words if holds and holds() else "",
    )


def _nearest(addresses: Iterator[str]) -> str:
    """The entry that this page is, or lies under: the longest address that its path begins with."""
    path = request.path
    above = [address for address in addresses if path == address or path.startswith(f"{address.rstrip('/')}/")]
    home = url_for("admin.dashboard")
    return max((address for address in above if address != home or path == home), key=len, default="")
