"""A plain ledger beside a generated account: what its figures must be, written down as things happen.

Nothing here reads an object of the account or shares code with who computes the figures: only sums of what was
written down.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

COLUMNS = ("gross", "refunds", "disputes", "fees", "account_fees", "tax_on_fees", "other")
CENTS = {"gbp": Decimal("1.3127"), "jpy": Decimal("0.6431"), "kwd": Decimal("0.32569"), "sek": Decimal("0.10481")}
"""US cents for one of the currency's minor unit."""
JPY_LATER = Decimal("0.6512")
"""What the yen has become when money goes back."""


def cents(amount: int, rate: Decimal) -> int:
    """An amount at a rate, rounded half away from zero."""
    return int((amount * rate).quantize(Decimal(1), ROUND_HALF_UP))


@dataclass
class Bought:
    """Credits that somebody paid for, and what went back of the money. `user` is None where nobody knows whose."""

    user: str | None
    credits: int
    paid: int
    returned: int = 0

    @property
    def kept(self) -> int:
        """The credits that are left when nobody spent any."""
        returned = min(self.returned, self.paid)
        if self.paid and returned == self.paid:
            return 0
        return self.credits - (self.credits * returned // self.paid if returned else 0)


@dataclass(frozen=True)
class Subscribed:
    """A subscription's worth a month: `full`, and less a coupon that lasts `duration`; what its state is."""

    currency: str
    full: Fraction
    reduced: Fraction
    duration: str | None
    state: str

    def worth(self, coupons: str, cancellation: str, past_due: str, paused: str) -> Fraction:
        """Under the four rules."""
        if self.state not in ("active", "ends", "past_due", "paused"):
            return Fraction(0)
        if (self.state, cancellation) == ("ends", "now") or (self.state, past_due) == ("past_due", "out"):
            return Fraction(0)
        if (self.state, paused) == ("paused", "out"):
            return Fraction(0)
        counted = {
            "none": [],
            "forever": ["forever"],
            "recurring": ["forever", "repeating"],
            "all": ["forever", "repeating", "once"],
        }
        return self.reduced if self.duration in counted[coupons] else self.full


@dataclass
class Ledger:
    """Everything that was written down."""

    moves: list[tuple[int, str, str, int]] = field(default_factory=list)
    bought: list[Bought] = field(default_factory=list)
    subscribed: list[Subscribed] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def move(self, at: int, currency: str, column: str, amount: int, fee: int = 0) -> None:
        """Write an amount, counted as its column counts, and Stripe's fee for it."""
        self.moves.append((at, currency, column, amount))
        self.counts["balance_transactions"] += 1
        if fee:
            self.moves.append((at, currency, "fees", fee))

    def figures(self, begins: int = 0, ends: int = 2**40) -> dict[str, dict[str, int]]:
        """Every column of every settlement currency, and what is left, between two moments (the end excluded)."""
        sums: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(COLUMNS, 0))
        for at, currency, column, amount in self.moves:
            if begins <= at < ends and column in COLUMNS:
                sums[currency][column] += amount
        for columns in sums.values():
            columns["net"] = columns["gross"] - sum(columns[name] for name in COLUMNS[1:6])
        return dict(sums)

    def mrr(
        self, coupons: str = "forever", cancellation: str = "now", past_due: str = "in", paused: str = "in"
    ) -> dict[str, int]:
        """The sum of what all subscriptions are worth a month, per currency, rounded once."""
        sums: dict[str, Fraction] = defaultdict(Fraction)
        for one in self.subscribed:
            sums[one.currency] += one.worth(coupons, cancellation, past_due, paused)
        return {
            currency: int(
                (Decimal(total.numerator) / Decimal(total.denominator)).quantize(Decimal(1), ROUND_HALF_UP)
            )
            for currency, total in sums.items()
        }

    def credits(self) -> dict[str, int]:
        """What each of our customers has when nobody spent anything."""
        sums: Counter[str] = Counter()
        for one in self.bought:
            if one.user is not None:
                sums[one.user] += one.kept
        return dict(sums)
