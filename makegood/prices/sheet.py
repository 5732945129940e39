"""The price book as CSV: the rows of a file, with every bad one named."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from makegood.errors import Invalid
from makegood.prices import book, reading
from makegood.prices.lines import Entry, entry_of, fields_of

HEADER = (
    "provider",
    "model",
    "unit",
    "qualifier",
    "per",
    "currency",
    "amount",
    "rate",
    "effective_from",
    "effective_to",
    "source",
    "certainty",
)
MOST_BYTES = 200_000
MOST_ROWS = 2_000


@dataclass(frozen=True)
class Bad:
    """What is wrong: the file's line (the header is 1), the field, and why."""

    number: int
    field: str
    why: str


@dataclass(frozen=True)
class Row:
    """One line of the file that can be read."""

    number: int
    entry: Entry


@dataclass(frozen=True)
class Sheet:
    """A file that was read."""

    rows: list[Row] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)


def export(session: Session, *, provider: str | None = None) -> str:
    """Every version that was not withdrawn, line by line, as CSV that `parse` reads back.

    A text that a spreadsheet would run as a formula (somebody may have written one with SQL) is defused.
    """
    written = io.StringIO()
    writer = csv.DictWriter(written, HEADER, lineterminator="\r\n")
    writer.writeheader()
    for listed in book.lines(session, provider=provider):
        for price in listed.held:
            fields = fields_of(entry_of(price))
            writer.writerow({name: _defused(text) for name, text in fields.items()})
    return written.getvalue()


def decode(content: bytes) -> str:
    """A file's text. Raises Invalid for one that is too large, or no UTF-8."""
    if len(content) > MOST_BYTES:
        raise Invalid(f"The file is larger than {MOST_BYTES // 1000} kB. Nothing was changed. Import it in parts.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Invalid(
            f"The file is not UTF-8 (line {line}). Nothing was changed. Save it as “CSV UTF-8” and send it again."
        ) from None


def parse(text: str) -> Sheet:
    """The rows of a file; those that cannot be read, and what is wrong with the file as a whole, are in `bad`."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    sheet = Sheet()
    try:
        header = tuple(cell.strip() for cell in next(reader, ()))
        if header != HEADER:
            return Sheet(bad=[Bad(1, "header", f"must be {','.join(HEADER)}")])
        for cells in reader:
            if any(cell.strip() for cell in cells):
                _read(sheet, reader.line_num, cells)
            if len(sheet.rows) + len(sheet.bad) > MOST_ROWS:
                sheet.bad.append(Bad(reader.line_num, "file", f"has more than {MOST_ROWS:,} rows"))
                break
    except csv.Error as error:
        sheet.bad.append(Bad(reader.line_num, "file", f"is no CSV: {error}"))
    if not sheet.rows and not sheet.bad:
        sheet.bad.append(Bad(1, "file", "has no rows"))
    return sheet


def _read(sheet: Sheet, number: int, cells: list[str]) -> None:
    if len(cells) != len(HEADER):
        sheet.bad.append(Bad(number, "row", f"has {len(cells)} fields instead of {len(HEADER)}"))
        return
    try:
        entry = reading.read(dict(zip(HEADER, cells, strict=True)))
    except Invalid as invalid:
        sheet.bad.extend(Bad(number, name, why) for name, why in invalid.details["fields"].items())
    else:
        sheet.rows.append(Row(number, entry))


def _defused(text: str) -> str:
    return f"'{text}" if text.startswith(reading.FORMULA) else text
