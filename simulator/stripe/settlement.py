"""What reaches the account's balance: in which currency, at which rate, less which fee."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

ZERO_DECIMAL = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()  # noqa: SIM905
)
"""UGX and ISK are not among them: https://docs.stripe.com/currencies, special cases."""
THREE_DECIMAL = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))


def exponent(currency: str) -> int:
    """How many decimals the currency's minor unit is away from its unit."""
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


@dataclass
class Settlement:
    """`currencies` have a bank account of their own; everything else is converted into `default`.

    `rates` are units of `default` for one unit of the currency. `percent` and `fixed` (minor units) make the fee.
    """

    default: str = "usd"
    currencies: frozenset[str] = frozenset({"usd", "eur"})
    rates: dict[str, Fraction] = field(
        default_factory=lambda: {
            "gbp": Fraction("1.3127"),
            "jpy": Fraction("0.006431"),
            "kwd": Fraction("3.2569"),
            "sek": Fraction("0.10481"),
        }
    )
    percent: Fraction = Fraction("2.9")
    fixed: int = 30
    dispute_fee: int = 1500

    def convert(self, amount: int, currency: str) -> tuple[int, str, float | None]:
        """An amount in its settlement currency: the amount, the currency and Stripe's `exchange_rate`."""
        if currency in self.currencies:
            return amount, currency, None
        rate = self.rates[currency]
        exact = amount * rate * Fraction(10) ** (exponent(self.default) - exponent(currency))
        return half_up(exact), self.default, float(rate)

    def fee(self, amount: int) -> int:
        """What Stripe keeps of a payment of this much, both in the settlement currency."""
        return half_up(amount * self.percent / 100) + self.fixed if amount else 0


def half_up(exact: Fraction) -> int:
    """The nearest whole number, halves away from zero."""
    sign = -1 if exact < 0 else 1
    return sign * ((abs(exact) + Fraction(1, 2)).__floor__())
