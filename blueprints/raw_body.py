"""The body of a request as it came, with a limit."""

from __future__ import annotations

from flask import request
from werkzeug.exceptions import UnsupportedMediaType


def read(limit: int | None = None) -> bytes:
    """All of the body. Beyond `limit` bytes (by default the application's) 413; with a content encoding 415."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType("Send the body without a content encoding.")
    if limit is not None:
        request.max_content_length = limit
    body = request.get_data(cache=False)
    # A chunked body is cut at the limit without a word; reading on is what raises 413.
    request.stream.read(1)
    return body
