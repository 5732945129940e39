"""Reading Stripe's lists into the mirror, page by page, in the worker.

No transaction is open while Stripe is asked: claim (and commit), read a page, take it (and commit). A claim is a
lease; what a killed worker had claimed goes on at the last page that was stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import case, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood import purchases
from makegood.models import StripeEvent, StripeResource
from makegood.purchases.fulfilment import RETURNED_CREDITS_LIVE
from makegood.stripe import account, columns, events, mirror, progress, schedule
from makegood.stripe.client import Client, CursorGone, Listing, NotPermitted, Rejected, StripeProblem
from makegood.stripe.resources import RESOURCES
from makegood.stripe.schedule import EVENTS

LEASE = timedelta(minutes=10)
"""Twice what the client takes for one request at most, with all its retries. A page of objects whose embedded
lists are long takes several. Where they outlast the lease, another worker reads the same page too, and it counts
once: for whoever claimed it last."""
PAGES_AT_ONCE = 20
"""Then it is the turn of what has waited longest: a long backfill does not keep the rest from being read."""
SKEW = timedelta(minutes=10)
"""How far apart the clocks of two workers may be."""

SAID, UNKEPT_NAMED = 5, 100
"""How many of the objects that could not be kept are named on the page, and how many are noted."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Claimed:
    """A list that this worker reads now: from after `cursor`, created at `cursor_at`, back to `since`.

    `lease` tells this claim from another; `livemode` is that of what is stored; `pages` were read in this turn.
    """

    name: str
    cursor: str | None
    cursor_at: datetime | None
    since: datetime | None
    lease: datetime
    livemode: bool | None
    pages: int = 0


@dataclass(frozen=True)
class Unread:
    """Why a page could not be read. `permitted` is False where the key lacks a permission, `accepted` where Stripe
    does not accept the key at all."""

    problem: str
    permitted: bool = True
    accepted: bool = True


def prepare(
    session: Session, livemode: bool | None, grants_since: datetime | None, *, at: datetime | None = None
) -> None:
    """Begin to follow the account, at first contact: each list waits to be read, events from now on."""
    at = at or datetime.now(UTC)
    account.ensure(session, grants_since, livemode=livemode, at=at)
    known = set(session.scalars(select(StripeResource.name)))
    waiting = [{"name": name} for name in RESOURCES if name not in known]
    if waiting:
        session.execute(insert(StripeResource).values(waiting).on_conflict_do_nothing())
    if EVENTS not in known:
        first = dict.fromkeys(("newest", "started_at", "finished_at", "reread_at"), at)
        row = insert(StripeResource).values(name=EVENTS, state="current", read_at=at, **first)
        session.execute(row.on_conflict_do_nothing())


def claim(session: Session, *, at: datetime | None = None) -> Claimed | None:
    """Lease the list that has waited longest. The caller commits before it reads."""
    at = at or datetime.now(UTC)
    row = session.scalar(
        select(StripeResource)
        .where(
            or_(StripeResource.next_try_at.is_(None), StripeResource.next_try_at <= at),
            or_(StripeResource.leased_until.is_(None), StripeResource.leased_until < at),
        )
        .order_by(StripeResource.next_try_at.nulls_first(), case(_ORDER, value=StripeResource.name))
        .limit(1)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if row is None:
        return None
    if row.cursor is None:
        if schedule.missed_events(row, at):
            progress.read_all(session)
        row.started_at, row.since, row.unkept = at, schedule.since(row, at), []
        if schedule.reads_all(row):
            row.objects, row.reached = 0, None
    if row.problem is None and schedule.reads_all(row):
        row.state = "backfill"
    row.leased_until = at + LEASE
    session.flush()
    return Claimed(
        row.name,
        row.cursor,
        _created_at(session, row.name, row.cursor),
        row.since,
        row.leased_until,
        account.livemode(session),
    )


def read(client: Client, claimed: Claimed) -> Listing | Unread:
    """The page after the cursor. Open no transaction. Never raises."""
    if None not in (client.livemode, claimed.livemode) and client.livemode != claimed.livemode:
        return Unread(_OTHER_MODE.format(*(("live", "test") if client.livemode else ("test", "live"))))
    try:
        return _page(client, claimed)
    except NotPermitted as problem:
        return Unread(_LACKS.format(progress.permission(claimed.name), problem), permitted=False)
    except Rejected as problem:
        return Unread(str(problem), accepted=False)
    except StripeProblem as problem:
        return Unread(str(problem))
    except Exception:
        log.exception("stripe_page_failed", resource=claimed.name)
        return Unread("Reading Stripe's answer failed unexpectedly; the log has it.")


def take(
    session: Session,
    claimed: Claimed,
    page: Listing | Unread,
    *,
    lifetime: timedelta = RETURNED_CREDITS_LIVE,
    at: datetime | None = None,
) -> Claimed | None:
    """Store a page that was read, with what follows from it; what to read next in this turn, if anything.

    What another worker has claimed meanwhile is left alone. `lifetime` is how long credits live that return to a
    grant which has expired.
    """
    followed_at, at = at, at or datetime.now(UTC)
    row = session.get_one(StripeResource, claimed.name, with_for_update=True, populate_existing=True)
    if row.leased_until != claimed.lease or row.cursor != claimed.cursor:
        return None
    if isinstance(page, Unread):
        _postpone(session, row, page, at)
        return None
    last = not page.has_more or not page.objects
    news = _store(session, row, page, last=last)
    purchases.absorb(session, row.name, news, lifetime=lifetime, at=followed_at)
    row.problem, row.attempts = None, 0
    row.state = "backfill" if schedule.reads_all(row) else "current"
    if last:
        _finish(session, row, at)
        return None
    row.cursor = page.objects[-1]["id"]
    if claimed.pages + 1 >= PAGES_AT_ONCE:
        row.leased_until, row.next_try_at = None, at
        session.flush()
        return None
    row.leased_until = at + LEASE
    session.flush()
    return replace(
        claimed,
        cursor=row.cursor,
        cursor_at=columns.moment(page.objects[-1].get("created")),
        lease=row.leased_until,
        pages=claimed.pages + 1,
    )


def _page(client: Client, claimed: Claimed) -> Listing:
    since = None if claimed.since is None else int(claimed.since.timestamp())
    if claimed.name == EVENTS:
        try:
            return client.events(since or 0, after=claimed.cursor)
        except CursorGone:
            return client.events(since or 0)
    try:
        return client.page(claimed.name, after=claimed.cursor, created_from=since)
    except CursorGone:
        # The object was deleted since: go on with what is as old as it was, at the cost of reading a few again.
        before = None if claimed.cursor_at is None else int(claimed.cursor_at.timestamp()) + 1
        return client.page(claimed.name, created_from=since, created_before=before)


def _store(session: Session, row: StripeResource, page: Listing, *, last: bool) -> list[str]:
    """Keep a page, after the last one also what was on none. The objects whose consequences are to be drawn. What
    cannot be kept is noted, and keeps nothing else out."""
    if row.name == EVENTS:
        events.note(session, page.objects)
        return []
    news, unkept = mirror.store_each(session, row.name, page.objects, page.read_at)
    for name, error in unkept.items():
        log.error("stripe_object_not_kept", resource=row.name, id=name, exc_info=error)
    row.unkept = [*row.unkept, *(f"{name} ({type(error).__name__})" for name, error in unkept.items())][
        :UNKEPT_NAMED
    ]
    if schedule.reads_all(row):
        kept = [one for one in page.objects if str(one.get("id")) not in unkept]
        # Known or not: what followed from it then may follow differently now.
        news = sorted({one["id"] for one in kept})
        row.objects += len(news)
        created = [datetime.fromtimestamp(one["created"], UTC) for one in kept]
        row.reached = min(filter(None, (row.reached, *created)), default=None)
    if last and row.since is None and row.started_at is not None and row.name in _DELETABLE:
        news += mirror.mark_unlisted(session, row.name, row.started_at - SKEW)
    return news


def _finish(session: Session, row: StripeResource, at: datetime) -> None:
    if row.unkept:
        _finish_in_part(session, row, at)
        return
    if schedule.is_reread(row):
        row.reread_at = row.started_at
    row.finished_at = row.finished_at or at
    row.read_at = row.newest = row.started_at
    row.state, row.cursor, row.since, row.leased_until = "current", None, None, None
    row.next_try_at = schedule.next_reading(row.name, at)
    session.flush()


def _finish_in_part(session: Session, row: StripeResource, at: datetime) -> None:
    """All was read, but not all could be kept: the list is not complete, and is read again in an hour."""
    named = ", ".join(row.unkept[:SAID])
    more = len(row.unkept) - SAID
    row.state, row.attempts = "failed", 1
    row.problem = _UNKEPT.format(named if more <= 0 else f"{named} and {more} more")
    row.cursor, row.since, row.leased_until = None, None, None
    row.next_try_at = at + schedule.LONGEST_WAIT
    session.flush()


def _postpone(session: Session, row: StripeResource, unread: Unread, at: datetime) -> None:
    row.attempts += 1
    row.state = "failed" if unread.permitted else "no_permission"
    row.problem, row.leased_until = unread.problem[:1000], None
    row.next_try_at = schedule.next_attempt(row.attempts, at, permitted=unread.permitted)
    log.warning("stripe_list_unread", resource=row.name, problem=unread.problem, attempts=row.attempts)
    session.flush()
    if not unread.accepted:
        # No other list can be read with this key either: there is no need to ask for each.
        session.execute(
            update(StripeResource)
            .where(
                StripeResource.name != row.name,
                or_(StripeResource.leased_until.is_(None), StripeResource.leased_until < at),
            )
            .values(state="failed", problem=row.problem, next_try_at=row.next_try_at)
        )


def _created_at(session: Session, name: str, cursor: str | None) -> datetime | None:
    if cursor is None:
        return None
    table: Any = StripeEvent if name == EVENTS else mirror.MODELS[name]
    return session.scalar(select(table.created_at).where(table.id == cursor))


_ORDER = {name: number for number, name in enumerate(progress.NAMES)}
_DELETABLE = frozenset({"products", "coupons", "customers"})
_OTHER_MODE = (
    "STRIPE_API_KEY is a key of {0} mode, but what is stored here is of {1} mode. Use a key of {1} mode, or "
    "another database."
)
_UNKEPT = "All of the list was read, and kept but for {}: what it adds up to is not complete. The log has more."
_LACKS = (
    "The key lacks a permission. In Stripe's dashboard, under Developers, API keys, let it read “{}”. "
    "The rest is read all the same. {}"
)
