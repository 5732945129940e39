"""How what was received is shown to people: as it came, without the secrets in it."""

from __future__ import annotations

import json
import re
from typing import Any

from flask import Flask

SECRET_WORDS = ("authorization", "signature", "secret", "token", "cookie", "api-key", "api_key", "apikey")
CALLBACK_TOKEN = re.compile(r"(/callbacks/[^/\s]+/)[\w-]{16,}")
HEX_BYTES = 512


def pretty(value: Any, private: re.Pattern[str] | None = None) -> str:
    """JSON for people: indented, in the order received, secrets and fields with a `private` name masked."""
    return json.dumps(masked(value, private), indent=2, ensure_ascii=False, default=str)


def masked(value: Any, private: re.Pattern[str] | None = None) -> Any:
    """The value without what a header or field named like a secret, or wholly matching `private`, carries."""
    if isinstance(value, dict):
        return {
            key: "•••" if item and _secret(str(key), private) else masked(item, private)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [masked(item, private) for item in value]
    return CALLBACK_TOKEN.sub(r"\1•••", value) if isinstance(value, str) else value


def body_text(body: bytes) -> str:
    """A raw body as text: JSON is pretty-printed and masked; what is no text is said to be none."""
    kind, text = body_view(body)
    return f"{len(body)} bytes that are not text: {body[:200].hex(' ')}" if kind == "bytes" else text


def body_view(body: bytes, private: re.Pattern[str] | None = None) -> tuple[str, str]:
    """What a raw body is (JSON, text or bytes) and how it is shown: JSON pretty-printed and masked, also in fields
    with a `private` name, text masked, and the first 512 of other bytes in hexadecimal, sixteen to a line."""
    try:
        return "JSON", pretty(json.loads(body), private)
    except (ValueError, RecursionError):
        pass
    try:
        return "text", str(masked(body.decode()))
    except UnicodeDecodeError:
        return "bytes", "\n".join(_hex_line(body, at) for at in range(0, min(len(body), HEX_BYTES), 16))


def _hex_line(body: bytes, at: int) -> str:
    part = body[at : min(at + 16, HEX_BYTES)]
    readable = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
    return f"{at:04x}  {part.hex(' '):<47}  {readable}"


def _secret(name: str, private: re.Pattern[str] | None) -> bool:
    found = any(word in name.lower() for word in SECRET_WORDS)
    return found or (private is not None and private.fullmatch(name) is not None)


def init_app(app: Flask) -> None:
    """Give the templates `pretty` and `body_text`."""
    app.add_template_filter(pretty)
    app.add_template_filter(body_text)
