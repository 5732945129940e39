"""Keys that a provider publishes: fetched once, kept for a day, fetched again when they changed."""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from makegood.providers.http import Limits
from makegood.providers.public_keys import PublicKeys, read
from tests.loopback import Loopback

FIRST, SECOND = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
MESSAGE = b"message"


class Clock:
    """A clock that a test turns."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def jwk(key: Ed25519PrivateKey, **other: Any) -> dict[str, Any]:
    """The public half as a JWK."""
    x = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x, **other}


def publish(loopback: Loopback, *keys: Ed25519PrivateKey) -> None:
    """Answer with these keys from now on."""
    loopback.answer = (200, json.dumps({"keys": [jwk(key) for key in keys]}).encode())


@pytest.fixture
def clock() -> Clock:
    """Turned by the test."""
    return Clock()


@pytest.fixture
def keys(loopback: Loopback, clock: Clock) -> PublicKeys:
    """Keys that are published on this machine."""
    publish(loopback, FIRST)
    return PublicKeys(Limits().door(fetch_seconds=1), f"{loopback.url}/.well-known/jwks.json", clock)


def fits(keys: PublicKeys, signer: Ed25519PrivateKey) -> bool:
    """Whether a signature of that key passes."""
    return keys.verify(signer.sign(MESSAGE), MESSAGE)


def test_they_are_fetched_once_for_many_signatures(keys: PublicKeys, loopback: Loopback) -> None:
    assert all(fits(keys, FIRST) for _ in range(10))
    assert [request.path for request in loopback.requests] == ["/.well-known/jwks.json"]
    assert "authorization" not in loopback.requests[0].headers


def test_any_of_several_keys_will_do(keys: PublicKeys, loopback: Loopback) -> None:
    publish(loopback, SECOND, FIRST)
    assert fits(keys, FIRST)
    assert fits(keys, SECOND)
    assert len(loopback.requests) == 1


def test_a_new_key_is_found_and_the_old_one_no_longer_fits(
    keys: PublicKeys, loopback: Loopback, clock: Clock
) -> None:
    assert fits(keys, FIRST)
    publish(loopback, SECOND)
    clock.seconds += 60
    assert fits(keys, SECOND)
    assert not fits(keys, FIRST)
    assert len(loopback.requests) == 2


def test_strangers_make_us_look_once_a_minute_at_most(keys: PublicKeys, loopback: Loopback, clock: Clock) -> None:
    assert fits(keys, FIRST)
    for _ in range(100):
        assert not fits(keys, SECOND)
    assert len(loopback.requests) == 1
    clock.seconds += 59.9
    assert not fits(keys, SECOND)
    assert len(loopback.requests) == 1
    clock.seconds += 0.2
    assert not fits(keys, SECOND)
    assert not fits(keys, SECOND)
    assert len(loopback.requests) == 2
    assert fits(keys, FIRST), "what is known is kept"


def test_they_are_kept_for_a_day_at_most(keys: PublicKeys, loopback: Loopback, clock: Clock) -> None:
    assert fits(keys, FIRST)
    clock.seconds += 24 * 3600 - 1
    assert fits(keys, FIRST)
    assert len(loopback.requests) == 1
    clock.seconds += 1
    loopback.answer = (500, b"{}")
    assert not fits(keys, FIRST)
    clock.seconds += 60
    publish(loopback, FIRST)
    assert fits(keys, FIRST)
    assert len(loopback.requests) == 3


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (200, b"<html>"),
        (200, b"{}"),
        (200, b'{"keys": []}'),
        (200, b'{"keys": 7}'),
        (200, b"x" * 200000),
        (404, b'{"keys": []}'),
        (302, b"{}"),
    ],
)
def test_while_they_cannot_be_read_nothing_fits_and_then_everything_is_well_again(
    status: int, body: bytes, keys: PublicKeys, loopback: Loopback, clock: Clock
) -> None:
    loopback.answer = (status, body)
    assert not fits(keys, FIRST)
    publish(loopback, FIRST)
    assert not fits(keys, FIRST), "not before a minute is over"
    clock.seconds += 60
    assert fits(keys, FIRST)


def test_a_fetch_that_fails_does_not_forget_what_is_known(
    keys: PublicKeys, loopback: Loopback, clock: Clock
) -> None:
    assert fits(keys, FIRST)
    clock.seconds += 60
    loopback.answer = lambda connection: connection.close()
    assert not fits(keys, SECOND)
    assert fits(keys, FIRST)


def test_many_threads_at_once_fetch_once_and_all_are_served(keys: PublicKeys, loopback: Loopback) -> None:
    together, found = threading.Barrier(30), []

    def check() -> None:
        together.wait()
        found.append(fits(keys, FIRST))

    threads = [threading.Thread(target=check) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 30
    assert len(loopback.requests) == 1


def test_while_one_thread_fetches_those_that_have_keys_do_not_wait(
    keys: PublicKeys, loopback: Loopback, clock: Clock
) -> None:
    assert fits(keys, FIRST)
    clock.seconds += 60
    go_on, found = threading.Event(), []
    loopback.answer = lambda connection: go_on.wait(5) and connection.close()
    waiting = threading.Thread(target=lambda: found.append(fits(keys, SECOND)))
    waiting.start()
    loopback.wait_for(2)
    started = time.monotonic()
    assert fits(keys, FIRST)
    assert not any(fits(keys, SECOND) for _ in range(10))
    assert time.monotonic() - started < 0.5
    go_on.set()
    waiting.join()
    assert found == [False]
    assert len(loopback.requests) == 2


def test_what_is_no_ed25519_key_is_left_out() -> None:
    good = jwk(FIRST)
    bad = [None, 7, "x", [], {}, jwk(SECOND, kty="RSA"), jwk(SECOND, crv="X25519"), jwk(SECOND, x=None)]
    bad += [jwk(SECOND, x=text) for text in ("", "AA", "é", "!" * 43, "A" * 42, "A" * 65, 7)]
    assert read([*bad, good]) == (FIRST.public_key(),)
    assert len(read([good] * 1000)) == 20
    for jwks in (None, 7, {}, "x"):
        assert read(jwks) == ()


def test_a_signature_of_any_length_is_only_one_that_does_not_fit(keys: PublicKeys) -> None:
    for signature in (b"", b"x", b"\0" * 63, b"\0" * 64, b"\0" * 65, b"\xff" * 64):
        assert not keys.verify(signature, MESSAGE)
