"""Credits sold: purchases, and what was taken back of them because money went back."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, Count, UUIDKey, Written, foreign_text

SOURCE_KINDS = ("checkout_session", "invoice")


class Purchase(Base):
    """A paid checkout session or invoice that was credited, once: `source_kind` and `source_id` say which.

    `amount` was paid for its credits, without tax, and `paid` for all that it bought, with tax: both in the minor
    unit of `currency`, that of the charge. One credit cost `amount / credits`. Of `paid`, `returned` went back
    since, by refunds and disputes (what stands of both is in `refunded` and `disputed`), and so `clawed` of the
    credits: `gone` of them had expired unspent, `owed` could not be taken yet (the debt), the rest was taken.
    Everything after `granted_at` changes only through rows of `Clawback`.
    """

    __tablename__ = "purchases"
    __table_args__ = (
        CheckConstraint("source_kind IN ('checkout_session', 'invoice')", name="source_kind"),
        CheckConstraint(foreign_text("source_id"), name="source_id"),
        CheckConstraint("credits > 0", name="credits"),
        CheckConstraint("amount >= 0 AND paid >= 0", name="amount"),
        CheckConstraint("refunded >= 0 AND disputed >= 0 AND returned BETWEEN 0 AND paid", name="returned"),
        CheckConstraint(
            "clawed BETWEEN 0 AND credits AND owed >= 0 AND gone >= 0 AND owed + gone <= clawed", name="clawed"
        ),
        Index("uq_purchases_source", "source_kind", "source_id", unique=True),
        Index("uq_purchases_grant", "grant_id", unique=True),
        Index("ix_purchases_customer", "customer_id", "paid_at", "id"),
        Index("ix_purchases_paid_at", "paid_at", "id"),
        Index("ix_purchases_owed", "customer_id", postgresql_where=text("owed > 0")),
    )

    id: Mapped[UUIDKey]
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    linked_by: Mapped[str]
    source_kind: Mapped[str]
    source_id: Mapped[str]
    # The key of the purchase is taken before the balance is locked and the grant made.
    grant_id: Mapped[UUID] = mapped_column(ForeignKey("grants.id", deferrable=True, initially="DEFERRED"))
    credits: Mapped[int]
    currency: Mapped[str]
    amount: Mapped[int]
    paid: Mapped[int]
    paid_at: Mapped[datetime]
    granted_at: Mapped[datetime]
    refunded: Mapped[Count]
    disputed: Mapped[Count]
    returned: Mapped[Count]
    clawed: Mapped[Count]
    owed: Mapped[Count]
    gone: Mapped[Count]
    created_at: Mapped[Written]


class Clawback(Base):
    """One change of what was taken back of a purchase. Append-only, numbered from 1 for each purchase.

    `amount` is the money that went back (+) or came back (−) since the row before, `refunded` and `disputed` what
    stands of refunds and disputes after it. `taken` credits left (+) or returned (−) by the ledger row
    `transaction_id`; `owed` is by how much the debt grew or shrank, `gone` how many had expired by themselves.
    """

    __tablename__ = "clawbacks"
    __table_args__ = (
        CheckConstraint("cause IN ('refund', 'dispute', 'refund_failed', 'dispute_won', 'debt')", name="cause"),
        CheckConstraint("(taken <> 0) = (transaction_id IS NOT NULL)", name="transaction"),
        CheckConstraint(
            "cause <> 'debt' OR (amount = 0 AND gone = 0 AND taken > 0 AND owed = -taken)", name="debt"
        ),
        Index("uq_clawbacks_number", "purchase_id", "number", unique=True),
        Index("uq_clawbacks_transaction", "transaction_id", unique=True),
        Index("ix_clawbacks_customer", "customer_id", "id"),
    )

    id: Mapped[UUIDKey]
    purchase_id: Mapped[UUID] = mapped_column(ForeignKey("purchases.id"))
    number: Mapped[int]
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    transaction_id: Mapped[UUID | None] = mapped_column(ForeignKey("credit_transactions.id"))
    cause: Mapped[str]
    amount: Mapped[int]
    refunded: Mapped[int]
    disputed: Mapped[int]
    taken: Mapped[int]
    owed: Mapped[int]
    gone: Mapped[int]
    occurred_at: Mapped[datetime]
    created_at: Mapped[Written]


class PaymentChange(Base):
    """Something that the payment check has to look at again: an object of Stripe's, or the source of a purchase,
    that is new, or changed since the check last found it in order. Triggers add a row as often as it changes."""

    __tablename__ = "payment_changes"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    object_id: Mapped[str]
