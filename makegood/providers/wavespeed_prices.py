"""The unit of WaveSpeedAI's prices, which its answers do not name.

They are US dollars today (https://wavespeed.ai/docs/check-billings); an older page of the documentation showed
whole micro-dollars in the same field (https://wavespeed.ai/docs/docs-common-api/billings). A price with a fraction
is dollars, a whole number of 100 or more is micro-dollars. All prices of an import must agree; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import structlog

from makegood.providers import fields
from makegood.providers.billing import MOST_MICROS, BillUnreadable, micros

LEAST_MICROS = 100
USD, MICRO_USD, UNTOLD = "usd", "micro_usd", "untold"

log = structlog.get_logger()


def unit_of(items: Sequence[Mapping[str, Any]], known: str = UNTOLD) -> str:
    """The unit that the prices of these lines are in, which must be the one `known` from earlier lines. Raises
    BillUnreadable where it could only be guessed."""
    told, doubtful = {known} - {UNTOLD}, []
    for item in items:
        price: Any = item.get("price")
        if not _is_number(price) or price <= 0:
            continue  # zero is the same in both; the others are refused as amounts
        if price % 1 and price < LEAST_MICROS:
            told.add(USD)
        elif isinstance(price, int) and price >= LEAST_MICROS:
            told.add(MICRO_USD)
        else:
            doubtful.append(item)
    # Among dollars, $1 may be written as 1; alone it may be a millionth of one.
    misfits = doubtful if len(told) != 1 else [item for item in doubtful if item["price"] >= LEAST_MICROS]
    if len(told) > 1:
        log.warning("billing_units_mixed")
        raise BillUnreadable(
            "Some prices are US dollars and some are micro-dollars, so none can be trusted. Nothing of this page "
            "was imported. Ask the provider, or import its bill as CSV."
        )
    if misfits:
        line = fields.message(misfits[0].get("uuid")) or "without an id"
        log.warning("billing_units_ambiguous", line=line)
        raise BillUnreadable(
            f"The price {misfits[0]['price']} of line {line} may be US dollars or micro-dollars. Nothing of this "
            "page was imported. Import a longer period, in which other prices tell, or the bill as CSV."
        )
    return told.pop() if told else known


def amount(price: Any, unit: str) -> int | None:
    """A price in micro-dollars, at most a million dollars; None for what is none."""
    if not _is_number(price):
        return None
    if unit == MICRO_USD:
        return int(price) if 0 <= price <= MOST_MICROS else None
    return micros(Decimal(price))


def _is_number(price: Any) -> bool:
    return isinstance(price, int | Decimal) and not isinstance(price, bool)
