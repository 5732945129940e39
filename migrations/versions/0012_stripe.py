"""What Stripe has told us: its objects, how far its lists are read, and its events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "stripe_account",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=True),
        sa.Column("grants_since", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_stripe_account_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_account")),
    )
    op.create_table(
        "stripe_balance_transactions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("reporting_category", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("available_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("net = amount - fee", name=op.f("ck_stripe_balance_transactions_net")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_balance_transactions")),
    )
    op.create_index(
        "ix_stripe_balance_transactions_created_at",
        "stripe_balance_transactions",
        ["created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_stripe_balance_transactions_source", "stripe_balance_transactions", ["source"], unique=False
    )
    op.create_table(
        "stripe_coupons",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("duration", sa.Text(), nullable=True),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_coupons")),
    )
    op.create_table(
        "stripe_disputes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("charge_id", sa.Text(), nullable=True),
        sa.Column("payment_intent", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_disputes")),
    )
    op.create_index("ix_stripe_disputes_charge_id", "stripe_disputes", ["charge_id"], unique=False)
    op.create_index("ix_stripe_disputes_created_at", "stripe_disputes", ["created_at", "id"], unique=False)
    op.create_table(
        "stripe_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("object_type", sa.Text(), nullable=True),
        sa.Column("object_id", sa.Text(), nullable=True),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("api_version", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "received_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("state", sa.Text(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "next_try_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state IN ('applied', 'ignored')) = (done_at IS NOT NULL)", name=op.f("ck_stripe_events_done")
        ),
        sa.CheckConstraint("source IN ('webhook', 'list')", name=op.f("ck_stripe_events_source")),
        sa.CheckConstraint("state <> 'failed' OR problem IS NOT NULL", name=op.f("ck_stripe_events_problem")),
        sa.CheckConstraint(
            "state IN ('waiting', 'applied', 'ignored', 'failed')", name=op.f("ck_stripe_events_state")
        ),
        sa.CheckConstraint("char_length(id) BETWEEN 1 AND 200", name=op.f("ck_stripe_events_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_events")),
    )
    op.create_index(
        "ix_stripe_events_due",
        "stripe_events",
        ["next_try_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("ix_stripe_events_object", "stripe_events", ["object_id"], unique=False)
    op.create_index("ix_stripe_events_received", "stripe_events", ["received_at", "id"], unique=False)
    op.create_index(
        "ix_stripe_events_delivered",
        "stripe_events",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("source = 'webhook'"),
    )
    op.create_index("ix_stripe_events_type", "stripe_events", ["type", "received_at", "id"], unique=False)
    op.create_index(
        "ix_stripe_events_state",
        "stripe_events",
        ["state", "received_at", "id"],
        unique=False,
        postgresql_where=sa.text("state <> 'applied'"),
    )
    op.create_table(
        "stripe_invoice_payments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("invoice_id", sa.Text(), nullable=False),
        sa.Column("payment_intent", sa.Text(), nullable=True),
        sa.Column("charge_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_paid", sa.BigInteger(), nullable=True),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_invoice_payments")),
    )
    op.create_index(
        "ix_stripe_invoice_payments_created_at", "stripe_invoice_payments", ["created_at", "id"], unique=False
    )
    op.create_index(
        "ix_stripe_invoice_payments_invoice_id", "stripe_invoice_payments", ["invoice_id"], unique=False
    )
    op.create_index(
        "ix_stripe_invoice_payments_payment_intent", "stripe_invoice_payments", ["payment_intent"], unique=False
    )
    op.create_index("ix_stripe_invoice_payments_charge_id", "stripe_invoice_payments", ["charge_id"], unique=False)
    op.create_table(
        "stripe_payouts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("arrival_date", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_payouts")),
    )
    op.create_index("ix_stripe_payouts_created_at", "stripe_payouts", ["created_at", "id"], unique=False)
    op.create_table(
        "stripe_prices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("product_id", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("unit_amount", sa.BigInteger(), nullable=True),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_prices")),
    )
    op.create_table(
        "stripe_products",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_products")),
    )
    op.create_table(
        "stripe_refunds",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("charge_id", sa.Text(), nullable=True),
        sa.Column("payment_intent", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("balance_transaction", sa.Text(), nullable=True),
        sa.Column("failure_balance_transaction", sa.Text(), nullable=True),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_refunds")),
    )
    op.create_index("ix_stripe_refunds_charge_id", "stripe_refunds", ["charge_id"], unique=False)
    op.create_index("ix_stripe_refunds_created_at", "stripe_refunds", ["created_at", "id"], unique=False)
    op.create_table(
        "stripe_resources",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("objects", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reached", sa.DateTime(timezone=True), nullable=True),
        sa.Column("newest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reread_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("unkept", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state IN ('no_permission', 'failed')) = (problem IS NOT NULL)",
            name=op.f("ck_stripe_resources_problem"),
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'backfill', 'current', 'no_permission', 'failed')",
            name=op.f("ck_stripe_resources_state"),
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_stripe_resources")),
    )
    op.create_table(
        "stripe_charges",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("payment_intent", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("amount_captured", sa.BigInteger(), nullable=False),
        sa.Column("amount_refunded", sa.BigInteger(), nullable=False),
        sa.Column("disputed", sa.Boolean(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("balance_transaction", sa.Text(), nullable=True),
        sa.Column("stripe_customer_id", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("linked_by", sa.Text(), nullable=True),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_stripe_charges_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_charges")),
    )
    op.create_index("ix_stripe_charges_created_at", "stripe_charges", ["created_at", "id"], unique=False)
    op.create_index(op.f("ix_stripe_charges_customer_id"), "stripe_charges", ["customer_id"], unique=False)
    op.create_index("ix_stripe_charges_payment_intent", "stripe_charges", ["payment_intent"], unique=False)
    op.create_index(
        op.f("ix_stripe_charges_stripe_customer_id"), "stripe_charges", ["stripe_customer_id"], unique=False
    )
    op.create_table(
        "stripe_checkout_sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("payment_status", sa.Text(), nullable=False),
        sa.Column("client_reference_id", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("payment_intent", sa.Text(), nullable=True),
        sa.Column("subscription_id", sa.Text(), nullable=True),
        sa.Column("invoice_id", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("amount_total", sa.BigInteger(), nullable=True),
        sa.Column("stripe_customer_id", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("linked_by", sa.Text(), nullable=True),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_stripe_checkout_sessions_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_checkout_sessions")),
    )
    op.create_index(
        "ix_stripe_checkout_sessions_created_at", "stripe_checkout_sessions", ["created_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_stripe_checkout_sessions_customer_id"), "stripe_checkout_sessions", ["customer_id"], unique=False
    )
    op.create_index(
        "ix_stripe_checkout_sessions_payment_intent", "stripe_checkout_sessions", ["payment_intent"], unique=False
    )
    op.create_index(
        op.f("ix_stripe_checkout_sessions_stripe_customer_id"),
        "stripe_checkout_sessions",
        ["stripe_customer_id"],
        unique=False,
    )
    op.create_index(
        "ix_stripe_checkout_sessions_subscription_id",
        "stripe_checkout_sessions",
        ["subscription_id"],
        unique=False,
    )
    op.create_table(
        "stripe_customers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("linked_by", sa.Text(), nullable=True),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_stripe_customers_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_customers")),
    )
    op.create_index("ix_stripe_customers_created_at", "stripe_customers", ["created_at", "id"], unique=False)
    op.create_index(op.f("ix_stripe_customers_customer_id"), "stripe_customers", ["customer_id"], unique=False)
    op.create_index(
        "ix_stripe_customers_email", "stripe_customers", [sa.literal_column("lower(email)")], unique=False
    )
    op.create_table(
        "stripe_invoices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("billing_reason", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_due", sa.BigInteger(), nullable=False),
        sa.Column("amount_paid", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stripe_customer_id", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("linked_by", sa.Text(), nullable=True),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_stripe_invoices_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_invoices")),
    )
    op.create_index("ix_stripe_invoices_created_at", "stripe_invoices", ["created_at", "id"], unique=False)
    op.create_index(op.f("ix_stripe_invoices_customer_id"), "stripe_invoices", ["customer_id"], unique=False)
    op.create_index(
        op.f("ix_stripe_invoices_stripe_customer_id"), "stripe_invoices", ["stripe_customer_id"], unique=False
    )
    op.create_index("ix_stripe_invoices_subscription_id", "stripe_invoices", ["subscription_id"], unique=False)
    op.create_table(
        "stripe_subscriptions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("trial_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("canceled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stripe_customer_id", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("linked_by", sa.Text(), nullable=True),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_stripe_subscriptions_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_subscriptions")),
    )
    op.create_index(
        "ix_stripe_subscriptions_created_at", "stripe_subscriptions", ["created_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_stripe_subscriptions_customer_id"), "stripe_subscriptions", ["customer_id"], unique=False
    )
    op.create_index("ix_stripe_subscriptions_status", "stripe_subscriptions", ["status"], unique=False)
    op.create_index(
        op.f("ix_stripe_subscriptions_stripe_customer_id"),
        "stripe_subscriptions",
        ["stripe_customer_id"],
        unique=False,
    )


def downgrade() -> None:
    """Not taken back: what was granted for payments rests on it."""
    raise NotImplementedError("restore a backup instead")
