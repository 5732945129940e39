"""Signatures of callbacks. Nothing in a header may raise anything but CallbackRejected."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime

from makegood.providers.protocol import CallbackRejected

TOLERANCE_SECONDS = 300

_ID = re.compile(r"[\x21-\x7e]{1,200}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v3,([0-9a-f]{64})")


def sign_v3(secret: str, webhook_id: str, timestamp: str, body: bytes) -> str:
    """WaveSpeed's signature, version 3: https://wavespeed.ai/docs/verify-webhooks

    The key is the secret's text after "whsec_", not what that text would decode to.
    """
    key = secret.removeprefix("whsec_").encode()
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v3," + hmac.new(key, signed, hashlib.sha256).hexdigest()


def verify_v3(secrets: str | None, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """Check WaveSpeed's signature and return the delivery's id. Raises CallbackRejected.

    `secrets` are one or more, separated by commas, so that a secret can be replaced while callbacks signed with
    the old one are on their way. `now` must be within 300 seconds of the timestamp. Without a secret
    nothing is genuine.
    """
    keys = [key for key in (part.strip() for part in (secrets or "").split(",")) if key not in ("", "whsec_")]
    if not keys:
        raise CallbackRejected("no webhook secret is configured")
    webhook_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    signature = headers.get("webhook-signature", "")
    if not _ID.fullmatch(webhook_id):
        raise CallbackRejected("the header webhook-id is missing or malformed")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise CallbackRejected("the header webhook-timestamp is missing or malformed")
    if not _SIGNATURE.fullmatch(signature):
        raise CallbackRejected("the header webhook-signature is missing or malformed")
    matches = [hmac.compare_digest(sign_v3(key, webhook_id, timestamp, body), signature) for key in keys]
    if not any(matches):
        raise CallbackRejected("the signature does not match")
    # After the signature, so that a stranger learns nothing about our clock.
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
        raise CallbackRejected("the timestamp is more than 300 seconds away")
    return webhook_id
