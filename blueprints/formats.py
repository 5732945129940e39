"""How figures and times are written for people: the template filters.

Numbers group thousands and carry a true minus; the unit stands in the table's header or beside the figure.
Times are shown in the reporting time zone, or in the one that the page's range asks for, with the exact time
behind a relative one.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal
from flask import Flask, current_app, g
from markupsafe import Markup

from makegood import money, refunds
from makegood.stats.figures import FEW, Rate

LOCALE = "en"
MINUS = "−"
MICROS = 1_000_000
SECRET_WORDS = ("authorization", "signature", "secret", "token", "cookie", "api-key", "api_key", "apikey")
CALLBACK_TOKEN = re.compile(r"(/callbacks/[^/\s]+/)[\w-]{16,}")
NO_DATA = "No data"
TOO_FEW = "n/a"
HEX_BYTES = 512


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


def now() -> datetime:
    """When this is rendered."""
    return datetime.now(UTC)


def exact(at: datetime) -> str:
    """The instant to the second in the reporting time zone, which it names."""
    zone = _zone()
    written = format_datetime(at, "d MMM y, HH:mm:ss", tzinfo=zone, locale=LOCALE)
    return f"{written} {at.astimezone(zone).tzname()}"


def ago(at: datetime | None, now: datetime | None = None) -> Markup | str:
    """A `<time>`: "2 hours ago", the exact instant on hover."""
    if at is None:
        return "Never"
    delta = at - (now or datetime.now(UTC))
    text = format_timedelta(delta, granularity="second", threshold=0.95, add_direction=True, locale=LOCALE)
    return _time(at, "just now" if abs(delta) < timedelta(seconds=5) else text, Markup(" data-ago"))


def moment(at: datetime) -> Markup:
    """A `<time>` for lists and logs: "21 Nov, 14:05", with the year if it is another one."""
    return _time(at, moment_text(at))


def moment_text(at: datetime) -> str:
    """What `moment` writes, as plain text."""
    zone = _zone()
    same_year = at.astimezone(zone).year == datetime.now(zone).year
    pattern = "d MMM, HH:mm" if same_year else "d MMM y, HH:mm"
    return format_datetime(at, pattern, tzinfo=zone, locale=LOCALE)


def clock(at: datetime) -> Markup:
    """A `<time>` to the second: "21 Nov 2026, 14:05:09"."""
    return _time(at, format_datetime(at, "d MMM y, HH:mm:ss", tzinfo=_zone(), locale=LOCALE))


@lru_cache(maxsize=8192)  # a page with charts writes the same days again and again
def dated(value: date, pattern: str) -> str:
    """A day by a pattern of Unicode's: `EEE, d MMM y`."""
    return format_date(value, pattern, locale=LOCALE)


def day(value: date) -> str:
    """A day in a list: 21 Nov."""
    return dated(value, "d MMM")


def long_day(value: date) -> str:
    """A day with its year: 21 Nov 2026."""
    return dated(value, "d MMM y")


def days(first: date, last: date, *, year: bool = True) -> str:
    """The days from one to another: 21 Nov 2026; 3 – 9 Nov 2026; 28 Dec 2025 – 3 Jan 2026."""
    if first == last:
        return long_day(last) if year else day(last)
    if first.year != last.year:
        return f"{long_day(first)} – {long_day(last)}"
    start = str(first.day) if first.month == last.month else day(first)
    return f"{start} – {long_day(last) if year else day(last)}"


def month(value: date) -> str:
    """A month: November 2026."""
    return dated(value, "MMMM y")


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


def pretty(value: Any, private: re.Pattern[str] | None = None) -> str:
    """JSON for people: indented, in the order received, secrets and fields with a `private` name masked."""
    return json.dumps(masked(value, private), indent=2, ensure_ascii=False, default=str)


def masked(value: Any, private: re.Pattern[str] | None = None) -> Any:
    """The value without what a header or field named like a secret, or wholly matching `private`, carries."""
    if isinstance(value, dict):
        return {
            key: "•••" if item and _secret(str(key), private) else masked(item, private)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [masked(item, private) for item in value]
    return CALLBACK_TOKEN.sub(r"\1•••", value) if isinstance(value, str) else value


def body_text(body: bytes) -> str:
    """A raw body as text: JSON is pretty-printed and masked; what is no text is said to be none."""
    kind, text = body_view(body)
    return f"{len(body)} bytes that are not text: {body[:200].hex(' ')}" if kind == "bytes" else text


def body_view(body: bytes, private: re.Pattern[str] | None = None) -> tuple[str, str]:
    """What a raw body is (JSON, text or bytes) and how it is shown: JSON pretty-printed and masked, also in fields
    with a `private` name, text masked, and the first 512 of other bytes in hexadecimal, sixteen to a line."""
    try:
        return "JSON", pretty(json.loads(body), private)
    except (ValueError, RecursionError):
        pass
    try:
        return "text", str(masked(body.decode()))
    except UnicodeDecodeError:
        return "bytes", "\n".join(_hex_line(body, at) for at in range(0, min(len(body), HEX_BYTES), 16))


def _hex_line(body: bytes, at: int) -> str:
    part = body[at : min(at + 16, HEX_BYTES)]
    readable = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
    return f"{at:04x}  {part.hex(' '):<47}  {readable}"


def _secret(name: str, private: re.Pattern[str] | None) -> bool:
    found = any(word in name.lower() for word in SECRET_WORDS)
    return found or (private is not None and private.fullmatch(name) is not None)


def _time(at: datetime, text: str, mark: str = "") -> Markup:
    return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(at.isoformat(), exact(at), mark, text)


def _zone() -> ZoneInfo:
    """The zone that this page asks for, else the reporting time zone."""
    zone: ZoneInfo = g.get("zone") or current_app.config["SETTINGS"].terms.timezone
    return zone


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
    exact,
    ago,
    moment,
    clock,
    day,
    long_day,
    days,
    month,
    middle,
    words,
    sentence,
    reason,
    pretty,
    body_text,
)


def init_app(app: Flask) -> None:
    """Give the templates these filters, `rate_of`, `share`, `now`, and of how many a rate is one of `few`."""
    for function in FILTERS:
        app.add_template_filter(function)
    app.add_template_global(Rate, "rate_of")
    app.add_template_global(share)
    app.add_template_global(FEW, "few")
    app.add_template_global(now)
