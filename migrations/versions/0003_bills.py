"""What providers say they charged."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Apply."""
    _create_bills()
    _create_lines()
    op.get_bind().connection.driver_connection.execute((SQL / "0003_bills.sql").read_text())


def downgrade() -> None:
    """Not taken back: what was accepted rests on it."""
    raise NotImplementedError("restore a backup instead")


def _create_bills() -> None:
    op.create_table(
        "bills",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=True),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("period_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("lines_added", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lines_known", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lines_differing", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lines_pending", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("char_length(provider) BETWEEN 1 AND 200", name=op.f("ck_bills_provider")),
        sa.CheckConstraint("origin IN ('api', 'csv')", name=op.f("ck_bills_origin")),
        sa.CheckConstraint(
            "state IN ('draft', 'waiting', 'running', 'done', 'failed', 'withdrawn')", name=op.f("ck_bills_state")
        ),
        sa.CheckConstraint("(origin = 'csv') = (file_name IS NOT NULL)", name=op.f("ck_bills_file_name")),
        sa.CheckConstraint("char_length(file_name) BETWEEN 1 AND 200", name=op.f("ck_bills_file_name_length")),
        sa.CheckConstraint("(state = 'draft') = (content IS NOT NULL)", name=op.f("ck_bills_content")),
        sa.CheckConstraint(
            "origin = 'api' OR state IN ('draft', 'done', 'withdrawn')", name=op.f("ck_bills_origin_state")
        ),
        sa.CheckConstraint("origin = 'csv' OR state <> 'draft'", name=op.f("ck_bills_draft")),
        sa.CheckConstraint("period_end > period_start", name=op.f("ck_bills_period")),
        sa.CheckConstraint(
            "(state IN ('done', 'failed', 'withdrawn')) = (finished_at IS NOT NULL)",
            name=op.f("ck_bills_finished"),
        ),
        sa.CheckConstraint("(state = 'failed') = (problem IS NOT NULL)", name=op.f("ck_bills_problem")),
        sa.CheckConstraint("(state = 'running') = (leased_until IS NOT NULL)", name=op.f("ck_bills_leased")),
        sa.CheckConstraint(
            "lines_added >= 0 AND lines_known >= 0 AND lines_pending >= 0 "
            "AND lines_differing BETWEEN 0 AND lines_known",
            name=op.f("ck_bills_counts"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bills")),
    )
    under_way = sa.text("state IN ('waiting', 'running')")
    op.create_index(
        "uq_bills_under_way",
        "bills",
        ["provider", "period_start", "period_end"],
        unique=True,
        postgresql_where=under_way,
    )
    op.create_index("ix_bills_under_way", "bills", ["id"], postgresql_where=under_way)


def _create_lines() -> None:
    op.create_table(
        "bill_lines",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("bill_id", sa.UUID(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("provider_job_id", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount_micros", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.Numeric(18, 3), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("billed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("generation_id", sa.UUID(), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.Text(), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reviewed_by", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("char_length(provider) BETWEEN 1 AND 200", name=op.f("ck_bill_lines_provider")),
        sa.CheckConstraint("char_length(line_id) BETWEEN 1 AND 200", name=op.f("ck_bill_lines_line_id")),
        sa.CheckConstraint(
            "char_length(provider_job_id) BETWEEN 1 AND 200", name=op.f("ck_bill_lines_provider_job_id")
        ),
        sa.CheckConstraint("char_length(model) BETWEEN 1 AND 200", name=op.f("ck_bill_lines_model")),
        sa.CheckConstraint("char_length(unit) BETWEEN 1 AND 200", name=op.f("ck_bill_lines_unit")),
        sa.CheckConstraint("kind IN ('charge', 'refund')", name=op.f("ck_bill_lines_kind")),
        sa.CheckConstraint("amount_micros BETWEEN 0 AND 1000000000000", name=op.f("ck_bill_lines_amount_micros")),
        sa.CheckConstraint("quantity BETWEEN 0 AND 1000000000", name=op.f("ck_bill_lines_quantity")),
        sa.CheckConstraint(
            "(accepted_at IS NULL) = (accepted_by IS NULL)", name=op.f("ck_bill_lines_accepted_by")
        ),
        sa.CheckConstraint(
            "accepted_at IS NULL OR generation_id IS NOT NULL", name=op.f("ck_bill_lines_accepted")
        ),
        sa.CheckConstraint(
            "(reviewed_at IS NULL) = (reviewed_by IS NULL) AND (reviewed_at IS NULL) = (note IS NULL)",
            name=op.f("ck_bill_lines_reviewed_by"),
        ),
        sa.CheckConstraint("char_length(note) BETWEEN 1 AND 1000", name=op.f("ck_bill_lines_note")),
        sa.ForeignKeyConstraint(["bill_id"], ["bills.id"], name=op.f("fk_bill_lines_bill_id")),
        sa.ForeignKeyConstraint(["generation_id"], ["generations.id"], name=op.f("fk_bill_lines_generation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bill_lines")),
    )
    op.create_index("uq_bill_lines_line", "bill_lines", ["provider", "line_id"], unique=True)
    op.create_index(
        "ix_bill_lines_generation",
        "bill_lines",
        ["generation_id"],
        postgresql_where=sa.text("generation_id IS NOT NULL"),
    )
    op.create_index("ix_bill_lines_billed", "bill_lines", ["provider", "billed_at", "id"])
    op.create_index(
        "ix_bill_lines_unmatched",
        "bill_lines",
        ["provider", "provider_job_id"],
        postgresql_where=sa.text("generation_id IS NULL"),
    )
