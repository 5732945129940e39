"""Read JSON that strangers send: strictly, with limits, never with anything but a sentence as failure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

MAX_DEPTH = 32
LARGEST_INTEGER = 2**63 - 1

# Neither an unclosed text nor a long one may make the scan start over: it must stay linear.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


class NotJSON(ValueError):
    """The bytes are not JSON that we accept. The message is a sentence that can be shown to the sender."""


def loads(raw: bytes, max_depth: int = MAX_DEPTH, *, plain_text: bool = False) -> Any:
    """The value that `raw` (UTF-8) holds.

    Refuses what Python's own reader lets through or dies of: nesting deeper than `max_depth`, NaN and
    infinities, integers beyond 64 bits, names given twice in one object. With `plain_text`, also texts that
    PostgreSQL cannot store: those with NUL characters or with halves of surrogate pairs. Raises NotJSON.
    """
    _check_depth(raw, max_depth)
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
    except UnicodeDecodeError:
        raise NotJSON("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise NotJSON(f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno}).") from None
    # Only an escape can write the characters in question: raw ones are refused above.
    if plain_text and b"\\u" in raw:
        _check_texts(value)
    return value


def is_plain(text: str) -> bool:
    """Whether PostgreSQL can store the text: no NUL character, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _check_depth(raw: bytes, max_depth: int) -> None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(raw):
        token = match[0]
        if token in (b"[", b"{"):
            depth += 1
            if depth > max_depth:
                raise NotJSON(f"The body is nested more than {max_depth} levels deep.")
        elif token in (b"]", b"}"):
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotJSON("The body names a field twice in one object.")
    return value


def _integer(text: str) -> int:
    # The length first: reading the digits of a huge number takes quadratic time.
    if len(text) > 20 or abs(value := int(text)) > LARGEST_INTEGER:
        raise NotJSON("The body holds an integer of more than 64 bits.")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotJSON("The body holds a number that is too large.")
    return value


def _constant(text: str) -> NoReturn:
    raise NotJSON(f"The body holds {text}, which is not a JSON number.")


def _check_texts(value: Any) -> None:
    if not all(is_plain(text) for text in _texts(value)):
        raise NotJSON("The body holds a text with a NUL character or half of a surrogate pair.")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
