"""A simulated Stripe that lives on: subscriptions renew, customers buy, webhooks are sent, the account is kept."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from simulator.stripe import keeping
from simulator.stripe.billing import Account
from simulator.stripe.deliveries import deliver, to
from simulator.stripe.objects import Object

EVERY_SECONDS = 1.0
AFTER_FAILURE_SECONDS = 15.0
UNPAID = 0.03


class Live:
    """What happens around an account while its server runs. Deliveries go to `url`, signed with the secrets."""

    def __init__(self, account: Account, path: Path, url: str, secrets: Sequence[str]) -> None:
        self._account = account
        self._path = path
        self._url = url
        self._secrets = secrets
        self._chance = random.Random()  # noqa: S311 (nothing secret hangs on it)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulated-stripe-live", daemon=True)
        self._kept = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, with the account kept. Raises OSError when it cannot be."""
        self._stopping.set()
        self._thread.join()
        self.keep()

    def renew(self) -> None:
        """Bill what is due, at the time at which it was; what was to be cancelled ends instead."""
        with self._account.lock:
            now = self._account.now
            for one in self._account.all("subscriptions"):
                while one["status"] in ("active", "trialing") and (ends := _ends(one)) <= now:
                    self._account.at(ends)
                    if one["cancel_at"] or one["cancel_at_period_end"]:
                        self._account.cancel(one)
                    else:
                        self._account.renew(one, pays=self._chance.random() >= UNPAID)
            self._account.at(None)
            self._account.settle()

    def keep(self) -> None:
        """Write the account if anything changed. Raises OSError."""
        text = keeping.dump(self._account)
        if text != self._kept:
            keeping.write(text, self._path)
            self._kept = text

    def _run(self) -> None:
        wait = EVERY_SECONDS
        while not self._stopping.wait(wait):
            self.renew()
            sent = deliver(self._account, to(self._url), secrets=self._secrets)
            failed = any(not 200 <= one.status < 300 for one in sent)
            wait = AFTER_FAILURE_SECONDS if failed else EVERY_SECONDS
            if sent:
                with suppress(OSError):
                    self.keep()


def buy(account: Account, user_id: str, email: str, credits: str, currency: str = "usd") -> Object:
    """Have a customer buy the pack of so many credits at the checkout. Raises LookupError if there is none."""
    with account.lock:
        packs = (
            one
            for one in account.all("prices")
            if one["recurring"] is None
            and one["currency"] == currency
            and account.get(one["product"])["metadata"].get("credits") == credits
        )
        pack = next(packs, None)
        if pack is None:
            raise LookupError(f"There is no pack of {credits} credits in {currency}.")
        known = (one for one in account.all("customers") if one["metadata"].get("user_id") == user_id)
        customer = next(known, None) or account.customer(email, metadata={"user_id": user_id})
        return account.buy(pack, customer=customer, payment_metadata={"user_id": user_id})


def _ends(subscription: Object) -> int:
    return min(int(item["current_period_end"]) for item in subscription["items"])
