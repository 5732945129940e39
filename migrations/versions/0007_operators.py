"""Operators: invitations, second factor, step-up, and how each wants the console."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def _moment(name: str, *, required: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not required)


def _written() -> sa.Column[object]:
    return sa.Column(
        "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
    )


def upgrade() -> None:
    """Apply."""
    op.add_column("operators", sa.Column("timezone", sa.Text()))
    op.add_column(
        "operators", sa.Column("page_size", sa.BigInteger(), server_default=sa.text("50"), nullable=False)
    )
    op.add_column(
        "operators", sa.Column("single_keys", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.add_column("operators", sa.Column("totp_secret", sa.LargeBinary()))
    op.add_column("operators", _moment("totp_since"))
    op.add_column("operators", sa.Column("totp_step", sa.BigInteger()))
    op.create_check_constraint(op.f("ck_operators_page_size"), "operators", "page_size IN (25, 50, 100, 200)")
    op.create_check_constraint(
        op.f("ck_operators_totp"),
        "operators",
        "num_nonnulls(totp_secret, totp_since, totp_step) IN (0, 3)",
    )
    op.add_column("operator_sessions", _moment("confirmed_at"))
    op.execute("UPDATE operator_sessions SET confirmed_at = created_at")
    op.alter_column("operator_sessions", "confirmed_at", nullable=False)
    op.add_column("api_keys", sa.Column("created_by", sa.Text()))
    op.add_column("api_keys", sa.Column("revoked_by", sa.Text()))
    op.add_column("api_keys", _moment("used_at"))
    op.create_table(
        "recovery_codes",
        sa.Column("operator_id", sa.UUID(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        _moment("used_at"),
        _written(),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name=op.f("fk_recovery_codes_operator_id")),
        sa.PrimaryKeyConstraint("operator_id", "code_hash", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "login_challenges",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("operator_id", sa.UUID(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name=op.f("fk_login_challenges_operator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_challenges")),
    )
    op.create_index("uq_login_challenges_token", "login_challenges", ["token_hash"], unique=True)
    op.create_index("ix_login_challenges_operator", "login_challenges", ["operator_id"])
    op.create_table(
        "invitations",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("invited_by", sa.Text(), nullable=False),
        _moment("expires_at", required=True),
        _moment("accepted_at"),
        _moment("withdrawn_at"),
        _written(),
        sa.CheckConstraint("role IN ('viewer', 'support', 'admin')", name=op.f("ck_invitations_role")),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_invitations_email")),
        sa.CheckConstraint("num_nonnulls(accepted_at, withdrawn_at) < 2", name=op.f("ck_invitations_ended")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
    )
    op.create_index("uq_invitations_token", "invitations", ["token_hash"], unique=True)
    op.create_index(
        "uq_invitations_open",
        "invitations",
        ["email"],
        unique=True,
        postgresql_where=sa.text("accepted_at IS NULL AND withdrawn_at IS NULL"),
    )
    op.get_bind().connection.driver_connection.execute((SQL / "0007_operators.sql").read_text())


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
