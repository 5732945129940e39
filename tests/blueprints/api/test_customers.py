"""Customers and grants through the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import UUID

import pytest

from extensions import db
from makegood import refunds, reversals
from tests.backend import Platform
from tests.making import TERMS, FakeProvider


def test_a_new_customer_has_this_months_allowance(platform: Platform) -> None:
    answer = platform.send("PUT", "/customers/cus_1", {"email": "ada@example.com", "tier": "plus"})
    assert answer.status_code == 200
    body = answer.json
    assert (body["id"], body["email"], body["tier"], body["balance"]) == ("cus_1", "ada@example.com", "plus", 50)
    assert [(grant["source"], grant["remaining"]) for grant in body["grants"]] == [("allowance", 50)]
    assert body["consumed_this_month"] == {"charged": 0, "refunded": 0, "net": 0}
    assert platform.send("GET", "/customers/cus_1").json == body


def test_what_a_put_leaves_out_is_cleared(platform: Platform) -> None:
    platform.send("PUT", "/customers/cus_1", {"email": "ada@example.com", "tier": "free"})
    answer = platform.send("PUT", "/customers/cus_1", {"tier": "pro"})
    assert (answer.json["email"], answer.json["tier"], answer.json["balance"]) == (None, "pro", 5)


def test_an_unknown_tier_is_named(platform: Platform) -> None:
    answer = platform.send("PUT", "/customers/cus_1", {"tier": "gold"})
    assert answer.status_code == 422
    assert answer.json["error"]["fields"] == {"tier": "must be one of free, plus, pro"}
    assert platform.send("GET", "/customers/cus_1").status_code == 404


@pytest.mark.parametrize(
    "customer_id", ["a/b", "/", "//", "a//b/", "ü€", "a?b#c%41", "a b", ".", "-", "%2F", "x" * 200]
)
def test_an_id_may_hold_whatever_a_path_can_carry(platform: Platform, customer_id: str) -> None:
    path = f"/customers/{quote(customer_id, safe='')}"
    assert platform.send("PUT", path, {"tier": "free"}).json["id"] == customer_id
    body = {"credits": 7, "source": "bonus", "reason": "welcome"}
    assert platform.send("POST", f"{path}/grants", body, idempotency="k").status_code == 201
    assert platform.send("GET", path).json["balance"] == 12
    assert len(platform.send("GET", f"{path}/transactions").json["transactions"]) == 2


@pytest.mark.parametrize("encoded", ["%00", "a%0Ab", "%FF", "x" * 201, "%7F", "a%2Ftransactions", "a%2Fgrants"])
def test_an_id_that_no_row_can_have_is_refused(platform: Platform, encoded: str) -> None:
    answer = platform.send("PUT", f"/customers/{encoded}", {"tier": "free"})
    assert answer.status_code == 422
    assert list(answer.json["error"]["fields"]) == ["id"]
    assert platform.sql("SELECT count(*) FROM customers") == 0


def test_the_month_shows_gross_refunded_and_net(platform: Platform) -> None:
    customer = platform.make_customer(20)
    platform.start(customer, credits=4)
    external = platform.start(customer, provider="external", model="own", credits=6).json["id"]
    platform.send("POST", f"/generations/{external}/outcome", {"status": "failed"})
    body = platform.send("GET", f"/customers/{customer}").json
    assert body["consumed_this_month"] == {"charged": 10, "refunded": 6, "net": 4}
    assert body["balance"] == sum(grant["remaining"] for grant in body["grants"]) == 21


def test_ledger_pages_are_whole_and_in_order(platform: Platform) -> None:
    customer = platform.make_customer(20)
    for _ in range(5):
        platform.start(customer, credits=1)
    seen, before, pages = [], "", 0
    while True:
        page = platform.send("GET", f"/customers/{customer}/transactions?limit=3{before}").json
        seen += [row["entry"] for row in page["transactions"]]
        pages += 1
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert (seen, pages) == ([7, 6, 5, 4, 3, 2, 1], 3)


def test_a_charge_names_the_grants_it_drew_from(platform: Platform) -> None:
    customer = platform.make_customer(20)
    started = platform.start(customer, credits=8).json
    row = platform.send("GET", f"/customers/{customer}/transactions?limit=1").json["transactions"][0]
    assert (row["kind"], row["amount"], row["balance_after"]) == ("charge", -8, 17)
    assert row["generation_id"] == started["id"]
    assert sorted((moved["source"], moved["credits"]) for moved in row["movements"]) == [
        ("allowance", -5),
        ("purchase", -3),
    ]


def test_a_reversal_is_a_ledger_row_like_any_other(platform: Platform) -> None:
    customer = platform.make_customer(20)
    generation_id = UUID(platform.start(customer, credits=8).json["id"])
    with platform.app.app_context():
        refund = refunds.issue_manual(
            db.session(), generation_id, TERMS, credits=3, reason="other", note="x", actor="ops",
            idempotency_key="k", expected_refunded=0,
        )  # fmt: skip
        reversals.reverse(db.session(), refund.id, TERMS, note="x", actor="ops", idempotency_key="k")
        db.session.commit()
    rows = platform.send("GET", f"/customers/{customer}/transactions?limit=2").json["transactions"]
    assert [(row["kind"], row["amount"], row["balance_after"]) for row in rows] == [
        ("reversal", -3, 17),
        ("refund", 3, 20),
    ]
    body = platform.send("GET", f"/customers/{customer}").json
    assert body["consumed_this_month"] == {"charged": 8, "refunded": 0, "net": 8}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=1&limit=2",
        "before=0",
        "before=-1",
        "before=9223372036854775808",
        "before=",
        "page=1",
        "limit=１",
    ],
)
def test_a_page_that_makes_no_sense_is_refused(platform: Platform, query: str) -> None:
    customer = platform.make_customer()
    answer = platform.send("GET", f"/customers/{customer}/transactions?{query}")
    assert answer.status_code == 422
    assert list(answer.json["error"]["fields"]) == [query.partition("=")[0]]


def test_transactions_of_nobody_are_not_found(platform: Platform) -> None:
    assert platform.send("GET", "/customers/nobody/transactions").status_code == 404


def test_a_repeated_grant_gives_the_first_answer(platform: Platform) -> None:
    customer = platform.make_customer(20)
    body = {"credits": 7, "source": "bonus", "reason": "sorry", "expires_at": "2999-01-01T00:00:00+02:00"}
    first = platform.send("POST", f"/customers/{customer}/grants", body, idempotency="g1")
    platform.start(customer, credits=10)
    again = platform.send("POST", f"/customers/{customer}/grants", body, idempotency="g1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json == again.json
    assert (first.json["balance"], first.json["remaining"]) == (32, 7)
    assert first.json["expires_at"] == "2998-12-31T22:00:00.000000Z"
    assert platform.balance(customer) == 22


def test_a_key_used_for_another_grant_is_a_conflict(platform: Platform) -> None:
    customer = platform.make_customer()
    body = {"credits": 7, "source": "bonus", "reason": "sorry"}
    platform.send("POST", f"/customers/{customer}/grants", body, idempotency="g1")
    answer = platform.send("POST", f"/customers/{customer}/grants", body | {"credits": 8}, idempotency="g1")
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "idempotency_key_reused")
    assert platform.balance(customer) == 12


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"credits": 0}, "credits"),
        ({"credits": 1_000_000_001}, "credits"),
        ({"credits": 1.0}, "credits"),
        ({"credits": "5"}, "credits"),
        ({"credits": True}, "credits"),
        ({"source": "gift"}, "source"),
        ({"source": "purchase", "expires_at": "2999-01-01T00:00:00Z"}, "expires_at"),
        ({"source": "allowance"}, "expires_at"),
        ({"expires_at": "2000-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2999-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": 32472144000}, "expires_at"),
        ({"expires_at": "32472144000"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+23:59"}, "expires_at"),
        ({"expires_at": "2999-02-30T00:00:00Z"}, "expires_at"),
        ({"reason": ""}, "reason"),
        ({"reason": "a\nb"}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"bonus": 1}, "bonus"),
    ],
)
def test_a_grant_that_makes_no_sense_gives_nothing(
    platform: Platform, change: dict[str, object], field: str
) -> None:
    customer = platform.make_customer()
    body = {"credits": 7, "source": "bonus", "reason": "sorry"} | change
    answer = platform.send("POST", f"/customers/{customer}/grants", body, idempotency="g1")
    assert answer.status_code == 422
    assert list(answer.json["error"]["fields"]) == [field]
    assert platform.balance(customer) == 5
    assert platform.sql("SELECT count(*) FROM idempotency_keys") == 0


def test_a_grant_needs_a_key_and_a_customer(platform: Platform) -> None:
    body = {"credits": 7, "source": "bonus", "reason": "sorry"}
    answer = platform.send("POST", "/customers/nobody/grants", body)
    assert answer.json["error"]["fields"] == {"Idempotency-Key": "is required"}
    answer = platform.send("POST", "/customers/nobody/grants", body, idempotency="g1")
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "not_found")


def test_an_expired_grant_is_not_open(platform: Platform) -> None:
    customer = platform.make_customer(3)
    soon = datetime.now(UTC) + timedelta(milliseconds=150)
    body = {"credits": 7, "source": "bonus", "reason": "sorry", "expires_at": soon.isoformat()}
    assert platform.send("POST", f"/customers/{customer}/grants", body, idempotency="g1").status_code == 201
    platform.sql("SELECT pg_sleep(0.2)")
    answer = platform.start(customer, credits=9)
    assert (answer.status_code, answer.json["balance"]) == (402, 8)
    assert len(platform.send("GET", f"/customers/{customer}").json["grants"]) == 2


def test_the_provider_is_not_asked_for_any_of_this(platform: Platform) -> None:
    platform.make_customer(3)
    assert platform.provider == FakeProvider()
