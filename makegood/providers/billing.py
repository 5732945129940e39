"""What a provider says it charged: the protocol of those that can be asked, and the lines of every bill."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Protocol

CHARGE = "charge"
REFUND = "refund"
KINDS = (CHARGE, REFUND)
MICROS = 1_000_000
MOST_MICROS = 1_000_000_000_000
"""A line of more than a million US dollars is a mistake of somebody's."""

_NUMBER = re.compile(r'"\\u0000([^"\\]*)\\u0000"')


@dataclass(frozen=True)
class BilledLine:
    """One line: `amount_micros` USD micro-dollars charged or given back (`kind`) for a job.

    `line_id` is the provider's own and unique there. `raw` is the line as received, as JSON.
    """

    line_id: str
    provider_job_id: str | None
    kind: str
    amount_micros: int
    billed_at: datetime
    raw: str = field(repr=False)
    model: str | None = None
    quantity: Decimal | None = None
    unit: str | None = None


@dataclass(frozen=True)
class BillPage:
    """Some lines of a bill, and the cursor of the next ones (None: that was all). `pending` counts lines that
    the provider has not made final, which are left out."""

    lines: tuple[BilledLine, ...]
    next: str | None
    pending: int = 0


class BillUnreadable(Exception):
    """The provider's answer cannot be taken without guessing. Asking again does not help. The message, a sentence
    for operators, names the line and why."""


class Billing(Protocol):
    """A provider that can be asked what it charged."""

    def page(self, start: datetime, end: datetime, cursor: str | None) -> BillPage:
        """The lines of [start, end) from `cursor` on (None: from the beginning). Open no transaction meanwhile.

        Raises FetchFailed (ask again later) and BillUnreadable.
        """
        ...


def micros(usd: Decimal) -> int | None:
    """US dollars as micro-dollars, rounded once to the nearest; None beyond a million dollars, below zero, or
    for what is no number."""
    if not usd.is_finite() or not 0 <= usd <= MOST_MICROS // MICROS:
        return None
    return int((usd * MICROS).quantize(Decimal(1), ROUND_HALF_UP))


def as_received(row: Mapping[str, Any]) -> str:
    """A row as JSON whose decimals stand as they were written. NUL, which no text here may hold, marks them."""
    return _NUMBER.sub(r"\1", json.dumps(row, ensure_ascii=False, default=lambda number: f"\0{number}\0"))
