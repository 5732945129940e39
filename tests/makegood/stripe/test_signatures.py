"""The signature of Stripe's webhooks: what fits is genuine, and nothing in a header breaks the check."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from makegood.stripe import signatures
from makegood.stripe.signatures import NotGenuine, sign

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AT = str(int(NOW.timestamp()))
SECRET = "whsec_only-for-tests-0123456789"
BODY = b'{"id": "evt_1"}'


def verify(header: str, *, secrets: tuple[str, ...] = (SECRET,), body: bytes = BODY, now: datetime = NOW) -> None:
    signatures.verify(secrets, header, body, now)


def header(secret: str = SECRET, body: bytes = BODY, at: str = AT) -> str:
    return f"t={at},v1={sign(secret, at, body)}"


def test_what_stripes_own_library_signs_is_genuine() -> None:
    verify(stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET, int(AT)))


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", "„ü“".encode(), b"a.b" * 1000])
def test_any_bytes_can_be_signed(body: bytes) -> None:
    verify(header(body=body), body=body)


def test_one_of_several_secrets_and_signatures_is_enough() -> None:
    old = sign("whsec_the-old-one-0123456789abc", AT, BODY)
    verify(f"t={AT},v1={old},v1={sign(SECRET, AT, BODY)},v0={'0' * 64}")
    verify(header(), secrets=("whsec_the-new-one-0123456789abc", SECRET))


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (header(secret="whsec_another-0123456789abcdef"), BODY),
        (header(), BODY + b" "),
        (f"t={int(AT) + 1},v1={sign(SECRET, AT, BODY)}", BODY),
        (header().replace("v1=", "v0="), BODY),
    ],
)
def test_what_does_not_fit_is_refused(header: str, body: bytes) -> None:
    with pytest.raises(NotGenuine):
        verify(header, body=body)


@pytest.mark.parametrize(("seconds", "genuine"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_a_delivery_is_of_now_neither_old_nor_of_the_future(seconds: int, genuine: bool) -> None:
    now = NOW + timedelta(seconds=seconds)
    if genuine:
        verify(header(), now=now)
    else:
        with pytest.raises(NotGenuine, match="300 seconds"):
            verify(header(), now=now)


def test_without_a_secret_nothing_is_genuine() -> None:
    with pytest.raises(NotGenuine, match="STRIPE_WEBHOOK_SECRET"):
        verify(header(secret=""), secrets=())


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        ",",
        "=",
        "t=",
        "v1=",
        f"t={AT}",
        f"v1={sign(SECRET, AT, BODY)}",
        f"t=-{AT},v1={sign(SECRET, AT, BODY)}",
        f"t={AT},t={AT},v1={sign(SECRET, AT, BODY)}",
        f"t=٣,v1={sign(SECRET, AT, BODY)}",
        f"t=1e9,v1={sign(SECRET, AT, BODY)}",
        f"t={'9' * 5000},v1={sign(SECRET, AT, BODY)}",
        f"t={AT},v1={sign(SECRET, AT, BODY).upper()}",
        f"t={AT},v1=\u00e9{'0' * 63}",
        "x" * 100_000,
    ],
)
def test_a_malformed_header_is_refused_with_a_sentence(hostile: str) -> None:
    with pytest.raises(NotGenuine, match=r"missing or malformed\.$"):
        verify(hostile)


@given(st.text())
def test_no_header_raises_anything_else(header: str) -> None:
    with pytest.raises(NotGenuine):
        verify(header)
