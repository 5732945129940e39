"""What the database itself refuses, tried in plain SQL, and beside each the legal variant, which it must allow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from flask_migrate import check
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app import create_app
from extensions import db
from makegood import books, grants, ledger
from makegood.ids import uuid7
from makegood.models import Base
from makegood.models.generations import ENDED, IN_FLIGHT
from tests.conftest import environment
from tests.making import make_customer, make_generation

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
CHECK, UNIQUE, FOREIGN_KEY, RULE = "23514", "23505", "23503", "23001"

# What the statements name: customer `me` has 85 credits, all in `purchase`; `allowance` is spent. `submitted`,
# `succeeded` and `failed` were charged 10 each, `failed` has been refunded. `uncharged` is a generation without
# its ledger row, `gift` a ledger row of +1 for `purchase`. `other` holds `theirs`. `fresh` has no balance.


def row(kind: str, amount: object, *, grant: str = "purchase", of: str = "NULL", moved: object = None) -> str:
    """A ledger row of `me` with one movement, as somebody with psql would write them."""
    return f"""
        WITH posted AS (
            INSERT INTO credit_transactions (id, customer_id, kind, amount, generation_id, actor, reason,
            occurred_at)
            VALUES (:id, :me, '{kind}', {amount}, {of}, 'test', 'test', :at) RETURNING id)
        INSERT INTO movements (transaction_id, grant_id, credits)
        SELECT id, :{grant}, {amount if moved is None else moved} FROM posted"""


def lone_row(amount: int, more: str = "") -> str:
    """A ledger row of `me` without a movement."""
    return (
        "INSERT INTO credit_transactions (id, customer_id, kind, amount, actor, reason, occurred_at) "
        f"VALUES (:id, :me, 'adjustment', {amount}, 'test', 'test', :at) {more}"
    )


def refund(
    credits: int, *, of: str = "submitted", origin: str = "manual", reason: str = "other", key: str = "k"
) -> str:
    """A refund, written by the function that writes them all."""
    given = f"'{key}'" if origin == "manual" else "NULL"
    return (
        f"SELECT refund_generation(make_uuid7(), make_uuid7(), :{of}, {credits}, '{origin}', '{reason}', "
        f"NULL, 'test', 1, {given}, interval '30 days', :at)"
    )


def insert(table: str, **values: object) -> str:
    """An INSERT of what is required, but for the given columns (SQL)."""
    columns = {**REQUIRED[table], **values}
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(map(str, columns.values()))})"


REQUIRED: dict[str, dict[str, object]] = {
    "customers": {"id": ":text", "tier": "'free'"},
    "balances": {"customer_id": ":fresh"},
    "grants": {
        "id": ":id",
        "customer_id": ":me",
        "source": "'bonus'",
        "credits": 1,
        "reason": "'test'",
        "created_at": ":at",
    },
    "generations": {
        "id": ":id",
        "customer_id": ":me",
        "tier": "'free'",
        "provider": "'wavespeed'",
        "model": "'m'",
        "kind": "'image'",
        "input": "'{}'",
        "status": "'charged'",
        "credits_charged": 1,
        "callback_token_hash": "'x'",
        "unit": "'image'",
        "quantity": 1,
        "cost_source": "'unknown'",
        "actor": "'test'",
        "charged_at": ":at",
    },
    "refunds": {
        "id": "make_uuid7()",
        "generation_id": ":submitted",
        "customer_id": ":me",
        "transaction_id": ":id",
        "credits": 1,
        "origin": "'automatic'",
        "reason": "'timeout'",
        "actor": "'test'",
        "issued_at": ":at",
    },
    "callbacks": {
        "id": "make_uuid7()",
        "generation_id": ":submitted",
        "customer_id": ":me",
        "provider": "'wavespeed'",
        "delivery": "'d1'",
        "headers": "'{}'",
        "body": "'x'",
        "state": "'applied'",
    },
    "idempotency_keys": {"key": "'k1'", "fingerprint": "'x'", "resource_id": ":id"},
    "prices": {
        "id": ":id",
        "provider": "'p'",
        "model": "'m'",
        "unit": "'image'",
        "amount_micros": 1,
        "unit_price_micros": 1,
        "effective_from": ":at",
        "source": "'test'",
    },
    "cost_adjustments": {
        "id": ":id",
        "generation_id": ":submitted",
        "reason": "'recompute'",
        "reference": ":id",
        "from_micros": 1,
        "from_source": "'price_book'",
        "to_micros": 2,
        "to_source": "'price_book'",
        "actor": "'test'",
    },
    "recomputes": {
        "id": ":id",
        "provider": "'p'",
        "since": "'2026-11-01'",
        "until": "'2026-12-01'",
        "generations": 1,
        "change_micros": 1,
        "book": "''",
        "actor": "'test'",
    },
    "credit_prices": {"provider": "'p'", "model": "'m'", "effective_from": ":at", "credits": 1},
    "refund_policies": {"version": 2, "error_class": "'timeout'", "percent": 100},
    "refund_limits": {"version": 9, "role": "'support'", "actor": "'test'", "note": "'x'"},
    "error_mappings": {"id": "make_uuid7()", "provider": "'p'", "message": "'m'", "actor": "'test'"},
    "tiers": {"name": "'gold'", "monthly_allowance": 0, "position": 4},
    "events": {"at": ":at", "type": "'x'", "customer_id": ":me", "tier": "'free'"},
    "audit_entries": {
        "id": "make_uuid7()",
        "actor": "'test'",
        "action": "''",
        "subject": "''",
        "details": "'{}'",
    },
    "alerts": {"id": "make_uuid7()", "kind": "'stuck'", "subject": "'x'", "message": "'test'"},
}


@dataclass(frozen=True)
class Case:
    """A statement that is refused with this SQLSTATE by this name (or these words), and one that is not."""

    sentence: str
    refused: str | tuple[str, ...]
    sqlstate: str
    name: str
    allowed: str | tuple[str, ...]


def kept(table: str, change: str, allowed: str, where: str) -> list[Case]:
    """Rows of the table are never changed, deleted or emptied away."""
    words = f"{table} rows never change"
    return [
        Case(f"rows of {table} never change", f"UPDATE {table} SET {change} WHERE {where}", RULE, words, allowed),
        Case(f"rows of {table} stay", f"DELETE FROM {table} WHERE {where}", RULE, words, allowed),
        Case(f"{table} is never emptied", f"TRUNCATE {table} CASCADE", RULE, words, allowed),
    ]


AMOUNTS = [
    Case("a balance never goes below zero", row("adjustment", -86), CHECK, "ck_balances", row("adjustment", -85)),
    Case("a grant never goes below zero", row("adjustment", -1, grant="allowance"), CHECK, "ck_grants_remaining",
         row("adjustment", -1)),
    Case("a grant never holds more than was given", row("adjustment", 16), CHECK, "ck_grants_remaining",
         row("adjustment", 15)),
    Case("a ledger row of zero says nothing", row("adjustment", 0), CHECK, "transactions_amount",
         row("adjustment", -1)),
    Case("a grant row adds", row("grant", -1), CHECK, "ck_credit_transactions_kind", row("grant", 1)),
    Case("an expiry takes", row("expiry", 1), CHECK, "ck_credit_transactions_kind", row("expiry", -1)),
    Case("a charge takes", row("charge", 1, of=":uncharged"), CHECK, "charge differs",
         row("charge", -1, of=":uncharged")),
    Case("a refund adds", row("refund", -1, of=":submitted"), CHECK, "ck_generations_credits_refunded", refund(1)),
    Case("a kind that nobody knows is refused", row("gift", 1), CHECK, "ck_credit_transactions_kind",
         row("grant", 1)),
    Case("a charge has a generation", row("charge", -1), CHECK, "charge differs", row("charge", -1,
         of=":uncharged")),
    Case("a refund has a generation", row("refund", 1), CHECK, "never refunded", refund(1)),
    Case("no other row has a generation", row("grant", 1, of=":submitted"), CHECK,
         "ck_credit_transactions_generation",
         row("grant", 1)),
    Case("an amount is a number", row("grant", "'NaN'::numeric", moved=1), "0A000", "bigint", row("grant", 1)),
    Case("an amount is finite", row("grant", "'Infinity'::float8", moved=1), "22003", "bigint", row("grant", 1)),
    Case("an amount fits", row("grant", 2**63, moved=1), "22003", "bigint", row("grant", 1)),
    Case("a grant of nothing is none", insert("grants", credits=0), CHECK, "ck_grants_credits", insert("grants")),
    Case("a generation costs credits", insert("generations", credits_charged=0), CHECK, "credits_charged",
         insert("generations")),
    Case("a price in credits is above zero", insert("credit_prices", credits=0), CHECK, "ck_credit_prices_credits",
         insert("credit_prices")),
    Case("a cost is not negative", insert("generations", cost_micros=-1), CHECK, "cost_micros",
         insert("generations", cost_micros=0, cost_source="'refused'")),
    Case("an allowance is not negative", insert("tiers", monthly_allowance=-1), CHECK, "monthly_allowance",
         insert("tiers")),
    Case("a limit is not negative", insert("refund_limits", per_day=-1), CHECK, "ck_refund_limits_per_day",
         insert("refund_limits", per_day=0)),
    Case("a message means an error that exists", insert("error_mappings", error_class="'guess'"), CHECK,
         "ck_error_mappings_error_class", insert("error_mappings", error_class="'timeout'")),
    Case("a policy returns at most everything", insert("refund_policies", percent=101), CHECK, "percent",
         insert("refund_policies", percent=100)),
    Case("a policy returns at least nothing", insert("refund_policies", percent=-1), CHECK, "percent",
         insert("refund_policies", percent=0)),
]  # fmt: skip

LEDGER = [
    *kept("credit_transactions", "reason = 'forged'", row("grant", 1), "id = :charge"),
    *kept("movements", "credits = credits + 1", row("grant", 1), "transaction_id = :charge"),
    *kept("events", "credits = 0", insert("events"), "customer_id = :me"),
    *kept("refunds", "credits = 1", "UPDATE refunds SET loss_micros = 0", "generation_id = :failed"),
    *kept("refund_policies", "percent = 0", insert("refund_policies"), "version = 1"),
    *kept("refund_limits", "per_day = NULL", insert("refund_limits"), "version = 1"),
    *kept("audit_entries", "actor = 'nobody'", insert("audit_entries"), "actor = 'test'"),
    Case("a generation is charged once", row("charge", -10, of=":submitted"), UNIQUE,
         "uq_credit_transactions_charge",
         row("charge", -1, of=":uncharged")),
    Case("a charge is what its generation says", row("charge", -2, of=":uncharged"), CHECK, "charge differs",
         row("charge", -1, of=":uncharged")),
    Case("a charge is for the customer's own generation", row("charge", -1, of=":theirs_uncharged"), CHECK,
         "charge differs", row("charge", -1, of=":uncharged")),
    Case("only a ledger row changes a balance",
         "UPDATE balances SET balance = balance + 1 WHERE customer_id = :me",
         RULE, "only a ledger row", "UPDATE balances SET last_charged_day = :at WHERE customer_id = :me"),
    Case("only a ledger row counts an entry", "UPDATE balances SET entries = entries + 1 WHERE customer_id = :me",
         RULE, "only a ledger row", row("grant", 1)),
    Case("a balance stays with its customer", "UPDATE balances SET customer_id = :fresh WHERE customer_id = :me",
         RULE,
         "only a ledger row", insert("balances")),
    Case("a balance begins at zero", insert("balances", balance=1), RULE, "only a ledger row", insert("balances")),
    Case("a balance is never deleted", "DELETE FROM balances WHERE customer_id = :other", RULE, "never change",
         insert("balances")),
    Case("balances are never emptied", "TRUNCATE balances", RULE, "never change", insert("balances")),
    Case("only a ledger row changes a remainder",
         "UPDATE grants SET remaining = remaining - 1 WHERE id = :purchase",
         RULE, "only a ledger row", "UPDATE grants SET reason = 'order 2' WHERE id = :purchase"),
    Case("what was given stays", "UPDATE grants SET credits = credits + 1 WHERE id = :purchase", RULE,
         "only a ledger row", "UPDATE grants SET reason = 'order 2' WHERE id = :purchase"),
    Case("a grant stays with its customer", "UPDATE grants SET customer_id = :other WHERE id = :purchase", RULE,
         "only a ledger row", insert("grants")),
    Case("a purchase stays one", "UPDATE grants SET source = 'bonus' WHERE id = :purchase", RULE,
         "only a ledger row",
         insert("grants")),
    Case("a grant begins empty", insert("grants", remaining=1), RULE, "only a ledger row", insert("grants")),
    Case("a grant that moved is never deleted", "DELETE FROM grants WHERE id = :purchase", FOREIGN_KEY,
         "movements",
         insert("grants")),
    Case("only a ledger row refunds", "UPDATE generations SET credits_refunded = 1 WHERE id = :submitted", RULE,
         "only a ledger row", refund(1)),
    Case("what was charged stays", "UPDATE generations SET credits_charged = 11 WHERE id = :submitted", RULE,
         "only a ledger row", "UPDATE generations SET checks = 1 WHERE id = :submitted"),
    Case("a generation stays with its customer",
         "UPDATE generations SET customer_id = :other WHERE id = :uncharged",
         RULE, "only a ledger row", insert("generations")),
    Case("a generation begins unrefunded", insert("generations", credits_refunded=1), RULE, "only a ledger row",
         insert("generations")),
    Case("a charged generation is never deleted", "DELETE FROM generations WHERE id = :submitted", FOREIGN_KEY,
         "credit_transactions", "DELETE FROM generations WHERE id = :uncharged"),
    Case("a ledger row has movements", lone_row(-1), CHECK, "add up", row("adjustment", -1)),
    Case("movements do not fall short", row("adjustment", -2, moved=-1), CHECK, "add up", row("adjustment", -2)),
    Case("movements do not exceed", row("adjustment", -1, moved=-2), CHECK, "add up", row("adjustment", -2)),
    Case("movements go the way of the ledger row", row("adjustment", -1, moved=1), CHECK, "add up",
         row("adjustment", -1)),
    Case("nothing moves after the fact",
         "INSERT INTO movements (transaction_id, grant_id, credits) VALUES (:gift, :allowance, 1)", CHECK,
         "add up",
         row("adjustment", 1, grant="allowance")),
    Case("a movement of nothing is none", row("adjustment", -1, moved=0), CHECK, "ck_movements",
         row("adjustment", -1)),
    Case("a movement stays with one customer", row("adjustment", -1, grant="theirs"), CHECK, "one customer",
         row("adjustment", -1)),
    Case("a movement has a grant", row("adjustment", -1, grant="id"), FOREIGN_KEY, "grant_id", row("adjustment",
         -1)),
    Case("a movement has a ledger row",
         "INSERT INTO movements (transaction_id, grant_id, credits) VALUES (:id, :purchase, -1)", FOREIGN_KEY,
         "transaction_id", row("adjustment", -1)),
    Case("a customer without a balance has no ledger", lone_row(1).replace(":me", ":fresh"), FOREIGN_KEY,
         "has no balance", row("grant", 1)),
    Case("a ledger row that is not written moves nothing",
         (row("adjustment", -1), lone_row(-1, "ON CONFLICT DO NOTHING")), RULE, "only a ledger row",
         row("adjustment", -1)),
]  # fmt: skip

REFUNDS = [
    Case("no more comes back than was charged", refund(11), CHECK, "ck_generations_credits_refunded", refund(10)),
    Case("not even in parts", (refund(6, key="1"), refund(5, key="2")), CHECK, "credits_refunded",
         (refund(6, key="1"), refund(4, key="2"))),
    Case("a refund of nothing is none", refund(0), CHECK, "", refund(1)),
    Case("a negative refund is none", refund(-1), CHECK, "", refund(1)),
    Case("a charge that never happened is never refunded", refund(1, of="uncharged"), CHECK, "never happened",
         refund(1)),
    Case("an automatic refund happens once",
         (refund(1, origin="automatic", reason="timeout"), refund(1, origin="automatic", reason="internal_error")),
         UNIQUE, "uq_refunds_automatic",
         (refund(1, origin="automatic", reason="timeout"), refund(1, key="1"), refund(1, key="2"))),
    Case("a cancellation is refunded once",
         (refund(1, origin="automatic", reason="cancelled"), refund(1, origin="automatic", reason="cancelled")),
         UNIQUE, "uq_refunds_automatic",
         (refund(1, origin="automatic", reason="cancelled"), refund(1, origin="automatic", reason="timeout"))),
    Case("a manual refund happens once for each key", (refund(1), refund(1)), UNIQUE, "uq_refunds_manual",
         (refund(1), refund(1, key="2"), refund(1, of="succeeded"))),
    Case("a refund's ledger row has its refund", row("refund", 1, of=":submitted"), CHECK, "row in refunds",
         refund(1)),
    Case("a refund agrees with its ledger row",
         (row("refund", 2, of=":submitted"), insert("refunds", credits=1)), CHECK, "agree",
         (row("refund", 2, of=":submitted"), insert("refunds", credits=2))),
    Case("a refund agrees with its generation",
         (row("refund", 1, of=":submitted"), insert("refunds", generation_id=":succeeded")), CHECK, "agree",
         (row("refund", 1, of=":submitted"), insert("refunds"))),
    Case("a refund has a ledger row", insert("refunds"), CHECK, "agree", refund(1)),
    Case("a ledger row is one refund's",
         (row("refund", 1, of=":submitted"), insert("refunds"), insert("refunds", origin="'manual'",
                                                                      idempotency_key="'k'")), UNIQUE,
         "uq_refunds_transaction", (row("refund", 1, of=":submitted"), insert("refunds"))),
    Case("a manual refund has a key",
         (row("refund", 1, of=":submitted"), insert("refunds", origin="'manual'")), CHECK,
         "manual_idempotency_key",
         refund(1)),
    Case("a key is at most 200 characters", refund(1, key="k" * 201), CHECK, "ck_refunds_idempotency_key",
         refund(1, key="k" * 200)),
    Case("a refund has one of two origins", refund(1, origin="magic"), CHECK, "ck_refunds_origin", refund(1)),
]  # fmt: skip

STATES = [
    *(Case(f"a generation that {old} never becomes {new}",
           f"UPDATE generations SET status = '{new}' WHERE id = :{old}",
           RULE, "stays so",
           f"UPDATE generations SET status = '{new}', ended_at = {':at' if new in ENDED else 'NULL'}, "
           f"error_class = {chr(39) + 'timeout' + chr(39) if new == 'failed' else 'NULL'} WHERE id = :submitted")
      for old in ENDED for new in (*IN_FLIGHT, *ENDED) if new != old),
    Case("a status that nobody knows is refused", "UPDATE generations SET status = 'done' WHERE id = :submitted",
         CHECK,
         "ck_generations_status", "UPDATE generations SET status = 'unknown' WHERE id = :submitted"),
    Case("what has ended has its time", "UPDATE generations SET status = 'succeeded' WHERE id = :submitted", CHECK,
         "ck_generations_ended",
         "UPDATE generations SET status = 'succeeded', ended_at = :at WHERE id = :submitted"),
    Case("what is in flight has no end", "UPDATE generations SET ended_at = :at WHERE id = :submitted", CHECK,
         "ck_generations_ended", "UPDATE generations SET submitted_at = :at WHERE id = :submitted"),
    Case("a failure has its class",
         "UPDATE generations SET status = 'failed', ended_at = :at WHERE id = :submitted",
         CHECK, "ck_generations_error_class",
         "UPDATE generations SET status = 'failed', ended_at = :at, error_class = 'timeout' "
         "WHERE id = :submitted"),
    Case("a delivery is applied once", (insert("callbacks"), insert("callbacks")), UNIQUE, "uq_callbacks_delivery",
         (insert("callbacks", state="'rejected'"), insert("callbacks"), insert("callbacks", state="'duplicate'"),
          insert("callbacks", state="'ignored'"), insert("callbacks", delivery="'d2'"),
          insert("callbacks", generation_id=":succeeded"))),
    Case("a delivery that waits is not applied beside", (insert("callbacks", state="'waiting'"),
         insert("callbacks")),
         UNIQUE, "uq_callbacks_delivery",
         (insert("callbacks", state="'waiting'"), "UPDATE callbacks SET state = 'applied'")),
    Case("a callback has one of five states", insert("callbacks", state="'lost'"), CHECK, "ck_callbacks_state",
         insert("callbacks")),
    Case("a purchase never expires", insert("grants", source="'purchase'", expires_at=":at"), CHECK,
         "purchase_never_expires", insert("grants", source="'purchase'")),
    Case("an allowance expires", insert("grants", source="'allowance'"), CHECK, "allowance_expires",
         insert("grants", source="'allowance'", expires_at=":at")),
    Case("a source that nobody knows is refused", insert("grants", source="'gift'"), CHECK, "ck_grants_source",
         insert("grants", source="'adjustment'")),
    Case("a month's allowance is given once",
         insert("grants", source="'allowance'", expires_at=":at", month="'2026-11-01'"), UNIQUE,
         "uq_grants_allowance",
         insert("grants", source="'allowance'", expires_at=":at", month="'2026-12-01'")),
    Case("a request takes effect once", (insert("idempotency_keys"), insert("idempotency_keys")), UNIQUE,
         "pk_idempotency_keys", (insert("idempotency_keys"), insert("idempotency_keys", key="'k2'"))),
    Case("one fact opens one alert", (insert("alerts"), insert("alerts")), UNIQUE, "uq_alerts_fact",
         (insert("alerts"), "UPDATE alerts SET resolved_at = :at", insert("alerts"))),
    Case("a callback's address is one generation's", (insert("generations"), insert("generations",
         id="make_uuid7()")),
         UNIQUE, "uq_generations_callback_token",
         (insert("generations"), insert("generations", id="make_uuid7()", callback_token_hash="'y'"))),
    Case("an identifier of ours is a UUID", insert("generations", id="'gen_1'"), "22P02", "uuid",
         insert("generations")),
    Case("a tier exists", insert("customers", id="'c'", tier="'gold'"), FOREIGN_KEY, "tier",
         insert("customers", id="'c'", tier="'pro'")),
    Case("a grant has a customer", insert("grants", customer_id="'nobody'"), FOREIGN_KEY, "fk_grants_customer",
         insert("grants")),
    Case("a generation has a customer", insert("generations", customer_id="'nobody'"), FOREIGN_KEY,
         "fk_generations_customer", insert("generations")),
    Case("a balance has a customer", insert("balances", customer_id="'nobody'"), FOREIGN_KEY,
         "fk_balances_customer",
         insert("balances")),
    Case("a callback has a generation", insert("callbacks", generation_id=":id"), FOREIGN_KEY, "fk_callbacks",
         insert("callbacks")),
    Case("a generation's price is in the book", insert("generations", price_id=":id"), FOREIGN_KEY,
         "fk_generations_price", (insert("prices"), insert("generations", price_id=":id"))),
    Case("an unknown cost is no number", insert("generations", cost_micros=1), CHECK, "unknown_cost",
         insert("generations", cost_micros=1, cost_source="'bill'")),
    Case("a known cost is a number", insert("generations", cost_source="'provider'"), CHECK, "unknown_cost",
         insert("generations", cost_source="'provider'", cost_micros=0)),
    Case("a cost has a source that is known", insert("generations", cost_micros=1, cost_source="'guess'"), CHECK,
         "cost_source", insert("generations", cost_micros=1, cost_source="'provider'")),
    Case("a cost is not negative", insert("generations", cost_micros=-1, cost_source="'bill'"), CHECK,
         "cost_micros", insert("generations", cost_micros=0, cost_source="'refused'")),
    Case("a quantity is not negative", insert("generations", quantity=-1), CHECK, "quantity",
         insert("generations", quantity="NULL")),
    Case("a quantity is a number", insert("generations", quantity="'NaN'"), CHECK, "quantity",
         insert("generations", quantity=0.001)),
    Case("a quantity is not absurd", insert("generations", quantity=1_000_000_001), CHECK, "quantity",
         insert("generations", quantity=1_000_000_000)),
    Case("a customer with a ledger is never deleted", "DELETE FROM customers WHERE id = :me", FOREIGN_KEY, "",
         "DELETE FROM customers WHERE id = :fresh"),
]  # fmt: skip

SECOND = {"id": "make_uuid7()", "version": 2}
"""Of a line's second version."""
DAYS = ("'2026-11-01T00:00:00Z'", "'2026-11-02T00:00:00Z'", "'2026-11-03T00:00:00Z'")
CREDITS = {"currency": "'credits'", "amount_micros": 8_000_000, "rate_micros": 5000, "unit_price_micros": 40_000}
ADJUSTED = "UPDATE cost_adjustments SET actor = 'x'"
PRICES = [
    Case("a provider's price is not negative", insert("prices", amount_micros=-1, unit_price_micros=-1), CHECK,
         "micros", insert("prices", amount_micros=0, unit_price_micros=0)),
    Case("a price is not absurd", insert("prices", amount_micros=1_000_000_001, unit_price_micros=1_000_000_001),
         CHECK, "unit_price_micros",
         insert("prices", amount_micros=1_000_000_000, unit_price_micros=1_000_000_000)),
    Case("a price is a number", insert("prices", amount_micros="'NaN'::numeric"), "0A000", "bigint",
         insert("prices")),
    Case("a price in dollars is what it says", insert("prices", unit_price_micros=2), CHECK, "ck_prices_currency",
         insert("prices", amount_micros=2, unit_price_micros=2)),
    Case("a price in dollars has no rate", insert("prices", rate_micros=1_000_000), CHECK, "ck_prices_currency",
         insert("prices")),
    Case("a price in credits has a rate", insert("prices", **CREDITS | {"rate_micros": "NULL"}), CHECK,
         "ck_prices_currency", insert("prices", **CREDITS)),
    Case("a price in credits is worth what its rate says",
         insert("prices", **CREDITS | {"unit_price_micros": 40_001}), CHECK, "ck_prices_currency",
         insert("prices", **CREDITS)),
    Case("a rate is above zero", insert("prices", **CREDITS | {"rate_micros": 0, "unit_price_micros": 0}), CHECK,
         "ck_prices_rate_micros", insert("prices", **CREDITS | {"rate_micros": 1, "unit_price_micros": 8})),
    Case("nobody knows other currencies", insert("prices", currency="'EUR'"), CHECK, "ck_prices_currency",
         insert("prices")),
    Case("a price is for at least one unit", insert("prices", per=0), CHECK, "ck_prices_per",
         insert("prices", per=1000)),
    Case("a price ends after it begins", insert("prices", effective_to=":at"), CHECK, "ck_prices_effective_to",
         insert("prices", effective_to="'2026-12-01'")),
    Case("a price begins in this century", insert("prices", effective_from="'-infinity'"), CHECK,
         "ck_prices_effective_from", insert("prices", effective_from="'2000-01-01T00:00:00Z'")),
    Case("a price that never ends has no end", insert("prices", effective_to="'infinity'"), CHECK,
         "ck_prices_effective_to", insert("prices")),
    Case("a price says where it is from", insert("prices", source="''"), CHECK, "ck_prices_source",
         insert("prices")),
    Case("a price says how sure it is", insert("prices", certainty="'certain'"), CHECK, "ck_prices_certainty",
         insert("prices", certainty="'agreed'")),
    Case("a version is counted from one", insert("prices", version=0), CHECK, "ck_prices_version",
         insert("prices")),
    Case("two versions of a line never hold at once", (insert("prices"), insert("prices", **SECOND)), "23P01",
         "no_overlap", (insert("prices", effective_from=DAYS[0], effective_to=DAYS[1]),
                        insert("prices", effective_from=DAYS[1], **SECOND))),
    Case("an end is not moved over the next version",
         (insert("prices", effective_from=DAYS[0], effective_to=DAYS[1]),
          insert("prices", effective_from=DAYS[1], **SECOND), "UPDATE prices SET effective_to = NULL"
          " WHERE provider = 'p' AND version = 1"), "23P01", "no_overlap",
         (insert("prices", effective_from=DAYS[0], effective_to=DAYS[1]),
          insert("prices", effective_from=DAYS[2], **SECOND),
          f"UPDATE prices SET effective_to = {DAYS[2]} WHERE provider = 'p' AND version = 1")),
    Case("a withdrawn version leaves its place to one only",
         (insert("prices", withdrawn_at=":at"), insert("prices", **SECOND),
          insert("prices", id="make_uuid7()", version=3)), "23P01", "no_overlap",
         (insert("prices", withdrawn_at=":at"), insert("prices", **SECOND))),
    Case("a version's number is taken once",
         (insert("prices", effective_to="'2026-12-01'"),
          insert("prices", id="make_uuid7()", effective_from="'2026-12-01'")), UNIQUE, "uq_prices_version",
         (insert("prices", effective_to="'2026-12-01'"),
          insert("prices", effective_from="'2026-12-01'", **SECOND))),
    Case("lines differ by their tier", (insert("prices"), insert("prices", id="make_uuid7()", qualifier="''")),
         "23P01", "no_overlap", (insert("prices"), insert("prices", id="make_uuid7()", qualifier="'2K'"))),
    Case("a withdrawn version stays withdrawn",
         (insert("prices", withdrawn_at=":at"), "UPDATE prices SET withdrawn_at = NULL WHERE provider = 'p'"),
         RULE, "never change", (insert("prices"), "UPDATE prices SET withdrawn_at = :at WHERE provider = 'p'")),
    Case("a withdrawn version keeps its period",
         (insert("prices", withdrawn_at=":at"),
          "UPDATE prices SET effective_to = '2026-12-01' WHERE provider = 'p'"), RULE, "never change",
         (insert("prices"), "UPDATE prices SET effective_to = '2026-12-01' WHERE provider = 'p'")),
    Case("an adjustment to an unknown cost has no number", insert("cost_adjustments", to_source="'unknown'"),
         CHECK, "ck_cost_adjustments_to_micros", insert("cost_adjustments")),
    Case("an adjustment from an unknown cost has no number", insert("cost_adjustments", from_source="'unknown'"),
         CHECK, "ck_cost_adjustments_from_micros",
         insert("cost_adjustments", from_source="'unknown'", from_micros="NULL")),
    Case("an adjustment has a reason that is known", insert("cost_adjustments", reason="'mood'"), CHECK,
         "ck_cost_adjustments_reason", insert("cost_adjustments", reason="'bill'")),
    Case("one recompute adjusts a generation once",
         (insert("cost_adjustments"), insert("cost_adjustments", id="make_uuid7()")), UNIQUE,
         "uq_cost_adjustments_reference",
         (insert("cost_adjustments"), insert("cost_adjustments", id="make_uuid7()", reference="make_uuid7()"))),
    Case("an adjustment never changes", (insert("cost_adjustments"), ADJUSTED), RULE, "never change",
         insert("cost_adjustments")),
    Case("an adjustment stays", (insert("cost_adjustments"), "DELETE FROM cost_adjustments"), RULE, "never change",
         insert("cost_adjustments")),
    Case("adjustments are never emptied", "TRUNCATE cost_adjustments", RULE, "never change",
         insert("cost_adjustments")),
    Case("a provider has one running recompute", (insert("recomputes"), insert("recomputes", id="make_uuid7()")),
         UNIQUE, "uq_recomputes_running",
         (insert("recomputes", ended_at=":at", outcome="'finished'"), insert("recomputes", id="make_uuid7()"))),
    Case("what ended has an outcome", insert("recomputes", ended_at=":at"), CHECK, "ck_recomputes_ended",
         insert("recomputes", ended_at=":at", outcome="'book_changed'")),
    Case("what was asked for stays", (insert("recomputes"), "UPDATE recomputes SET generations = 2"), RULE,
         "never change", (insert("recomputes"), "UPDATE recomputes SET done = 1")),
    Case("a recompute that ended stays",
         (insert("recomputes", ended_at=":at", outcome="'finished'"), "UPDATE recomputes SET done = 1"), RULE,
         "never change", insert("recomputes")),
    *kept("prices", "source = 'x'", insert("prices"), "provider = 'wavespeed'"),
]  # fmt: skip

FOREIGN_TEXTS = [
    ("customers", "id"),
    ("generations", "provider"),
    ("generations", "model"),
    ("generations", "kind"),
    ("generations", "provider_job_id"),
    ("idempotency_keys", "key"),
    ("prices", "provider"),
    ("prices", "model"),
    ("prices", "unit"),
    ("generations", "unit"),
    ("credit_prices", "provider"),
    ("credit_prices", "model"),
]


@pytest.fixture(scope="module")
def told(rules_database: str) -> Iterator[tuple[Session, dict[str, Any]]]:
    """A session with the rows that the statements name, never committed."""
    engine = create_engine(rules_database)
    with Session(engine) as session:
        yield session, tell(session)
    engine.dispose()


@pytest.fixture
def session(told: tuple[Session, dict[str, Any]]) -> Iterator[Session]:
    """That session; what a test does is undone."""
    undone = told[0].begin_nested()
    yield told[0]
    undone.rollback()


@pytest.fixture
def story(told: tuple[Session, dict[str, Any]]) -> dict[str, Any]:
    """The names."""
    return told[1]


def tell(session: Session) -> dict[str, Any]:
    """Make the rows that the statements name."""
    me, other = (make_customer(session, at=AT) for _ in range(2))
    allowance, purchase = (grant.id for grant in grants.open_grants(session, me, AT))
    names: dict[str, Any] = {"at": AT, "me": me, "other": other, "purchase": purchase, "allowance": allowance}
    names["theirs"] = grants.open_grants(session, other, AT)[-1].id
    for status in ("submitted", "succeeded", "failed"):
        names[status] = make_generation(session, me, status=status, credits=10, at=AT)
    names |= {"fresh": f"fresh_{uuid7().hex}", "text": f"text_{uuid7().hex}"}
    names |= {name: uuid7() for name in ("id", "gift", "cancelled", "uncharged", "theirs_uncharged")}
    run(session, insert("customers", id=":fresh"), names)
    run(session, row("expiry", -1).replace(":id", "make_uuid7()"), names)
    run(session, row("adjustment", 1).replace(":id", ":gift"), names)
    for name, customer in (("uncharged", ":me"), ("theirs_uncharged", ":other")):
        token = f"'{name}'"
        run(session, insert("generations", id=f":{name}", customer_id=customer, callback_token_hash=token), names)
    ended = {"id": ":cancelled", "callback_token_hash": "'c'", "status": "'cancelled'", "ended_at": ":at"}
    run(session, insert("generations", **ended), names)
    run(session, insert("audit_entries"), names)
    charge = "SELECT id FROM credit_transactions WHERE generation_id = :submitted AND kind = 'charge'"
    names["charge"] = session.scalar(text(charge), names)
    assert ledger.balance(session, me) == 85
    return names


def run(session: Session, statements: str | tuple[str, ...], names: dict[str, Any]) -> None:
    """Run the statements, and then the checks that are due at commit."""
    for statement in (statements,) if isinstance(statements, str) else statements:
        session.execute(text(statement), names)
    session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    session.execute(text("SET CONSTRAINTS ALL DEFERRED"))


def assert_refused(
    session: Session, statements: str | tuple[str, ...], names: dict[str, Any], sqlstate: str
) -> str:
    """The statements fail with this SQLSTATE. Returns the database's words."""
    with pytest.raises(DBAPIError) as caught, session.begin_nested():
        run(session, statements, names)
    assert getattr(caught.value.orig, "sqlstate", None) == sqlstate, caught.value
    return str(caught.value.orig)


@pytest.mark.parametrize("case", [*AMOUNTS, *LEDGER, *REFUNDS, *STATES, *PRICES], ids=lambda case: case.sentence)
def test_the_database_refuses_what_breaks_a_rule(session: Session, story: dict[str, Any], case: Case) -> None:
    words = assert_refused(session, case.refused, story, case.sqlstate)
    assert case.name in words
    run(session, case.allowed, story)


@pytest.mark.parametrize(("table", "column"), FOREIGN_TEXTS)
def test_text_from_outside_has_1_to_200_characters(
    session: Session, story: dict[str, Any], table: str, column: str
) -> None:
    for value in ("", "x" * 201):
        words = assert_refused(session, insert(table, **{column: f"'{value}'"}), story, CHECK)
        assert f"ck_{table}_{column}" in words
    run(session, insert(table, **{column: "'" + "é" * 200 + "'"}), story)


def test_entry_and_balance_of_a_ledger_row_cannot_be_forged(session: Session, story: dict[str, Any]) -> None:
    forged = row("grant", 5).replace("occurred_at)", "occurred_at, entry, balance_after)")
    run(session, forged.replace(":at)", ":at, 1000, 1000)"), story)
    newest = ledger.transactions(session, story["me"], limit=2)
    assert (newest[0].entry, newest[0].balance_after) == (newest[1].entry + 1, 90)


@pytest.mark.parametrize(
    ("table", "changing"),
    [
        ("events", {"xid", "active_day", "active_month"}),
        ("refunds", {"loss_micros"}),
        ("prices", {"effective_to", "withdrawn_at"}),
    ],
)
def test_every_other_column_stays(session: Session, story: dict[str, Any], table: str, changing: set[str]) -> None:
    for column in (column.name for column in Base.metadata.tables[table].columns):
        statement = f"UPDATE {table} SET {column} = {column}"
        if column in changing:
            run(session, statement, story)
        else:
            assert_refused(session, statement, story, RULE)


def test_what_is_due_at_commit_is_refused_at_commit(database: str) -> None:
    engine = create_engine(database)
    with Session(engine) as session:
        me = make_customer(session, at=AT)
        session.commit()
        session.execute(text(lone_row(-1)), {"id": uuid7(), "me": me, "at": AT})
        assert ledger.balance(session, me) == 104
        with pytest.raises(DBAPIError, match="must add up"):
            session.commit()
        session.rollback()
        assert ledger.balance(session, me) == 105
        assert books.violations(session) == []
    engine.dispose()


def test_the_models_and_the_migrations_agree(database: str) -> None:
    app = create_app(environment(database))
    with app.app_context():
        check()
        db.engine.dispose()
