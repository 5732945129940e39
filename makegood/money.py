"""Amounts of money: whole numbers in the minor unit of their currency, as Stripe counts them.

A currency is named as Stripe does, in lower case. Amounts of different currencies are never added together: only
the dated rates of `makegood.revenue.rates` make US dollars of them.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache

from babel.numbers import get_currency_symbol

ZERO_DECIMAL = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf")
)
"""What Stripe counts in whole units: https://docs.stripe.com/currencies, "Zero-decimal currencies". ISK and UGX
have no decimals any more either, but keep two in Stripe's amounts, always 00: "to charge 5 UGX, provide an
amount value of 500" (there, "Special cases"). UGX stands in both lists; its own entry decides."""
THREE_DECIMAL = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
"""What Stripe counts in thousandths: the same page, "Three-decimal currencies"."""
CODE = re.compile(r"[a-z]{3}")
MINUS = "−"
LARGEST = 10**15
"""Amounts beyond it are no money that anybody has: what is typed is refused."""


def is_currency(code: str) -> bool:
    """Whether it has the form of a currency's code: three small letters."""
    return CODE.fullmatch(code) is not None


def exponent(currency: str) -> int:
    """How many decimals Stripe's amounts of the currency have: 0, 2 or 3."""
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def major(minor: int, currency: str) -> Decimal:
    """An amount in the currency's own unit, exactly: 1999 of usd is 19.99."""
    return Decimal(minor).scaleb(-exponent(currency))


def rounded(minor: Fraction | Decimal) -> int:
    """An exact amount in whole minor units, halves away from zero: what rounds a sum once, at its end."""
    exact = Fraction(minor)
    size = (2 * abs(exact.numerator) + exact.denominator) // (2 * exact.denominator)
    return size if exact >= 0 else -size


def parse(text: str, currency: str) -> int:
    """What was typed in the currency's own unit (19.99) as minor units.

    Raises ValueError for what is no amount, has more decimals than the currency, or is beyond all reason.
    """
    places = exponent(currency)
    try:
        minor = Decimal(text.strip().replace(",", "")).scaleb(places)
    except InvalidOperation:
        minor = Decimal("NaN")
    if not minor.is_finite() or abs(minor) > LARGEST or minor != minor.to_integral_value():
        raise ValueError(f"must be an amount with at most {places} decimals" if places else "must be whole")
    return int(minor)


def format(minor: int, currency: str, *, places: int | None = None) -> str:
    """An amount for people, with the currency's sign and decimals: $1,234.50, −€3.00, ¥500, KWD 1.234.

    With `places` it is rounded to as many decimals.
    """
    digits = exponent(currency) if places is None else places
    amount = abs(major(minor, currency))
    if places is not None:
        amount = amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return f"{MINUS if minor < 0 else ''}{sign(currency)}{amount:,.{digits}f}"


@lru_cache(maxsize=256)
def sign(currency: str) -> str:
    """What stands before an amount: the currency's symbol, or its code and a space."""
    symbol = get_currency_symbol(currency.upper(), locale="en")
    return f"{symbol}\N{NO-BREAK SPACE}" if symbol[-1].isalpha() else symbol
