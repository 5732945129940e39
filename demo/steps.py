"""What happens to a customer's credits, step by step. The values are those of the ledger's own statements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from demo.catalogue import Offer
from demo.fates import Fate


@dataclass(frozen=True)
class Step:
    """Something that happens at an instant."""

    at: datetime


@dataclass(frozen=True)
class Look(Step):
    """What has expired is taken out."""


@dataclass(frozen=True)
class Give(Step):
    """Credits are given, as `makegood.ledger.post` does."""

    values: dict[str, Any]


@dataclass(frozen=True)
class Buy(Step):
    """Credits that were paid for are given, as `makegood.purchases.fulfilment` does."""

    values: dict[str, Any]


@dataclass(frozen=True)
class Return(Step):
    """What went back of a purchase's money changes its credits, as `makegood.purchases.returns` does."""

    values: dict[str, Any]


@dataclass(frozen=True)
class Move(Step):
    """The customer's tier changes."""

    tier: str


@dataclass(frozen=True)
class Charge(Step):
    """A generation begins, and ends as its fate says."""

    id: UUID
    offer: Offer
    input: dict[str, Any]
    metadata: dict[str, Any] | None
    transaction: UUID
    key: str
    token_hash: bytes
    fate: Fate

    def refund(
        self,
        ids: tuple[UUID, UUID],
        at: datetime,
        credits: int,
        origin: str,
        reason: str,
        actor: str,
        lifetime: timedelta,
        *,
        note: str | None = None,
        key: str | None = None,
        version: int | None = None,
    ) -> Refund:
        """A refund of this generation, as `makegood.refunds` issues it; `ids` are its own and its ledger row's."""
        values = {
            "refund": ids[0],
            "transaction": ids[1],
            "generation": self.id,
            "credits": credits,
            "origin": origin,
            "reason": reason,
            "note": note,
            "actor": actor,
            "policy_version": version,
            "key": key,
            "lifetime": lifetime,
            "at": at,
        }
        return Refund(at, values)


@dataclass(frozen=True)
class Refund(Step):
    """Credits come back."""

    values: dict[str, Any]
