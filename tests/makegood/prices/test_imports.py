"""The price book as CSV: what goes out comes back the same, and what is wrong is refused as a whole."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from makegood.errors import Invalid
from makegood.models import AuditEntry, Price
from makegood.models.prices import CERTAINTIES
from makegood.prices import book, changes, imports, sheet
from makegood.prices.imports import ImportChanged, Preview
from makegood.prices.lines import CURRENCIES, PROVIDERS, UNITS, Entry, Line, Quote, entry_of, fields_of
from tests.makegood.prices.making import AUTUMN, NOW, SPRING, SUMMER, periods, place, quote

HEAD = ",".join(sheet.HEADER)
ROW = "nanobanana,acme/painter,image,,1,USD,0.04,,2026-03-01,,price list,documented"

EARLIER = ROW.replace("2026-03-01,", "2026-03-01,2026-06-01")


def file(*rows: str) -> str:
    return "\n".join((HEAD, *rows)) + "\n"


def apply(session: Session, text: str, *, confirmed: bool = False) -> Preview:
    seen = imports.preview(session, text)
    return imports.apply(
        session,
        text,
        fingerprint=seen.fingerprint,
        confirmed=confirmed,
        actor="ana@example.com",
        at=NOW,
        address="192.0.2.1",
    )


def problems(session: Session, *rows: str) -> list[tuple[int, str, str]]:
    return [(bad.number, bad.field, bad.why) for bad in imports.preview(session, file(*rows)).bad]


def test_a_new_row_is_a_new_line(session: Session) -> None:
    found = apply(session, file(ROW))
    assert [(one.kind, one.row.number) for one in found.differences] == [("new", 2)]
    assert periods(session) == [(1, 40_000, SPRING, None)]
    entries = list(session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(2)))
    assert [(entry.action, entry.actor, entry.address) for entry in entries] == [
        ("prices.imported", "ana@example.com", "192.0.2.1"),
        ("price.added", "ana@example.com", "192.0.2.1"),
    ]
    assert entries[0].details["new"] == 1
    assert entries[1].details["after"]["amount"] == "0.04"


def test_a_row_that_begins_later_ends_the_running_version(session: Session) -> None:
    place(session)
    found = apply(session, file(ROW.replace("2026-03-01", "2026-06-01").replace("0.04", "0.05")))
    assert [(one.kind, one.before and one.before.version) for one in found.differences] == [("new", 1)]
    assert periods(session) == [(1, 40_000, SPRING, SUMMER), (2, 50_000, SUMMER, None)]


def test_a_row_with_another_amount_corrects_its_version(session: Session) -> None:
    wrong = place(session)
    place(session, SUMMER, 50_000)
    row = ROW.replace("0.04", "0.041").replace("2026-03-01,", "2026-03-01,2026-06-01")
    found = apply(session, file(row))
    assert found.count("changed") == 1
    assert periods(session) == [(3, 41_000, SPRING, SUMMER), (2, 50_000, SUMMER, None)]
    assert book.get(session, wrong.id).withdrawn_at == NOW


def test_a_row_with_an_end_ends_its_version(session: Session) -> None:
    price = place(session)
    found = apply(session, file(ROW.replace("2026-03-01,", "2026-03-01,2026-06-01")))
    assert found.count("ended") == 1
    assert periods(session) == [(1, 40_000, SPRING, SUMMER)]
    assert book.get(session, price.id).withdrawn_at is None
    assert apply(session, file(ROW)).count("changed") == 1  # and its end can be taken back
    assert periods(session) == [(1, 40_000, SPRING, None)]


def test_a_file_can_end_a_version_and_put_two_after_it(session: Session) -> None:
    place(session)
    rows = (
        ROW.replace("2026-03-01,", "2026-03-01,2026-06-01"),
        ROW.replace("2026-03-01,", "2026-06-01,2026-09-01").replace("0.04", "0.02"),
        ROW.replace("2026-03-01,", "2026-09-01,").replace("0.04", "0.05"),
    )
    apply(session, file(*rows))
    assert periods(session) == [
        (1, 40_000, SPRING, SUMMER),
        (2, 20_000, SUMMER, AUTUMN),
        (3, 50_000, AUTUMN, None),
    ]


def test_what_the_file_does_not_mention_stays(session: Session) -> None:
    place(session)
    before = session.scalar(select(func.count()).select_from(Price))
    apply(session, file(ROW.replace("painter", "sculptor")))
    assert periods(session) == [(1, 40_000, SPRING, None)]
    assert session.scalar(select(func.count()).select_from(Price)) == (before or 0) + 1


def test_the_same_again_changes_nothing(session: Session) -> None:
    place(session)
    found = imports.preview(session, file(ROW))
    assert (found.count("equal"), found.effective) == (1, [])
    with pytest.raises(Invalid, match="says all of this already"):
        apply(session, file(ROW))


@pytest.mark.parametrize(
    ("rows", "bad"),
    [
        ((EARLIER, EARLIER), (3, "effective_from", "the same as in line 2")),
        ((ROW, ROW.replace("03-01", "06-01")), (3, "effective_from", "overlaps line 2")),
        ((ROW.replace("03-01,", "07-01,2026-08-01"),), (2, "effective_from", "overlaps version 1")),
        ((ROW.replace("03-01,", "05-01,2026-07-01"),), (2, "effective_to", "overlaps version 1")),
        ((ROW.replace("0.04", "-0.04"),), (2, "amount", "negative")),
        ((ROW.replace("0.04", "1000.01"),), (2, "amount", "more than $1,000")),
        ((ROW.replace("nanobanana", "acme"),), (2, "provider", "must be one of")),
        ((ROW.replace("image", "hour"),), (2, "unit", "must be one of")),
        ((ROW.replace("documented", "sure"),), (2, "certainty", "must be one of")),
        ((ROW.replace("2026-03-01", "1.3.2026"),), (2, "effective_from", "date such as")),
        ((ROW.replace("price list", '"=HYPERLINK(""x"")"'),), (2, "source", "formula")),
        ((ROW + ",more",), (2, "row", "13 fields instead of 12")),
        (("nanobanana",), (2, "row", "1 fields instead of 12")),
        (('"' + ROW,), (2, "file", "no CSV")),
        ((), (1, "file", "no rows")),
    ],
)
def test_a_bad_row_refuses_the_whole_file(
    session: Session, rows: tuple[str, ...], bad: tuple[int, str, str]
) -> None:
    place(session, SUMMER)
    good = ROW.replace("painter", "sculptor")
    found = problems(session, *rows)
    assert [(number, field) for number, field, _ in found] == [bad[:2]]
    assert bad[2] in found[0][2]
    with pytest.raises(Invalid, match="Nothing was imported"):
        apply(session, file(*rows, good) if rows else file())
    assert periods(session) == [(1, 40_000, SUMMER, None)]
    assert periods(session, Line("nanobanana", "acme/sculptor", "image")) == []


def test_every_bad_row_is_named(session: Session) -> None:
    found = problems(session, ROW.replace("0.04", "x").replace("image", "y"), ROW, ROW.replace("USD", "EUR"))
    assert [(number, field) for number, field, _ in found] == [(2, "unit"), (2, "amount"), (4, "currency")]


def test_a_wrong_header_is_told_what_it_must_be(session: Session) -> None:
    found = imports.preview(session, "provider;model\n" + ROW).bad
    assert (found[0].number, found[0].field) == (1, "header")
    assert HEAD in found[0].why


def test_a_file_is_utf_8_and_not_too_large() -> None:
    assert sheet.decode(b"\xef\xbb\xbf" + HEAD.encode()) == HEAD
    with pytest.raises(Invalid, match=r"not UTF-8 \(line 2\)"):
        sheet.decode(b"provider\nB\xe4r")
    with pytest.raises(Invalid, match="larger than"):
        sheet.decode(b"x" * (sheet.MOST_BYTES + 1))
    many = sheet.parse(file(*(ROW.replace("painter", f"p{number}") for number in range(sheet.MOST_ROWS + 1))))
    assert many.bad[-1].why == "has more than 2,000 rows"


def test_a_leap_is_confirmed(session: Session) -> None:
    place(session)
    text = file(ROW.replace("0.04", "40"))
    assert [one.jump for one in imports.preview(session, text).jumps] == ["is 1,000 times what it was"]
    with pytest.raises(changes.Unconfirmed, match="Nothing was imported"):
        apply(session, text)
    assert periods(session) == [(1, 40_000, SPRING, None)]
    apply(session, text, confirmed=True)
    assert periods(session) == [(2, 40_000_000, SPRING, None)]


def test_only_what_was_previewed_is_imported(session: Session) -> None:
    seen = imports.preview(session, file(ROW))
    facts = {"confirmed": True, "actor": "ana", "at": NOW, "address": None}
    with pytest.raises(ImportChanged):
        imports.apply(session, file(ROW.replace("0.04", "0.05")), fingerprint=seen.fingerprint, **facts)
    place(session, SUMMER)
    with pytest.raises(ImportChanged) as caught:
        imports.apply(session, file(ROW), fingerprint=seen.fingerprint, **facts)
    assert caught.value.preview.bad[0].field == "effective_to"  # it would overlap now
    assert periods(session) == [(1, 40_000, SUMMER, None)]


def test_of_two_imports_at_once_one_wins(engine: Engine) -> None:
    texts = [file(ROW), file(ROW.replace("0.04", "0.05"))]
    with Session(engine) as session:
        seen = [imports.preview(session, text).fingerprint for text in texts]
    ready = threading.Barrier(2)
    outcomes: list[str] = []

    def work(text: str, fingerprint: str) -> None:
        with Session(engine) as session:
            ready.wait()
            try:
                imports.apply(
                    session, text, fingerprint=fingerprint, confirmed=True, actor="ana", at=NOW, address=None
                )
                session.commit()
                outcomes.append("imported")
            except ImportChanged:
                outcomes.append("changed")

    threads = [threading.Thread(target=work, args=pair) for pair in zip(texts, seen, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["changed", "imported"]
    with Session(engine) as session:
        assert len(periods(session)) == 1


def test_a_formula_that_got_into_the_book_goes_out_defused(session: Session) -> None:
    changes.insert(session, Entry(Line("nanobanana", "m", "image"), quote(source="=1+1"), SPRING), 1, "psql")
    assert ",'=1+1," in sheet.export(session, provider="nanobanana")


FIRST, LAST = datetime(2000, 1, 2), datetime(2099, 12, 30)  # noqa: DTZ001 (hypothesis adds the zone)
TEXT = st.text(
    st.characters(exclude_categories=("C", "Z"), include_characters=' ,";'), min_size=1, max_size=40
).filter(lambda text: text == text.strip() and not text.startswith(("=", "+", "-", "@")))


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    currency = draw(st.sampled_from(CURRENCIES))
    rate = draw(st.integers(1, 1000)) if currency == "credits" else None
    amount = draw(st.integers(0, 1_000_000_000))
    per = draw(st.sampled_from((1, 1000, 1_000_000_000)))
    return Quote(per, currency, amount, rate, draw(TEXT), draw(st.sampled_from(CERTAINTIES)))


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    """Versions of some lines that never overlap."""
    lines = st.builds(Line, st.sampled_from(PROVIDERS), TEXT, st.sampled_from(UNITS), st.one_of(st.just(""), TEXT))
    found = []
    for line in draw(st.lists(lines, min_size=1, max_size=4, unique=True)):
        moments = draw(
            st.lists(
                st.datetimes(FIRST, LAST, timezones=st.just(UTC)),
                min_size=1,
                max_size=4,
                unique=True,
            ).map(sorted)
        )
        for start, end in zip(moments, [*moments[1:], None], strict=True):
            gap = timedelta(microseconds=draw(st.sampled_from((0, 1))))
            ends = end - gap if end is not None and end - gap > start else end
            found.append(Entry(line, draw(quotes()), start, ends))
    return found


@pytest.fixture
def book_of_our_own(session: Session) -> Session:
    """Without what ships."""
    session.connection().exec_driver_sql("SET LOCAL session_replication_role = replica")
    session.execute(delete(Price))
    session.connection().exec_driver_sql("SET LOCAL session_replication_role = origin")
    return session


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=entries())
def test_what_goes_out_comes_back_the_same(book_of_our_own: Session, wanted: list[Entry]) -> None:
    session = book_of_our_own
    with session.begin_nested() as undone:
        rows = [",".join(_cell(fields_of(entry)[name]) for name in sheet.HEADER) for entry in wanted]
        apply(session, file(*rows), confirmed=True)
        out = sheet.export(session)
        assert [row.entry for row in sheet.parse(out).rows] == sorted(
            wanted, key=lambda entry: (entry.line.provider, *_order(session, entry), entry.start)
        )
        again = imports.preview(session, out)
        assert (again.bad, again.effective) == ([], [])
        assert again.count("equal") == len(wanted)
        stored = [entry_of(price) for price in book.versions(session)]
        assert sorted(map(_text, stored)) == sorted(map(_text, wanted))
        undone.rollback()


def _text(entry: Entry) -> str:
    return str(fields_of(entry))


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _order(session: Session, entry: Entry) -> tuple[int, ...]:
    found = [listed.line for listed in book.lines(session)]
    return (found.index(entry.line),)
