"""A CSV file as a table: which character separates its cells, its header, its rows with their lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from makegood.errors import Invalid

MOST_ROWS = 100_000
MOST_COLUMNS = 100
LONGEST_CELL = 2_000
SEPARATORS = (",", ";", "\t")


@dataclass(frozen=True)
class Table:
    """The header's names, and each row with the number of its line in the file."""

    header: list[str]
    rows: list[tuple[int, list[str]]]


def read(content: bytes) -> Table:
    """The file's table. Empty rows are left out. Raises Invalid with a sentence that says what to do."""
    text = _decoded(content)
    separator = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = []
    try:
        for number, row in _numbered(reader):
            if any(cell.strip() for cell in row):
                rows.append((number, [cell.strip() for cell in row]))
            if len(rows) > MOST_ROWS + 1:
                raise _invalid(f"The file has more than {MOST_ROWS:,} rows. Split it.")
    except csv.Error as error:
        raise _invalid(f"Line {reader.line_num} is not CSV: {error}. Export the file again.") from None
    if len(rows) < 2:
        raise _invalid("The file needs a header and at least one row.")
    header = _distinct(rows[0][1])
    if len(header) > MOST_COLUMNS:
        raise _invalid(f"The file has {len(header)} columns; {MOST_COLUMNS} are the most. Remove some.")
    if any(len(cell) > LONGEST_CELL for _, row in rows for cell in row):
        raise _invalid(f"A cell has more than {LONGEST_CELL:,} characters. Remove that column.")
    return Table(header, rows[1:])


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _invalid("The file is not UTF-8 text. Save it as CSV in UTF-8 and choose it again.") from None
    if "\0" in text:
        raise _invalid("The file holds NUL characters, so it is no CSV. Save it as CSV in UTF-8.")
    return text


def _separator(text: str) -> str:
    """The one that occurs most in the first line."""
    first = text.lstrip().partition("\n")[0]
    return max(SEPARATORS, key=first.count)


def _distinct(header: list[str]) -> list[str]:
    """The names, with a number behind one that stands there already."""
    names: list[str] = []
    for position, name in enumerate(header, 1):
        name = name or f"Column {position}"
        names.append(f"{name} ({position})" if name in names else name)
    return names


def _numbered(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line at which each starts: a quoted cell may hold several."""
    start = 1
    for row in reader:
        yield start, row
        start = reader.line_num + 1  # type: ignore[attr-defined]


def _invalid(problem: str) -> Invalid:
    return Invalid(f"The file cannot be read. Nothing was imported. {problem}", fields={"file": problem})
