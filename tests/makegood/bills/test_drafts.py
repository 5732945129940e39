"""A bill as CSV: read strictly, columns guessed and corrected, imported as a whole or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from makegood.bills import Mapping, columns, discard, drafts, import_draft, keep, preview, table
from makegood.bills.columns import Problem
from makegood.errors import Conflict, Invalid, NotFound
from makegood.models import AuditEntry, Bill, BillLine
from tests.makegood.bills.making import COST, DAY, START, billed_generation, cost

SIGN = "is negative; give refunds a column that says so, and their amount without a sign"
UTC_ZONE = ZoneInfo("UTC")
ANA = "ana@example.com"
BILL = """Task ID,Type,Amount (USD),Model,Created At,Qty
job-1,deduct,0.027,seedream-v4,2026-11-20T10:00:00Z,1
job-2,deduct,"1,250.50",seedream-v4,2026-11-20 11:00:00,2.5
job-1,refund,$0.027,seedream-v4,2026-11-20,1
"""


def kept(session: Session, content: str | bytes = BILL, provider: str = "kling") -> Bill:
    """A draft."""
    raw = content.encode() if isinstance(content, str) else content
    return keep(session, provider, "november.csv", raw, DAY, DAY, UTC_ZONE, actor=ANA)


def lines_of(session: Session) -> list[BillLine]:
    return list(session.scalars(select(BillLine).order_by(BillLine.line_id)))


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(BillLine)) or 0


def problems(session: Session, rows: str, header: str = "job,amount,line,kind,date,quantity") -> list[Problem]:
    return preview(session, kept(session, f"{header}\n{rows}\n").id).reading.problems


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Task ID,Type,Cost", {"job": 0, "kind": 1, "amount": 2}),
        ("prediction_uuid;price;uuid;billing_type", {"job": 0, "amount": 1, "line": 2, "kind": 3}),
        ("date\trequest-id\tendpoint\tqty\ttotal", {"date": 0, "job": 1, "model": 2, "quantity": 3, "amount": 4}),
        ("foo,bar", {}),
        ("amount,amount", {"amount": 0}),
    ],
)
def test_columns_are_guessed_from_the_header(header: str, found: dict[str, int]) -> None:
    assert columns.guess(table.read(f"{header}\n1{header.count(',') * ','}\n".encode()).header) == found


def test_a_file_is_previewed_and_then_imported_as_it_was_shown(session: Session) -> None:
    bill = kept(session, "\ufeff" + BILL.replace("\n", "\r\n"))
    draft = preview(session, bill.id)
    mapping = draft.mapping
    assert draft.ready
    assert mapping.fields == {"job": 0, "kind": 1, "amount": 2, "model": 3, "date": 4, "quantity": 5}
    assert (draft.reading.total("charge"), draft.reading.total("refund")) == (1_250_527_000, 27_000)
    assert count(session) == 0
    assert import_draft(session, bill.id, mapping, actor=ANA, address="10.0.0.9").ready
    first = next(line for line in lines_of(session) if line.amount_micros == 1_250_500_000)
    assert (first.provider, first.provider_job_id, first.kind, first.model) == (
        "kling",
        "job-2",
        "charge",
        "seedream-v4",
    )
    assert (first.quantity, first.billed_at) == (Decimal("2.5"), datetime(2026, 11, 20, 11, tzinfo=UTC))
    assert json.loads(first.raw)["Amount (USD)"] == "1,250.50"
    assert (bill.state, bill.content, bill.lines_added) == ("done", None, 3)
    [entry] = session.scalars(select(AuditEntry))
    assert (entry.action, entry.actor, entry.details["lines_added"]) == ("bill.imported", ANA, 3)


def test_importing_the_same_rows_again_adds_nothing_not_even_among_others(session: Session) -> None:
    rows = "job,amount\njob-1,0.027\njob-1,0.027\njob-2,0.5\n"
    for content, added, known in ((rows, 3, 0), (rows, 0, 3), (rows + "job-3,1\n", 1, 3)):
        bill = kept(session, content)
        import_draft(session, bill.id, Mapping({"job": 0, "amount": 1}), actor=ANA)
        assert (bill.lines_added, bill.lines_known, bill.lines_differing) == (added, known, 0)
    assert sum(line.amount_micros for line in lines_of(session)) == 1_554_000


def test_a_line_id_of_the_provider_makes_its_line_unique(session: Session) -> None:
    mapping = Mapping({"job": 0, "amount": 1, "line": 2})
    for amount, differing in (("0.027", 0), ("0.028", 1)):
        bill = kept(session, f"job,amount,line\njob-1,{amount},line-1\njob-1,{amount},line-1\n")
        import_draft(session, bill.id, mapping, actor=ANA)
        assert bill.lines_differing == differing
    assert [line.amount_micros for line in lines_of(session)] == [27_000]


def test_credits_are_worth_what_the_price_book_or_the_form_says(session: Session) -> None:
    bill = kept(session, "job,credits\njob-1,30\n", provider="bfl")
    known = drafts.known_rate(session, "bfl")
    for rate, micros in (("0.005", 150_000), ("0.14", 4_200_000), ("1000", 30_000_000_000)):
        draft = preview(session, bill.id, Mapping({"job": 0, "amount": 1}, "credits", rate))
        assert draft.reading.total("charge") == micros
    assert preview(session, bill.id).mapping.rate == known
    assert drafts.known_rate(session, "no-such-provider") == ""


@pytest.mark.parametrize("rate", ["", "0", "-1", "NaN", "Infinity", "1001", "cheap", "1e-400", "9" * 50])
def test_a_rate_that_is_none_is_said_so(session: Session, rate: str) -> None:
    bill = kept(session, "job,credits\njob-1,30\n")
    draft = preview(session, bill.id, Mapping({"job": 0, "amount": 1}, "credits", rate))
    assert "rate" in draft.missing or draft.reading.total("charge") == 0
    assert ("rate" in draft.missing) == (rate != "1e-400")


@pytest.mark.parametrize(
    ("row", "field", "why"),
    [
        (",1,a,charge,,", "Job id", "is empty"),
        ("job 1,1,a,charge,,", "Job id", "is no id: letters, digits and _ . : - only"),
        ("j,,a,charge,,", "Amount", "is empty"),
        (
            "j,-1,a,charge,,",
            "Amount",
            "is negative; give refunds a column that says so, and their amount without a sign",
        ),
        ("j,NaN,a,charge,,", "Amount", "is 'NaN'; write it as 0.038"),
        ("j,1e3,a,charge,,", "Amount", "is '1e3'; write it as 0.038"),
        ('j,"0,038",a,charge,,', "Amount", "is '0,038'; write it as 0.038"),
        ("j,€1,a,charge,,", "Amount", "is '€1'; write it as 0.038"),
        ("j,1000001,a,charge,,", "Amount", "is more than $1,000,000"),
        ("j,1,a b,charge,,", "Line id", "is no id: letters, digits and _ . : - only"),
        ("j,1,a,gift,,", "Charge or refund", "is 'gift'; it must be charge or refund"),
        ("j,1,a,,,", "Charge or refund", "is ''; it must be charge or refund"),
        ("j,1,a,charge,20.11.2026,", "Date", "is '20.11.2026'; write it as 2026-11-21 or 2026-11-21T14:05:00Z"),
        ("j,1,a,charge,,many", "Quantity", "is 'many'; it must be a number from 0 with up to three decimals"),
        ("j,1,a,charge,,NaN", "Quantity", "is 'NaN'; it must be a number from 0 with up to three decimals"),
        ("j,1,a", "Row", "has 3 cells, the header 6"),
    ],
)
def test_a_bad_row_is_named_with_its_line_its_field_and_why(
    session: Session, row: str, field: str, why: str
) -> None:
    assert problems(session, f"good,1,b,charge,,\n\n{row}") == [Problem(4, field, why)]


def test_every_bad_row_is_named_and_nothing_is_imported(session: Session) -> None:
    bill = kept(session, "job,amount\n" + "job-1,x\n" * 3 + "job-2,0.5\n")
    draft = import_draft(session, bill.id, Mapping({"job": 0, "amount": 1}), actor=ANA)
    assert [problem.line for problem in draft.reading.problems] == [2, 3, 4]
    assert (count(session), bill.state, bill.content is not None) == (0, "draft", True)


def test_a_line_id_that_says_two_things_in_one_file_is_bad(session: Session) -> None:
    found = problems(session, "j,1,a,charge,,\nj,2,a,charge,,")
    assert found == [Problem(3, "Line id", "is that of line 2 too, which says something else")]


def test_a_quoted_cell_of_several_lines_keeps_the_count_of_lines(session: Session) -> None:
    assert [one.line for one in problems(session, '"j\nk",1,a,charge,,\nj,x,b,charge,,')] == [2, 4]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"job,amount\n", "a header and at least one row"),
        (b"\xff\xfej\0o\0b\0", "UTF-8"),
        (b"job\0,amount\na,1\n", "NUL"),
        (b'job,amount\n"a,1\n', "Line 2 is not CSV"),
        (b"a," * 101 + b"\n1\n", "columns"),
        (b"job\n" + b"x" * 2001 + b"\n", "2,000 characters"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_a_next_step(session: Session, content: bytes, said: str) -> None:
    with pytest.raises(Invalid) as refusal:
        kept(session, content)
    assert said in f"{refusal.value.message} {refusal.value.details}"
    assert session.scalar(select(func.count()).select_from(Bill)) == 0


def test_too_many_rows_are_to_be_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MOST_ROWS", 2)
    assert len(table.read(b"job\na\nb\n").rows) == 2
    with pytest.raises(Invalid, match="Split it"):
        table.read(b"job\na\nb\nc\n")


def test_columns_with_one_name_are_all_kept_in_the_raw_line(session: Session) -> None:
    bill = kept(session, "job,note,note,\nj,1,2,3\n")
    import_draft(session, bill.id, Mapping({"job": 0, "amount": 1}), actor=ANA)
    assert json.loads(lines_of(session)[0].raw) == {"job": "j", "note": "1", "note (3)": "2", "Column 4": "3"}


@pytest.mark.parametrize(
    "fields", [{}, {"job": 0}, {"job": 0, "amount": 9}, {"job": 0, "amount": 1, "nonsense": 1}]
)
def test_a_mapping_that_lacks_something_imports_nothing(session: Session, fields: dict[str, int]) -> None:
    bill = kept(session, "job,amount\nj,1\n")
    assert import_draft(session, bill.id, Mapping(fields), actor=ANA).missing
    assert count(session) == 0


def test_an_import_matches_and_shows_what_differs(session: Session) -> None:
    generation_id = billed_generation(session, "job-1")
    bill = kept(session, "job,amount\njob-1,0.05\n", provider="wavespeed")
    import_draft(session, bill.id, Mapping({"job": 0, "amount": 1}), actor=ANA)
    [line] = lines_of(session)
    assert (line.generation_id, line.billed_at, line.amount_micros) == (generation_id, START, 50_000)
    assert cost(session, generation_id) == (COST, "price_book")


def test_a_draft_is_imported_or_discarded_once(session: Session) -> None:
    bill, mapping = kept(session), Mapping({"job": 0, "amount": 2})
    import_draft(session, bill.id, mapping, actor=ANA)
    with pytest.raises(Conflict):
        import_draft(session, bill.id, mapping, actor=ANA)
    with pytest.raises(Conflict):
        discard(session, bill.id)
    other = kept(session)
    discard(session, other.id)
    with pytest.raises(NotFound):
        preview(session, other.id)


def test_drafts_that_nobody_imports_go_after_a_week(session: Session) -> None:
    kept(session)
    assert drafts.clean(session, at=datetime.now(UTC) + timedelta(days=6)) == 0
    assert drafts.clean(session, at=datetime.now(UTC) + timedelta(days=8)) == 1
