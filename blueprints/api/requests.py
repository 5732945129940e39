"""What clients send to the API: one model for each body, query and header."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from flask import current_app
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from blueprints.api.fields import (
    Credits,
    Dollars,
    Email,
    Entry,
    Identifier,
    Key,
    Limit,
    Moment,
    Object,
    Strict,
    Text,
)
from makegood.models.ledger import GRANT_SOURCES
from makegood.providers.protocol import ErrorClass

MAX_OUTPUTS = 100
MAX_OUTPUT = 2000


def _error_class(value: object) -> object:
    """Strict models take no text for an enumeration's member."""
    return ErrorClass(value) if isinstance(value, str) and value in set(ErrorClass) else value


class CustomerBody(Strict):
    """Who the customer is. What is left out is cleared."""

    tier: Identifier
    email: Email | None = None


class GrantBody(Strict):
    """Credits to give."""

    credits: Credits
    source: Literal[GRANT_SOURCES]  # type: ignore[valid-type]
    reason: Text
    expires_at: Moment | None = None


class GenerationBody(Strict):
    """What to generate, for whom. Without `credits` the table of credit prices decides."""

    customer_id: Identifier
    provider: Identifier
    model: Identifier
    kind: Identifier
    input: Object
    credits: Credits | None = None
    metadata: Object | None = None

    @field_validator("provider")
    @classmethod
    def is_known(cls, provider: str) -> str:
        """Refuse a provider that this deployment does not have."""
        known = sorted(current_app.extensions["providers"])
        if provider not in known:
            raise PydanticCustomError("provider", "must be one of {known}", {"known": ", ".join(known)})
        return provider


class OutcomeBody(Strict):
    """What became of a generation that the platform submitted to its provider itself."""

    status: Literal["submitted", "succeeded", "failed"]
    provider_job_id: Identifier | None = None
    outputs: Annotated[list[Annotated[Text, Field(max_length=MAX_OUTPUT)]], Field(max_length=MAX_OUTPUTS)] = Field(
        default=[]
    )
    error_class: Annotated[ErrorClass, BeforeValidator(_error_class)] | None = None
    error_message: Text | None = None
    cost_usd: Dollars | None = None

    @model_validator(mode="after")
    def fits_the_status(self) -> Self:
        """Refuse what this status does not have."""
        misplaced = []
        if self.status != "succeeded" and self.outputs:
            misplaced.append("outputs")
        if self.status != "failed":
            misplaced += [name for name in ("error_class", "error_message") if getattr(self, name) is not None]
        if self.status == "submitted" and self.cost_usd is not None:
            misplaced.append("cost_usd")
        if misplaced:
            raise PydanticCustomError(
                "misplaced",
                "must not have {fields} with this status",
                {"fields": ", ".join(misplaced)},
            )
        return self


class PageQuery(Strict):
    """A page of ledger rows, newest first: those before an entry number."""

    before: Entry | None = None
    limit: Limit = 50


class IdempotencyHeader(BaseModel):
    """The header that makes a repeated request take effect once."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    key: Key = Field(
        alias="Idempotency-Key", description="A key of your own for this request; repeat it on a retry."
    )
