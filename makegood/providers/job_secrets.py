"""A secret for each job, at providers that are given one with every submit.

It is made from the configured secret and the token in the job's callback address: nothing needs to be stored, and
one that leaks opens its own job only.
"""

from __future__ import annotations

import hashlib
import hmac

from makegood.providers.protocol import CallbackRejected


def derive(secret: str, token: str) -> str:
    """The secret of the job with this callback token: 64 hexadecimal digits."""
    return hmac.new(secret.encode(), b"makegood job " + token.encode(), hashlib.sha256).hexdigest()


def newest(secrets: str | None, token: str) -> str | None:
    """What a job that is submitted now is given; None without a configured secret.

    `secrets` are one or more, separated by commas, the newest first, so that one can be replaced while jobs that
    were given the old one are under way.
    """
    keys = _keys(secrets)
    return derive(keys[0], token) if keys else None


def accepted(secrets: str | None, token: str) -> list[str]:
    """What callbacks of that job may prove themselves with. Raises CallbackRejected without a secret."""
    keys = _keys(secrets)
    if not keys:
        raise CallbackRejected("no webhook secret is configured")
    return [derive(key, token) for key in keys]


def token_of(callback_url: str) -> str:
    """The token in one of our callback addresses: what its path ends with."""
    return callback_url.partition("?")[0].rpartition("/")[2]


def _keys(secrets: str | None) -> list[str]:
    # "whsec_" alone is what is left of a secret that was copied badly.
    return [key for key in (part.strip() for part in (secrets or "").split(",")) if key not in ("", "whsec_")]
