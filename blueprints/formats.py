"""How figures and words are written for people: the template filters.

Numbers group thousands and carry a true minus; the unit stands in the table's header or beside the figure.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from babel.numbers import format_decimal
from flask import Flask

from makegood import money, refunds
from makegood.stats.figures import FEW, Rate

LOCALE = "en"
MINUS = "−"
MICROS = 1_000_000
NO_DATA = "No data"
TOO_FEW = "n/a"


def number(value: int) -> str:
    """A count or credits: 1,234; negative with a true minus."""
    return f"{value:,}".replace("-", MINUS)  # a page writes thousands: format_decimal takes fifty times as long


def signed(value: int) -> str:
    """A change of a balance, always with its sign: +12, −12."""
    return f"+{number(value)}" if value > 0 else number(value)


def counted(value: int, noun: str) -> str:
    """A number with its noun: 1 credit, 4 credits, 2 deliveries, 3 days."""
    if value == 1:
        return f"1 {noun}"
    several = f"{noun[:-1]}ies" if noun[-1] == "y" and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{number(value)} {several}"


def usd(micros: int | None) -> str:
    """A total of micro-dollars in cents: $1,234.56. A sum too small for that is not shown as zero."""
    if micros is None:
        return "Unknown"
    if 0 < micros < MICROS // 200:
        return "<$0.01"
    cents = (abs(micros) + MICROS // 200) // (MICROS // 100)
    return f"{MINUS if micros < 0 else ''}${cents // 100:,}.{cents % 100:02}"


def minor(amount: int | None, currency: str) -> str:
    """Money in minor units, with its currency: $1,234.50, −€3.00. What is not known is a dash."""
    return "–" if amount is None else money.format(amount, currency)


def rate(usd_per_unit: Decimal, beside: Decimal = Decimal(0)) -> str:
    """An exchange rate with the decimals that it has (1.0842, 0.0066), or as many as the one `beside` it has."""
    decimals = -min(int(one.normalize().as_tuple().exponent) for one in (usd_per_unit, beside))
    return f"{usd_per_unit:,.{max(2, decimals)}f}"


def usd_exact(micros: int | None) -> str:
    """A price or cost of one thing, from micro-dollars, with the decimals that it needs: $0.038."""
    if micros is None:
        return "Unknown"
    pattern = "#,##0.00####" if micros == 0 or abs(micros) >= MICROS else "#,##0.000###"
    return _dollars(micros, pattern, Decimal("0.000001"))


def usd_change(micros: int) -> str:
    """A difference of micro-dollars, always with its sign: +$0.0120, −$1.50."""
    return f"+{usd_exact(micros)}" if micros > 0 else usd_exact(micros) if micros else "$0.00"


def millionths(value: int) -> str:
    """Millionths with the decimals that they need: 8, 0.5."""
    return format_decimal(Decimal(value) / MICROS, format="#,##0.######", locale=LOCALE)


def measured(value: Decimal | None) -> str:
    """A quantity with the decimals that it has: 3, 12.5. None: the provider has not said."""
    return NO_DATA if value is None else format_decimal(value, format="#,##0.###", locale=LOCALE)


def usd_average(micros: int | None) -> str:
    """An average cost: $0.0381. Without anything to average there is none."""
    return NO_DATA if micros is None else _dollars(micros, "#,##0.00##", Decimal("0.0001"))


def _dollars(micros: int, pattern: str, smallest: Decimal) -> str:
    amount = (Decimal(abs(micros)) / MICROS).quantize(smallest, ROUND_HALF_UP)
    text = format_decimal(amount, format=pattern, locale=LOCALE)
    return f"{MINUS if micros < 0 else ''}${text}"


def percent(rate: Decimal | Rate | None) -> str:
    """A rate from 0 to 1 with one decimal; only a true 0 or 1 is shown as 0.0% or 100.0%. Of too few it is n/a."""
    if isinstance(rate, Rate):
        return TOO_FEW if rate.whole and not rate else percent(rate.shown)
    if rate is None:
        return NO_DATA
    shown = (rate * 100).quantize(Decimal("0.1"), ROUND_HALF_UP)
    if rate < 1 and shown >= 100:
        return "99.9%"
    if rate > 0 and shown <= 0:
        return "<0.1%"
    return f"{shown}%"


def share(part: int, whole: int) -> Decimal | None:
    """`part` of `whole` from 0 to 1, where it says what the whole is made of; None without a whole."""
    return Decimal(part) / whole if whole else None


def duration(milliseconds: int | None) -> str:
    """A duration with its unit: 412 ms, 38.1 s, 12 min."""
    if milliseconds is None:
        return NO_DATA
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 120_000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds // 60_000} min"


def middle(text: str, length: int = 18) -> str:
    """A long identifier with its middle left out; the whole belongs in the title."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[-(length - 1 - head) :]}"


def words(code: str) -> str:
    """A stable code as words: content_policy_violation -> Content policy violation."""
    return code.replace("_", " ").capitalize()


def sentence(text: str) -> str:
    """The text with a capital letter at its beginning and a full stop at its end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def reason(code: str) -> str:
    """Why a refund was given, in words: an operator's reason, or the error class of an automatic one."""
    return refunds.REASONS.get(code) or words(code)


FILTERS = (
    number,
    signed,
    counted,
    usd,
    minor,
    rate,
    usd_exact,
    usd_change,
    millionths,
    measured,
    usd_average,
    percent,
    duration,
    middle,
    words,
    sentence,
    reason,
)


def init_app(app: Flask) -> None:
    """Give the templates these filters, `rate_of`, `share`, and of how many a rate is one of `few`."""
    for function in FILTERS:
        app.add_template_filter(function)
    app.add_template_global(Rate, "rate_of")
    app.add_template_global(share)
    app.add_template_global(FEW, "few")
