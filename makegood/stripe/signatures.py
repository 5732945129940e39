"""The signature of Stripe's webhooks: https://docs.stripe.com/webhooks#verify-manually

The header is `t=<unix seconds>,v1=<hex>[,v1=<hex>…]`; other schemes (`v0`) are passed over. A signature is the
HMAC-SHA256 of the timestamp, a full stop and the body as it came. Its key is the endpoint's signing secret, the
whole text with its "whsec_".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime

from makegood.errors import MakegoodError

TOLERANCE_SECONDS = 300
MAX_SIGNATURES = 10
MAX_HEADER = 4096

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")


class NotGenuine(MakegoodError):
    """A delivery that does not prove that it is Stripe's, or not of now. Nothing of it is kept."""

    code = "not_genuine"
    status = 400


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of the scheme v1, in lower-case hexadecimal."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def verify(secrets: Sequence[str], header: str, body: bytes, now: datetime) -> None:
    """Check the header `Stripe-Signature` of a delivery. Raises NotGenuine, whatever the header holds.

    One of the secrets and one of the signatures that fit are enough: both are several while a secret is replaced.
    `now` must be within 300 seconds of the timestamp, before it too: Stripe's own library takes any future one.
    """
    if not secrets:
        raise NotGenuine("Without STRIPE_WEBHOOK_SECRET, which is not set here, no delivery can be checked.")
    timestamp, signatures = _read(header)
    expected = [sign(secret, timestamp, body) for secret in secrets]
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures]
    if not any(matches):
        raise NotGenuine(
            "The signature does not match: the signing secret is another endpoint's, or the body was changed."
        )
    # After the signature, so that a stranger learns nothing about our clock.
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
        raise NotGenuine(f"The timestamp is more than {TOLERANCE_SECONDS} seconds away.")


def _read(header: str) -> tuple[str, list[str]]:
    """The timestamp and the signatures of the scheme v1."""
    items = [item.partition("=") for item in header[:MAX_HEADER].split(",")]
    timestamps = [value for scheme, _, value in items if scheme == "t"]
    signatures = [value for scheme, _, value in items if scheme == "v1" and _SIGNATURE.fullmatch(value)]
    if len(timestamps) != 1 or not _TIMESTAMP.fullmatch(timestamps[0]) or not signatures:
        raise NotGenuine("The header Stripe-Signature is missing or malformed.")
    return timestamps[0], signatures[:MAX_SIGNATURES]
