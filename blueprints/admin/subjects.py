"""What an audit entry or a request is about, as words and as the way to its page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from flask import Flask, current_app, url_for

from makegood import api_keys

PAGES: dict[str, tuple[str, Callable[[str], dict[str, object]]]] = {
    "generation": ("admin.generation", lambda name: {"generation_id": UUID(name)}),
    "customer": ("admin.customer", lambda name: {"customer_id": name}),
    "payment_methods": ("admin.payment_methods", lambda name: {"customer_id": name}),
    "callback": ("admin.callback", lambda name: {"callback_id": UUID(name)}),
    "stripe-events": ("admin.stripe_events", lambda _: {}),
    "stripe-event": ("admin.stripe_event", lambda name: {"event_id": name}),
    "stripe-customer": ("admin.unlinked", lambda _: {}),
    "stripe-payment": ("admin.unlinked", lambda _: {}),
    "stripe-checkout": ("admin.unlinked", lambda _: {}),
    "bill": ("admin.bill", lambda name: {"bill_id": UUID(name)}),
    "bulk_refund": ("admin.bulk_refund", lambda name: {"bulk_refund_id": UUID(name)}),
    "provider": ("admin.provider", lambda name: {"name": name}),
    "credit-price": ("admin.credit_prices", lambda _: {}),
    "prices": ("admin.prices", lambda _: {}),
    "exchange-rates": ("admin.exchange_rates", lambda _: {}),
    "policy": ("admin.policies", lambda _: {}),
    "error-mapping": ("admin.unmapped_errors", lambda _: {}),
    "limits": ("admin.limits", lambda _: {}),
    "operator": ("admin.operators", lambda _: {}),
    "api_key": ("admin.api_keys", lambda _: {}),
}
"""By the subject's first word: the endpoint, and its arguments for the rest of the subject."""


@dataclass(frozen=True)
class Subject:
    """A subject as it is shown: what it is, which one, and its page's address where it has one."""

    kind: str
    name: str
    address: str | None


def read(subject: str) -> Subject:
    """The parts of a subject. An e-mail address is an operator, and what begins as our keys do is one."""
    kind, separator, name = subject.partition(":")
    if not separator:
        key = subject.startswith(api_keys.PREFIX)
        kind, name = ("operator", subject) if "@" in subject else ("api_key", subject) if key else (subject, "")
    return Subject(re.sub("[-_]", " ", kind), name, _address(kind, name))


def _address(kind: str, name: str) -> str | None:
    endpoint, arguments = PAGES.get(kind, ("", dict))
    if endpoint not in current_app.view_functions:
        return None
    try:
        return url_for(endpoint, **arguments(name))  # type: ignore[arg-type]
    except (ValueError, LookupError):
        return None


def init_app(app: Flask) -> None:
    """Give the templates `subject`."""
    app.add_template_filter(read, "subject")
