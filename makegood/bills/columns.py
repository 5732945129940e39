"""What the columns of a provider's CSV mean: guessed from their names, and each cell read strictly."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from makegood.bills.table import Table
from makegood.providers import billing, fields
from makegood.providers.billing import CHARGE, REFUND, BilledLine, as_received

FIELDS = {
    "job": "Job id",
    "amount": "Amount",
    "line": "Line id",
    "kind": "Charge or refund",
    "date": "Date",
    "model": "Model",
    "quantity": "Quantity",
    "unit": "Unit",
}
"""What a column can be. The first two are required."""
REQUIRED = ("job", "amount")

NAMES = {
    "job": "jobid job taskid task predictionid predictionuuid prediction requestid request generationid "
    "generation runid historyitemid",
    "amount": "amount cost price charge charged total usd amountusd costusd priceusd credits creditsused consume "
    "points units value",
    "line": "lineid line billingid billid transactionid transaction invoicelineid uuid chargeid recordid",
    "kind": "type kind billingtype transactiontype action",
    "date": "date createdat created time timestamp datetime billedat billingdate at",
    "model": "model modelid modelname modeluuid endpoint service product",
    "quantity": "quantity qty count number usage",
    "unit": "unit unitname quantityunit",
}
KINDS = {
    **dict.fromkeys(("charge", "deduct", "deduction", "debit", "usage", "consume", "consumption", "cost"), CHARGE),
    **dict.fromkeys(("refund", "refunded", "reversal", "return", "credit back"), REFUND),
}

# A single comma is refused: who wrote 1,250 may have meant 1.25.
_GROUPED = r"[1-9]\d{0,2}(?:,\d{3}){1,4}(?=\.\d)|[1-9]\d{0,2}(?:,\d{3}){2,4}"
_AMOUNT = re.compile(rf"\$? ?(\d{{1,15}}|{_GROUPED})(\.\d{{1,12}})?( ?(?:USD|credits?|points?|units?))?")
_QUANTITY = re.compile(r"\d{1,9}(\.\d{1,3}0*)?")


@dataclass(frozen=True)
class Problem:
    """A row that cannot be imported: the line in the file, which field, and why."""

    line: int
    field: str
    why: str


@dataclass(frozen=True)
class Reading:
    """What the rows say under a mapping; with a problem nothing is imported."""

    lines: list[BilledLine] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def total(self, kind: str) -> int:
        """The sum of the charges or of the refunds, in micro-dollars."""
        return sum(line.amount_micros for line in self.lines if line.kind == kind)


class _Bad(Exception):
    """A cell that cannot be taken: the field, and why."""


def guess(header: list[str]) -> dict[str, int]:
    """For each field the column whose name says it, if one does; no column twice."""
    plain = [re.sub(r"[^a-z]", "", name.lower()) for name in header]
    found: dict[str, int] = {}
    for name, known in NAMES.items():
        for candidate in known.split():
            if candidate in plain and plain.index(candidate) not in found.values():
                found[name] = plain.index(candidate)
                break
    return found


def interpret(table: Table, mapping: Mapping[str, int], rate: Decimal, undated: datetime) -> Reading:
    """The rows as lines of a bill. `rate` is what one of the amounts is worth in US dollars (1 for dollars);
    `undated` is when a line without a date was billed."""
    reading, same = Reading(), Counter[str]()
    seen: dict[str, tuple[int, BilledLine]] = {}
    for number, row in table.rows:
        try:
            if len(row) != len(table.header):
                raise _Bad("row", f"has {len(row)} cells, the header {len(table.header)}")
            cells = {name: row[index] for name, index in mapping.items()}
            raw = as_received(dict(zip(table.header, row, strict=True)))
            line = _line(cells, raw, rate, undated, same)
            first = seen.setdefault(line.line_id, (number, line))
            if first[0] != number and _facts(first[1]) != _facts(line):
                raise _Bad("line", f"is that of line {first[0]} too, which says something else")
        except _Bad as bad:
            reading.problems.append(Problem(number, FIELDS.get(bad.args[0], "Row"), bad.args[1]))
        else:
            if first[0] == number:
                reading.lines.append(line)
    return reading


def _line(cells: Mapping[str, str], raw: str, rate: Decimal, undated: datetime, same: Counter[str]) -> BilledLine:
    job = fields.job_id(cells["job"])
    if job is None:
        raise _Bad("job", "is empty" if not cells["job"] else "is no id: letters, digits and _ . : - only")
    line_id = cells.get("line") or None
    if line_id is not None and fields.job_id(line_id) is None:
        raise _Bad("line", "is no id: letters, digits and _ . : - only")
    kind = KINDS.get(cells["kind"].lower()) if "kind" in cells else CHARGE
    if kind is None:
        raise _Bad("kind", f"is {cells['kind'][:40]!r}; it must be charge or refund")
    facts: dict[str, Any] = {
        "provider_job_id": job,
        "kind": kind,
        "amount_micros": _amount(cells["amount"], rate),
        "billed_at": _date(cells["date"]) if cells.get("date") else undated,
        "model": (cells.get("model") or "")[:200] or None,
        "quantity": _quantity(cells["quantity"]) if cells.get("quantity") else None,
        "unit": (cells.get("unit") or "")[:200] or None,
    }
    return BilledLine(line_id=line_id or _made_id(facts, cells, same), raw=raw, **facts)


def _made_id(facts: Mapping[str, Any], cells: Mapping[str, str], same: Counter[str]) -> str:
    """An id for a row that has none: the same row of the same job gets the same one in every file, and the second
    of two that are alike another."""
    # The amount as written: with another rate it is the same row.
    told = {**facts, "billed_at": cells.get("date", ""), "amount_micros": cells["amount"]}
    digest = hashlib.sha256(repr(sorted((name, str(value)) for name, value in told.items())).encode()).hexdigest()
    same[digest] += 1
    return f"row-{digest[:40]}-{same[digest]}"


def _amount(text: str, rate: Decimal) -> int:
    if text.startswith(("-", "−", "(")):
        raise _Bad("amount", "is negative; give refunds a column that says so, and their amount without a sign")
    found = _AMOUNT.fullmatch(text)
    if found is None:
        why = "is empty" if not text else f"is {text[:40]!r}; write it as 0.038"
        raise _Bad("amount", why)
    micros = billing.micros(Decimal(found[1].replace(",", "") + (found[2] or "")) * rate)
    if micros is None:
        raise _Bad("amount", "is more than $1,000,000")
    return micros


def _quantity(text: str) -> Decimal:
    if not _QUANTITY.fullmatch(text):
        raise _Bad("quantity", f"is {text[:40]!r}; it must be a number from 0 with up to three decimals")
    return Decimal(text)


def _date(text: str) -> datetime:
    """A date or time in ISO 8601, UTC unless it names a zone."""
    try:
        at = datetime.fromisoformat(text.removesuffix(" UTC"))
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        if not 2000 <= at.year <= 2999:
            raise ValueError
    except ValueError:
        raise _Bad("date", f"is {text[:40]!r}; write it as 2026-11-21 or 2026-11-21T14:05:00Z") from None
    return at.astimezone(UTC)


def _facts(line: BilledLine) -> tuple[object, ...]:
    return (line.provider_job_id, line.kind, line.amount_micros, line.billed_at)
