"""Asking Stripe: pages, embedded lists, faults, and what the key may not do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from makegood.stripe.client import (
    ATTEMPTS,
    Client,
    CursorGone,
    Listing,
    NotPermitted,
    Refused,
    Rejected,
    StripeProblem,
    Unreachable,
)
from makegood.stripe.resources import RESOURCES
from simulator.stripe.faults import FAULTS
from simulator.stripe.server import SimulatedStripe
from tests.stripe import pack, plan


@pytest.fixture
def waits() -> list[float]:
    """The seconds that the client wanted to wait."""
    return []


@pytest.fixture
def client(stripe: SimulatedStripe, waits: list[float]) -> Client:
    """A client that does not really wait."""
    return Client(stripe.api_key, stripe.url, sleep=waits.append)


def test_a_list_is_paged_through_newest_first(stripe: SimulatedStripe, client: Client) -> None:
    """Each object once, also with 250 of them and several in the same second."""
    paid = [stripe.account.pay(100 + number)["id"] for number in range(250)]
    pages = [client.page("charges")]
    while pages[-1].has_more:
        pages.append(client.page("charges", after=pages[-1].objects[-1]["id"]))
    assert [len(page.objects) for page in pages] == [100, 100, 50]
    assert [one["id"] for page in pages for one in page.objects] == paid[::-1]


def test_a_list_can_be_read_between_two_moments(stripe: SimulatedStripe, client: Client) -> None:
    """`created_from` belongs to it, `created_before` does not."""
    found = []
    for _ in range(4):
        found.append(stripe.account.pay(500))
        stripe.account.wait(60)
    page = client.page("charges", created_from=found[1]["created"], created_before=found[3]["created"])
    assert [one["id"] for one in page.objects] == [found[2]["id"], found[1]["id"]]


def test_every_resource_can_be_listed_with_what_is_asked_for_of_it(
    stripe: SimulatedStripe, client: Client
) -> None:
    """No expansion and no filter is refused."""
    buyer = stripe.account.customer("a@b.example")
    stripe.account.subscribe(buyer, [(plan(stripe.account), 1)], coupons=[stripe.account.coupon(percent_off=25)])
    stripe.account.buy(pack(stripe.account), 1, customer=buyer)
    found = {name: client.page(name).objects for name in RESOURCES}
    assert [name for name, objects in found.items() if not objects] == ["refunds", "disputes", "payouts"]
    assert isinstance(found["subscriptions"][0]["discounts"][0]["source"]["coupon"], dict)
    assert found["checkout_sessions"][0]["line_items"]["data"]


def test_ended_subscriptions_are_listed_too(stripe: SimulatedStripe, client: Client) -> None:
    """Stripe hides them unless it is asked for all."""
    buyer = stripe.account.customer("a@b.example")
    ended = stripe.account.subscribe(buyer, [(plan(stripe.account), 1)])
    stripe.account.cancel(ended)
    assert [one["status"] for one in client.page("subscriptions").objects] == ["canceled"]


def test_embedded_lists_come_complete(stripe: SimulatedStripe, client: Client) -> None:
    """Stripe shows ten items; the rest is fetched, in a list as for a single object."""
    buyer = stripe.account.customer("a@b.example")
    prices = [plan(stripe.account, amount=100 + number) for number in range(25)]
    made = stripe.account.subscribe(buyer, [(price, 1) for price in prices])
    for one in (client.page("subscriptions").objects[0], client.fetch("subscription", made["id"]).object):
        assert one is not None
        assert len(one["items"]["data"]) == 25
        assert one["items"]["has_more"] is False
    assert len(client.page("invoices").objects[0]["lines"]["data"]) == 25


def test_a_list_that_goes_on_with_nothing_is_an_answer_that_cannot_be_used(
    stripe: SimulatedStripe, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither asked for without end nor taken for the whole: a line left out would be credits not given."""
    buyer = stripe.account.customer("a@b.example")
    made = stripe.account.subscribe(
        buyer, [(plan(stripe.account, amount=100 + number), 1) for number in range(12)]
    )
    monkeypatch.setattr(client, "_list", lambda *_: Listing([], True, datetime.now(UTC)))
    with pytest.raises(Unreachable, match="nothing of the rest"):
        client.fetch("subscription", made["id"])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_met_with_another_attempt(
    stripe: SimulatedStripe, client: Client, waits: list[float], fault: str
) -> None:
    """Too many requests, Stripe's own trouble, connections cut before and within the answer."""
    stripe.account.pay(500)
    stripe.faults.script(fault, fault)  # type: ignore[arg-type]
    assert len(client.page("charges").objects) == 1
    assert 0 < waits[0] < 1 < waits[1] + 1 < 3


def test_what_stays_away_is_given_up_with_a_sentence(
    stripe: SimulatedStripe, client: Client, waits: list[float]
) -> None:
    """After the last attempt nothing is waited for."""
    stripe.faults.script(*["429"] * ATTEMPTS)  # type: ignore[list-item]
    with pytest.raises(Unreachable, match="limits our requests"):
        client.page("charges")
    assert len(waits) == ATTEMPTS - 1
    assert len(stripe.requests) == ATTEMPTS


def test_whoever_waits_for_an_answer_does_not_wait_for_long(
    stripe: SimulatedStripe, client: Client, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither as long as Stripe asks in Retry-After nor for one customer after another."""
    monkeypatch.setattr("makegood.stripe.client._wait", lambda *_: 15.0)
    stripe.faults.script("429")
    quick = client.for_people()
    with pytest.raises(Unreachable, match="it limits our requests"):
        quick.payment_methods("cus_1")
    assert waits == []
    monkeypatch.setattr("makegood.stripe.client.SECONDS_FOR_PEOPLE", 0.0)
    asked = len(stripe.requests)
    with pytest.raises(Unreachable, match="too long"):
        client.for_people().payment_methods("cus_1")
    assert len(stripe.requests) == asked


def test_a_missing_permission_is_told_apart(stripe: SimulatedStripe, client: Client, waits: list[float]) -> None:
    """It is no reason to ask again."""
    stripe.account.deny("disputes")
    with pytest.raises(NotPermitted, match="rak_dispute_read"):
        client.page("disputes")
    assert client.page("charges").objects == []
    assert waits == []


def test_a_wrong_key_is_told_apart_and_never_shown(stripe: SimulatedStripe) -> None:
    """The whole key is in no message."""
    key = "rk_test_wrong"
    with pytest.raises(Rejected) as refusal:
        Client(key, stripe.url).page("charges")
    assert key not in str(refusal.value)


def test_a_cursor_that_is_gone_is_told_apart(client: Client) -> None:
    """So that the reading can go on from a moment instead."""
    with pytest.raises(CursorGone):
        client.page("customers", after="cus_gone")


def test_a_wrong_question_is_not_asked_again(client: Client, waits: list[float]) -> None:
    """More than a hundred at once is an error."""
    with pytest.raises(Refused, match="limit"):
        client.page("charges", limit=101)
    assert waits == []


def test_one_object_is_fetched_as_it_is_now(stripe: SimulatedStripe, client: Client) -> None:
    """Its identifier may hold what has a meaning in addresses."""
    charge = stripe.account.pay(500)
    stripe.account.refund(charge, 200)
    found = client.fetch("charge", charge["id"]).object
    assert found is not None
    assert found["amount_refunded"] == 200
    assert client.fetch("coupon", "../charges?x=1").object is None


def test_what_was_deleted_is_gone(stripe: SimulatedStripe, client: Client) -> None:
    """Whether Stripe says so or knows nothing of it."""
    buyer = stripe.account.customer("a@b.example")
    stripe.account.delete_customer(buyer)
    assert client.fetch("customer", buyer["id"]).object is None
    assert client.fetch("customer", "cus_never").object is None


def test_short_lists_come_whole(stripe: SimulatedStripe, client: Client) -> None:
    """The refunds of one charge, and of no other."""
    charge = stripe.account.pay(500)
    other = stripe.account.pay(500)
    made = {stripe.account.refund(charge, 1)["id"] for _ in range(120)}
    stripe.account.refund(other, 5)
    listing = client.every("refunds", charge=charge["id"])
    assert {one["id"] for one in listing.objects} == made
    assert not listing.has_more


def test_the_key_says_which_mode_it_reads() -> None:
    """Where it says so."""
    modes = {key: Client(key).livemode for key in ("rk_live_1", "sk_test_1", "rk_other", "odd")}
    assert modes == {"rk_live_1": True, "sk_test_1": False, "rk_other": None, "odd": None}


def test_whoever_may_not_read_payment_methods_learns_why(stripe: SimulatedStripe, client: Client) -> None:
    """Else they are listed."""
    buyer = stripe.account.customer("a@b.example")
    assert client.payment_methods(buyer["id"]) == []
    stripe.account.deny("customers")
    with pytest.raises(StripeProblem):
        client.payment_methods(buyer["id"])
