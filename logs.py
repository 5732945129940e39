"""Logs: a JSON object for each line on standard error, without secrets, for our own and the libraries' words."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any

import structlog

SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
HANDLER = "makegood"
HIDDEN = "***"
SECRET_NAMES = re.compile(r"(?i)password|secret|token|authorization|cookie|signature|api_?key$")
SECRETS = (
    # The token in a callback's path, wherever a misconfigured proxy put that path.
    (re.compile(r"(?i)(callbacks(?:/|%2f)+[^/%\s\"']*(?:/|%2f)+)[^\s\"'&]+"), rf"\1{HIDDEN}"),
    # The token in the path of an invitation.
    (re.compile(r"(?i)(invitations(?:/|%2f)+)[^\s\"'&]+"), rf"\1{HIDDEN}"),
    (re.compile(r"mg_([A-Za-z0-9_-]{8})[A-Za-z0-9_-]{8,}"), rf"mg_\1{HIDDEN}"),
    (re.compile(r"(?i)(bearer\s+)(?!mg_)[^\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"whsec_[A-Za-z0-9+/=_-]+|\b[sr]k_(live|test)_[A-Za-z0-9]+"), HIDDEN),
    (re.compile(r"(\w://[^:/@\s]*:)[^\s/]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(?i)(password=)[^\s\"'&]+"), rf"\1{HIDDEN}"),
)


def without_secrets(text: str) -> str:
    """The text with API keys, callback tokens, webhook secrets and passwords in addresses masked."""
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text


def configure(environment: str) -> None:
    """Set logging up for this process. In tests records are made, but not written to standard error."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    # Werkzeug's and httpx's lines hold whole paths, tokens included; ours take their place.
    for name in ("werkzeug", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("granian.access", "_granian"):
        granian = logging.getLogger(name)
        granian.filters = [kept for kept in granian.filters if not isinstance(kept, MaskFilter)]
        granian.addFilter(MaskFilter())
    if environment != "test":
        _write_to_stderr(root)


class MaskFilter(logging.Filter):
    """Masks secrets in the lines of a library that writes them by itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record pass, masked."""
        record.msg, record.args = without_secrets(record.getMessage()), None
        return True


def formatter() -> logging.Formatter:
    """Records as JSON lines. Tracebacks come without local variables: those hold secrets."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            mask,
            structlog.processors.JSONRenderer(default=str),
        ],
    )


def mask(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask what is called a secret or looks like one."""
    for name, value in event.items():
        if SECRET_NAMES.search(name):
            event[name] = HIDDEN
        elif isinstance(value, str):
            event[name] = without_secrets(value)
        elif isinstance(value, dict | list | tuple | Exception):
            event[name] = without_secrets(repr(value))
    return event


def _write_to_stderr(root: logging.Logger) -> None:
    handler = logging.StreamHandler()
    handler.set_name(HANDLER)
    handler.setFormatter(formatter())
    for old in [handler for handler in root.handlers if handler.name == HANDLER]:
        root.removeHandler(old)
    root.addHandler(handler)
