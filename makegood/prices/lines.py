"""What a line of the price book is, what is said of it, and how people and files write that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from makegood.models import Price
from makegood.providers.external import EXTERNAL
from makegood.providers.registry import ADAPTERS

UNITS = ("image", "second", "megapixel", "character", "credit", "unit", "point", "run", "generation")
"""What providers count."""
CURRENCIES = ("USD", "credits")
PROVIDERS = tuple(sorted({*ADAPTERS, EXTERNAL}))
MICROS = 1_000_000


@dataclass(frozen=True, order=True)
class Line:
    """What a price is for: a unit of a provider's model ("*": of any), in a tier ("": any)."""

    provider: str
    model: str
    unit: str
    qualifier: str = ""

    def __str__(self) -> str:
        named = f"{self.provider} {self.model} per {self.unit}"
        return f"{named} ({self.qualifier})" if self.qualifier else named

    @property
    def subject(self) -> str:
        """The line in the audit log."""
        return f"price:{self.provider}/{self.model}/{self.unit}/{self.qualifier}"


@dataclass(frozen=True)
class Quote:
    """What `per` units cost: millionths of a dollar, or of a provider's credit that is worth `rate_micros`
    micro-dollars."""

    per: int
    currency: str
    amount_micros: int
    rate_micros: int | None
    source: str
    certainty: str

    @property
    def unit_price_micros(self) -> int:
        """The amount in micro-dollars; half a micro-dollar is rounded up, as the database does."""
        if self.rate_micros is None:
            return self.amount_micros
        return (2 * self.amount_micros * self.rate_micros + MICROS) // (2 * MICROS)


@dataclass(frozen=True)
class Entry:
    """A quote for a line from `start` until `end` (None: without an end)."""

    line: Line
    quote: Quote
    start: datetime
    end: datetime | None = None


def line_of(price: Price) -> Line:
    """The line that a version belongs to."""
    return Line(price.provider, price.model, price.unit, price.qualifier)


def entry_of(price: Price) -> Entry:
    """A version of the book as an entry."""
    quote = Quote(price.per, price.currency, price.amount_micros, price.rate_micros, price.source, price.certainty)
    return Entry(line_of(price), quote, price.effective_from, price.effective_to)


def fields_of(entry: Entry) -> dict[str, str]:
    """The entry as people and files write it; `reading.read` reads it back."""
    line, quote = entry.line, entry.quote
    return {
        "provider": line.provider,
        "model": line.model,
        "unit": line.unit,
        "qualifier": line.qualifier,
        "per": str(quote.per),
        "currency": quote.currency,
        "amount": decimal(quote.amount_micros),
        "rate": "" if quote.rate_micros is None else decimal(quote.rate_micros),
        "effective_from": instant(entry.start),
        "effective_to": "" if entry.end is None else instant(entry.end),
        "source": quote.source,
        "certainty": quote.certainty,
    }


def decimal(micros: int) -> str:
    """Millionths as a plain decimal: 38000 -> 0.038."""
    text = f"{Decimal(micros) / MICROS:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def instant(at: datetime) -> str:
    """An instant in UTC: 2026-11-21T00:00:00Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
