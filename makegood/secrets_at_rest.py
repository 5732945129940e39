"""Secrets that have to be read again are stored sealed: a copy of the database alone does not open them.

The key comes from the deployment's SECRET_KEY. Each seal is bound to what it is for, so that a sealed value moved
to another row or another use does not open.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = b"\x01"
NONCE = 12
"""Bytes."""


class Unreadable(Exception):
    """The sealed value was changed, belongs elsewhere, or was sealed under another SECRET_KEY."""


class Vault:
    """Seals and opens secrets under one deployment's key."""

    def __init__(self, secret_key: str) -> None:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"makegood secrets at rest")
        self._cipher = AESGCM(derived.derive(secret_key.encode()))

    def seal(self, secret: bytes, purpose: str) -> bytes:
        """The secret as it may be stored: version, nonce, ciphertext."""
        nonce = secrets.token_bytes(NONCE)
        return VERSION + nonce + self._cipher.encrypt(nonce, secret, VERSION + purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """The secret that was sealed for this purpose. Raises Unreadable."""
        nonce, ciphertext = sealed[1 : 1 + NONCE], sealed[1 + NONCE :]
        if sealed[:1] != VERSION or len(nonce) != NONCE:
            raise Unreadable
        try:
            return self._cipher.decrypt(nonce, ciphertext, VERSION + purpose.encode())
        except InvalidTag:
            raise Unreadable from None
