"""A foreign opinion: localstripe, which others wrote, signs and refunds as we expect of Stripe.

It speaks shapes of 2017 to 2022 and knows neither disputes nor the checkout, so it is asked only for these two.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from stripe import StripeClient

from makegood.stripe import signatures
from makegood.stripe.signatures import NotGenuine
from simulator.stripe.server import SimulatedStripe
from tests.loopback import Loopback, free_port

SECRET = "whsec_of-the-foreign-one"


@pytest.fixture(scope="module")
def foreign() -> Iterator[str]:
    """The address of a running localstripe."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "localstripe", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + 30
    while True:
        try:
            httpx.get(url, trust_env=False)
            break
        except httpx.TransportError:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture
def client(foreign: str) -> StripeClient:
    """Stripe's own library, which talks to it."""
    return StripeClient("sk_test_12345", base_addresses={"api": foreign})  # type: ignore[typeddict-item]


def test_its_deliveries_are_genuine_to_us(foreign: str, client: StripeClient) -> None:
    with Loopback() as endpoint:
        told = {"url": endpoint.url, "secret": SECRET}
        httpx.post(f"{foreign}/_config/webhooks/ours", data=told, trust_env=False).raise_for_status()
        client.v1.customers.create({"email": "anna@example.com"})
        endpoint.wait_for(1, 10)
    (delivery, *_) = endpoint.requests
    header, now = delivery.headers["stripe-signature"], datetime.now(UTC)
    signatures.verify([SECRET], header, delivery.body, now)
    with pytest.raises(NotGenuine):
        signatures.verify([SECRET], header, delivery.body + b" ", now)
    with pytest.raises(NotGenuine):
        signatures.verify(["whsec_another"], header, delivery.body, now)


def test_partial_refunds_add_up_as_in_the_simulated_stripe(client: StripeClient, stripe: SimulatedStripe) -> None:
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2030, "cvc": "123"}
    customer = client.v1.customers.create({"source": client.v1.tokens.create({"card": card}).id})
    foreign = client.v1.charges.create({"amount": 1000, "currency": "usd", "customer": customer.id})
    ours = stripe.account.pay(1000)
    for amount in (300, 250, 450):
        client.v1.refunds.create({"charge": foreign.id, "amount": amount})
        stripe.account.refund(ours, amount)
        now = client.v1.charges.retrieve(foreign.id)
        assert (now.amount_refunded, now.refunded) == (ours["amount_refunded"], ours["refunded"])
    assert ours["refunded"]
