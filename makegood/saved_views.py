"""Saved views: a page's filters under a name, for one operator, one of them as the page's default."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood.errors import Invalid
from makegood.ids import uuid7
from makegood.models import Operator, SavedView

MOST = 50
MAX_NAME = 60
MAX_QUERY = 2000


def listed(session: Session, operator_id: UUID, page: str) -> list[SavedView]:
    """An operator's views of a page, by name."""
    mine = (SavedView.operator_id == operator_id, SavedView.page == page)
    return list(session.scalars(select(SavedView).where(*mine).order_by(func.lower(SavedView.name), SavedView.id)))


def defaults(session: Session, operator_id: UUID) -> dict[str, str]:
    """The query string of each page that has a default view."""
    mine = (SavedView.operator_id == operator_id, SavedView.is_default)
    return {view.page: view.query for view in session.scalars(select(SavedView).where(*mine))}


def save(session: Session, operator_id: UUID, page: str, name: str, query: str, *, is_default: bool) -> SavedView:
    """Keep a view; one of the same name is replaced. Raises Invalid (name, query, too many)."""
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or "\0" in name:
        raise Invalid(f"A view's name has 1 to {MAX_NAME} characters. Nothing was saved.")
    if len(query) > MAX_QUERY:
        raise Invalid("These filters are too long to be saved. Nothing was saved.")
    _lock(session, operator_id)
    others = {view.name for view in listed(session, operator_id, page)} - {name}
    if len(others) >= MOST:
        raise Invalid(f"A page has at most {MOST} views. Delete one first. Nothing was saved.")
    if is_default:
        _no_default(session, operator_id, page)
    values = {"query": query, "is_default": is_default}
    row = insert(SavedView).values(id=uuid7(), operator_id=operator_id, page=page, name=name, **values)
    same = row.on_conflict_do_update(index_elements=["operator_id", "page", "name"], set_=values)
    return session.scalars(same.returning(SavedView), execution_options={"populate_existing": True}).one()


def make_default(session: Session, operator_id: UUID, view_id: UUID, *, is_default: bool) -> str | None:
    """Let the page open with this view, or with it no longer. Returns the page; None: there is no such view."""
    _lock(session, operator_id)
    view = session.scalar(select(SavedView).where(SavedView.id == view_id, SavedView.operator_id == operator_id))
    if view is None:
        return None
    if is_default:
        _no_default(session, operator_id, view.page)
    session.execute(update(SavedView).where(SavedView.id == view_id).values(is_default=is_default))
    return view.page


def remove(session: Session, operator_id: UUID, view_id: UUID) -> str | None:
    """Delete a view. Returns its page; None where there is no such view (any more)."""
    gone = delete(SavedView).where(SavedView.id == view_id, SavedView.operator_id == operator_id)
    return session.scalar(gone.returning(SavedView.page))


def _lock(session: Session, operator_id: UUID) -> None:
    """One change of an operator's views at a time: there is one default of a page."""
    session.execute(select(Operator.id).where(Operator.id == operator_id).with_for_update(key_share=True))


def _no_default(session: Session, operator_id: UUID, page: str) -> None:
    mine = (SavedView.operator_id == operator_id, SavedView.page == page, SavedView.is_default)
    session.execute(update(SavedView).where(*mine).values(is_default=False))
