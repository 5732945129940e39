"""Reserving a generation: the customer is charged and the row exists before anything is submitted."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, LargeBinary, Numeric, Text, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from makegood import idempotency
from makegood.errors import InsufficientCredits, Invalid, NotFound, ProviderDisabled
from makegood.grants import MAX_CREDITS
from makegood.ids import hash_token, new_token, uuid7
from makegood.providers.protocol import Provider
from makegood.providers.registry import POLLED
from makegood.terms import Terms

RESERVE = text(
    "SELECT outcome, balance, credits FROM reserve_generation(:key, :fingerprint, :generation, :transaction, "
    ":customer, :provider, :model, :kind, :input, :metadata, :credits, :token_hash, :unit, :quantity, "
    ":qualifier, :actor, :at, :zone, :check_after)"
).bindparams(
    bindparam("fingerprint", type_=LargeBinary),
    bindparam("token_hash", type_=LargeBinary),
    bindparam("input", type_=JSONB),
    bindparam("metadata", type_=JSONB(none_as_null=True)),
    bindparam("credits", type_=BigInteger),
    bindparam("kind", type_=Text),
    bindparam("quantity", type_=Numeric(18, 3)),
)

NOT_THE_REQUEST = ("idempotency_key", "actor")


@dataclass(frozen=True)
class NewGeneration:
    """What the platform asks for. Without `credits` the table of credit prices decides."""

    customer_id: str
    provider: str
    model: str
    kind: str
    input: dict[str, Any]
    idempotency_key: str
    actor: str
    credits: int | None = None
    metadata: dict[str, Any] | None = None

    def fingerprint(self) -> bytes:
        """What makes two requests the same: everything but the key and who sent it."""
        request = {name: value for name, value in vars(self).items() if name not in NOT_THE_REQUEST}
        return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).digest()


@dataclass(frozen=True)
class Reservation:
    """A charged generation; or, for a repeated request, the first one's, with its answer if there is one."""

    generation_id: UUID
    repeated: bool
    credits_charged: int = 0
    balance: int = 0
    callback_token: str = field(default="", repr=False)
    response: tuple[int, dict[str, Any]] | None = None


def reserve(
    session: Session, new: NewGeneration, provider: Provider, terms: Terms, *, at: datetime | None = None
) -> Reservation:
    """Charge the customer for a new generation, once for each idempotency key.

    Raises NotFound (customer), Invalid (credits out of range, no credit price), InsufficientCredits,
    ProviderDisabled, IdempotencyConflict: no credits moved, and the caller rolls back.
    """
    if new.credits is not None and not 0 < new.credits <= MAX_CREDITS:
        problem = f"must be a whole number from 1 to {MAX_CREDITS}"
        raise Invalid("The generation is not valid. No credits moved.", fields={"credits": problem})
    units = provider.units(new.model, new.input)
    token, generation_id, fingerprint = new_token(), uuid7(), new.fingerprint()
    values = {
        "key": new.idempotency_key,
        "fingerprint": fingerprint,
        "generation": generation_id,
        "transaction": uuid7(),
        "customer": new.customer_id,
        "provider": new.provider,
        "model": new.model,
        "kind": new.kind,
        "input": new.input,
        "metadata": new.metadata,
        "credits": new.credits,
        "token_hash": hash_token(token),
        "unit": units.unit,
        "quantity": units.quantity,
        "qualifier": units.qualifier,
        "actor": new.actor,
        "at": at,
        "zone": terms.timezone.key,
        "check_after": min(terms.check_after, POLLED.get(new.provider, terms.check_after)),
    }
    row = session.execute(RESERVE, values).one()
    if row.outcome == "repeated":
        claim = idempotency.find(session, new.idempotency_key, fingerprint)
        return Reservation(claim.resource_id, repeated=True, response=claim.response)
    if row.outcome != "charged":
        raise _refusal(new, row.outcome, row.credits, row.balance)
    return Reservation(
        generation_id,
        repeated=False,
        credits_charged=row.credits,
        balance=row.balance,
        callback_token=token,
    )


def _refusal(
    new: NewGeneration, outcome: str, credits: int | None, balance: int | None
) -> NotFound | Invalid | InsufficientCredits | ProviderDisabled:
    if outcome == "disabled":
        what = f"{new.model} at {new.provider} is switched off for new generations."
        return ProviderDisabled(f"{what} No credits moved. Try again later, or choose another provider or model.")
    if outcome == "unknown_customer":
        return NotFound(f"There is no customer {new.customer_id!r}. No credits moved.")
    if outcome == "no_credit_price":
        problem = f"is required: {new.model} at {new.provider} has no credit price"
        return Invalid("The generation is not valid. No credits moved.", fields={"credits": problem})
    return InsufficientCredits(
        f"The customer has {balance} credits and the generation costs {credits}. No credits moved.",
        required=credits,
        balance=balance,
    )
