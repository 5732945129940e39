"""The simulated Stripe, through Stripe's own library: what it answers, what it refuses, and what it announces."""

from __future__ import annotations

from typing import Any

import pytest
import stripe as library
from stripe import (
    AuthenticationError,
    InvalidRequestError,
    PermissionError,
    RateLimitError,
    SignatureVerificationError,
    StripeClient,
    Webhook,
)

from simulator.stripe import deliveries
from simulator.stripe.server import SimulatedStripe
from tests.stripe import pack, plan


@pytest.fixture
def client(stripe: SimulatedStripe) -> StripeClient:
    """Stripe's own library, which talks to it."""
    return connected(stripe.url, stripe.api_key)


def connected(url: str, key: str) -> StripeClient:
    return StripeClient(key, base_addresses={"api": url}, max_network_retries=2)  # type: ignore[typeddict-item]


def test_a_list_comes_newest_first_in_pages(stripe: SimulatedStripe, client: StripeClient) -> None:
    for amount in range(1, 251):
        stripe.account.wait(60)
        stripe.account.pay(amount)
    page = client.v1.charges.list({"limit": 100})
    assert [charge.amount for charge in page.data] == list(range(250, 150, -1))
    assert page.has_more
    rest = list(client.v1.charges.list({"limit": 100, "starting_after": page.data[-1].id}).auto_paging_iter())
    assert [charge.amount for charge in rest] == list(range(150, 0, -1))
    between = {"gte": rest[9].created, "lt": rest[0].created}
    middle = client.v1.charges.list({"created": between}).data
    assert [charge.amount for charge in middle] == list(range(149, 140, -1))
    with pytest.raises(InvalidRequestError, match="limit"):
        client.v1.charges.list({"limit": 101})


def test_cancelled_subscriptions_and_deleted_customers_are_hidden(
    stripe: SimulatedStripe, client: StripeClient
) -> None:
    customer = stripe.account.customer("anna@example.com", metadata={"user_id": "anna"})
    stripe.account.subscribe(customer, [(plan(stripe.account), 1)])
    stripe.account.delete_customer(customer)
    assert client.v1.customers.list().data == []
    assert client.v1.customers.retrieve(customer["id"]).to_dict()["deleted"] is True
    assert client.v1.subscriptions.list().data == []
    assert [one.status for one in client.v1.subscriptions.list({"status": "all"}).data] == ["canceled"]


def test_embedded_lists_are_cut_and_lead_on(stripe: SimulatedStripe, client: StripeClient) -> None:
    lines = [(plan(stripe.account, amount=amount), 1) for amount in range(100, 1500, 100)]
    stripe.account.subscribe(stripe.account.customer(), lines)
    (subscription,) = client.v1.subscriptions.list().data
    assert subscription.items.has_more
    assert len(subscription.items.data) == 10
    assert sum(1 for _ in subscription.items.auto_paging_iter()) == 14
    invoice = client.v1.invoices.list({"expand": ["data.payments"]}).data[0]
    assert sum(line.amount for line in invoice.lines.auto_paging_iter()) == invoice.total == 10500


def test_what_lies_deeper_than_four_levels_is_not_expanded(client: StripeClient) -> None:
    with pytest.raises(InvalidRequestError, match="4 levels"):
        client.v1.subscriptions.list({"expand": ["data.items.data.price.product"]})


def test_a_key_may_lack_a_permission_or_be_wrong(stripe: SimulatedStripe, client: StripeClient) -> None:
    stripe.account.deny("disputes")
    with pytest.raises(PermissionError):
        client.v1.disputes.list()
    assert client.v1.charges.list().data == []
    with pytest.raises(PermissionError):
        client.v1.customers.create({"email": "new@example.com"})
    with pytest.raises(AuthenticationError):
        connected(stripe.url, "rk_test_wrong").v1.charges.list()


def test_faults_come_as_scripted(stripe: SimulatedStripe, client: StripeClient) -> None:
    stripe.faults.script("429", path="/v1/refunds")
    stripe.faults.script("500", "cut", path="/v1/charges")
    assert client.v1.charges.list().data == []
    with pytest.raises(RateLimitError):
        client.v1.refunds.list()
    assert [fault for _, fault in stripe.faults.met] == ["500", "cut", "429"]


def test_a_refund_that_fails_takes_the_charge_back_to_what_it_was(stripe: SimulatedStripe) -> None:
    account = stripe.account
    charge = account.pay(1000)
    account.refund(charge, 300)
    failing = account.refund(charge)
    assert (charge["amount_refunded"], charge["refunded"]) == (1000, True)
    account.fail_refund(failing)
    assert (charge["amount_refunded"], charge["refunded"]) == (300, False)
    rows = [(one["reporting_category"], one["net"]) for one in account.all("balance_transactions")]
    assert rows == [("refund_failure", 700), ("refund", -700), ("refund", -300), ("charge", 941)]


def test_deliveries_are_signed_as_stripe_does_and_repeated_until_taken(stripe: SimulatedStripe) -> None:
    stripe.account.buy(pack(stripe.account), email="guest@example.com")
    taken: list[str] = []
    answers = iter([500] + [200] * 99)

    def post(raw: bytes, headers: dict[str, str]) -> int:
        event = Webhook.construct_event(raw, headers["Stripe-Signature"], deliveries.SECRET)
        with pytest.raises(SignatureVerificationError):
            Webhook.construct_event(raw + b" ", headers["Stripe-Signature"], deliveries.SECRET)
        assert event.api_version == library.api_version
        status = next(answers)
        taken.extend([event.type] if status == 200 else [])
        return status

    stripe.deliver(post, shuffled=1)
    stripe.deliver(post)
    assert stripe.deliver(post) == []
    assert sorted(taken) == [
        "charge.succeeded",
        "checkout.session.completed",
        "payment_intent.succeeded",
        "price.created",
        "product.created",
    ]


CLASSES = {
    "balance_transactions": library.BalanceTransaction,
    "charges": library.Charge,
    "checkout_sessions": library.checkout.Session,
    "coupons": library.Coupon,
    "customers": library.Customer,
    "disputes": library.Dispute,
    "events": library.Event,
    "invoice_payments": library.InvoicePayment,
    "invoices": library.Invoice,
    "payment_intents": library.PaymentIntent,
    "payment_methods": library.PaymentMethod,
    "payouts": library.Payout,
    "prices": library.Price,
    "products": library.Product,
    "refunds": library.Refund,
    "subscriptions": library.Subscription,
}


def test_objects_have_no_field_that_the_library_does_not_know(stripe: SimulatedStripe) -> None:
    account = stripe.account
    customer = account.customer("anna@example.com")
    account.card(customer)
    account.subscribe(customer, [(plan(account), 1)], coupons=[account.coupon(percent_off=20)], tax_percent=19)
    session = account.buy(pack(account), customer=customer)
    charge = next(one for one in account.all("charges") if one["payment_intent"] == session["payment_intent"])
    account.refund(charge, 100)
    account.win(account.dispute(charge))
    account.pay_out(500)
    for resource, class_ in CLASSES.items():
        known: dict[str, Any] = class_.__annotations__
        assert account.all(resource), resource
        for one in account.all(resource):
            assert set(one) - set(known) == set(), resource
