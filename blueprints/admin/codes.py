"""Codes as people say them: where an audit entry has them, and where a file says what it was filtered by."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask

from blueprints import formats

CODED = ("reason", "state", "status", "outcome", "origin", "kind", "error", "error_class", "class", "reversed")
"""What holds a code of ours. Models and tiers are names that somebody gave: they stay as they are."""
NAMES = ("provider", "model", "tier", "customer", "customer_id", "actor", "subject", "name")
WORD, CODE = re.compile(r"[a-z_]+"), re.compile(r"[a-z]+(_[a-z]+)+")
SAID = {"pending": "Waiting", "in_flight": "In flight", "yes": "Yes", "no": "No"}


def coded(value: Any, name: str) -> Any:
    """The value of that name in words, if it is a code; else as it is: a reason that somebody wrote stays so."""
    last = name.rpartition(" ")[2]
    if not isinstance(value, str) or last in NAMES:
        return value
    if (WORD if last in CODED else CODE).fullmatch(value):
        return SAID.get(value) or formats.reason(value)
    return value


def init_app(app: Flask) -> None:
    """Give the templates `coded`."""
    app.add_template_filter(coded)
