"""Exchange rates as they are typed, one at a time or in a file."""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from decimal import Decimal, InvalidOperation

from makegood import money
from makegood.errors import Invalid
from makegood.revenue.rates import DECIMALS, USD, Rate

HEADER = ("currency", "day", "usd_per_unit")
MOST_ROWS = 5_000
MOST_BYTES = 300_000
MOST_PROBLEMS = 20
LARGEST = 1_000_000
ISO_DAY = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}")


def read(currency: str, day: str, usd: str, *, today: date) -> Rate:
    """A rate as typed. Raises Invalid, which names each field that is wrong."""
    code, problems = currency.strip().lower(), {}
    dated, worth = _day(day.strip()), _worth(usd.strip())
    if not money.is_currency(code) or code == USD:
        problems["currency"] = "must be the code of a currency other than USD, such as EUR"
    if dated is None or dated > today:
        problems["day"] = "must be a day such as 2026-11-21, not in the future"
    if worth is None:
        problems["usd_per_unit"] = f"must be above 0, at most {LARGEST:,}, with at most {DECIMALS} decimals"
    if problems or dated is None or worth is None:
        raise Invalid("The rate was not saved.", fields=problems)
    return Rate(code, dated, worth)


def parse(content: str, *, today: date) -> list[Rate]:
    """The rates of a file. Raises Invalid, which names the first lines that are wrong."""
    rows = [row for row in csv.reader(io.StringIO(content, newline="")) if any(cell.strip() for cell in row)]
    if not rows or tuple(cell.strip().lower() for cell in rows[0]) != HEADER:
        raise Invalid("Nothing was imported.", fields={"line 1": f"must be {','.join(HEADER)}"})
    if len(rows) - 1 > MOST_ROWS:
        raise Invalid("Nothing was imported.", fields={"file": f"has more than {MOST_ROWS:,} rows"})
    rates: dict[tuple[str, date], Rate] = {}
    problems: dict[str, str] = {}
    for number, cells in enumerate(rows[1:], start=2):
        try:
            if len(cells) != len(HEADER):
                raise Invalid("", fields={"row": f"has {len(cells)} fields instead of {len(HEADER)}"})
            rate = read(*cells, today=today)
            if (rate.currency, rate.day) in rates:
                raise Invalid("", fields={"day": "stands in the file twice for this currency"})
        except Invalid as invalid:
            problems |= {f"line {number}, {name}": why for name, why in invalid.details["fields"].items()}
        else:
            rates[rate.currency, rate.day] = rate
    if problems:
        raise Invalid("Nothing was imported.", fields=dict(list(problems.items())[:MOST_PROBLEMS]))
    if not rates:
        raise Invalid("Nothing was imported.", fields={"file": "has no rates"})
    return list(rates.values())


def _day(typed: str) -> date | None:
    try:
        return date.fromisoformat(typed) if ISO_DAY.fullmatch(typed) else None
    except ValueError:
        return None


def _worth(typed: str) -> Decimal | None:
    try:
        worth = Decimal(typed)
    except InvalidOperation:
        return None
    if not worth.is_finite() or not 0 < worth <= LARGEST or worth != round(worth, DECIMALS):
        return None
    return worth
