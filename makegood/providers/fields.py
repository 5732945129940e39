"""Fields of a provider's JSON, read with suspicion: what is not as it must be counts as absent."""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from makegood.ids import hash_token

MAX_OUTPUTS = 50
MAX_LINK_LENGTH = 2000
MAX_MESSAGE_LENGTH = 500
MAX_QUANTITY = 1_000_000_000
MICRO = Decimal("0.000001")
MILLI = Decimal("0.001")
LARGEST_AMOUNT = Decimal(10) ** 12

_CALLBACK_TOKEN = re.compile(r"((?:/|%2F)callbacks(?:/|%2F)[a-z0-9_-]+(?:/|%2F))[\w-]{8,}", re.IGNORECASE)
_JOB_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}")


def job_id(value: Any) -> str | None:
    """A provider's id of a job, if it is one that is safe in a path and in a key."""
    return value if isinstance(value, str) and _JOB_ID.fullmatch(value) else None


def integer(value: Any) -> int | None:
    """A whole number, also when it is written as a text of up to 9 digits."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def amount(value: Any) -> Decimal | None:
    """A quantity of money or credits, as a number or written as one: below 1e12 either way, with at most six
    decimals (half up)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > 40:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number) >= LARGEST_AMOUNT:
        return None
    return number if number == number.quantize(MICRO) else number.quantize(MICRO, ROUND_HALF_UP)


def micros(dollars: Decimal) -> int:
    """Dollars in micro-dollars."""
    return int((dollars / MICRO).to_integral_value(ROUND_HALF_UP))


def quantity(value: Any) -> Decimal | None:
    """How much was billed: 0 to a thousand million, with three decimals (half up). Too little to be kept so counts
    as absent: what was billed is never nothing."""
    number = amount(value)
    if number is None or not 0 <= number <= MAX_QUANTITY:
        return None
    rounded = number.quantize(MILLI, ROUND_HALF_UP)
    return rounded if rounded or not number else None


def mapping(value: Any) -> Mapping[str, Any]:
    """A JSON object; empty if it is something else."""
    return value if isinstance(value, dict) else {}


def message(value: Any) -> str | None:
    """A provider's text in one line for operators: no control characters, at most 500 characters, and no token
    where it repeats the callback address that we gave it."""
    if not isinstance(value, str):
        return None
    # A message is short; the cut keeps the cost of cleaning a long one low.
    readable = (
        " " if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else character
        for character in value[: 4 * MAX_MESSAGE_LENGTH]
    )
    line = " ".join("".join(readable).split())
    return _CALLBACK_TOKEN.sub(r"\1***", line)[:MAX_MESSAGE_LENGTH] or None


def links(value: Any) -> tuple[str, ...]:
    """The http and https addresses in a list, at most 50 of at most 2,000 characters. Others are left out."""
    items = value if isinstance(value, list) else [value]
    return tuple(item for item in items[:MAX_OUTPUTS] if _is_link(item))


def instant(value: Any) -> datetime | None:
    """A time of this century in ISO 8601, with its zone."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 50 else None
    except ValueError:
        return None
    return time if time is not None and time.tzinfo is not None and 2000 <= time.year < 2100 else None


def calls_back(value: Any, token_hash: bytes) -> bool:
    """Whether that is the callback address with this token, as a provider lists it with a job."""
    if not isinstance(value, str) or len(value) > MAX_LINK_LENGTH or not value.isascii():
        return False
    token = value.partition("?")[0].rpartition("/")[2]
    return hmac.compare_digest(hash_token(token), token_hash)


def _is_link(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > MAX_LINK_LENGTH or not value.isprintable() or " " in value:
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
