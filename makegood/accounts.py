"""One customer's account: credits now, what was used, grants, ledger, notes, newest generations and refunds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import customers, generation_log, grants, ledger, notes, refund_history
from makegood.calendars import local_day, month_of
from makegood.generation_log import GenerationFilters, LoggedGeneration
from makegood.models import Balance, CreditAdjustment, CreditTransaction, Customer, CustomerNote, Grant
from makegood.purchases import of_customer
from makegood.purchases.of_customer import AtStripe
from makegood.refund_history import LoggedRefund, RefundFilters
from makegood.stats import customers as used
from makegood.stats.figures import Usage
from makegood.terms import Terms

ENTRIES = 25
GENERATIONS = 10
REFUNDS = 10


@dataclass(frozen=True)
class Account:
    """A customer now. Figures are of this month (reporting time zone) and of all time.

    `older` and `newer` are the ledger entries before which the neighbouring pages lie, 0 for the newest page, None
    where there is no such page. `adjustments` explain ledger rows, by their ids. `older_notes` is the note before
    which older ones lie.
    """

    customer: Customer
    balance: Balance
    this_month: Usage
    ever: Usage
    grants: list[Grant]
    transactions: list[CreditTransaction]
    older: int | None
    newer: int | None
    adjustments: dict[UUID, CreditAdjustment]
    generations: list[LoggedGeneration]
    refunds: list[LoggedRefund]
    notes: list[CustomerNote]
    older_notes: UUID | None
    at_stripe: AtStripe


def read(
    session: Session,
    customer_id: str,
    terms: Terms,
    *,
    before: int | None = None,
    notes_before: UUID | None = None,
    at: datetime | None = None,
) -> Account:
    """The account, with ledger rows older than entry `before` and notes older than that one. Raises NotFound."""
    at = at or datetime.now(UTC)
    customer = customers.get(session, customer_id)
    balance = session.get_one(Balance, customer_id, populate_existing=True)
    rows = ledger.transactions(session, customer_id, before=before, limit=ENTRIES + 1)
    shown = rows[:ENTRIES]
    written = notes.listed(session, customer_id, before=notes_before, limit=notes.SHOWN + 1)
    month = month_of(local_day(at, terms.timezone))
    return Account(
        customer,
        balance,
        used.since(session, terms, customer_id, month),
        used.since(session, terms, customer_id),
        grants.open_grants(session, customer_id, at),
        shown,
        shown[-1].entry if len(rows) > ENTRIES else None,
        _newer(before, balance.entries),
        _adjustments(session, shown),
        generation_log.GENERATIONS.page(
            session, GenerationFilters(customer_id=customer_id), limit=GENERATIONS
        ).rows,
        refund_history.REFUNDS.page(session, RefundFilters(customer_id=customer_id), limit=REFUNDS).rows,
        written[: notes.SHOWN],
        written[notes.SHOWN - 1].id if len(written) > notes.SHOWN else None,
        of_customer.read(session, customer_id),
    )


def _newer(before: int | None, entries: int) -> int | None:
    if before is None:
        return None
    return before + ENTRIES if before + ENTRIES <= entries else 0


def _adjustments(session: Session, rows: list[CreditTransaction]) -> dict[UUID, CreditAdjustment]:
    adjusted = [row.id for row in rows if row.kind == "adjustment"]
    query = select(CreditAdjustment).where(CreditAdjustment.transaction_id.in_(adjusted))
    return {found.transaction_id: found for found in session.scalars(query)}
