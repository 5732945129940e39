"""Errors as FastAPI writes them, which BFL and fal do: https://fastapi.tiangolo.com/tutorial/handling-errors/

`detail` is a text, or a list of {"loc": [...], "msg": "...", "type": "..."}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from makegood.providers import fields

MAX_ERRORS = 5


def types(body: Mapping[str, Any]) -> list[str]:
    """The types of the errors in a body, in their order."""
    return [error["type"] for error in _errors(body) if isinstance(error.get("type"), str)]


def text(body: Mapping[str, Any]) -> str | None:
    """What a body says in one line, such as "width: Input should be a multiple of 16"; None if it says nothing."""
    if isinstance(body.get("detail"), str):
        return fields.message(body["detail"])
    return fields.message("; ".join(filter(None, map(_sentence, _errors(body)))))


def _errors(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    detail = body.get("detail")
    return [fields.mapping(error) for error in detail[:MAX_ERRORS]] if isinstance(detail, list) else []


def _sentence(error: Mapping[str, Any]) -> str | None:
    problem = fields.message(error.get("msg"))
    place = error.get("loc")
    # The first part says "body", which is where everything is.
    where = (
        ".".join(str(part) for part in place[1:6] if isinstance(part, str | int))
        if isinstance(place, list)
        else ""
    )
    return f"{where}: {problem}" if where and problem else problem
