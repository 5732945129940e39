"""Rows that a list has got since it was shown: how many, and the way to them. The list itself does not move.

A module with a list adds how it reads a page, beside its route, and its template has the macro `newer` of
`_list.html`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from flask import current_app, render_template, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from blueprints import access
from blueprints.admin import blueprint, filters

MOST = 99
"""So many are counted; beyond that there are "more than"."""


class Rows(Protocol):
    """A page of a list, as far as it matters here."""

    @property
    def rows(self) -> Sequence[Any]:
        """The rows."""


_readers: dict[str, Callable[[int], Rows]] = {}


def add(endpoint: str, read: Callable[[int], Rows]) -> None:
    """Let the list of this endpoint be asked for newer rows: `read` reads at most so many, as the URL says."""
    _readers[endpoint] = read


@blueprint.get("/newer/<name>")
@access.poll
def newer_rows(name: str) -> ResponseReturnValue:
    """How many rows of the list (its endpoint's name) are newer than the one in `newer`. 204: none."""
    read = _readers.get(name)
    view = current_app.view_functions.get(name)
    if read is None or not access.may(getattr(view, "required_action", "view")):
        raise NotFound
    rows = len(read(MOST + 1).rows)
    if not rows:
        return "", 204
    address = url_for(name, **filters.carried("newer"))  # type: ignore[arg-type]
    return render_template("admin/newer.html", rows=rows, most=MOST, address=address)
