"""What the API answers: one model for each body."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from blueprints.api.fields import Instant
from makegood.models.ledger import TRANSACTION_KINDS
from makegood.providers.protocol import ErrorClass


class Problem(BaseModel):
    """What went wrong: a stable code for programs, a sentence for people, and where our log has it."""

    code: str
    message: str
    request_id: str
    fields: dict[str, str] | None = Field(None, description="Each invalid field, with what is wrong with it")


class Error(BaseModel):
    """Every error. The facts of money are there where they apply."""

    error: Problem
    refunded: bool | None = Field(None, description="Whether credits of this generation were returned")
    credits_refunded: int | None = None
    credits_charged: int | None = None
    balance: int | None = Field(None, description="The customer's credits after all that")
    required: int | None = Field(None, description="Credits that the generation costs")
    generation_id: UUID | None = None
    status: str | None = Field(None, description="The generation's status")


class Failure(BaseModel):
    """Why a generation failed."""

    code: ErrorClass
    message: str


class Started(BaseModel):
    """A generation that was charged."""

    id: UUID
    status: Literal["charged", "submitted", "unknown", "succeeded", "failed", "cancelled"]
    customer_id: str
    provider: str
    model: str
    kind: str
    credits_charged: int
    credits_refunded: int
    balance: int = Field(description="The customer's credits")
    outputs: list[str] | None = Field(None, description="Links to the results, or addresses of ours")
    outputs_expire_at: Instant | None = Field(
        None, description="When they die; null while there are none, or where the provider does not say"
    )
    outputs_gone: bool = Field(False, description="Whether that time has passed")


class Cost(BaseModel):
    """What the provider takes, and what that rests on; null is unknown."""

    usd: str | None
    source: Literal["price_book", "provider", "bill", "refused", "unknown"]
    unit: str = Field(description="What the provider counts")
    quantity: str | None = Field(description="How many of them; null until the provider says so")
    qualifier: str = Field(description="The tier, such as 2K; empty where there is none")
    unit_price_usd: str | None = Field(description="The price of `per` units, where the cost rests on one")
    per: int | None
    price_version: int | None


class Generation(Started):
    """A generation as it is now."""

    metadata: dict[str, Any] | None
    provider_job_id: str | None
    error: Failure | None
    late_outcome: Literal["succeeded", "failed"] | None = Field(
        description="What was reported after the generation had ended otherwise; it changed nothing"
    )
    cost_usd: str | None = Field(description="What the provider takes, in US dollars; null while unknown")
    cost: Cost
    charged_at: Instant
    submitted_at: Instant | None
    ended_at: Instant | None


class Grant(BaseModel):
    """Credits given."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    source: str
    credits: int
    remaining: int
    expires_at: Instant | None
    reason: str
    created_at: Instant


class NewGrant(Grant):
    """A grant just made, with the balance after it."""

    customer_id: str
    balance: int


class Consumed(BaseModel):
    """Credits used this month, in the reporting time zone."""

    charged: int
    refunded: int
    net: int


class Customer(BaseModel):
    """A customer and their credits."""

    id: str
    email: str | None
    tier: str
    balance: int
    grants: list[Grant] = Field(description="Grants with credits left, in the order in which they are spent")
    consumed_this_month: Consumed
    created_at: Instant
    updated_at: Instant


class Movement(BaseModel):
    """Credits that a transaction put into (+) or took from (-) one grant."""

    model_config = ConfigDict(from_attributes=True)

    grant_id: UUID
    source: str
    credits: int
    origin_grant_id: UUID | None = Field(description="The expired grant that refunded credits came from")


class Transaction(BaseModel):
    """One ledger row."""

    id: UUID
    entry: int
    kind: Literal[TRANSACTION_KINDS]  # type: ignore[valid-type]
    amount: int
    balance_after: int
    generation_id: UUID | None
    actor: str
    reason: str
    occurred_at: Instant
    movements: list[Movement]


class Transactions(BaseModel):
    """A page of ledger rows, newest first."""

    transactions: list[Transaction]
    next: int | None = Field(description="The next page's `before`; null on the last page")
