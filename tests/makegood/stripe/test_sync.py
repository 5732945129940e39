"""Reading all of an account: page by page, after faults and kills, and what changes later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine, delete, func, select
from sqlalchemy.orm import Session

from makegood.models import Charge, StripeAccount, StripeCustomer, StripeEvent, StripeResource, Subscription
from makegood.ranges import Range
from makegood.revenue import reading
from makegood.stripe import mirror, progress, schedule, sync
from makegood.stripe.client import Client
from simulator.stripe.server import SimulatedStripe
from tests.stripe import pack, plan

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def client(stripe: SimulatedStripe) -> Client:
    """A client that does not really wait."""
    return Client(stripe.api_key, stripe.url, sleep=lambda seconds: None)


@pytest.fixture
def server_of_two(database: str) -> Iterator[tuple[Session, Session]]:
    """Two sessions on one database."""
    engine = create_engine(database)
    with Session(engine) as one, Session(engine) as other:
        yield one, other
    engine.dispose()


def work(session: Session, client: Client, at: datetime, *, turns: int = 1000) -> None:
    """What a worker does at that time, until nothing is due."""
    if not session.scalar(select(func.count()).select_from(StripeResource)):
        sync.prepare(session, client.livemode, None, at=at)
    while turns and (claimed := sync.claim(session, at=at)):
        while claimed and turns:
            turns -= 1
            claimed = sync.take(session, claimed, sync.read(client, claimed), at=at)


def begin(session: Session, client: Client, name: str) -> sync.Claimed:
    """Claim one list: there is no other."""
    sync.prepare(session, client.livemode, None, at=NOW)
    session.execute(delete(StripeResource).where(StripeResource.name != name))
    claimed = sync.claim(session, at=NOW)
    assert claimed is not None
    assert claimed.name == name
    return claimed


def row(session: Session, name: str) -> StripeResource:
    """How far a list is."""
    session.flush()
    return session.get_one(StripeResource, name, populate_existing=True)


def ids(session: Session, resource: str) -> set[str]:
    """What is kept of a resource."""
    return set(session.scalars(select(mirror.MODELS[resource].id)))


def test_everything_is_read_at_first_contact(session: Session, stripe: SimulatedStripe, client: Client) -> None:
    """Every list down to its oldest object; events only from then on."""
    stripe.account.at(NOW - DAY)
    buyer = stripe.account.customer("a@b.example")
    stripe.account.buy(pack(stripe.account), 1, customer=buyer)
    paid = {stripe.account.pay(500)["id"] for _ in range(120)}
    work(session, client, NOW)
    assert paid < ids(session, "charges")
    assert ids(session, "customers") == {buyer["id"]}
    states = progress.read(session)
    assert [one.name for one in states.lists] == list(progress.NAMES)
    assert {one.state for one in states.lists} == {"current"}
    assert states.complete_since == NOW
    charges = row(session, "charges")
    assert (charges.objects, charges.reached, charges.newest) == (121, NOW - DAY, NOW)
    assert session.scalars(select(StripeAccount.grants_since)).one() == NOW
    assert session.scalar(select(func.count()).select_from(StripeEvent)) == 0


def test_a_backfill_goes_on_where_it_was_killed(session: Session, stripe: SimulatedStripe, client: Client) -> None:
    """Nothing is read twice, nothing left out, though new objects come in between."""
    stripe.account.at(NOW - DAY)
    paid = [stripe.account.pay(500)["id"] for _ in range(250)]
    claimed = begin(session, client, "charges")
    assert sync.take(session, claimed, sync.read(client, claimed), at=NOW) is not None
    # Here it is killed: its lease still runs.
    assert sync.claim(session, at=NOW + sync.LEASE) is None
    assert (row(session, "charges").cursor, row(session, "charges").reached) == (paid[150], NOW - DAY)
    stripe.account.pay(700)
    asked = len(stripe.requests)
    work(session, client, NOW + HOUR)
    assert len(stripe.requests) - asked == 2
    assert ids(session, "charges") == set(paid)
    assert row(session, "charges").read_at == NOW


def test_a_backfill_survives_that_its_cursor_is_deleted(
    session: Session, stripe: SimulatedStripe, client: Client
) -> None:
    """It goes on with what is as old."""
    buyers = [stripe.account.customer(f"{number}@b.example") for number in range(150)]
    claimed = begin(session, client, "customers")
    assert sync.take(session, claimed, sync.read(client, claimed), at=NOW) is not None
    stripe.account.delete_customer(buyers[50])
    work(session, client, NOW + HOUR)
    assert ids(session, "customers") == {one["id"] for one in buyers}
    assert row(session, "customers").state == "current"


def test_what_another_worker_claimed_meanwhile_is_left_alone(
    session: Session, stripe: SimulatedStripe, client: Client
) -> None:
    """A worker that slept through its lease stores nothing and moves no cursor."""
    for _ in range(150):
        stripe.account.pay(500)
    slow = begin(session, client, "charges")
    page = sync.read(client, slow)
    quick = sync.claim(session, at=NOW + HOUR)
    assert quick is not None
    assert sync.take(session, slow, page, at=NOW + HOUR) is None
    assert ids(session, "charges") == set()
    assert sync.take(session, quick, sync.read(client, quick), at=NOW + HOUR) is not None


def test_later_readings_find_what_is_new_and_only_go_back_a_day(
    session: Session, stripe: SimulatedStripe, client: Client
) -> None:
    """What changed before that is left to the events and the night."""
    stripe.account.at(NOW - 3 * DAY)
    old = stripe.account.pay(500)
    work(session, client, NOW)
    stripe.account.at(NOW)
    new = stripe.account.pay(700)
    stripe.account.refund(old, 500)
    assert sync.claim(session, at=NOW) is None
    work(session, client, NOW + HOUR)
    assert ids(session, "charges") == {old["id"], new["id"]}
    assert session.get_one(Charge, old["id"]).amount_refunded == 0
    assert {one.type for one in session.scalars(select(StripeEvent))} >= {"charge.refunded", "charge.succeeded"}
    work(session, client, NOW + DAY)
    assert session.get_one(Charge, old["id"], populate_existing=True).amount_refunded == 500


def test_subscriptions_and_products_are_read_whole_each_time(
    session: Session, stripe: SimulatedStripe, client: Client
) -> None:
    """However old: what ended and what is no longer sold is seen soon."""
    stripe.account.at(NOW - 300 * DAY)
    price = plan(stripe.account)
    sold = stripe.account.subscribe(stripe.account.customer("a@b.example"), [(price, 1)])
    work(session, client, NOW)
    stripe.account.at(NOW)
    stripe.account.cancel(sold)
    stripe.account.deny("events")
    work(session, client, NOW + HOUR)
    assert session.get_one(Subscription, sold["id"], populate_existing=True).status == "canceled"


def test_what_is_missing_from_a_whole_list_was_deleted(
    session: Session, stripe: SimulatedStripe, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last body stays. Customers are only read whole when an operator asks for it."""
    monkeypatch.setattr(sync, "SKEW", timedelta())
    stripe.account.at(NOW - DAY)
    gone, stays = (stripe.account.customer(f"{name}@b.example")["id"] for name in "ab")
    work(session, client, NOW)
    stripe.account.delete_customer(stripe.account.get(gone))
    stripe.account.deny("events")
    progress.read_all_again(session, actor="operator:boss")
    work(session, client, datetime.now(UTC))
    found = session.execute(select(StripeCustomer.id, StripeCustomer.deleted)).all()
    assert dict(found) == {gone: True, stays: False}  # type: ignore[arg-type]


def test_a_missing_permission_stops_one_list_only(
    session: Session, stripe: SimulatedStripe, client: Client
) -> None:
    """It says which, and is tried again the next day, and read once it is allowed."""
    dispute = stripe.account.dispute(stripe.account.pay(500))
    stripe.account.deny("disputes")
    work(session, client, NOW)
    denied = row(session, "disputes")
    assert (denied.state, denied.next_try_at) == ("no_permission", NOW + DAY)
    assert "let it read “Disputes”" in (denied.problem or "")
    assert row(session, "charges").state == "current"
    assert progress.read(session).complete_since == NOW
    stripe.account.denied.clear()
    work(session, client, NOW + DAY)
    assert (denied.state, denied.problem, ids(session, "disputes")) == ("current", None, {dispute["id"]})


def test_what_fails_is_tried_again_later_and_later(
    session: Session, stripe: SimulatedStripe, client: Client
) -> None:
    """The page where it was stays the next one."""
    for _ in range(150):
        stripe.account.pay(500)
    claimed = begin(session, client, "charges")
    following = sync.take(session, claimed, sync.read(client, claimed), at=NOW)
    assert following is not None
    assert sync.take(session, following, sync.Unread("Stripe is away."), at=NOW) is None
    charges = row(session, "charges")
    assert (charges.state, charges.problem, charges.attempts) == ("failed", "Stripe is away.", 1)
    assert (charges.cursor, charges.next_try_at) == (following.cursor, NOW + timedelta(minutes=1))
    waits = [schedule.next_attempt(attempts, NOW) - NOW for attempts in (1, 2, 3, 7, 100)]
    assert waits == [timedelta(minutes=minutes) for minutes in (1, 2, 4, 60, 60)]
    work(session, client, NOW + HOUR)
    assert (row(session, "charges").state, len(ids(session, "charges"))) == ("current", 150)


@pytest.mark.parametrize("spoiled", ["a missing amount", "a sum that is wrong"])
def test_an_object_that_cannot_be_kept_keeps_no_other_out(
    session: Session, stripe: SimulatedStripe, client: Client, spoiled: str
) -> None:
    """The list is read to its end, says which object it lacks, and is not called complete until it has it."""
    for _ in range(250):
        stripe.account.pay(500)
    moves = stripe.account.all("balance_transactions")
    bad, net = moves[125], moves[125]["net"]
    bad["net"] = None if spoiled == "a missing amount" else net + 1
    work(session, client, NOW)
    kept = ids(session, "balance_transactions")
    assert {one["id"] for one in moves} - kept == {bad["id"]}
    lacking = row(session, "balance_transactions")
    assert (lacking.state, lacking.cursor, lacking.finished_at, lacking.read_at) == ("failed", None, None, None)
    assert f"but for {bad['id']} (IntegrityError)" in (lacking.problem or "")
    assert {one.state for one in progress.read(session).lists if one is not lacking} == {"current"}
    day = Range(NOW.date(), NOW.date(), ZoneInfo("UTC"), NOW)
    assert "could not be kept" in (reading.unread(reading.of(session), day) or "")
    bad["net"] = net
    work(session, client, NOW + HOUR)
    assert (lacking.state, lacking.problem, lacking.read_at) == ("current", None, NOW + HOUR)
    assert bad["id"] in ids(session, "balance_transactions")
    assert reading.of(session).covers(day)


def test_a_key_that_stripe_does_not_accept_is_asked_with_once(session: Session, stripe: SimulatedStripe) -> None:
    """All lists say why."""
    work(session, Client("rk_test_wrong", stripe.url), NOW)
    assert len(stripe.requests) == 1
    states = progress.read(session)
    assert {one.state for one in states.lists} == {"failed"}
    assert all("does not accept" in (one.problem or "") for one in states.lists)


def test_a_key_of_another_mode_reads_nothing(session: Session, stripe: SimulatedStripe) -> None:
    """Test payments never come among real ones."""
    sync.prepare(session, True, None, at=NOW)
    work(session, Client(stripe.api_key, stripe.url), NOW)
    assert stripe.requests == []
    assert "a key of test mode" in (row(session, "charges").problem or "")


def test_reading_everything_again_keeps_what_is_known(
    session: Session, stripe: SimulatedStripe, client: Client
) -> None:
    """And finds what changed long ago."""
    stripe.account.at(NOW - 300 * DAY)
    old = stripe.account.pay(500)
    work(session, client, NOW)
    stripe.account.deny("events")
    stripe.account.refund(old, 500)
    work(session, client, NOW + DAY)
    assert session.get_one(Charge, old["id"]).amount_refunded == 0
    progress.read_all_again(session, actor="operator:boss")
    charges = row(session, "charges")
    assert (charges.state, charges.finished_at, charges.read_at) == ("waiting", NOW, NOW + DAY)
    work(session, client, NOW + DAY)
    assert session.get_one(Charge, old["id"], populate_existing=True).amount_refunded == 500
    assert row(session, "charges").reread_at == NOW + DAY


def test_events_that_stripe_forgot_make_everything_be_read_again(
    session: Session, stripe: SimulatedStripe, client: Client
) -> None:
    """After more than thirty days without them nobody knows what changed."""
    stripe.account.at(NOW - 300 * DAY)
    old = stripe.account.pay(500)
    work(session, client, NOW)
    stripe.account.at(NOW)
    stripe.account.refund(old, 500)
    stripe.account.at(NOW + 31 * DAY)
    work(session, client, NOW + 31 * DAY)
    assert session.get_one(Charge, old["id"], populate_existing=True).amount_refunded == 500


def test_a_long_backfill_does_not_keep_the_rest_waiting(
    session: Session, stripe: SimulatedStripe, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some pages it is another list's turn."""
    monkeypatch.setattr(sync, "PAGES_AT_ONCE", 2)
    for _ in range(500):
        stripe.account.pay(5)
    work(session, client, NOW)
    paths = [path.partition("?")[0] for path in stripe.requests]
    assert paths.count("/v1/charges") == 5
    assert paths.index("/v1/payouts") < len(paths) - 1 - paths[::-1].index("/v1/charges")


def test_two_workers_never_read_the_same_list(server_of_two: tuple[Session, Session]) -> None:
    """The second takes the next one."""
    one, other = server_of_two
    sync.prepare(one, False, None, at=NOW)
    one.commit()
    first, second = sync.claim(one, at=NOW), sync.claim(other, at=NOW)
    assert first is not None
    assert second is not None
    assert (first.name, second.name) == ("products", "prices")
