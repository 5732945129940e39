"""A recompute: what was previewed and confirmed, each generation once, and the figures follow."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from makegood import books, generations, stats
from makegood.errors import Conflict, Invalid
from makegood.generations import costs
from makegood.models import AuditEntry, CostAdjustment, Generation, Price, Recompute
from makegood.prices import book, changes, recompute
from makegood.prices.lines import Line
from makegood.prices.recompute import Changed, Preview, Scope
from makegood.providers.protocol import Accepted, Units
from tests.makegood.prices.making import place, quote
from tests.making import MODEL, TERMS, make_customer, make_generation

AT = datetime.fromisoformat("2026-11-20T12:00:00+00:00")
NOW = AT + timedelta(days=1)
SCOPE = Scope("wavespeed", None, AT - timedelta(days=1), NOW)
SHIPPED = Line("wavespeed", MODEL, "image")
NEW = "brand/new"


def correct(session: Session, micros: int) -> None:
    """The shipped price was wrong."""
    listed = book.line(session, SHIPPED)
    changes.correct(
        session,
        listed.held[0].id,
        quote(micros),
        state=listed.state,
        confirmed=True,
        actor="ana@example.com",
        at=NOW,
    )


def start(session: Session, seen: Preview, **facts: Any) -> Recompute:
    asked = {"fingerprint": seen.fingerprint, "count": seen.generations, "actor": "ana@example.com", "at": NOW}
    return recompute.start(session, seen.scope, **asked | facts)


def finish(session: Session, *, batch: int = 2) -> int:
    """How many batches it took."""
    count = 0
    while recompute.work(session, batch=batch):
        count += 1
    return count


def cost(session: Session, generation_id: UUID) -> tuple[int | None, str]:
    generation = generations.get(session, generation_id)
    return generation.cost_micros, generation.cost_source


def adjustments(session: Session) -> list[tuple[UUID, int | None, int | None]]:
    query = select(CostAdjustment).order_by(CostAdjustment.generation_id)
    return [(row.generation_id, row.from_micros, row.to_micros) for row in session.scalars(query)]


@pytest.fixture
def made(session: Session, balanced_books: None) -> dict[str, UUID]:
    """Generations of each kind of cost. At the end the books balance."""
    customer = make_customer(session, 100, at=AT)
    kinds = ("book", "failed", "stated", "measured", "refused", "bill", "unknown", "unmeasured")
    made = {
        kind: make_generation(
            session,
            customer,
            at=AT,
            credits=2,
            status="failed" if kind == "failed" else "submitted",
            model=NEW if kind == "unknown" else MODEL,
            input={"images": 2},
        )
        for kind in kinds
    }
    costs.take(session, made["stated"], Accepted("j", cost_micros=99_000))
    costs.take(session, made["measured"], Accepted("j", usage=Units("image", 3)))
    costs.set_cost(session, made["refused"], 0, source="refused")
    costs.set_cost(session, made["bill"], 55_000, source="bill")
    costs.set_usage(session, made["unmeasured"], Units("second", 3))
    assert cost(session, made["unmeasured"]) == (None, "unknown")
    return made


def test_what_stays_unknown_is_told_apart_from_what_the_book_knows(
    session: Session, made: dict[str, UUID]
) -> None:
    seen = recompute.preview(session, SCOPE)
    assert (seen.generations, seen.unpriced, seen.unmeasured) == (0, 2, 0)
    place(session, AT - timedelta(days=2), 10_000, line=Line("wavespeed", NEW, "image"))
    seen = recompute.preview(session, SCOPE)
    assert (seen.generations, seen.unpriced) == (1, 1), "the other was charged by the second"
    session.execute(update(Generation).where(Generation.id == made["unmeasured"]).values(quantity=None))
    seen = recompute.preview(session, SCOPE)
    assert (seen.unpriced, seen.unmeasured) == (0, 1)
    assert recompute.preview(session, Scope("wavespeed", NEW, SCOPE.since, NOW)).unmeasured == 0


def test_only_costs_that_rest_on_the_book_or_are_unknown_follow(session: Session, made: dict[str, UUID]) -> None:
    correct(session, 30_000)
    place(session, AT - timedelta(days=2), 10_000, line=Line("wavespeed", NEW, "image"))
    seen = recompute.preview(session, SCOPE)
    assert [(one.model, one.generations, one.change_micros, one.known) for one in seen.models] == [
        (NEW, 1, 20_000, 1),
        (MODEL, 3, 6_000 + 6_000 + 9_000, 0),
    ]
    asked = start(session, seen)
    assert finish(session) == 3
    assert (asked.outcome, asked.done, asked.done_micros) == ("finished", 4, seen.change_micros)
    assert {kind: cost(session, made[kind]) for kind in made} == {
        "book": (60_000, "price_book"),
        "failed": (60_000, "price_book"),
        "stated": (99_000, "provider"),
        "measured": (90_000, "provider"),
        "refused": (0, "refused"),
        "bill": (55_000, "bill"),
        "unknown": (20_000, "price_book"),
        "unmeasured": (None, "unknown"),
    }
    assert adjustments(session) == sorted(
        [
            (made["book"], 54_000, 60_000),
            (made["failed"], 54_000, 60_000),
            (made["measured"], 81_000, 90_000),
            (made["unknown"], None, 20_000),
        ]
    )
    prices = session.scalars(select(Generation.price_id).where(Generation.id == made["book"])).one()
    assert session.get_one(Price, prices).version == 2
    assert recompute.preview(session, SCOPE).generations == 0


def test_the_figures_follow_where_the_generations_were_charged(session: Session, made: dict[str, UUID]) -> None:
    before = stats.overview(session, TERMS, at=AT + timedelta(hours=1)).today
    correct(session, 30_000)
    seen = recompute.preview(session, SCOPE)
    assert stats.overview(session, TERMS, at=AT + timedelta(hours=1)).today == before
    start(session, seen)
    finish(session)
    after = stats.overview(session, TERMS, at=AT + timedelta(hours=1)).today
    assert after.cost_micros - before.cost_micros == seen.change_micros == 21_000
    assert after.loss_micros - before.loss_micros == 6_000  # of the one that failed
    assert (before.unknown_costs, after.unknown_costs) == (2, 2)


def test_a_price_that_ended_makes_costs_unknown_again(session: Session, made: dict[str, UUID]) -> None:
    listed = book.line(session, SHIPPED)
    changes.end(session, listed.held[0].id, ends=AT, state=listed.state, actor="ana")
    seen = recompute.preview(session, SCOPE)
    assert [(one.generations, one.unknown) for one in seen.models] == [(3, 3)]
    start(session, seen)
    finish(session)
    assert cost(session, made["measured"]) == (None, "unknown")


def test_model_and_period_bound_it(session: Session, made: dict[str, UUID]) -> None:
    correct(session, 30_000)
    for scope in (
        Scope("wavespeed", NEW, SCOPE.since, SCOPE.until),
        Scope("simulated", None, SCOPE.since, SCOPE.until),
        Scope("wavespeed", None, SCOPE.since, AT),
        Scope("wavespeed", None, AT + timedelta(microseconds=1), SCOPE.until),
    ):
        assert recompute.preview(session, scope).generations == 0
    with pytest.raises(Invalid, match="no cost would change"):
        start(session, recompute.preview(session, Scope("simulated", None, SCOPE.since, SCOPE.until)))
    with pytest.raises(Invalid, match="ends before"):
        recompute.preview(session, Scope("wavespeed", None, AT, AT))


@pytest.mark.parametrize("count", [None, 0, 2, 4])
def test_the_number_is_typed(session: Session, made: dict[str, UUID], count: int | None) -> None:
    correct(session, 30_000)
    with pytest.raises(Invalid) as caught:
        start(session, recompute.preview(session, SCOPE), count=count)
    assert caught.value.details["fields"] == {"count": "must be 3, the number of generations that change"}
    assert not finish(session)


def test_what_changed_since_the_preview_is_previewed_again(session: Session, made: dict[str, UUID]) -> None:
    correct(session, 30_000)
    seen = recompute.preview(session, SCOPE)
    costs.set_cost(session, made["book"], 1, source="bill")
    with pytest.raises(Changed) as caught:
        start(session, seen)
    assert caught.value.preview.generations == 2
    assert adjustments(session) == []


def test_one_provider_has_one_recompute_at_a_time_and_one_audit_entry(
    session: Session, made: dict[str, UUID]
) -> None:
    correct(session, 30_000)
    seen = recompute.preview(session, SCOPE)
    asked = start(session, seen)
    with pytest.raises(Conflict, match="is running"):
        start(session, seen)
    finish(session)
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "costs.recomputed")).one()
    assert (entry.actor, entry.subject) == ("ana@example.com", "costs:wavespeed")
    assert (entry.details["recompute"], entry.details["generations"]) == (str(asked.id), 3)


def test_it_stops_when_the_book_changes_meanwhile(session: Session, made: dict[str, UUID]) -> None:
    correct(session, 30_000)
    asked = start(session, recompute.preview(session, SCOPE))
    assert recompute.work(session, batch=1)
    correct(session, 31_000)
    finish(session)
    assert (asked.outcome, asked.done) == ("book_changed", 1)
    seen = recompute.preview(session, SCOPE)
    assert seen.generations == 3
    start(session, seen)
    finish(session)
    assert cost(session, made["book"]) == (62_000, "price_book")


def test_a_bill_that_comes_meanwhile_stands(session: Session, made: dict[str, UUID]) -> None:
    correct(session, 30_000)
    asked = start(session, recompute.preview(session, SCOPE))
    costs.set_cost(session, made["book"], 1, source="bill")
    finish(session)
    assert cost(session, made["book"]) == (1, "bill")
    assert (asked.done, asked.done_micros) == (2, 15_000)


def test_workers_share_the_work_and_a_killed_one_is_made_up_for(engine: Engine) -> None:
    with Session(engine) as session:
        customer = make_customer(session, 100, at=AT)
        for _ in range(20):
            make_generation(session, customer, at=AT, status="failed")
        correct(session, 30_000)
        start(session, recompute.preview(session, SCOPE))
        session.commit()
        recompute.work(session, batch=7)  # and is killed before it commits
    ready = threading.Barrier(3)

    def run() -> None:
        with Session(engine) as session:
            ready.wait()
            while recompute.work(session, batch=3):
                session.commit()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Session(engine) as session:
        while recompute.work(session, batch=3):  # those who met a batch under way went home
            session.commit()
        asked = session.scalars(select(Recompute)).one()
        assert (asked.outcome, asked.done, asked.done_micros) == ("finished", 20, 20 * 3_000)
        assert session.scalar(select(func.count()).select_from(CostAdjustment)) == 20
        assert set(session.scalars(select(Generation.cost_micros))) == {30_000}
        assert books.violations(session) == []


def test_usage_that_is_said_again_keeps_the_frozen_version(session: Session, made: dict[str, UUID]) -> None:
    correct(session, 30_000)
    costs.take(session, made["measured"], Accepted("j", usage=Units("image", 3)))
    costs.take(session, made["book"], Accepted("j", usage=Units("image", 2)))
    assert cost(session, made["measured"]) == (81_000, "provider")
    assert cost(session, made["book"]) == (54_000, "provider")
