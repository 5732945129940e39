"""Signatures of callbacks. Nothing in a header may raise anything but CallbackRejected."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from makegood.providers.protocol import CallbackRejected

TOLERANCE_SECONDS = 300
MAX_SIGNATURES = 10

_ID = re.compile(r"[\x21-\x7e]{1,200}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v3,([0-9a-f]{64})")
_SIGNATURE_V1 = re.compile(r"v1,[A-Za-z0-9+/]{43}=")


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
    webhook_id, timestamp = _delivery(headers)
    signature = headers.get("webhook-signature", "")
    if not _SIGNATURE.fullmatch(signature):
        raise CallbackRejected("the header webhook-signature is missing or malformed")
    matches = [hmac.compare_digest(sign_v3(key, webhook_id, timestamp, body), signature) for key in keys]
    if not any(matches):
        raise CallbackRejected("the signature does not match")
    # After the signature, so that a stranger learns nothing about our clock.
    _check_age(timestamp, now)
    return webhook_id


def sign_v1(secret: str, webhook_id: str, timestamp: str, body: bytes) -> str:
    """The signature of Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks

    The key is what the text after "whsec_" decodes to. Raises ValueError for a text that is not base64.
    """
    return _signed_v1(_decoded(secret), webhook_id, timestamp, body)


def verify_v1(secrets: str | None, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """Check a signature of Standard Webhooks and return the delivery's id. Raises CallbackRejected.

    `secrets` and the clock as in `verify_v3`. The header may hold several signatures, separated by spaces and of
    other versions too: one that fits is enough.
    """
    keys = _decoded_keys(secrets)
    webhook_id, timestamp = _delivery(headers)
    signatures = [one for one in headers.get("webhook-signature", "").split(" ") if _SIGNATURE_V1.fullmatch(one)]
    if not signatures:
        raise CallbackRejected("the header webhook-signature is missing or malformed")
    expected = [_signed_v1(key, webhook_id, timestamp, body) for key in keys]
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures[:MAX_SIGNATURES]]
    if not any(matches):
        raise CallbackRejected("the signature does not match")
    _check_age(timestamp, now)
    return webhook_id


def _delivery(headers: Mapping[str, str]) -> tuple[str, str]:
    webhook_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not _ID.fullmatch(webhook_id):
        raise CallbackRejected("the header webhook-id is missing or malformed")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise CallbackRejected("the header webhook-timestamp is missing or malformed")
    return webhook_id, timestamp


def _check_age(timestamp: str, now: datetime) -> None:
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
        raise CallbackRejected("the timestamp is more than 300 seconds away")


def _decoded_keys(secrets: str | None) -> list[bytes]:
    keys = []
    for secret in (part.strip() for part in (secrets or "").split(",")):
        with suppress(ValueError):  # one that is mistyped must not make the others useless
            keys.append(_decoded(secret))
    if not any(keys):
        raise CallbackRejected("no webhook secret is configured that is base64")
    return [key for key in keys if key]


def _decoded(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("The secret is not base64.") from None


def _signed_v1(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
