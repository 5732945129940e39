"""What Stripe has told us: its objects as received, beside the columns that we use.

Identifiers are Stripe's own. Amounts are whole numbers in the minor unit of their currency, named in lower case.
`read_at` is when the request was begun whose answer this is: what was read earlier never overwrites what was
read later. `customer_id` is our customer, once linked (`makegood.purchases.linking`), and `linked_by` says by
what: null while nobody knows whose it is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, false, literal_column, text
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from makegood.models.base import Base, foreign_text


class Mirrored:
    """One object of Stripe's. `deleted` says that Stripe no longer has it; its last `body` stays."""

    id: Mapped[str] = mapped_column(primary_key=True, sort_order=-4)
    created_at: Mapped[datetime] = mapped_column(sort_order=-3)
    livemode: Mapped[bool] = mapped_column(sort_order=-2)
    deleted: Mapped[bool] = mapped_column(server_default=false(), sort_order=-1)
    body: Mapped[dict[str, Any]] = mapped_column(sort_order=8)
    read_at: Mapped[datetime] = mapped_column(sort_order=9)


class Linked:
    """An object that belongs to a customer."""

    stripe_customer_id: Mapped[str | None] = mapped_column(index=True)
    linked_by: Mapped[str | None] = mapped_column(sort_order=7)

    @declared_attr
    def customer_id(cls) -> Mapped[str | None]:
        """Our customer."""
        return mapped_column(ForeignKey("customers.id"), index=True, sort_order=6)


class BalanceTransaction(Mirrored, Base):
    """What moved the balance at Stripe, in the settlement currency: `net` = `amount` - `fee`."""

    __tablename__ = "stripe_balance_transactions"
    __table_args__ = (
        CheckConstraint("net = amount - fee", name="net"),
        Index("ix_stripe_balance_transactions_created_at", "created_at", "id"),
        Index("ix_stripe_balance_transactions_source", "source"),
        Index("ix_stripe_balance_transactions_category", "reporting_category", "created_at", "id"),
    )

    type: Mapped[str]
    reporting_category: Mapped[str]
    currency: Mapped[str]
    amount: Mapped[int]
    fee: Mapped[int]
    net: Mapped[int]
    source: Mapped[str | None]
    status: Mapped[str]
    available_on: Mapped[datetime]


class Charge(Mirrored, Linked, Base):
    """A payment that was tried, in the currency that the customer paid. `amount_refunded` is cumulative."""

    __tablename__ = "stripe_charges"
    __table_args__ = (
        Index("ix_stripe_charges_created_at", "created_at", "id"),
        Index("ix_stripe_charges_payment_intent", "payment_intent"),
    )

    payment_intent: Mapped[str | None]
    status: Mapped[str]
    currency: Mapped[str]
    amount: Mapped[int]
    amount_captured: Mapped[int]
    amount_refunded: Mapped[int]
    disputed: Mapped[bool]
    email: Mapped[str | None]
    user_id: Mapped[str | None]
    balance_transaction: Mapped[str | None]


class PaymentRefund(Mirrored, Base):
    """Money that goes back for a charge, in the charge's currency."""

    __tablename__ = "stripe_refunds"
    __table_args__ = (
        Index("ix_stripe_refunds_created_at", "created_at", "id"),
        Index("ix_stripe_refunds_charge_id", "charge_id"),
    )

    charge_id: Mapped[str | None]
    payment_intent: Mapped[str | None]
    status: Mapped[str | None]
    currency: Mapped[str]
    amount: Mapped[int]
    balance_transaction: Mapped[str | None]
    failure_balance_transaction: Mapped[str | None]


class Dispute(Mirrored, Base):
    """A charge that the customer's bank calls in question. An inquiry (`warning_...`) moves no money."""

    __tablename__ = "stripe_disputes"
    __table_args__ = (
        Index("ix_stripe_disputes_created_at", "created_at", "id"),
        Index("ix_stripe_disputes_charge_id", "charge_id"),
    )

    charge_id: Mapped[str | None]
    payment_intent: Mapped[str | None]
    status: Mapped[str]
    currency: Mapped[str]
    amount: Mapped[int]


class Invoice(Mirrored, Linked, Base):
    """A bill of Stripe's to a customer. `tax` is the part of `total` that is tax."""

    __tablename__ = "stripe_invoices"
    __table_args__ = (
        Index("ix_stripe_invoices_created_at", "created_at", "id"),
        Index("ix_stripe_invoices_subscription_id", "subscription_id"),
    )

    subscription_id: Mapped[str | None]
    status: Mapped[str | None]
    billing_reason: Mapped[str | None]
    currency: Mapped[str]
    amount_due: Mapped[int]
    amount_paid: Mapped[int]
    total: Mapped[int]
    tax: Mapped[int]
    paid_at: Mapped[datetime | None]


class InvoicePayment(Mirrored, Base):
    """Which payment paid which invoice: an invoice can have several."""

    __tablename__ = "stripe_invoice_payments"
    __table_args__ = (
        Index("ix_stripe_invoice_payments_created_at", "created_at", "id"),
        Index("ix_stripe_invoice_payments_invoice_id", "invoice_id"),
        Index("ix_stripe_invoice_payments_payment_intent", "payment_intent"),
        Index("ix_stripe_invoice_payments_charge_id", "charge_id"),
    )

    invoice_id: Mapped[str]
    payment_intent: Mapped[str | None]
    charge_id: Mapped[str | None]
    status: Mapped[str]
    currency: Mapped[str]
    amount_paid: Mapped[int | None]


class Subscription(Mirrored, Linked, Base):
    """A subscription as it is now. Its items, with their prices and periods, are in `body`."""

    __tablename__ = "stripe_subscriptions"
    __table_args__ = (
        Index("ix_stripe_subscriptions_created_at", "created_at", "id"),
        Index("ix_stripe_subscriptions_status", "status"),
    )

    status: Mapped[str]
    currency: Mapped[str]
    user_id: Mapped[str | None]
    trial_end: Mapped[datetime | None]
    cancel_at: Mapped[datetime | None]
    canceled_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class StripeCustomer(Mirrored, Base):
    """A customer at Stripe. What they are called there is not what they are called here: `customer_id` is our id.

    A deleted one is missing from Stripe's lists and loses its metadata there; here its last body stays.
    """

    __tablename__ = "stripe_customers"
    __table_args__ = (
        Index("ix_stripe_customers_created_at", "created_at", "id"),
        Index("ix_stripe_customers_email", literal_column("lower(email)")),
    )

    email: Mapped[str | None]
    user_id: Mapped[str | None]
    customer_id: Mapped[str | None] = mapped_column(ForeignKey("customers.id"), index=True)
    linked_by: Mapped[str | None]


class StripePrice(Mirrored, Base):
    """What a product costs. Tiers and transformations are in `body`; `unit_amount` is null where they decide."""

    __tablename__ = "stripe_prices"

    product_id: Mapped[str | None]
    active: Mapped[bool]
    currency: Mapped[str]
    unit_amount: Mapped[int | None]


class Product(Mirrored, Base):
    """What is sold. Its metadata says how many credits one of it is."""

    __tablename__ = "stripe_products"

    name: Mapped[str | None]
    active: Mapped[bool]


class Coupon(Mirrored, Base):
    """A discount."""

    __tablename__ = "stripe_coupons"

    duration: Mapped[str | None]


class CheckoutSession(Mirrored, Linked, Base):
    """One visit to the checkout. Its line items are in `body`, complete."""

    __tablename__ = "stripe_checkout_sessions"
    __table_args__ = (
        Index("ix_stripe_checkout_sessions_created_at", "created_at", "id"),
        Index("ix_stripe_checkout_sessions_payment_intent", "payment_intent"),
        Index("ix_stripe_checkout_sessions_subscription_id", "subscription_id"),
    )

    mode: Mapped[str]
    status: Mapped[str | None]
    payment_status: Mapped[str]
    client_reference_id: Mapped[str | None]
    email: Mapped[str | None]
    payment_intent: Mapped[str | None]
    subscription_id: Mapped[str | None]
    invoice_id: Mapped[str | None]
    currency: Mapped[str | None]
    amount_total: Mapped[int | None]


class Payout(Mirrored, Base):
    """Money that Stripe sent to the platform's bank account."""

    __tablename__ = "stripe_payouts"
    __table_args__ = (Index("ix_stripe_payouts_created_at", "created_at", "id"),)

    status: Mapped[str]
    currency: Mapped[str]
    amount: Mapped[int]
    arrival_date: Mapped[datetime | None]


class StripeResource(Base):
    """How far one of Stripe's lists has been read.

    A reading that began at `started_at` goes from the newest object back to `since` (null: to the oldest);
    `cursor` is the last one stored. The first reading, and one that an operator asks for (`reread_at` null), read
    everything: `objects` is how many they have read so far, `reached` when the oldest of those was created. The
    first one ended at `finished_at`. From then on what came after `newest` is read, and once a night what can
    still change: `reread_at` is when that was begun. `read_at` is when the last complete reading was begun. A
    resource that our key may not read says so in `problem`, and so does one that failed. `unkept` are objects of
    the last reading that could not be stored, with the reason. `next_try_at` is when it is read again. One worker
    at a time reads it, while `leased_until`.
    """

    __tablename__ = "stripe_resources"
    __table_args__ = (
        CheckConstraint(
            "state IN ('waiting', 'backfill', 'current', 'no_permission', 'failed')",
            name="state",
        ),
        CheckConstraint("(state IN ('no_permission', 'failed')) = (problem IS NOT NULL)", name="problem"),
    )

    name: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(server_default=text("'waiting'"))
    cursor: Mapped[str | None]
    since: Mapped[datetime | None]
    objects: Mapped[int] = mapped_column(server_default=text("0"))
    reached: Mapped[datetime | None]
    newest: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    reread_at: Mapped[datetime | None]
    problem: Mapped[str | None]
    unkept: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_try_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]


class StripeAccount(Base):
    """What holds for the whole account. One row, made when Stripe is first heard or read.

    What was paid for before `grants_since` was credited elsewhere, if at all: it grants nothing here.
    """

    __tablename__ = "stripe_account"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    livemode: Mapped[bool | None]
    grants_since: Mapped[datetime]


EVENT_STATES = ("waiting", "applied", "ignored", "failed")


class StripeEvent(Base):
    """An event of Stripe's, as delivered (`source` webhook) or found in its list of events (`source` list).

    It only says what to look at: the worker fetches the object anew. What is `ignored` changes nothing here, and
    `problem` says why; what `failed` was tried for the last time and waits for an operator.
    """

    __tablename__ = "stripe_events"
    __table_args__ = (
        CheckConstraint(foreign_text("id"), name="id"),
        CheckConstraint("source IN ('webhook', 'list')", name="source"),
        CheckConstraint("state IN ('waiting', 'applied', 'ignored', 'failed')", name="state"),
        CheckConstraint("(state IN ('applied', 'ignored')) = (done_at IS NOT NULL)", name="done"),
        CheckConstraint("state <> 'failed' OR problem IS NOT NULL", name="problem"),
        Index("ix_stripe_events_due", "next_try_at", postgresql_where=text("state = 'waiting'")),
        Index("ix_stripe_events_received", "received_at", "id"),
        Index("ix_stripe_events_delivered", "received_at", postgresql_where=text("source = 'webhook'")),
        Index("ix_stripe_events_type", "type", "received_at", "id"),
        Index("ix_stripe_events_state", "state", "received_at", "id", postgresql_where=text("state <> 'applied'")),
        Index("ix_stripe_events_object", "object_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    object_type: Mapped[str | None]
    object_id: Mapped[str | None]
    livemode: Mapped[bool]
    api_version: Mapped[str | None]
    source: Mapped[str]
    raw: Mapped[bytes]
    created_at: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    state: Mapped[str] = mapped_column(server_default=text("'waiting'"))
    problem: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_try_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    done_at: Mapped[datetime | None]
