"""Imports of bills: asked for by an operator or by the clock, and found again."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood import audit, calendars, pages
from makegood.errors import Conflict, Invalid, NotFound
from makegood.ids import uuid7
from makegood.models import Bill
from makegood.pages import Listing
from makegood.providers import wavespeed_billing
from makegood.providers.billing import Billing
from makegood.providers.protocol import Provider

LONGEST = timedelta(days=92)


def billing(provider: Provider | None) -> Billing | None:
    """How this provider is asked what it charged; None where it cannot be, or is not configured."""
    return wavespeed_billing.of(provider)


def start(
    session: Session,
    provider: Provider | None,
    first: date,
    last: date,
    timezone: ZoneInfo,
    *,
    actor: str,
    address: str | None = None,
) -> Bill:
    """Let the worker import the bill of these days, both included, in the reporting time zone. Raises Invalid, and
    Conflict while that import is under way."""
    if provider is None or billing(provider) is None:
        raise Invalid(
            "This provider cannot be asked what it charged. Upload its bill as CSV instead.",
            fields={"provider": "has no billing API that is configured"},
        )
    bill = add(session, provider.name, *period(first, last, timezone), actor=actor, address=address)
    if bill is None:
        raise Conflict("This import is already under way. Its row in the list shows how far it is.")
    return bill


def start_again(session: Session, bill_id: UUID, *, actor: str, address: str | None = None) -> Bill:
    """Read a failed import anew, from its first page: what it had stored stays and adds nothing twice. Raises
    NotFound, and Conflict for one that has not failed."""
    bill = get(session, bill_id, lock=True)
    if bill.state != "failed":
        raise Conflict("Only an import that failed can be started again. Reload the page to see its state.")
    bill.state, bill.problem, bill.finished_at, bill.cursor = "waiting", None, None, None
    bill.attempts = bill.lines_known = bill.lines_differing = bill.lines_pending = 0
    session.flush()
    record(session, bill, "bill.started_again", actor, address)
    return bill


def get(session: Session, bill_id: UUID, *, lock: bool = False) -> Bill:
    """The import. Raises NotFound."""
    query = select(Bill).where(Bill.id == bill_id).execution_options(populate_existing=True)
    bill = session.scalar(query.with_for_update() if lock else query)
    if bill is None:
        raise NotFound("There is no such import of a bill. The list of bills has all of them.")
    return bill


IMPORTS: Listing[None, Bill] = Listing(select(Bill), pages.whole, at=Bill.created_at, id=Bill.id)


def add(
    session: Session, provider: str, begin: datetime, end: datetime, *, actor: str, address: str | None = None
) -> Bill | None:
    """An import that waits for the worker; None when the same one is under way."""
    bill: Bill | None = session.scalar(
        insert(Bill)
        .values(
            id=uuid7(),
            provider=provider,
            origin="api",
            period_start=begin,
            period_end=end,
            state="waiting",
            actor=actor,
        )
        .on_conflict_do_nothing()
        .returning(Bill)
    )
    if bill is not None:
        record(session, bill, "bill.started", actor, address)
    return bill


def period(first: date, last: date, timezone: ZoneInfo) -> tuple[datetime, datetime]:
    """These days, both included, as a half-open range. Raises Invalid when it is empty or too long."""
    if last < first:
        raise Invalid("The period ends before it starts. Exchange its ends.", fields={"to": "is before the start"})
    begin, end = calendars.start_of(first, timezone), calendars.start_of(last + timedelta(days=1), timezone)
    if end - begin > LONGEST:
        raise Invalid("The period is too long. Import at most three months at once.", fields={"to": "is too late"})
    return begin, end


def record(session: Session, bill: Bill, action: str, actor: str, address: str | None = None) -> None:
    """Write down what was done with an import."""
    details = {
        "provider": bill.provider,
        "origin": bill.origin,
        "file_name": bill.file_name,
        "from": bill.period_start.isoformat(),
        "until": bill.period_end.isoformat(),
        "lines_added": bill.lines_added,
        "lines_known": bill.lines_known,
    }
    audit.record(session, actor=actor, action=action, subject=f"bill:{bill.id}", details=details, address=address)
