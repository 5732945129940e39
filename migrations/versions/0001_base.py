"""The whole schema: tables, the ledger's rules in SQL, shipped data, and the job queue's tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import UserDefinedType

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


class XID8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id."""

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in DDL."""
        return "xid8"


def execute_script(script: str) -> None:
    """Run several statements as they are, percent signs included, in the migration's transaction."""
    op.get_bind().connection.driver_connection.execute(script)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "scopes <@ ARRAY['platform', 'stats'] AND cardinality(scopes) > 0",
            name=op.f("ck_api_keys_scopes"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_index("uq_api_keys_hash", "api_keys", ["key_hash"], unique=True)
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_subject", "audit_entries", ["subject", "id"], unique=False)
    op.create_table(
        "credit_prices",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("char_length(model) BETWEEN 1 AND 200", name=op.f("ck_credit_prices_model")),
        sa.CheckConstraint("char_length(provider) BETWEEN 1 AND 200", name=op.f("ck_credit_prices_provider")),
        sa.CheckConstraint("credits > 0", name=op.f("ck_credit_prices_credits")),
        sa.PrimaryKeyConstraint("provider", "model", "effective_from", name=op.f("pk_credit_prices")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("xid", XID8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("generation_id", sa.UUID(), nullable=True),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), server_default="", nullable=False),
        sa.Column("model", sa.Text(), server_default="", nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("generations", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("succeeded", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancelled", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("refunds", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("active_day", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("active_month", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("credits_charged", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("credits_refunded", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unknown_costs", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("loss_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("latency_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("customers", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("holders", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("credits", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("xid", "id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_at", "events", ["at"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("resource_id", sa.UUID(), nullable=False),
        sa.Column("response_status", sa.SmallInteger(), nullable=True),
        sa.Column("response_body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("char_length(key) BETWEEN 1 AND 200", name=op.f("ck_idempotency_keys_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "operators",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("role IN ('viewer', 'support', 'admin')", name=op.f("ck_operators_role")),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_operators_email")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operators")),
    )
    op.create_index("uq_operators_email", "operators", ["email"], unique=True)
    op.create_table(
        "prices",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("unit_price_micros", sa.BigInteger(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("char_length(model) BETWEEN 1 AND 200", name=op.f("ck_prices_model")),
        sa.CheckConstraint("char_length(provider) BETWEEN 1 AND 200", name=op.f("ck_prices_provider")),
        sa.CheckConstraint("unit_price_micros >= 0", name=op.f("ck_prices_unit_price_micros")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prices")),
    )
    op.create_index("uq_prices_line", "prices", ["provider", "model", "unit", "effective_from"], unique=True)
    op.create_table(
        "refund_policies",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("error_class", sa.Text(), nullable=False),
        sa.Column("percent", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("percent BETWEEN 0 AND 100", name=op.f("ck_refund_policies_percent")),
        sa.PrimaryKeyConstraint("version", "error_class", name=op.f("pk_refund_policies")),
    )
    op.create_table(
        "rollup_buckets",
        sa.Column("bucket", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("generations", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("succeeded", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancelled", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("refunds", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("active_day", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("active_month", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("credits_charged", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("credits_refunded", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unknown_costs", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("loss_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("latency_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_charged_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("bucket", "provider", "model", "kind", "tier", name=op.f("pk_rollup_buckets")),
    )
    op.create_table(
        "rollup_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("generations", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("succeeded", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancelled", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("refunds", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("active_day", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("active_month", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("credits_charged", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("credits_refunded", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unknown_costs", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("loss_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("latency_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_charged_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("day", "provider", "model", "kind", "tier", name=op.f("pk_rollup_days")),
    )
    op.create_table(
        "rollup_state",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("watermark", XID8(), nullable=False),
        sa.Column("system_identifier", sa.BigInteger(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column(
            "folded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("id = 1", name=op.f("ck_rollup_state_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollup_state")),
    )
    op.create_table(
        "rollup_tiers",
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("customers", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("holders", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("credits", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("tier", name=op.f("pk_rollup_tiers")),
    )
    op.create_table(
        "throttles",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "subject", "window_start", name=op.f("pk_throttles")),
    )
    op.create_index("ix_throttles_window", "throttles", ["window_start"], unique=False)
    op.create_table(
        "tiers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("monthly_allowance", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("monthly_allowance >= 0", name=op.f("ck_tiers_monthly_allowance")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tiers")),
    )
    op.create_table(
        "customers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("char_length(id) BETWEEN 1 AND 200", name=op.f("ck_customers_id")),
        sa.ForeignKeyConstraint(["tier"], ["tiers.name"], name=op.f("fk_customers_tier")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
    )
    op.create_index("ix_customers_email", "customers", [sa.literal_column("lower(email)")], unique=False)
    op.create_index("ix_customers_tier", "customers", ["tier"], unique=False)
    op.create_table(
        "operator_sessions",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("operator_id", sa.UUID(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name=op.f("fk_operator_sessions_operator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_sessions")),
    )
    op.create_index("ix_operator_sessions_operator", "operator_sessions", ["operator_id"], unique=False)
    op.create_index("uq_operator_sessions_token", "operator_sessions", ["token_hash"], unique=True)
    op.create_table(
        "balances",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("balance", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("entries", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_charged_day", sa.Date(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("balance >= 0", name=op.f("ck_balances_balance")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_balances_customer_id")),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_balances")),
    )
    op.create_table(
        "generations",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("input", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("metadata", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("credits_charged", sa.BigInteger(), nullable=False),
        sa.Column("credits_refunded", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("callback_token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("provider_job_id", sa.Text(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("price_id", sa.UUID(), nullable=True),
        sa.Column("cost_micros", sa.BigInteger(), nullable=True),
        sa.Column("cost_source", sa.Text(), nullable=False),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("outputs", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("latency_ms", sa.BigInteger(), nullable=True),
        sa.Column("late_outcome", sa.Text(), nullable=True),
        sa.Column("late_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("charged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checks", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(status = 'failed') = (error_class IS NOT NULL)", name=op.f("ck_generations_error_class")
        ),
        sa.CheckConstraint(
            "(status IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL)",
            name=op.f("ck_generations_ended"),
        ),
        sa.CheckConstraint(
            "status IN ('charged', 'submitted', 'unknown', 'succeeded', 'failed', 'cancelled')",
            name=op.f("ck_generations_status"),
        ),
        sa.CheckConstraint("char_length(kind) BETWEEN 1 AND 200", name=op.f("ck_generations_kind")),
        sa.CheckConstraint("char_length(model) BETWEEN 1 AND 200", name=op.f("ck_generations_model")),
        sa.CheckConstraint("char_length(provider) BETWEEN 1 AND 200", name=op.f("ck_generations_provider")),
        sa.CheckConstraint(
            "char_length(provider_job_id) BETWEEN 1 AND 200", name=op.f("ck_generations_provider_job_id")
        ),
        sa.CheckConstraint("cost_micros >= 0", name=op.f("ck_generations_cost_micros")),
        sa.CheckConstraint("credits_charged > 0", name=op.f("ck_generations_credits_charged")),
        sa.CheckConstraint(
            "credits_refunded BETWEEN 0 AND credits_charged", name=op.f("ck_generations_credits_refunded")
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_generations_customer_id")),
        sa.ForeignKeyConstraint(["price_id"], ["prices.id"], name=op.f("fk_generations_price_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generations")),
    )
    op.create_index(
        "ix_generations_check",
        "generations",
        ["check_at"],
        unique=False,
        postgresql_where=sa.text("check_at IS NOT NULL"),
    )
    op.create_index("ix_generations_customer", "generations", ["customer_id", "id"], unique=False)
    op.create_index(
        "ix_generations_failed",
        "generations",
        ["ended_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'failed'"),
    )
    op.create_index(
        "ix_generations_in_flight",
        "generations",
        ["charged_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('charged', 'submitted', 'unknown')"),
    )
    op.create_index(
        "ix_generations_provider_job",
        "generations",
        ["provider_job_id"],
        unique=False,
        postgresql_where=sa.text("provider_job_id IS NOT NULL"),
    )
    op.create_index("uq_generations_callback_token", "generations", ["callback_token_hash"], unique=True)
    op.create_table(
        "grants",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("month", sa.Date(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "source <> 'allowance' OR expires_at IS NOT NULL", name=op.f("ck_grants_allowance_expires")
        ),
        sa.CheckConstraint(
            "source <> 'purchase' OR expires_at IS NULL", name=op.f("ck_grants_purchase_never_expires")
        ),
        sa.CheckConstraint(
            "source IN ('allowance', 'purchase', 'bonus', 'adjustment')", name=op.f("ck_grants_source")
        ),
        sa.CheckConstraint("credits > 0", name=op.f("ck_grants_credits")),
        sa.CheckConstraint("remaining BETWEEN 0 AND credits", name=op.f("ck_grants_remaining")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_grants_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    op.create_index(
        "ix_grants_expiring",
        "grants",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("remaining > 0 AND expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_grants_open",
        "grants",
        ["customer_id", "expires_at"],
        unique=False,
        postgresql_where=sa.text("remaining > 0"),
    )
    op.create_index(
        "uq_grants_allowance",
        "grants",
        ["customer_id", "month"],
        unique=True,
        postgresql_where=sa.text("source = 'allowance' AND month IS NOT NULL"),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("generation_id", sa.UUID(), nullable=True),
        sa.Column("occurrences", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "opened_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column(
            "seen_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["generation_id"], ["generations.id"], name=op.f("fk_alerts_generation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index(
        "uq_alerts_fact",
        "alerts",
        ["kind", "subject"],
        unique=True,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_table(
        "callbacks",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("generation_id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("headers", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("parsed", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('applied', 'ignored', 'duplicate', 'rejected', 'waiting')",
            name=op.f("ck_callbacks_state"),
        ),
        sa.ForeignKeyConstraint(["generation_id"], ["generations.id"], name=op.f("fk_callbacks_generation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callbacks")),
    )
    op.create_index("ix_callbacks_generation", "callbacks", ["generation_id", "id"], unique=False)
    op.create_index(
        "ix_callbacks_waiting",
        "callbacks",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "uq_callbacks_delivery",
        "callbacks",
        ["generation_id", "delivery"],
        unique=True,
        postgresql_where=sa.text("state IN ('applied', 'waiting')"),
    )
    op.create_table(
        "credit_transactions",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("entry", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("balance_after", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("generation_id", sa.UUID(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(kind IN ('charge', 'refund')) = (generation_id IS NOT NULL)",
            name=op.f("ck_credit_transactions_generation"),
        ),
        sa.CheckConstraint(
            "CASE kind WHEN 'grant' THEN amount > 0 WHEN 'refund' THEN amount > 0 WHEN 'charge' THEN amount < 0 WHEN 'expiry' THEN amount < 0 WHEN 'adjustment' THEN true ELSE false END",
            name=op.f("ck_credit_transactions_kind"),
        ),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_credit_transactions_amount")),
        sa.CheckConstraint("balance_after >= 0", name=op.f("ck_credit_transactions_balance_after")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_credit_transactions_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generations.id"], name=op.f("fk_credit_transactions_generation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_transactions")),
    )
    op.create_index(
        "ix_credit_transactions_refund",
        "credit_transactions",
        ["generation_id"],
        unique=False,
        postgresql_where=sa.text("kind = 'refund'"),
    )
    op.create_index(
        "uq_credit_transactions_charge",
        "credit_transactions",
        ["customer_id", "generation_id"],
        unique=True,
        postgresql_where=sa.text("kind = 'charge'"),
    )
    op.create_index("uq_credit_transactions_entry", "credit_transactions", ["customer_id", "entry"], unique=True)
    op.create_table(
        "movements",
        sa.Column("transaction_id", sa.UUID(), nullable=False),
        sa.Column("grant_id", sa.UUID(), nullable=False),
        sa.Column("origin_grant_id", sa.UUID(), nullable=True),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("credits <> 0", name=op.f("ck_movements_credits")),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name=op.f("fk_movements_grant_id")),
        sa.ForeignKeyConstraint(["origin_grant_id"], ["grants.id"], name=op.f("fk_movements_origin_grant_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["credit_transactions.id"], name=op.f("fk_movements_transaction_id")
        ),
        sa.PrimaryKeyConstraint("transaction_id", "grant_id", name=op.f("pk_movements")),
    )
    op.create_table(
        "refunds",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("generation_id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.UUID(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.BigInteger(), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("loss_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(origin = 'manual') = (idempotency_key IS NOT NULL)",
            name=op.f("ck_refunds_manual_idempotency_key"),
        ),
        sa.CheckConstraint(
            "char_length(idempotency_key) BETWEEN 1 AND 200", name=op.f("ck_refunds_idempotency_key")
        ),
        sa.CheckConstraint("origin IN ('automatic', 'manual')", name=op.f("ck_refunds_origin")),
        sa.CheckConstraint("credits > 0", name=op.f("ck_refunds_credits")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_refunds_customer_id")),
        sa.ForeignKeyConstraint(["generation_id"], ["generations.id"], name=op.f("fk_refunds_generation_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["credit_transactions.id"], name=op.f("fk_refunds_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunds")),
    )
    op.create_index("ix_refunds_generation", "refunds", ["generation_id"], unique=False)
    op.create_index("ix_refunds_issued", "refunds", ["issued_at", "id"], unique=False)
    op.create_index(
        "uq_refunds_automatic",
        "refunds",
        ["customer_id", "generation_id", sa.literal_column("(reason = 'cancelled')")],
        unique=True,
        postgresql_where=sa.text("origin = 'automatic'"),
    )
    op.create_index(
        "uq_refunds_manual",
        "refunds",
        ["customer_id", "generation_id", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("origin = 'manual'"),
    )
    op.create_index("uq_refunds_transaction", "refunds", ["transaction_id"], unique=True)
    execute_script((SQL / "0001_ledger.sql").read_text())
    execute_script((SQL / "0001_data.sql").read_text())
    execute_script(SchemaManager.get_schema())


def downgrade() -> None:
    """The first migration is not taken back: that would delete the books."""
    raise NotImplementedError("drop the database instead")
