"""The demo's account: its books balance, its figures are those of a healthy platform, and it can be made again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, create_engine, event, func, select, text
from sqlalchemy.orm import Session

from demo import buying, fates, people, seed
from demo.catalogue import OTHERS
from demo.chance import Chance
from demo.fates import Fate
from demo.lives import Life, Rules
from demo.rhythm import INCIDENT_DAYS_AGO, Rhythm
from demo.shop import DEBTORS, Shop
from demo.steps import Charge, Step
from demo.wallet import Wallet
from makegood import bills, books, stats, stories
from makegood.models import (
    Callback,
    Clawback,
    CreditPrice,
    Customer,
    Event,
    Generation,
    MrrSnapshot,
    Operator,
    Purchase,
)
from makegood.providers.protocol import ErrorClass
from makegood.purchases import checks
from makegood.stats import begin_snapshot
from makegood.terms import Terms
from simulator.stripe import keeping
from tests.conftest import fresh_database
from tests.makegood.stats.recount import assert_equal_to_rows

NOW = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)
COUNT = 24
TERMS = Terms(timezone=ZoneInfo("Europe/Berlin"))
"""A zone whose clocks changed within the 90 days."""

SAME = "SELECT md5(string_agg(row::text, ';' ORDER BY row::text)) FROM ({}) AS row"
REPEATABLE = (
    "SELECT id, email, tier, created_at FROM customers",
    "SELECT customer_id, balance, entries FROM balances",
    "SELECT id, customer_id, model, input, status, charged_at, ended_at, outputs, late_outcome FROM generations",
    "SELECT id, generation_id, credits, reason, note, actor, issued_at FROM refunds",
    "SELECT customer_id, entry, kind, amount, occurred_at FROM credit_transactions",
    "SELECT id, source_id, grant_id, amount, paid, returned, clawed FROM purchases",
    "SELECT id, amount, amount_refunded, customer_id, linked_by FROM stripe_charges",
    "SELECT id, generation_id, delivery, body, parsed, state, received_at FROM callbacks",
)


@dataclass
class Made:
    """An account of some customers, committed, and what it took to make it."""

    engine: Engine
    account: seed.Account
    statements: int
    progress: list[tuple[int, int]]


@pytest.fixture(scope="module")
def made(server: str) -> Iterator[Made]:
    """The account that all tests of its rows look at."""
    with fresh_database(server) as url:
        engine = create_engine(url)
        statements: list[str] = []
        progress: list[tuple[int, int]] = []

        @event.listens_for(engine, "before_cursor_execute")
        def count(_: object, __: object, statement: str, *___: object) -> None:
            statements.append(statement)

        with pytest.MonkeyPatch.context() as patch, Session(engine) as session:
            patch.setattr(seed, "GROUP", 8)
            much_goes_back(patch)
            account = make(session, count=COUNT, progress=progress)
            session.commit()
        needed = len(statements)
        seed.tidy(engine, TERMS, NOW)
        yield Made(engine, account, needed, progress)
        engine.dispose()


@pytest.fixture
def empty(database: str) -> Iterator[Engine]:
    """A database without an account."""
    engine = create_engine(database)
    yield engine
    engine.dispose()


@pytest.fixture
def rows(made: Made) -> Iterator[Session]:
    """A session on the account."""
    with Session(made.engine) as session:
        yield session


def make(session: Session, *, count: int, progress: list[tuple[int, int]] | None = None) -> seed.Account:
    def note(done: int, total: int) -> None:
        if progress is not None:
            progress.append((done, total))

    return seed.seed(session, TERMS, note, count=count, now=NOW)


def much_goes_back(patch: pytest.MonkeyPatch) -> None:
    """Let few customers have what else many have: refunds, and disputes lost and won."""
    patch.setattr(buying, "REFUNDED", 0.4)
    patch.setattr(buying, "DISPUTED", 0.4)


def test_the_books_balance(rows: Session, made: Made) -> None:
    assert books.violations(rows) == []
    assert made.account.customers == rows.scalar(select(func.count()).select_from(Customer)) == COUNT
    assert made.account.generations == rows.scalar(select(func.count()).select_from(Generation)) > 300


def test_the_figures_are_those_of_the_rows(rows: Session) -> None:
    assert_equal_to_rows(rows, TERMS, NOW)


def test_nothing_is_in_flight_and_nothing_lies_in_the_future(rows: Session) -> None:
    in_flight = "SELECT count(*) FROM generations WHERE ended_at IS NULL OR check_at IS NOT NULL"
    assert rows.scalar(text(in_flight)) == 0
    latest = (
        "SELECT max(ended_at) FROM generations",
        "SELECT max(late_at) FROM generations",
        "SELECT max(received_at) FROM callbacks",
        "SELECT max(occurred_at) FROM credit_transactions",
        "SELECT max(at) FROM events",
        "SELECT max(created_at) FROM customers",
    )
    for query in latest:
        assert rows.scalar(text(query)) <= NOW, query


def test_each_customers_ledger_is_in_the_order_of_time(rows: Session) -> None:
    backwards = """
        SELECT count(*) FROM (
            SELECT occurred_at < lag(occurred_at) OVER (PARTITION BY customer_id ORDER BY entry) AS backwards
              FROM credit_transactions) AS t WHERE backwards
    """
    assert rows.scalar(text(backwards)) == 0
    kinds = set(rows.scalars(text("SELECT DISTINCT kind FROM credit_transactions")))
    assert kinds == {"grant", "charge", "refund", "expiry", "adjustment", "clawback", "restoration"}


def test_identifiers_sort_by_the_time_of_what_they_name(rows: Session) -> None:
    milliseconds = "('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint"
    for table, at in (("generations", "charged_at"), ("refunds", "issued_at"), ("callbacks", "received_at")):
        off = f"abs({milliseconds} - extract(epoch FROM {at}) * 1000)"
        assert rows.scalar(text(f"SELECT max({off}) FROM {table}")) <= 1, table


def test_the_rollups_are_folded(rows: Session) -> None:
    watermark = "SELECT watermark FROM rollup_state"
    left = select(func.count()).select_from(Event).where(text(f"events.xid >= ({watermark})"))
    assert rows.scalar(left) == 0


def test_a_failed_generation_tells_its_whole_story(rows: Session) -> None:
    failed = rows.scalars(
        select(Generation).where(
            Generation.error_class == "content_policy_violation", Generation.provider == "wavespeed"
        )
    ).first()
    assert failed is not None
    story = stories.tell(rows, failed.id)
    assert {entry.kind for entry in story.entries} == {"charge", "cost", "submit", "callback", "ended", "refund"}
    assert story.refundable == 0
    callback = next(entry.callback for entry in story.entries if entry.callback is not None)
    assert b"flagged" in callback.body
    assert callback.state == "applied"
    assert "signature" not in str(callback.headers)


def test_callbacks_are_kept_as_the_inbox_keeps_them(rows: Session) -> None:
    kept = {"outcome", "provider_job_id", "outputs", "error_class", "message", "cost_micros", "status"}
    kept |= {"usage", "outputs_expire_at", "incomplete"}
    for callback in rows.scalars(select(Callback)):
        generation = rows.get_one(Generation, callback.generation_id)
        assert callback.parsed is not None
        assert set(callback.parsed) == kept
        assert callback.parsed["provider_job_id"] == generation.provider_job_id
        if callback.state == "applied":
            assert callback.parsed["outcome"] in (generation.status, generation.late_outcome)


def test_a_bill_of_last_week_was_imported_and_leaves_something_to_look_at(rows: Session) -> None:
    [bill] = bills.IMPORTS.page(rows).rows
    assert (bill.provider, bill.state) == ("wavespeed", "done")
    sums = bills.summary(rows, bills.Scope.of(bill))
    assert sum(one.rows for one in sums.values()) > 20


def test_refunds_by_hand_have_their_operators(rows: Session) -> None:
    actors = set(rows.scalars(text("SELECT DISTINCT actor FROM refunds WHERE origin = 'manual'")))
    assert actors
    assert actors <= set(rows.scalars(select(Operator.email)))


def test_an_account_takes_few_statements(made: Made) -> None:
    assert made.statements < 700
    done = [done / total for done, total in made.progress]
    assert done == sorted(done)
    assert done[-1] == 1
    assert len(done) > 10


def test_the_same_number_and_time_make_the_same_account(
    empty: Engine, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    much_goes_back(monkeypatch)
    with Session(empty) as session, Session(made.engine) as first:
        make(session, count=COUNT)
        for query in REPEATABLE:
            compared = text(SAME.format(query))
            assert session.scalar(compared) == first.scalar(compared), query


def test_an_interrupted_seed_leaves_nothing_and_can_begin_again(empty: Engine) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Session(empty) as session:
        seed.seed(session, TERMS, interrupt, count=3, now=NOW)
    with Session(empty) as session:
        assert session.scalar(select(func.count()).select_from(Customer)) == 0
        assert session.scalar(select(func.count()).select_from(Operator)) == 0
        make(session, count=3)
        session.commit()
        assert books.violations(session) == []


def test_a_clock_before_the_price_book_is_one_sentence(empty: Engine) -> None:
    with Session(empty) as session, pytest.raises(seed.SeedError, match="clock"):
        seed.seed(session, TERMS, count=1, now=datetime(2020, 1, 1, tzinfo=UTC))


def test_a_history_that_the_rules_refuse_is_not_passed_off_as_an_account(
    empty: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demo.wallet.Wallet.balance", lambda *_: 1_000_000)
    with Session(empty) as session, pytest.raises(seed.SeedError, match="does not fit the rules"):
        make(session, count=3)


def test_the_banner_is_healthy_and_today_is_alive(rows: Session) -> None:
    begin_snapshot(rows)
    view = stats.overview(rows, TERMS, at=NOW)
    assert view.health.status == "healthy"
    assert view.health.in_flight == 0
    assert view.today.generations > 0
    assert view.failures
    assert view.refunds
    assert {row.provider for row in view.providers} >= {"wavespeed", "nanobanana", "simulated"}


def test_what_was_sold_agrees_with_what_stripe_has(rows: Session, made: Made) -> None:
    found = checks.run(rows, at=NOW)
    assert (found.not_paid, found.without_credits) == ([], [])
    (stranger,) = found.not_credited
    assert stranger.source_id in made.account.stripe.lists["checkout_sessions"].by_id
    sold = rows.scalars(select(Purchase)).all()
    assert {one.source_kind for one in sold} == {"checkout_session", "invoice"}
    assert all(one.granted_at < NOW for one in sold), "reading Stripe found something that had not been credited"
    assert all(one.occurred_at < NOW for one in rows.scalars(select(Clawback)))
    assert rows.scalar(select(func.count()).select_from(MrrSnapshot)) > 60


def test_money_that_went_back_took_its_credits_and_a_won_dispute_gave_them_back(rows: Session) -> None:
    sums = text(
        "SELECT sum(returned), sum(clawed), count(*) FILTER (WHERE clawed < credits AND clawed > 0) FROM purchases"
    )
    returned, clawed, partly = rows.execute(sums).one()
    assert min(returned, clawed, partly) > 0
    won = "SELECT count(*) FROM stripe_disputes WHERE status = 'won'"
    restored = "SELECT count(*) FROM credit_transactions WHERE kind = 'restoration'"
    assert rows.scalar(text(won)) > 0
    assert rows.scalar(text(restored)) > 0


def test_somebody_owes_credits_that_were_spent_before_the_bank_took_their_money_back(rows: Session) -> None:
    owed = "SELECT count(DISTINCT customer_id), min(owed) FROM purchases WHERE owed > 0"
    customers, least = rows.execute(text(owed)).one()
    assert customers == DEBTORS
    assert least >= 1
    in_debt = "SELECT count(*) FROM balances JOIN purchases USING (customer_id) WHERE owed > 0 AND balance < 0"
    assert rows.scalar(text(in_debt)) == 0
    undecided = "SELECT count(*) FROM stripe_disputes WHERE status = 'needs_response'"
    assert rows.scalar(text(undecided)) >= DEBTORS


def test_the_simulated_stripe_goes_on_where_it_was_kept(made: Made) -> None:
    kept = keeping.dump(made.account.stripe)
    again = keeping.load(kept)
    assert keeping.dump(again) == kept
    assert again.product("New")["id"] not in kept


def test_every_customer_has_an_id_and_an_address_of_their_own() -> None:
    roster = people.roster(people.NUMBER)
    assert len({who.id for who in roster}) == len({who.email for who in roster}) == len(roster) == 300
    assert {who.tier for who in roster} == {"free", "plus", "pro"}
    reserved = ("@example.com", "@example.org", "@example.net", "@mail.example.com", ".example")
    assert all(who.email.endswith(reserved) for who in roster)


def charges(steps: list[Step]) -> list[Charge]:
    return [step for step in steps if isinstance(step, Charge)]


def lives(session: Session, count: int) -> list[Life]:
    """The plan alone."""
    prices = session.execute(select(CreditPrice.provider, CreditPrice.model, CreditPrice.credits))
    rules = Rules(
        {(provider, model): credits for provider, model, credits in prices},
        dict.fromkeys(ErrorClass, (100, 1)),
        {"free": 5, "plus": 0, "pro": 0},
    )
    rhythm = Rhythm.until(NOW, TERMS, NOW - timedelta(days=300))
    roster = people.roster(people.NUMBER, count)
    shop = Shop(people.NUMBER, rhythm.start, {"plus": 50, "pro": 200})
    return [
        Life(who, Chance(f"{people.NUMBER} life {who.id}"), rhythm, rules, shop, people.NUMBER).live()
        for who in roster
    ]


def test_what_would_still_be_under_way_did_not_happen(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    decide = fates.decide

    def slowly(*drawn: Any, **more: Any) -> Fate:
        fate = decide(*drawn, **more)
        return replace(fate, ended_at=fate.ended_at + timedelta(days=2))

    monkeypatch.setattr(fates, "decide", slowly)
    planned = lives(session, 40)
    assert max(step.at for life in planned for step in life.steps) <= NOW
    ends = [charge.fate.last_at for life in planned for charge in charges(life.steps)]
    assert NOW - timedelta(days=2) < max(ends) < NOW


def test_the_whole_account_looks_like_a_healthy_small_platform(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan alone, for half of the customers: what is written is what was planned."""
    take = Wallet.take

    def take_what_is_there(wallet: Wallet, credits: int, at: datetime) -> None:
        assert wallet.balance(at) >= credits
        take(wallet, credits, at)

    monkeypatch.setattr(Wallet, "take", take_what_is_there)
    planned = lives(session, 150)
    made = [charge for life in planned for charge in charges(life.steps)]
    assert 5_500 <= len(made) <= 8_000
    assert max(step.at for life in planned for step in life.steps) <= NOW
    assert max(charge.fate.last_at for charge in made) < NOW

    ended = [charge.fate for charge in made if charge.fate.status != "cancelled"]
    succeeded = sum(fate.status == "succeeded" for fate in ended) / len(ended)
    assert 0.955 <= succeeded <= 0.975
    refunded = sum(type(step).__name__ == "Refund" for life in planned for step in life.steps)
    assert refunded / len(made) < 0.05

    assert len({charge.offer.model for charge in made}) == 5 + len(OTHERS)
    classes = {charge.fate.error_class for charge in made if charge.fate.error_class}
    assert len(classes) >= 7
    late = [charge.fate.status for charge in made if charge.fate.late]
    assert late
    assert set(late) == {"failed", "cancelled"}
    unknown = [
        charge for charge in made if charge.offer.model == "nano-banana-pro" and charge.input["resolution"] == "4K"
    ]
    assert 1 <= len(unknown) <= 20

    first, last = NOW - timedelta(days=60), NOW - timedelta(days=30)
    months = [sum(low <= charge.at < high for charge in made) for low, high in ((first, last), (last, NOW))]
    assert months[1] > 1.1 * months[0]
    incident_day = (NOW - timedelta(days=INCIDENT_DAYS_AGO)).date()
    on_the_day = [charge.fate.status for charge in made if charge.at.date() == incident_day]
    assert on_the_day.count("failed") / len(on_the_day) > 0.06
