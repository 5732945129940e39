"""What goes wrong in the generated account after things were sold, and the rows that are not sales at all."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import cycle

from simulator.stripe import plain
from simulator.stripe.account import DAY
from simulator.stripe.generated import Generated, Sale, settled
from simulator.stripe.objects import Object

SHARE = 0.09
DISPUTE_FEE = 1500


class Troubles:
    """Money that goes back, comes back, or is taken by Stripe; written down as it happens."""

    def __init__(self, made: Generated, chance: random.Random) -> None:
        self._made = made
        self._account = made.account
        self._ledger = made.ledger
        self._chance = chance
        self._rates = {**plain.CENTS, "jpy": plain.JPY_LATER}
        self._account.settlement.rates["jpy"] = Fraction(str(plain.JPY_LATER)) / 100

    def happen(self) -> None:
        """All of it: each kind of trouble in turn for some of the sales, then what comes every month."""
        kinds: tuple[Callable[[Sale, Object], None], ...] = (
            self._refund_all,
            self._refund_in_parts,
            self._refund_fails,
            self._refund_fails_after_another,
            self._refund_pending,
            self._dispute_lost,
            self._dispute_won,
            self._dispute_open,
            self._inquiry,
            self._inquiry_escalates,
            self._dispute_in_part,
        )
        paid = [sale for sale in self._made.sales if sale.charges]
        for sale, trouble in zip(self._chance.sample(paid, round(len(paid) * SHARE)), cycle(kinds)):
            self._account.at(min(sale.at + self._chance.randrange(3600, 20 * DAY), self._made.until - 400))
            trouble(sale, sale.charges[0])
        for month in range(14):
            self._account.at(self._made.until - (30 * month + 5) * DAY)
            self._monthly(month)

    def _monthly(self, month: int) -> None:
        """Stripe's own bills, money that only moves, and a category that nobody has heard of."""
        account, ledger, now = self._account, self._ledger, self._account.now
        account.bill_account(1234 + month, tax=246)
        ledger.move(now, "usd", "account_fees", 1234 + month)
        ledger.move(now, "usd", "tax_on_fees", 246)
        account.move("network_cost", "network_cost", -77, "usd")
        ledger.move(now, "usd", "account_fees", 77)
        account.pay_out(50_000, "usd")
        account.pay_out(9_000, "eur")
        account.move("topup", "topup", 10_000, "usd")
        account.move("reserved_funds", "risk_reserved_funds", -2_000, "usd")
        for currency in ("usd", "eur", "usd", "usd"):
            ledger.move(now, currency, "moved", 0)
        account.move("adjustment", "something_new", -321, "usd", fee=9)
        ledger.move(now, "usd", "other", -321, fee=9)

    def _refund_all(self, sale: Sale, charge: Object) -> None:
        self._refund(sale, charge, charge["amount"])

    def _refund_in_parts(self, sale: Sale, charge: Object) -> None:
        for _ in range(3):
            self._refund(sale, charge, charge["amount"] // 7)
            self._account.wait(90)

    def _refund_fails(self, sale: Sale, charge: Object) -> None:
        self._fail(sale, charge, self._refund(sale, charge, charge["amount"]))

    def _refund_fails_after_another(self, sale: Sale, charge: Object) -> None:
        self._refund(sale, charge, charge["amount"] // 4)
        self._fail(sale, charge, self._refund(sale, charge, charge["amount"] // 3))

    def _refund_pending(self, sale: Sale, charge: Object) -> None:
        self._refund(sale, charge, charge["amount"] // 2, pending=True)

    def _dispute_lost(self, sale: Sale, charge: Object) -> None:
        self._account.lose(self._dispute(sale, charge, charge["amount"]))

    def _dispute_won(self, sale: Sale, charge: Object) -> None:
        dispute = self._dispute(sale, charge, charge["amount"])
        returned = self._chance.random() < 0.5
        self._account.wait(100)
        self._account.win(dispute, fee_returned=returned)
        amount, currency = settled(charge["amount"], charge["currency"], self._rates)
        fee = -DISPUTE_FEE if returned else 0
        self._ledger.move(self._account.now, currency, "disputes", -amount, fee=fee)
        sale.bought.returned -= charge["amount"]

    def _dispute_open(self, sale: Sale, charge: Object) -> None:
        self._dispute(sale, charge, charge["amount"])

    def _dispute_in_part(self, sale: Sale, charge: Object) -> None:
        self._dispute(sale, charge, charge["amount"] // 3)

    def _inquiry(self, sale: Sale, charge: Object) -> None:
        self._account.close_inquiry(self._account.dispute(charge, inquiry=True))

    def _inquiry_escalates(self, sale: Sale, charge: Object) -> None:
        dispute = self._account.dispute(charge, inquiry=True)
        self._account.wait(50)
        self._account.escalate(dispute)
        self._withdrawn(sale, charge, charge["amount"])

    def _refund(self, sale: Sale, charge: Object, part: int, *, pending: bool = False) -> Object:
        made = self._account.refund(charge, part, pending=pending)
        amount, currency = settled(part, charge["currency"], self._rates)
        self._ledger.move(self._account.now, currency, "refunds", amount)
        sale.bought.returned += part
        return made

    def _fail(self, sale: Sale, charge: Object, refund: Object) -> None:
        self._account.wait(200)
        self._account.fail_refund(refund)
        amount, currency = settled(refund["amount"], charge["currency"], self._rates)
        self._ledger.move(self._account.now, currency, "refunds", -amount)
        sale.bought.returned -= refund["amount"]

    def _dispute(self, sale: Sale, charge: Object, part: int) -> Object:
        made = self._account.dispute(charge, part)
        self._withdrawn(sale, charge, part)
        return made

    def _withdrawn(self, sale: Sale, charge: Object, part: int) -> None:
        amount, currency = settled(part, charge["currency"], self._rates)
        self._ledger.move(self._account.now, currency, "disputes", amount, fee=DISPUTE_FEE)
        sale.bought.returned += part
