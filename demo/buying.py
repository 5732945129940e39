"""What one of the demo's customers buys: packs, and a plan from month to month; and what money goes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from demo.chance import Chance
from demo.people import Person
from demo.rhythm import Rhythm
from demo.shop import CURRENCIES, DEBTORS, Sale, Shop, ends
from demo.steps import Buy, Return, Step
from demo.wallet import Wallet
from makegood.calendars import local_day
from simulator.stripe.objects import Object

COUPON, TRIAL, TRIAL_LOST, UNPAID, CANCELS = 0.12, 0.3, 0.25, 0.03, 0.05
REFUNDED, DISPUTED = 0.05, 0.04
BEGUN_DAYS = 29
RECOVERS_AFTER = timedelta(days=2)
BANK_TAKES = timedelta(days=4)
LEAST_DEBT = 10
NOTICED = timedelta(seconds=20)


@dataclass
class Buyer:
    """A customer at the shop. What is bought becomes steps, and credits in the wallet."""

    person: Person
    chance: Chance
    rhythm: Rhythm
    shop: Shop
    wallet: Wallet
    steps: list[Step]
    currency: str = field(init=False)
    subscription: Object | None = None
    kept: list[tuple[Sale, UUID]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.currency = self.chance.weighted(CURRENCIES)

    def pack(self, at: datetime, credits: int) -> None:
        """Buy a pack; some want their money back."""
        if at < self.rhythm.now - timedelta(minutes=1):
            sale = self.shop.sell_pack(self.person, self.currency, credits, at)
            purchase = self._credited(sale)
            if self.chance.happens(REFUNDED):
                self._refund(sale, purchase)
            elif self.chance.happens(DISPUTED):
                self._dispute(sale, purchase)
            else:
                self.kept.append((sale, purchase))

    def have_begun(self, plan: str, before: datetime) -> None:
        """Have a plan that began within the month before an instant: its credits of then are another story's."""
        at = before - self.chance.seconds(3600, BEGUN_DAYS * 86_400)
        coupon = self.chance.happens(COUPON)
        self.subscription = self.shop.subscribe(self.person, self.currency, plan, at, coupon=coupon, trial=False)

    def begin(self, plan: str, at: datetime, *, newcomer: bool) -> datetime:
        """Begin a plan in the place of another. Returns when its credits, if any, are there."""
        if self.subscription is not None:
            self.shop.cancel(self.subscription, at)
        coupon = self.chance.happens(COUPON)
        trial = newcomer and self.chance.happens(TRIAL)
        self.subscription = self.shop.subscribe(self.person, self.currency, plan, at, coupon=coupon, trial=trial)
        return self._billed() or at

    def go_on(self, day: date, left: datetime) -> datetime | None:
        """Renew the plan if its period ends by that day and the customer stays. Returns when credits came."""
        if self.subscription is None:
            return None
        at = ends(self.subscription)
        if local_day(at, self.rhythm.terms.timezone) > day or at > self.rhythm.now - timedelta(minutes=1):
            return None
        tried = self.subscription["status"] == "trialing"
        if at > left or (tried and self.chance.happens(TRIAL_LOST)):
            self.shop.cancel(self.subscription, at)
            self.subscription = None
            return None
        pays = not self.chance.happens(UNPAID)
        self.shop.renew(self.subscription, pays=pays)
        if pays:
            return self._billed()
        recovers_at = at + RECOVERS_AFTER
        if recovers_at > self.rhythm.now - timedelta(minutes=1):
            return self.rhythm.now
        self.shop.recover(self.subscription, recovers_at)
        return self._billed()

    def stay(self) -> None:
        """Today: some have said that they will not stay beyond what they paid for."""
        if self.subscription is not None and self.chance.happens(CANCELS):
            at = self.rhythm.now - self.chance.seconds(3600, 5 * 86_400)
            self.shop.cancel(self.subscription, at, scheduled=True)

    def owe(self, after: datetime, returned: int) -> None:
        """Let the bank take a pack's money back after its credits were spent, unless enough customers owe some.

        Nothing happens to the customer after that instant. `returned` is what refunds may have put on top of what
        the wallet knows.
        """
        for sale, purchase in self.kept if self.shop.debtors < DEBTORS else ():
            at = max(after, sale.paid_at + BANK_TAKES) + timedelta(hours=1)
            left = self.wallet.purchased() + returned
            if sale.credits - left >= LEAST_DEBT and at < self.rhythm.now - timedelta(minutes=1):
                self.shop.debtors += 1
                self.shop.dispute(sale, at)
                self._returned(purchase, at, disputed=sale.paid)
                self.wallet.claw(sale.credits)
                return

    def _billed(self) -> datetime | None:
        """The credits of the plan's last bill. Returns when they are there."""
        assert self.subscription is not None
        sale = self.shop.paid_by(self.subscription)
        if sale is None:
            return None
        self._credited(sale)
        return sale.paid_at + NOTICED

    def _credited(self, sale: Sale) -> UUID:
        at = sale.paid_at + self.chance.seconds(2, 9)
        purchase = self.chance.uuid7(at)
        values = {
            "purchase": purchase,
            "grant": self.chance.uuid7(at),
            "transaction": self.chance.uuid7(at),
            "customer": self.person.id,
            "linked_by": sale.linked_by,
            "kind": sale.kind,
            "source": sale.source,
            "credits": sale.credits,
            "ends": sale.ends,
            "currency": sale.currency,
            "amount": sale.paid,
            "paid": sale.paid,
            "paid_at": sale.paid_at,
            "reason": f"{'checkout' if sale.kind == 'checkout_session' else 'invoice'} {sale.source}",
            "at": at,
        }
        self.steps.append(Buy(at, values))
        self.wallet.add(sale.credits, "purchase" if sale.ends is None else "allowance", sale.ends)
        return purchase

    def _refund(self, sale: Sale, purchase: UUID) -> None:
        """Some days later, all of it or half."""
        at = sale.paid_at + self.chance.seconds(7200, 4 * 86_400)
        amount = sale.paid if self.chance.happens(0.7) else sale.paid // 2
        if at < self.rhythm.now - timedelta(minutes=1):
            self.shop.refund(sale, amount, at)
            self._returned(purchase, at, refunded=amount)
            self.wallet.claw(sale.credits * amount // sale.paid)

    def _dispute(self, sale: Sale, purchase: UUID) -> None:
        at = sale.paid_at + self.chance.seconds(5 * 86_400, 15 * 86_400)
        decided_at = at + self.chance.seconds(12 * 86_400, 25 * 86_400)
        if at >= self.rhythm.now - timedelta(minutes=1):
            return
        dispute = self.shop.dispute(sale, at)
        self._returned(purchase, at, disputed=sale.paid)
        self.wallet.claw(sale.credits)
        if decided_at < self.rhythm.now - timedelta(minutes=1):
            won = self.chance.happens(0.4)
            self.shop.decide(dispute, decided_at, won=won)
            if won:
                self._returned(purchase, decided_at)

    def _returned(self, purchase: UUID, at: datetime, *, refunded: int = 0, disputed: int = 0) -> None:
        at += self.chance.seconds(2, 9)
        values = {
            "purchase": purchase,
            "refunded": refunded,
            "disputed": disputed,
            "lifetime": self.rhythm.terms.returned_credits_live,
            "at": at,
        }
        self.steps.append(Return(at, values))
