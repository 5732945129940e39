"""The types of values that cross the API, with their bounds, and sentences for what breaks them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from makegood.errors import Invalid
from makegood.grants import MAX_CREDITS

MICROS = 1_000_000
LARGEST = 2**63 - 1
MAX_REPORTED_FIELDS = 50
MAX_REPORTED_NAME = 100

WHOLE_NUMBER = re.compile(r"[0-9]{1,19}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
DOLLARS = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"
# U+FFFD is what an id's undecodable bytes turn into: different ids would become the same one.
NO_CONTROL = r"^[^\x00-\x1f\x7f-\x9f\ufffd]*$"
PRINTABLE_ASCII = r"^[ -~]*$"
EMAIL = r"^[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+$"
TOO_LATE = datetime(9000, 1, 1, tzinfo=UTC)

PATTERNS = {
    NO_CONTROL: "must not contain control characters",
    PRINTABLE_ASCII: "must consist of printable ASCII characters",
    EMAIL: "must be an e-mail address",
    DOLLARS: 'must be US dollars as a decimal text such as "0.038", with at most six decimals',
}
SENTENCES = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this request",
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "dict_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "list_type": "must be a JSON array",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "too_long": "must have at most {max_length} items",
}


class Strict(BaseModel):
    """What clients send: no field that we do not know, no type that has to be guessed at."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


def _whole_number(value: Any) -> int:
    if not (isinstance(value, str) and WHOLE_NUMBER.fullmatch(value)):
        raise PydanticCustomError("whole_number", "must be a whole number")
    return int(value)


def _moment(value: Any) -> datetime:
    if isinstance(value, str) and MOMENT.fullmatch(value):
        try:
            moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        else:
            if moment < TOO_LATE:
                return moment
    raise PydanticCustomError("moment", "must be a time with its offset from UTC, such as 2026-12-31T23:59:59Z")


def _micros(value: str) -> int:
    return int(Decimal(value) * MICROS)


def dollars(micros: int) -> str:
    """Micro-dollars as a decimal text of US dollars: "0.038"."""
    whole, part = divmod(micros, MICROS)
    return f"{whole}." + f"{part:06}".rstrip("0").ljust(2, "0")


def iso(moment: datetime) -> str:
    """An instant as ISO 8601 in UTC, with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Identifier = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_CONTROL)]
"""A name or id from outside."""

Text = Annotated[str, Field(min_length=1, max_length=500, pattern=NO_CONTROL)]
Key = Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE_ASCII)]
Email = Annotated[str, Field(max_length=320, pattern=EMAIL)]
Credits = Annotated[int, Field(ge=1, le=MAX_CREDITS)]
Object = dict[str, Any]

Dollars = Annotated[str, Field(pattern=DOLLARS), AfterValidator(_micros)]
"""Sent as a decimal text of US dollars, read as micro-dollars."""

Limit = Annotated[int, Field(ge=1, le=200), BeforeValidator(_whole_number)]
Entry = Annotated[int, Field(ge=1, le=LARGEST), BeforeValidator(_whole_number)]

DATE_TIME = WithJsonSchema({"type": "string", "format": "date-time"})

Moment = Annotated[datetime, BeforeValidator(_moment), DATE_TIME]
"""An instant that was sent, with any offset; in UTC from here on."""

Instant = Annotated[datetime, PlainSerializer(iso, return_type=str), DATE_TIME]
"""An instant that is answered, in UTC."""

_identifier: TypeAdapter[str] = TypeAdapter(Identifier)


def check_identifier(name: str, value: str) -> None:
    """Refuse an id in a path that no row can have. Raises Invalid."""
    try:
        _identifier.validate_python(value)
    except ValidationError as error:
        raise Invalid("The request is not valid.", fields={name: sentence(error.errors()[0])}) from None


def problems(error: ValidationError) -> dict[str, str]:
    """Every offending field of a request, with a sentence: {"input.prompt": "is required"}."""
    found: dict[str, str] = {}
    for detail in error.errors(include_url=False)[:MAX_REPORTED_FIELDS]:
        name = ".".join(str(part) for part in detail["loc"]) or "body"
        found.setdefault(name[:MAX_REPORTED_NAME], sentence(detail))
    return found


def sentence(detail: ErrorDetails) -> str:
    """What is wrong with one field, to be read after its name."""
    context = detail.get("ctx", {})
    if detail["type"] == "string_pattern_mismatch":
        return PATTERNS[context["pattern"]]
    known = SENTENCES.get(detail["type"])
    return known.format(**context) if known else detail["msg"]
