"""Webhook deliveries as Stripe makes them: signed, in any order, repeated until somebody answers with 2xx.

The key of the signature is the whole text of the secret, `whsec_` included
(https://docs.stripe.com/webhooks#verify-manually).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from simulator.stripe.account import Store
from simulator.stripe.objects import Object

SECRET = "whsec_simulated-stripe-endpoint"  # noqa: S105 (a default for tests)
TIMEOUT_SECONDS = 20.0

Post = Callable[[bytes, dict[str, str]], int]
"""Sends a body and headers to an endpoint and returns the HTTP status of the answer."""


@dataclass(frozen=True)
class Delivery:
    """One attempt, and what was answered."""

    event_id: str
    type: str
    status: int


def body(event: Object) -> bytes:
    """What is sent: JSON as Stripe writes it."""
    return json.dumps(event, indent=2).encode()


def headers(raw: bytes, secrets: Sequence[str] = (SECRET,), *, at: int | None = None) -> dict[str, str]:
    """What says that it comes from Stripe: signed at a moment, with each secret while one is being rolled."""
    moment = int(time.time()) if at is None else at
    signed = f"{moment}.".encode() + raw
    marks = [f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}" for secret in secrets]
    signature = ",".join([f"t={moment}", *marks, "v0=0"])
    return {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature}


def deliver(
    account: Store,
    post: Post,
    *,
    events: Sequence[Object] | None = None,
    secrets: Sequence[str] = (SECRET,),
    shuffled: int | None = None,
    copies: int = 1,
) -> list[Delivery]:
    """Send events, else those that were not delivered yet, in the order in which they happened.

    With a seed in `shuffled` they come in any order; each comes `copies` times, with a signature of its own.
    What was not answered with 2xx is not delivered: the next call sends it again.
    """
    if events is None:
        events = [one for one in reversed(account.all("events")) if one["id"] in account.undelivered]
    due = [event for event in events for _ in range(copies)]
    if shuffled is not None:
        random.Random(shuffled).shuffle(due)  # noqa: S311 (nothing secret hangs on it)
    made = []
    for event in due:
        raw = body(event)
        status = post(raw, headers(raw, secrets))
        if 200 <= status < 300:
            account.undelivered.discard(event["id"])
        made.append(Delivery(event["id"], event["type"], status))
    return made


def to(url: str) -> Post:
    """Deliver over HTTP. Whoever cannot be reached answers 0."""

    def post(raw: bytes, signed: dict[str, str]) -> int:
        try:
            return httpx.post(
                url, content=raw, headers=signed, timeout=TIMEOUT_SECONDS, trust_env=False
            ).status_code
        except httpx.TransportError:
            return 0

    return post
