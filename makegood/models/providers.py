"""What operators decide about providers, and what is observed of them."""

from __future__ import annotations

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, Written, foreign_text


class ProviderSwitch(Base):
    """A provider, or one of its models, that is switched off for new generations. `model` "*" is all of them."""

    __tablename__ = "provider_switches"
    __table_args__ = (
        CheckConstraint(foreign_text("provider"), name="provider"),
        CheckConstraint(foreign_text("model"), name="model"),
        CheckConstraint("char_length(reason) BETWEEN 1 AND 500", name="reason"),
    )

    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    actor: Mapped[str]
    created_at: Mapped[Written]
