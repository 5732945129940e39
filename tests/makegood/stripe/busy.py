"""A busy account at the simulated Stripe, changed at random, and a plain count of the credits it must come to."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.stripe.billing import Account
from simulator.stripe.objects import Object
from tests.stripe import BEGAN, pack, plan

PACK_CREDITS, PACK_PRICE, PLAN_CREDITS = 100, 900, 200


@dataclass
class Sale:
    """Credits that somebody paid for, and what becomes of the money."""

    user: str | None
    credits: int
    charge: Object
    refunds: list[Object] = field(default_factory=list)
    dispute: Object | None = None
    withdrawn: bool = False

    @property
    def paid(self) -> int:
        """In cents."""
        return int(self.charge["amount_captured"])

    @property
    def returned(self) -> int:
        """In cents: refunds that did not fail, and what a bank holds."""
        refunded = sum(refund["amount"] for refund in self.refunds if refund["status"] != "failed")
        return refunded + (self.dispute["amount"] if self.dispute and self.withdrawn else 0)

    @property
    def kept(self) -> int:
        """The credits that are left when nobody spent any: what goes back takes its share, rounded down."""
        return self.credits - self.credits * self.returned // self.paid


class Busy:
    """Does one thing after another with an account. `users` are our customers with their e-mail addresses."""

    def __init__(self, account: Account, users: dict[str, str], seed: int) -> None:
        account.at(BEGAN)
        self.account = account
        self.users = users
        self.chance = random.Random(seed)
        self.sales: list[Sale] = []
        self.waiting: list[tuple[Object, str | None, int]] = []
        self.plans: list[tuple[Object, str]] = []
        self.pack, self.plan = pack(account, PACK_CREDITS, PACK_PRICE), plan(account, PLAN_CREDITS)

    def do_something(self) -> None:
        """Whatever comes to mind, if it can be done now."""
        self.account.wait(self.chance.randint(1, 7200))
        ways: list[Callable[[], None]] = [self.sell, self.sell, self.sell_later, self.subscribe]
        ways += [self.arrive, self.renew, self.refund, self.refund, self.fail_refund, self.dispute, self.decide]
        self.chance.choice(ways)()

    def expected(self) -> Counter[str]:
        """The credits that each of our customers has of what was sold."""
        credits = Counter(dict.fromkeys(self.users, 0))
        for sale in self.sales:
            if sale.user is not None:
                credits[sale.user] += sale.kept
        return credits

    def sell(self) -> None:
        """Packs, paid at once."""
        session, user, credits = self._checkout()
        self.account.complete(session)
        self._sold(user, credits)

    def sell_later(self) -> None:
        """Packs, paid by a transfer that is under way."""
        session, user, credits = self._checkout()
        self.waiting.append((self.account.complete(session, later=True), user, credits))

    def arrive(self) -> None:
        """A transfer that arrives, or never will."""
        if self.waiting:
            session, user, credits = self.waiting.pop(self.chance.randrange(len(self.waiting)))
            if self.chance.random() < 0.3:
                self.account.fail(session)
            else:
                self.account.arrive(session)
                self._sold(user, credits)

    def subscribe(self) -> None:
        """A plan, whose first month is paid."""
        user = self.chance.choice(list(self.users))
        customer = self.account.customer(self.users[user], metadata={"user_id": user})
        self.plans.append((self.account.subscribe(customer, [(self.plan, 1)]), user))
        self._sold(user, PLAN_CREDITS)

    def renew(self) -> None:
        """Another month of a plan, paid with the first card or another."""
        if self.plans:
            subscription, user = self.chance.choice(self.plans)
            self.account.renew(subscription, attempts=self.chance.choice((1, 2)))
            self._sold(user, PLAN_CREDITS)

    def refund(self) -> None:
        """A part of what somebody paid, or all that is left."""
        sale = self._some(lambda one: one.dispute is None and one.returned < one.paid)
        if sale is not None:
            left = sale.paid - sale.returned
            amount = left if self.chance.random() < 0.3 else self.chance.randint(1, left)
            sale.refunds.append(self.account.refund(sale.charge, amount, pending=self.chance.random() < 0.5))

    def fail_refund(self) -> None:
        """A refund that comes back."""
        sale = self._some(lambda one: any(refund["status"] != "failed" for refund in one.refunds))
        if sale is not None:
            made = [refund for refund in sale.refunds if refund["status"] != "failed"]
            self.account.fail_refund(self.chance.choice(made))

    def dispute(self) -> None:
        """A bank that asks, or takes the money at once."""
        sale = self._some(lambda one: one.dispute is None and not one.refunds)
        if sale is not None:
            inquiry = self.chance.random() < 0.4
            sale.dispute, sale.withdrawn = self.account.dispute(sale.charge, inquiry=inquiry), not inquiry

    def decide(self) -> None:
        """What comes of a dispute."""
        sale = self._some(lambda one: one.dispute is not None and one.dispute["status"].endswith("needs_response"))
        if sale is not None and sale.dispute is not None:
            won = self.chance.random() < 0.5
            if sale.withdrawn:
                (self.account.win if won else self.account.lose)(sale.dispute)
                sale.withdrawn = not won
            elif won:
                self.account.close_inquiry(sale.dispute)
            else:
                self.account.escalate(sale.dispute)
                sale.withdrawn = True

    def _checkout(self) -> tuple[Object, str | None, int]:
        """A session for packs, whose buyer is known in one of the ways, or a stranger."""
        user, quantity = self.chance.choice(list(self.users)), self.chance.randint(1, 4)
        way = self.chance.choice(("metadata", "reference", "customer", "email", "nobody"))
        about: dict[str, object] = {
            "metadata": {"payment_metadata": {"user_id": user}},
            "reference": {"client_reference_id": user, "email": "another@example.org"},
            "customer": {"customer": self.account.customer("x@example.org", metadata={"user_id": user})},
            "email": {"email": self.users[user].upper()},
            "nobody": {"email": "stranger@example.org"},
        }[way]
        session = self.account.checkout([(self.pack, quantity)], **about)  # type: ignore[arg-type]
        return session, user if way != "nobody" else None, quantity * PACK_CREDITS

    def _sold(self, user: str | None, credits: int) -> None:
        charge = next(one for one in self.account.all("charges") if one["status"] == "succeeded")
        self.sales.append(Sale(user, credits, charge))

    def _some(self, fits: Callable[[Sale], bool]) -> Sale | None:
        found = [sale for sale in self.sales if fits(sale)]
        return self.chance.choice(found) if found else None
