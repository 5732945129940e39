from __future__ import annotations

import csv
import io
import tracemalloc
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace

import pytest
from sqlalchemy import literal_column, select, text
from sqlalchemy.orm import Session

from makegood import exports


@pytest.mark.parametrize(
    "formula",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "  =1", '=HYPERLINK("http://x","y")'],
)
def test_a_text_that_would_be_a_formula_is_disarmed(formula: str) -> None:
    assert exports.cell(formula) == f"'{formula}"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (0, "0"),
        (-7, "-7"),
        (True, "yes"),
        (Decimal("-0.000001"), "-0.000001"),
        (Decimal("1E+3"), "1000"),
        (date(2026, 11, 21), "2026-11-21"),
        (datetime(2026, 11, 21, 1, 0, tzinfo=timezone(timedelta(hours=2))), "2026-11-20T23:00:00+00:00"),
        ({"b": 1, "a": None}, '{"a": null, "b": 1}'),
        ("a – b", "a – b"),
    ],
)
def test_a_value_is_written_exactly(value: object, written: str) -> None:
    assert exports.cell(value) == written


def test_micro_dollars_become_dollars_and_unknown_stays_empty() -> None:
    cost = exports.usd("cost_usd", "cost_micros")
    assert exports.cell(cost.value(SimpleNamespace(cost_micros=1_234_500))) == "1.234500"
    assert exports.cell(cost.value(SimpleNamespace(cost_micros=None))) == ""


def test_every_row_comes_once_in_flat_memory(session: Session) -> None:
    wide = select(literal_column("n").label("n"), literal_column("repeat('x', 2000)").label("note")).select_from(
        text("generate_series(1, 20000) AS n")
    )
    assert exports.count(session, wide) == 20000
    columns = (exports.column("n"), exports.column("remark", "note"))
    tracemalloc.start()
    numbers: list[int] = []
    for part in exports.lines(session, wide, columns):
        numbers += [int(row[0]) for row in csv.reader(io.StringIO(part)) if row[0] != "n"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert numbers == list(range(1, 20001))
    assert peak < 20_000_000, "the whole file is 40 MB"


def test_a_file_without_rows_has_its_header(session: Session) -> None:
    none = select(literal_column("1").label("n")).where(text("false"))
    assert "".join(exports.lines(session, none, (exports.column("n"),))) == "n\r\n"
