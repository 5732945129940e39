"""Changing the price book: versions follow each other, nothing is lost, and nobody overwrites anybody."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from makegood.errors import Conflict, Invalid
from makegood.models import AuditEntry, Price
from makegood.prices import book, changes
from makegood.prices.changes import Unconfirmed
from makegood.prices.lines import Entry, Line
from tests.makegood.prices.making import AUTUMN, LINE, NOW, SPRING, SUMMER, periods, place, quote


def correct(session: Session, price_id: UUID, micros: int, *, confirmed: bool = False) -> Price:
    seen = book.line(session, LINE).state
    return changes.correct(
        session, price_id, quote(micros), state=seen, confirmed=confirmed, actor="ana@example.com", at=NOW
    )


def audited(session: Session) -> list[AuditEntry]:
    query = select(AuditEntry).where(AuditEntry.subject == LINE.subject).order_by(AuditEntry.id)
    return list(session.scalars(query))


def test_a_new_line_holds_from_its_date_on(session: Session) -> None:
    price = place(session)
    assert (price.version, price.actor, price.effective_to) == (1, "ana@example.com", None)
    entry = audited(session)[0]
    assert (entry.action, entry.actor) == ("price.added", "ana@example.com")
    assert entry.details["before"] is None
    assert entry.details["after"]["amount"] == "0.04"


def test_a_change_ends_the_running_version_at_that_instant(session: Session) -> None:
    place(session)
    place(session, SUMMER, 50_000)
    assert periods(session) == [(1, 40_000, SPRING, SUMMER), (2, 50_000, SUMMER, None)]
    details = audited(session)[1].details
    assert (details["before"]["amount"], details["before"]["effective_to"]) == ("0.04", "")
    assert (details["after"]["amount"], details["after"]["version"]) == ("0.05", 2)


def test_a_change_between_versions_holds_until_the_next_one(session: Session) -> None:
    place(session)
    place(session, AUTUMN, 60_000)
    place(session, SUMMER, 50_000)
    assert periods(session) == [
        (1, 40_000, SPRING, SUMMER),
        (3, 50_000, SUMMER, AUTUMN),
        (2, 60_000, AUTUMN, None),
    ]


def test_a_price_before_the_first_holds_until_that_one(session: Session) -> None:
    place(session, SUMMER)
    place(session, SPRING, 30_000)
    assert periods(session) == [(2, 30_000, SPRING, SUMMER), (1, 40_000, SUMMER, None)]


def test_a_second_version_at_the_same_instant_is_a_correction(session: Session) -> None:
    place(session)
    with pytest.raises(Invalid) as caught:
        place(session, SPRING, 50_000)
    assert "correct that one" in caught.value.details["fields"]["effective_from"]
    assert periods(session) == [(1, 40_000, SPRING, None)]


def test_a_correction_takes_the_wrong_version_s_place(session: Session) -> None:
    wrong = place(session)
    place(session, SUMMER, 50_000)
    correct(session, wrong.id, 45_000)
    assert periods(session) == [(3, 45_000, SPRING, SUMMER), (2, 50_000, SUMMER, None)]
    assert book.get(session, wrong.id).withdrawn_at == NOW
    assert [entry.action for entry in audited(session)][-1] == "price.corrected"
    with pytest.raises(Conflict):
        correct(session, wrong.id, 46_000)
    with pytest.raises(Invalid, match="what it said before"):
        correct(session, book.line(session, LINE).held[0].id, 45_000)


def test_an_end_lies_within_the_period(session: Session) -> None:
    price = place(session, SUMMER)
    for wrong in (SUMMER, SPRING):
        with pytest.raises(Invalid, match="Nothing was saved"):
            changes.end(session, price.id, ends=wrong, state=book.line(session, LINE).state, actor="ana")
    changes.end(session, price.id, ends=AUTUMN, state=book.line(session, LINE).state, actor="ana")
    assert periods(session) == [(1, 40_000, SUMMER, AUTUMN)]
    with pytest.raises(Invalid):
        changes.end(session, price.id, ends=NOW, state=book.line(session, LINE).state, actor="ana")
    details = audited(session)[-1].details
    assert (details["before"]["effective_to"], details["after"]["effective_to"]) == ("", "2026-09-01T00:00:00Z")


def test_an_ended_line_can_go_on_later(session: Session) -> None:
    price = place(session)
    changes.end(session, price.id, ends=SUMMER, state=book.line(session, LINE).state, actor="ana")
    place(session, AUTUMN, 50_000)
    assert periods(session) == [(1, 40_000, SPRING, SUMMER), (2, 50_000, AUTUMN, None)]
    assert book.line(session, LINE).running(SUMMER + timedelta(days=1)) is None


@pytest.mark.parametrize(
    ("micros", "facts", "words"),
    [
        (4_000_001, {}, "100 times"),
        (399, {}, "100th"),
        (0, {}, "nothing now"),
        (40_000, {"per": 1000}, "1,000th"),
    ],
)
def test_a_leap_is_confirmed(session: Session, micros: int, facts: dict[str, int], words: str) -> None:
    place(session)
    with pytest.raises(Unconfirmed) as caught:
        place(session, SUMMER, micros, **facts)
    assert words in caught.value.details["fields"]["amount"]
    assert periods(session) == [(1, 40_000, SPRING, None)]
    place(session, SUMMER, micros, confirmed=True, **facts)
    assert len(periods(session)) == 2


@pytest.mark.parametrize("micros", [4_000_000, 400])
def test_a_hundred_times_is_not_yet_a_leap(session: Session, micros: int) -> None:
    place(session)
    place(session, SUMMER, micros)
    assert len(periods(session)) == 2


def test_what_was_changed_meanwhile_is_a_conflict(session: Session) -> None:
    seen = book.line(session, LINE).state
    price = place(session)
    with pytest.raises(Conflict, match="Nothing was saved"):
        changes.place(session, Entry(LINE, quote(), SUMMER), state=seen, confirmed=True, actor="bert")
    with pytest.raises(Conflict):
        changes.end(session, price.id, ends=SUMMER, state=seen, actor="bert")
    with pytest.raises(Conflict):
        changes.correct(session, price.id, quote(1), state=seen, confirmed=True, actor="bert", at=NOW)
    assert periods(session) == [(1, 40_000, SPRING, None)]


def test_lines_are_separate(session: Session) -> None:
    place(session)
    place(session, line=Line("nanobanana", "acme/painter", "image", "2K"))
    place(session, line=Line("nanobanana", "acme/painter", "second"))
    assert periods(session) == [(1, 40_000, SPRING, None)]


@pytest.mark.parametrize("line", [LINE, Line("wavespeed", "bytedance/seedream-v4", "image")], ids=["new", "old"])
def test_of_two_operators_who_change_a_line_at_once_one_wins(engine: Engine, line: Line) -> None:
    with Session(engine) as session:
        seen = book.line(session, line).state
        before = len(periods(session, line))
    ready = threading.Barrier(2)
    outcomes: list[str] = []

    def change(actor: str, micros: int) -> None:
        with Session(engine) as session:
            ready.wait()
            try:
                changes.place(session, Entry(line, quote(micros), SUMMER), state=seen, confirmed=True, actor=actor)
                session.commit()
                outcomes.append("saved")
            except Conflict:
                outcomes.append("conflict")

    threads = [threading.Thread(target=change, args=(name, 50_000 + i)) for i, name in enumerate(("ana", "bert"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict", "saved"]
    with Session(engine) as session:
        assert len(periods(session, line)) == before + 1
        entries = session.scalars(select(AuditEntry).where(AuditEntry.subject == line.subject)).all()
        assert len(entries) == 1
