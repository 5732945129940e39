"""How far the reading of Stripe is, and asking for more of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from makegood import audit
from makegood.errors import NotFound
from makegood.models import StripeResource
from makegood.stripe.resources import RESOURCES
from makegood.stripe.schedule import EVENTS, reads_all

NAMES = (*RESOURCES, EVENTS)
PATIENCE = timedelta(minutes=15)
"""A list that has been due for longer than this waits for a worker."""


@dataclass(frozen=True)
class Progress:
    """Where the reading of all lists is. `lists` is empty before Stripe was asked for the first time."""

    lists: Sequence[StripeResource]

    @property
    def read(self) -> int:
        """How many lists have been read completely."""
        return sum(_is_read(row) for row in self.lists)

    @property
    def all(self) -> int:
        """How many lists there are."""
        return len(NAMES)

    @property
    def under_way(self) -> bool:
        """Whether everything is being read, for the first time or again."""
        return any(row.state in ("waiting", "backfill") for row in self.lists)

    def overdue(self, at: datetime) -> bool:
        """Whether a list has been due for long: no worker runs, or none gets on."""
        due = [row.leased_until or row.next_try_at for row in self.lists]
        return any(time is not None and time < at - PATIENCE for time in due)

    @property
    def objects(self) -> int:
        """How many objects the reading of everything has read so far."""
        return sum(row.objects for row in self.lists)

    @property
    def complete_since(self) -> datetime | None:
        """As of when all lists that may be read are known; None while one of them is not known at all."""
        times = [row.read_at for row in self.lists if row.state != "no_permission"]
        return (
            None
            if None in times or len(self.lists) < self.all
            else min((time for time in times if time), default=None)
        )


def read(session: Session) -> Progress:
    """The lists, in the order in which they are read."""
    rows = {row.name: row for row in session.scalars(select(StripeResource))}
    return Progress([rows[name] for name in NAMES if name in rows])


def unread(session: Session, names: Collection[str]) -> list[str]:
    """Those of these lists that are not known completely, or may not or cannot be read now, in their order."""
    known = {
        row.name for row in read(session).lists if _is_read(row) and row.state not in ("no_permission", "failed")
    }
    return [name for name in NAMES if name in names and name not in known]


def title(name: str) -> str:
    """What a list is called."""
    return "Events" if name == EVENTS else RESOURCES[name].title


def permission(name: str) -> str:
    """Which permission the key needs for it, as Stripe's dashboard names it."""
    return "Events" if name == EVENTS else RESOURCES[name].permission


def _is_read(row: StripeResource) -> bool:
    return row.state == "current" or (row.finished_at is not None and not reads_all(row))


def try_again(session: Session, name: str, *, actor: str, address: str | None = None) -> None:
    """Read a list now instead of when it would be its turn. Raises NotFound."""
    row = session.get(StripeResource, name, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound("There is no such list of Stripe's. The page Stripe has all of them.")
    row.next_try_at, row.attempts = None, 0
    session.flush()
    audit.record(session, actor=actor, action="stripe.tried_again", subject=name, address=address)


def ask_now(session: Session) -> None:
    """Let every list be read now."""
    session.execute(update(StripeResource).values(next_try_at=None))


def read_all_again(session: Session, *, actor: str, address: str | None = None) -> None:
    """Read every list from its newest to its oldest object once more. What is known stays known meanwhile."""
    read_all(session)
    audit.record(session, actor=actor, action="stripe.read_again", subject="stripe", address=address)


def read_all(session: Session) -> None:
    """Begin every list anew. Whoever reads one now stops at the page that it has."""
    session.execute(
        update(StripeResource)
        .where(StripeResource.name != EVENTS)
        .values(
            reread_at=None,
            cursor=None,
            since=None,
            objects=0,
            reached=None,
            state="waiting",
            problem=None,
            attempts=0,
            next_try_at=None,
            leased_until=None,
        )
        .execution_options(synchronize_session=False)
    )
