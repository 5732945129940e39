"""Reading a bill from a provider's API, page by page, in the worker.

No transaction is open while the provider is asked: claim (and commit), read a page, take it (and commit). A claim
is a lease; what a killed worker had claimed goes on at the page where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from makegood.bills import imports, lines
from makegood.models import Bill
from makegood.providers.billing import BillPage, BillUnreadable
from makegood.providers.protocol import FetchFailed, Provider

LEASE = timedelta(seconds=90)
ATTEMPTS = 5
FIRST_WAIT = timedelta(seconds=10)

log = structlog.get_logger()


@dataclass(frozen=True)
class Claimed:
    """An import that this worker reads now, at this cursor."""

    id: UUID
    provider: str
    start: datetime
    end: datetime
    cursor: str | None


@dataclass(frozen=True)
class Unread:
    """Why a page could not be read. `final` when asking again is of no use."""

    problem: str
    final: bool


def claim(session: Session, *, at: datetime | None = None) -> Claimed | None:
    """Lease the oldest import that waits, or whose worker was killed. The caller commits before it reads."""
    at = at or datetime.now(UTC)
    due = (
        select(Bill.id)
        .where(Bill.state.in_(("waiting", "running")), Bill.leased_until.is_(None) | (Bill.leased_until < at))
        .order_by(Bill.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    row = session.execute(
        update(Bill)
        .where(Bill.id == due)
        .values(state="running", leased_until=at + LEASE)
        .returning(Bill.id, Bill.provider, Bill.period_start, Bill.period_end, Bill.cursor)
        .execution_options(synchronize_session=False)
    ).first()
    return Claimed(*row) if row else None


def read(providers: Mapping[str, Provider], claimed: Claimed) -> BillPage | Unread:
    """The page at the cursor. Open no transaction. Never raises."""
    billing = imports.billing(providers.get(claimed.provider))
    if billing is None:
        return Unread("The provider's billing API is not configured any more. Set its API key.", final=True)
    try:
        return billing.page(claimed.start, claimed.end, claimed.cursor)
    except FetchFailed as error:
        return Unread(f"The provider could not be asked: {error}.", final=False)
    except BillUnreadable as error:
        return Unread(str(error), final=True)
    except Exception:
        log.exception("bill_page_failed", bill_id=str(claimed.id))
        return Unread("Reading the provider's answer failed unexpectedly; the log has it.", final=True)


def take(
    session: Session, claimed: Claimed, page: BillPage | Unread, *, at: datetime | None = None
) -> Claimed | None:
    """Store a page that was read; what to read next, if anything. What another worker has stored meanwhile is left
    alone. An import that cannot go on waits and is tried again, at last it has failed with its reason."""
    at = at or datetime.now(UTC)
    bill = imports.get(session, claimed.id, lock=True)
    if bill.state != "running" or bill.cursor != claimed.cursor:
        return None
    if isinstance(page, Unread):
        _postpone(session, bill, page, at)
        return None
    lines.store(session, bill, page.lines)
    bill.lines_pending += page.pending
    bill.cursor, bill.attempts = page.next, 0
    if page.next is None:
        _finish(session, bill, at)
        return None
    bill.leased_until = at + LEASE
    session.flush()
    return replace(claimed, cursor=page.next)


def _postpone(session: Session, bill: Bill, unread: Unread, at: datetime) -> None:
    bill.attempts += 1
    if unread.final or bill.attempts >= ATTEMPTS:
        log.warning("bill_import_failed", bill_id=str(bill.id), provider=bill.provider, problem=unread.problem)
        _finish(session, bill, at, unread.problem[:1000])
    else:
        bill.leased_until = at + FIRST_WAIT * 2**bill.attempts
        session.flush()


def _finish(session: Session, bill: Bill, at: datetime, problem: str | None = None) -> None:
    bill.state, bill.problem, bill.finished_at = ("failed" if problem else "done"), problem, at
    bill.leased_until = bill.cursor = None
    session.flush()
