"""Prices with tiers, currencies and versions; costs that follow the provider's answer; switches for providers."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
CHECKS = (
    ("generations", "quantity", "quantity BETWEEN 0 AND 1000000000"),
    ("generations", "unit", "char_length(unit) BETWEEN 1 AND 200"),
    ("generations", "qualifier", "char_length(qualifier) <= 200"),
    (
        "generations",
        "cost_source",
        "cost_source IN ('price_book', 'provider', 'bill', 'refused', 'unknown')",
    ),
    ("generations", "unknown_cost", "(cost_micros IS NULL) = (cost_source = 'unknown')"),
    ("prices", "unit_price_micros", "unit_price_micros BETWEEN 0 AND 1000000000"),
    ("prices", "unit", "char_length(unit) BETWEEN 1 AND 200"),
    ("prices", "qualifier", "char_length(qualifier) <= 200"),
    ("prices", "per", "per BETWEEN 1 AND 1000000000"),
    ("prices", "amount_micros", "amount_micros BETWEEN 0 AND 1000000000000"),
    ("prices", "rate_micros", "rate_micros BETWEEN 1 AND 1000000000"),
    (
        "prices",
        "currency",
        "currency = 'USD' AND rate_micros IS NULL AND unit_price_micros = amount_micros OR "
        "currency = 'credits' AND rate_micros IS NOT NULL "
        "AND unit_price_micros = round(amount_micros::numeric * rate_micros / 1000000)",
    ),
    (
        "prices",
        "effective_from",
        "effective_from >= '2000-01-01T00:00:00Z' AND effective_from < '2100-01-01T00:00:00Z'",
    ),
    (
        "prices",
        "effective_to",
        "effective_to > effective_from AND effective_to < '2100-01-01T00:00:00Z'",
    ),
    ("prices", "source", "char_length(source) BETWEEN 1 AND 500"),
    (
        "prices",
        "certainty",
        "certainty IN ('agreed', 'documented', 'reported', 'inferred', 'unverified')",
    ),
    ("prices", "version", "version >= 1"),
)


def upgrade() -> None:
    """Apply."""
    op.add_column("generations", sa.Column("qualifier", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("generations", sa.Column("outputs_expire_at", sa.DateTime(timezone=True)))
    op.alter_column("generations", "quantity", type_=sa.Numeric(18, 3), nullable=True)
    for column in (
        sa.Column("qualifier", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("per", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("currency", sa.Text(), server_default=sa.text("'USD'"), nullable=False),
        sa.Column("amount_micros", sa.BigInteger()),
        sa.Column("rate_micros", sa.BigInteger()),
        sa.Column("effective_to", sa.DateTime(timezone=True)),
        sa.Column("certainty", sa.Text(), server_default=sa.text("'unverified'"), nullable=False),
        sa.Column("actor", sa.Text(), server_default=sa.text("'makegood'"), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True)),
    ):
        op.add_column("prices", column)
    op.create_table(
        "cost_adjustments",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("generation_id", sa.UUID(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reference", sa.UUID(), nullable=False),
        sa.Column("from_micros", sa.BigInteger(), nullable=True),
        sa.Column("from_source", sa.Text(), nullable=False),
        sa.Column("to_micros", sa.BigInteger(), nullable=True),
        sa.Column("to_source", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("reason IN ('recompute', 'bill')", name=op.f("ck_cost_adjustments_reason")),
        sa.CheckConstraint(
            "(from_micros IS NULL) = (from_source = 'unknown')", name=op.f("ck_cost_adjustments_from_micros")
        ),
        sa.CheckConstraint(
            "(to_micros IS NULL) = (to_source = 'unknown')", name=op.f("ck_cost_adjustments_to_micros")
        ),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generations.id"], name=op.f("fk_cost_adjustments_generation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cost_adjustments")),
    )
    op.create_index("ix_cost_adjustments_generation", "cost_adjustments", ["generation_id", "id"])
    op.create_index(
        "uq_cost_adjustments_reference", "cost_adjustments", ["reason", "reference", "generation_id"], unique=True
    )
    op.create_table(
        "recomputes",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("generations", sa.BigInteger(), nullable=False),
        sa.Column("change_micros", sa.BigInteger(), nullable=False),
        sa.Column("book", sa.Text(), nullable=False),
        sa.Column("reached", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("done_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("outcome IN ('finished', 'book_changed')", name=op.f("ck_recomputes_outcome")),
        sa.CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name=op.f("ck_recomputes_ended")),
        sa.CheckConstraint("since < until", name=op.f("ck_recomputes_until")),
        sa.CheckConstraint("generations > 0", name=op.f("ck_recomputes_generations")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recomputes")),
    )
    op.create_index(
        "uq_recomputes_running",
        "recomputes",
        ["provider"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "provider_switches",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("char_length(provider) BETWEEN 1 AND 200", name=op.f("ck_provider_switches_provider")),
        sa.CheckConstraint("char_length(model) BETWEEN 1 AND 200", name=op.f("ck_provider_switches_model")),
        sa.CheckConstraint("char_length(reason) BETWEEN 1 AND 500", name=op.f("ck_provider_switches_reason")),
        sa.PrimaryKeyConstraint("provider", "model", name=op.f("pk_provider_switches")),
    )
    op.drop_index("uq_prices_line", "prices")
    op.get_bind().connection.driver_connection.execute((SQL / "0002_costs.sql").read_text())
    op.create_index("ix_generations_provider", "generations", ["provider", "charged_at"])
    op.create_index(
        "ix_generations_unknown_cost",
        "generations",
        ["charged_at"],
        postgresql_where=sa.text("cost_micros IS NULL"),
    )
    op.create_index(
        "uq_prices_version", "prices", ["provider", "model", "unit", "qualifier", "version"], unique=True
    )
    op.create_index(
        "ix_prices_current",
        "prices",
        ["provider", "unit", "model", "qualifier", "effective_from"],
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )
    op.drop_constraint(op.f("ck_prices_unit_price_micros"), "prices")
    for table, name, condition in CHECKS:
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)
    op.get_bind().connection.driver_connection.execute((SQL / "0002_prices.sql").read_text())


def downgrade() -> None:
    """Not taken back: the versions of prices would be lost."""
    raise NotImplementedError("restore a backup instead")
