"""Reading a price as people and files write it, with every problem named by its field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from makegood.errors import Invalid
from makegood.models.prices import CERTAINTIES
from makegood.prices.lines import CURRENCIES, MICROS, PROVIDERS, UNITS, Entry, Line, Quote

MOST_UNIT_PRICE = 1_000 * MICROS
"""1,000 dollars for `per` units: more is a slip of the keyboard."""
MOST_CREDITS = 1_000_000 * MICROS
MOST_PER = 1_000_000_000
MOST_TEXT, MOST_SOURCE = 200, 500
NUMBER = re.compile(r"(-?)(\d{1,15})(?:\.(\d{1,15}))?")
FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""


def read(fields: Mapping[str, str]) -> Entry:
    """The entry that these texts say. Raises Invalid, whose `fields` name each problem."""
    reading = Reading(fields)
    line = reading.line()
    quote = reading.quote()
    start, end = reading.period()
    if reading.problems or line is None or quote is None or start is None:
        raise Invalid("The price was not saved.", fields=reading.problems)
    return Entry(line, quote, start, end)


class Reading:
    """The reading of one entry's texts. What cannot be read is noted in `problems` by its field."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = {name: text.strip() for name, text in fields.items()}
        self.problems: dict[str, str] = {}

    def line(self) -> Line | None:
        """What the price is for."""
        provider = self._chosen("provider", PROVIDERS)
        model = self._text("model", MOST_TEXT)
        unit = self._chosen("unit", UNITS)
        qualifier = self._text("qualifier", MOST_TEXT, empty=True)
        return None if self.problems else Line(provider, model, unit, qualifier)

    def quote(self) -> Quote | None:
        """How much it is."""
        before = len(self.problems)
        per = self._per()
        currency = self._chosen("currency", CURRENCIES)
        most = MOST_CREDITS if currency == "credits" else MOST_UNIT_PRICE
        amount = self._micros("amount", most, "$1,000" if currency == "USD" else "1,000,000 credits")
        rate = self._rate(currency)
        source = self._text("source", MOST_SOURCE)
        certainty = self._chosen("certainty", CERTAINTIES)
        if len(self.problems) > before or amount is None:
            return None
        quote = Quote(per, currency, amount, rate, source, certainty)
        if quote.unit_price_micros > MOST_UNIT_PRICE:
            self.problems["amount"] = "is more than $1,000 at this rate"
            return None
        return quote

    def period(self) -> tuple[datetime | None, datetime | None]:
        """From when until when."""
        start, end = self._instant("effective_from"), self._instant("effective_to", empty=True)
        if start is not None and end is not None and end <= start:
            self.problems["effective_to"] = "must be later than effective_from"
        return start, end

    def _text(self, name: str, most: int, *, empty: bool = False) -> str:
        text = self.fields.get(name, "")
        if not text and not empty:
            self.problems[name] = "is missing"
        elif len(text) > most:
            self.problems[name] = f"is longer than {most} characters"
        elif any(not character.isprintable() for character in text):
            self.problems[name] = "holds characters that cannot be shown"
        elif text.startswith(FORMULA):
            self.problems[name] = f"begins with {text[0]}, which a spreadsheet would run as a formula"
        return text

    def _chosen(self, name: str, choices: tuple[str, ...]) -> str:
        text = self.fields.get(name, "")
        if text not in choices:
            self.problems[name] = f"must be one of {', '.join(choices)}"
        return text

    def _per(self) -> int:
        text = self.fields.get("per", "") or "1"
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= MOST_PER):
            self.problems["per"] = "must be a whole number from 1 to 1,000,000,000"
            return 1
        return int(text)

    def _rate(self, currency: str) -> int | None:
        if currency != "credits":
            if self.fields.get("rate"):
                self.problems["rate"] = "is only for prices in credits"
            return None
        rate = self._micros("rate", MOST_UNIT_PRICE, "$1,000")
        if rate == 0:
            self.problems["rate"] = "must be above zero: it is what one credit costs in dollars"
        return rate

    def _micros(self, name: str, most: int, said: str) -> int | None:
        """A decimal with at most six places, as millionths."""
        text = self.fields.get(name, "")
        found = NUMBER.fullmatch(text) if text.isascii() else None
        problem = None
        if not text:
            problem = "is missing"
        elif found is None:
            problem = "must be a number such as 0.038"
        elif found[1]:
            problem = "must not be negative"
        elif len((found[3] or "").rstrip("0")) > 6:
            problem = "has more than six decimals"
        elif Decimal(text) * MICROS > most:
            problem = f"is more than {said}"
        if problem is not None:
            self.problems[name] = problem
            return None
        return int(Decimal(text) * MICROS)

    def _instant(self, name: str, *, empty: bool = False) -> datetime | None:
        """A date, or a date and time; UTC unless it names another zone."""
        text = self.fields.get(name, "")
        if not text:
            if not empty:
                self.problems[name] = "is missing"
            return None
        try:
            at = datetime.fromisoformat(text)
            at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
            if not 2000 <= at.year <= 2099:
                raise ValueError
        except (ValueError, OverflowError):
            self.problems[name] = "must be a date such as 2026-11-21 or 2026-11-21T09:00:00Z"
            return None
        return at
