"""A generated account with every trap that Stripe's data has, and the plain ledger of what it must come to.

`generate()` makes the same account each time: 440 subscriptions of every kind (`simulator.stripe.kinds`), packs in
six currencies, and then what goes wrong with some of it (`simulator.stripe.troubles`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from simulator.stripe import plain
from simulator.stripe.account import DAY
from simulator.stripe.billing import Account
from simulator.stripe.kinds import CREDITS, KINDS, ONE, PRICES, Kind
from simulator.stripe.objects import Object
from simulator.stripe.periods import period_end
from simulator.stripe.plain import Bought, Ledger, Subscribed

UNTIL = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARGES = 2500
MONTHS = 15
EVENT_DAYS = 32
USERS = 300
PACKS = {"usd": 900, "eur": 850, "jpy": 1400, "kwd": 2750, "gbp": 790, "sek": 9900}
PACK_CREDITS = 100
CURRENCIES = ("usd",) * 11 + ("eur",) * 4 + ("jpy",) * 3 + ("kwd", "gbp", "sek")


@dataclass
class Sale:
    """Something that was paid for: with which charges, when, and what it brought."""

    charges: list[Object]
    at: int
    bought: Bought


@dataclass
class Generated:
    """An account, the customers of ours that it sold to (id and e-mail address), and what it must come to."""

    account: Account
    ledger: Ledger = field(default_factory=Ledger)
    users: dict[str, str] = field(default_factory=dict)
    sales: list[Sale] = field(default_factory=list)
    until: int = int(UNTIL.timestamp())


def generate(*, seed: int = 1, charges: int = CHARGES, share: float = 1.0) -> Generated:
    """Make the account: `charges` in all, and this `share` of the subscriptions of each kind (at least one)."""
    from simulator.stripe.troubles import Troubles

    made = Generated(Account(seed=seed))
    made.account.events_since = made.until - EVENT_DAYS * DAY
    for number in range(1, USERS + 1):
        made.users[f"user-{number:03d}"] = f"person{number}@example.com"
    chance = random.Random(seed)  # noqa: S311 (nothing secret hangs on it)
    seller = Seller(made, chance)
    for kind in KINDS:
        for _ in range(max(1, round(kind.count * share))):
            seller.subscribe(kind)
    while len(made.account.lists["charges"].by_id) < charges:
        seller.sell_pack()
    Troubles(made, chance).happen()
    made.account.at(made.until)
    made.account.settle()
    return made


class Seller:
    """What is sold, and written down as it is."""

    def __init__(self, made: Generated, chance: random.Random) -> None:
        self._made = made
        self._account = made.account
        self._ledger = made.ledger
        self._chance = chance
        self._customers = 0
        self._account.at(made.until - MONTHS * 31 * DAY)
        self._prices = {name: self._price(name) for name in PRICES}
        self._names = {price["id"]: name for name, price in self._prices.items()}
        self._packs = {currency: self._pack(currency) for currency in PACKS}
        self._coupons: dict[tuple[tuple[str, Any], ...], Object] = {}

    def subscribe(self, kind: Kind) -> None:
        """One subscription, from its beginning to the account's last day."""
        self._account.at(self._began(kind))
        customer, user, metadata = self._customer(subscription_says=kind.state == "deleted")
        lines = [(self._prices[name], quantity) for name, quantity in kind.lines]
        coupons = [self._coupon(kind.coupon)] if kind.coupon and not kind.late_coupon else []
        subscription = self._account.subscribe(
            customer,
            lines,
            coupons=coupons,
            metadata=metadata,
            trial_days=kind.trial_days,
            tax_percent=kind.tax,
            pays=kind.state != "incomplete",
        )
        if kind.inclusive_tax:
            rate = {
                "id": "txr_inclusive",
                "inclusive": True,
                "object": "tax_rate",
                "percentage": kind.inclusive_tax,
            }
            subscription["default_tax_rates"] = [rate]
        if kind.item_coupon:
            self._account.discount_item(subscription, self._coupon(kind.item_coupon))
        self._billed(self._account.get(subscription["latest_invoice"]), user)
        if kind.state not in ("incomplete", "trialing"):
            self._go_on(kind, subscription, user)
        self._finish(kind, subscription, customer)
        worths = kind.worth(reduced=False), kind.worth(reduced=True)
        self._ledger.subscribed.append(Subscribed(subscription["currency"], *worths, kind.duration, kind.state))

    def sell_pack(self) -> None:
        """One visit to the checkout: mostly paid."""
        account, chance = self._account, self._chance
        account.at(self._made.until - chance.randrange(60, MONTHS * 31 * DAY - 60))
        currency = chance.choice(CURRENCIES)
        quantity = chance.choice((1, 1, 1, 2, 5))
        about, user = self._buyer()
        amount = PACKS[currency] * quantity
        fate = chance.random()
        off = amount if fate < 0.01 else amount // 5 if fate < 0.1 else 0
        if off == amount and "payment_metadata" in about:
            user = None  # there is no payment that could have metadata
        session = account.checkout([(self._packs[currency], quantity)], discount=off, **about)
        if 0.1 <= fate < 0.12:
            account.expire(session)
            return
        if 0.12 <= fate < 0.15:
            account.fail(account.complete(session, later=True))
            return
        later = 0.15 <= fate < 0.2
        account.complete(session, later=later)
        if later:
            account.wait(40)
            account.arrive(session)
        self._sold(self._charges(session["payment_intent"]), Bought(user, PACK_CREDITS * quantity, amount - off))

    def _go_on(self, kind: Kind, subscription: Object, user: str | None) -> None:
        """Renew it until it ends, or today; the last bill of some is not paid, and some need several payments."""
        account, chance, until = self._account, self._chance, self._made.until
        stops = until - 600
        if kind.state in ("ended", "deleted"):
            stops = chance.randrange(subscription["created"] + DAY, stops)
        while (ends := _ends(subscription)) <= stops:
            account.at(ends)
            last = kind.state in ("past_due", "unpaid") and _after(account, subscription) > stops
            fate = chance.random()
            parts = (600,) if fate < 0.03 and kind.lines == ONE and not kind.coupon else ()
            attempts = 2 if fate > 0.97 else 1
            self._billed(account.renew(subscription, pays=not last, attempts=attempts, parts=parts), user)
        account.at(stops)

    def _finish(self, kind: Kind, subscription: Object, customer: Object) -> None:
        account = self._account
        match kind.state:
            case "unpaid":
                account.give_up(subscription)
            case "paused":
                account.pause(subscription)
            case "ends":
                account.cancel_at_end(subscription, flexible=self._chance.random() < 0.5)
            case "ended":
                account.cancel(subscription)
            case "deleted":
                account.delete_customer(customer)
            case _:
                if kind.late_coupon:
                    account.add_coupon(subscription, self._coupon(kind.coupon))

    def _billed(self, invoice: Object, user: str | None) -> None:
        """Write down what a bill brought: credits only if something was paid."""
        payments = [one for one in self._account.all("invoice_payments") if one["invoice"] == invoice["id"]]
        if invoice["status"] != "paid" or not invoice["amount_paid"]:
            return
        bought = sum(
            line["quantity"] * CREDITS.get(self._names[line["pricing"]["price_details"]["price"]], 0)
            for line in invoice["lines"]
        )
        charges = [charge for one in payments for charge in self._charges(one["payment"]["payment_intent"])]
        self._sold(charges, Bought(user, bought, invoice["amount_paid"]))

    def _sold(self, charges: list[Object], bought: Bought) -> None:
        for charge in charges:
            amount, currency = settled(charge["amount"], charge["currency"])
            self._ledger.move(charge["created"], currency, "gross", amount, fee=(amount * 29 + 500) // 1000 + 30)
        self._ledger.bought.append(bought)
        self._made.sales.append(Sale(charges, self._account.now, bought))

    def _charges(self, intent: str | None) -> list[Object]:
        if intent is None:
            return []
        found = self._account.get(intent)["latest_charge"]
        return [self._account.get(found)]

    def _began(self, kind: Kind) -> int:
        if kind.state in ("trialing", "incomplete"):
            return self._made.until - self._chance.randrange(DAY, 13 * DAY)
        first, last = kind.months
        return self._made.until - self._chance.randrange(first * 32 * DAY, last * 31 * DAY + 2 * DAY)

    def _customer(self, *, subscription_says: bool) -> tuple[Object, str | None, dict[str, str]]:
        """A customer, whose it is, and what the subscription's metadata say. Some e-mail addresses come twice."""
        self._customers += 1
        user = self._chance.choice(list(self._made.users))
        foreign = f"somebody{self._customers}@example.net"
        if subscription_says or self._customers % 8 == 1:
            return self._account.customer(foreign), user, {"user_id": user}
        if self._customers % 8 == 2:
            return self._account.customer(foreign), None, {}
        if self._customers % 2:
            return self._account.customer(self._made.users[user].upper()), user, {}
        return self._account.customer(foreign, metadata={"user_id": user}), user, {}

    def _buyer(self) -> tuple[dict[str, Any], str | None]:
        """Who buys a pack, as the checkout is told, and who that is."""
        user = self._chance.choice(list(self._made.users))
        match self._chance.randrange(5):
            case 0:
                return {"email": "gift@example.net", "payment_metadata": {"user_id": user}}, user
            case 1:
                return {"email": "other@example.net", "client_reference_id": user}, user
            case 2:
                return {"email": self._made.users[user].title()}, user
            case 3:
                return {"customer": self._account.customer(metadata={"user_id": user})}, user
            case _:
                return {"email": f"guest{self._chance.randrange(10_000)}@example.net"}, None

    def _price(self, name: str) -> Object:
        amount, currency, more = PRICES[name]
        credits = {"credits": str(CREDITS[name])} if name in CREDITS else {}
        product = self._account.product(name.title(), metadata=credits)
        return self._account.price(product, None if amount is None else Decimal(amount), currency, **more)

    def _pack(self, currency: str) -> Object:
        product = self._account.product(f"Pack ({currency})", metadata={"credits": str(PACK_CREDITS)})
        return self._account.price(product, PACKS[currency], currency)

    def _coupon(self, about: tuple[tuple[str, Any], ...]) -> Object:
        if about not in self._coupons:
            self._coupons[about] = self._account.coupon(**dict(about))
        return self._coupons[about]


def settled(amount: int, currency: str, rates: Mapping[str, Decimal] = plain.CENTS) -> tuple[int, str]:
    """What reaches the balance, by the plain ledger's own rates."""
    if currency in ("usd", "eur"):
        return amount, currency
    return plain.cents(amount, rates[currency]), "usd"


def _ends(subscription: Object) -> int:
    return min(int(item["current_period_end"]) for item in subscription["items"])


def _after(account: Account, subscription: Object) -> int:
    """When the period of its only item ends that begins when the present one ends."""
    (item,) = subscription["items"]
    return period_end(account.get(item["price"]), item["current_period_end"])
