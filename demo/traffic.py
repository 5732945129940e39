"""`python -m demo.traffic`: steady traffic through the real API, as a platform's backend would send it.

The address and the API key come from MAKEGOOD_URL and MAKEGOOD_API_KEY, which no process list shows, those of the
simulated Stripe, where customers buy, from STRIPE_BASE_URL and STRIPE_API_KEY. Runs until
SIGINT or SIGTERM, and survives that the server is away.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import Any, NoReturn
from urllib.parse import quote

import httpx

from demo import catalogue, people
from demo.chance import Chance
from demo.people import Person

GENERATIONS_A_MINUTE = 10.0
TIMEOUT = httpx.Timeout(30.0, connect=3.0)
LONGEST_WAIT = 30.0
BUSY = {"free": 1, "plus": 4, "pro": 12}
PACKS = {"free": 20, "plus": 100, "pro": 200}
NEWCOMERS, CANCELLATIONS = 0.015, 0.01


Checkout = Callable[[Person, int], None]
"""Has a customer buy a pack of so many credits. Raises Away."""


class Away(Exception):
    """The server cannot answer now; the message says why. The same request may be sent again."""


class Platform:
    """A platform's backend: its customers, and the requests that it sends for them."""

    def __init__(self, client: httpx.Client, chance: Chance, checkout: Checkout) -> None:
        self._client = client
        self._chance = chance
        self._checkout = checkout
        self._customers = people.roster(people.NUMBER)

    def generate(self) -> float:
        """Have one customer start a generation, whatever that takes. Returns the seconds until the next one.

        Raises Away.
        """
        if self._chance.happens(NEWCOMERS):
            self._sign_up(people.draw(self._chance, self._chance.randint(1000, 9999)))
        customer = self._chance.choices(self._customers, [BUSY[who.tier] for who in self._customers])[0]
        answer = self._start(customer)
        if answer.status_code == 404:
            self._sign_up(customer)
            answer = self._start(customer)
        if answer.status_code == 402:
            # They come back for it when the credits are there.
            self._checkout(customer, PACKS[customer.tier])
        if answer.status_code == 202 and self._chance.happens(CANCELLATIONS):
            self._send("POST", f"generations/{answer.json()['id']}/cancel")
        return self._chance.uniform(0.4, 1.6)

    def _start(self, customer: Person) -> httpx.Response:
        offer = self._chance.weighted(catalogue.LIVE)
        body: dict[str, Any] = {
            "customer_id": customer.id,
            "provider": offer.provider,
            "model": offer.model,
            "kind": offer.kind,
            "input": offer.input(self._chance),
        }
        if offer.credits is not None:
            body["credits"] = offer.credits
        if self._chance.happens(0.4):
            body["metadata"] = catalogue.metadata(self._chance)
        return self._send("POST", "generations", body, once=True)

    def _sign_up(self, customer: Person) -> None:
        body = {"email": customer.email, "tier": customer.tier}
        answer = self._send("PUT", f"customers/{quote(customer.id, safe='')}", body)
        if answer.is_success and customer not in self._customers:
            self._customers.append(customer)

    def _send(self, method: str, path: str, body: Any = None, *, once: bool = False) -> httpx.Response:
        """Send a request. With `once` it carries a key, so that a repeat takes effect once. Raises Away."""
        headers = {"Idempotency-Key": f"traffic-{self._chance.hex(24)}"} if once else {}
        began = time.monotonic()
        for attempt in range(2):
            try:
                answer = self._client.request(method, f"/api/v1/{path}", json=body, headers=headers)
                break
            except httpx.TransportError as error:
                # An idle connection that the server has closed meanwhile fails at once: that is worth a repeat.
                if attempt:
                    raise Away(f"{method} {path}: {type(error).__name__}") from None
        _say(f"{method} {path} {_told(body, answer)} in {1000 * (time.monotonic() - began):.0f} ms")
        if answer.status_code in (401, 403, 429) or (answer.status_code >= 500 and not _is_refusal(answer)):
            raise Away(f"{method} {path}: HTTP {answer.status_code}")
        return answer


def run(client: httpx.Client, chance: Chance, checkout: Checkout, generations_a_minute: float) -> NoReturn:
    """Send traffic for ever. While the server is away, wait longer and longer."""
    platform, away = Platform(client, chance, checkout), 0
    while True:
        try:
            wait = platform.generate() * 60 / generations_a_minute
            away = 0
        except Away as reason:
            wait = min(2.0**away, LONGEST_WAIT)
            away += 1
            _say(f"{reason}; next attempt in {wait:.0f} s")
        time.sleep(wait)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m demo.traffic", description="Steady traffic through the API.")
    parser.add_argument("--url", default=os.environ.get("MAKEGOOD_URL"), help="else MAKEGOOD_URL")
    parser.add_argument("--api-key", help="else MAKEGOOD_API_KEY, which no process list shows")
    parser.add_argument("--stripe", default=os.environ.get("STRIPE_BASE_URL"), help="else STRIPE_BASE_URL")
    parser.add_argument("--rate", type=float, default=GENERATIONS_A_MINUTE, help="generations a minute")
    options = parser.parse_args(arguments)
    api_key = options.api_key or os.environ.get("MAKEGOOD_API_KEY")
    if not options.url or not api_key:
        parser.error("an address and an API key are needed, as options or in the environment")
    stripe_key = os.environ.get("STRIPE_API_KEY")
    if not options.stripe or not stripe_key:
        parser.error("the simulated Stripe is needed: STRIPE_BASE_URL and STRIPE_API_KEY")
    if not 0 < options.rate <= 6000:
        parser.error("--rate must be above 0 and at most 6000")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    headers = {"Authorization": f"Bearer {api_key}", "User-Agent": "makegood-demo-traffic"}
    with httpx.Client(base_url=options.url, headers=headers, timeout=TIMEOUT, trust_env=False) as client:
        run(client, Chance(), at_stripe(options.stripe, stripe_key), options.rate)


def at_stripe(url: str, key: str) -> Checkout:
    """The checkout of the simulated Stripe."""

    def checkout(customer: Person, credits: int) -> None:
        body = {"user_id": customer.id, "email": customer.email, "credits": credits}
        try:
            answer = httpx.post(
                f"{url}/_buy", json=body, headers={"Authorization": f"Bearer {key}"}, trust_env=False
            )
        except httpx.TransportError as error:
            raise Away(f"checkout: {type(error).__name__}") from None
        _say(f"{customer.id} buys {credits} credits -> {answer.status_code}")

    return checkout


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    # Out of whatever it waits for: a request that is under way has its Idempotency-Key.
    raise SystemExit(0)


def _is_refusal(answer: httpx.Response) -> bool:
    """Whether the provider refused the generation, which is no trouble of the server's."""
    return "refunded" in _json(answer)


def _told(body: Any, answer: httpx.Response) -> str:
    """What was asked for whom, and what the answer says."""
    asked = [
        str(body[name])
        for name in ("customer_id", "provider", "model", "credits", "tier")
        if body and name in body
    ]
    said = _json(answer)
    error = said.get("error")
    code = error.get("code") if isinstance(error, dict) else said.get("status")
    names = ("credits_charged", "credits_refunded", "balance")
    facts = [f"{name} {said[name]}" for name in names if said.get(name)]
    return ", ".join([" ".join([*asked, "->", str(answer.status_code), str(code or "ok")]), *facts])


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _say(line: str) -> None:
    sys.stdout.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
