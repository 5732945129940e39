"""Results that we keep, notifications of the platform, and one generation for each job."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Apply."""
    op.add_column("generations", sa.Column("gone_since", sa.DateTime(timezone=True)))
    op.add_column(
        "generations",
        sa.Column("job_by_likeness", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.get_bind().connection.driver_connection.execute((SQL / "0005_outputs.sql").read_text())
    op.create_index(
        "uq_generations_provider_job",
        "generations",
        ["provider_job_id", sa.text("coalesce(nullif(provider, 'external'), id::text)")],
        unique=True,
        postgresql_where=sa.text("provider_job_id IS NOT NULL"),
    )
    op.drop_index("ix_generations_provider_job", "generations")
    op.create_index(
        "ix_generations_late", "generations", ["late_at"], postgresql_where=sa.text("late_outcome IS NOT NULL")
    )
    op.create_table(
        "output_files",
        sa.Column("generation_id", sa.UUID(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("position >= 1", name=op.f("ck_output_files_position")),
        sa.CheckConstraint("octet_length(content) BETWEEN 1 AND 20971520", name=op.f("ck_output_files_content")),
        sa.CheckConstraint(
            "char_length(content_type) BETWEEN 1 AND 200", name=op.f("ck_output_files_content_type")
        ),
        sa.ForeignKeyConstraint(["generation_id"], ["generations.id"], name=op.f("fk_output_files_generation_id")),
        sa.PrimaryKeyConstraint("generation_id", "position", name=op.f("pk_output_files")),
    )
    # Pictures and sounds are compressed already.
    op.execute("ALTER TABLE output_files ALTER COLUMN content SET STORAGE EXTERNAL")
    op.create_index("ix_output_files_expires", "output_files", ["expires_at"])
    op.create_table(
        "notifications",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("generation_id", sa.UUID(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True)),
        sa.Column("delivered_at", sa.DateTime(timezone=True)),
        sa.Column("answer", sa.Text()),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint(
            "event IN ('succeeded', 'failed', 'cancelled', 'late_outcome')", name=op.f("ck_notifications_event")
        ),
        sa.CheckConstraint("delivered_at IS NULL OR next_at IS NULL", name=op.f("ck_notifications_delivered")),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generations.id"], name=op.f("fk_notifications_generation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    op.create_index("uq_notifications_event", "notifications", ["generation_id", "event"], unique=True)
    op.create_index(
        "ix_notifications_due", "notifications", ["next_at"], postgresql_where=sa.text("next_at IS NOT NULL")
    )
    op.create_index(
        "ix_notifications_failing",
        "notifications",
        ["created_at", "id"],
        postgresql_where=sa.text("delivered_at IS NULL AND attempts > 0"),
    )


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
