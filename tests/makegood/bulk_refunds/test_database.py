"""What the database itself refuses of bulk refunds and reversals, and beside each the legal variant."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.makegood.test_schema import CHECK, FOREIGN_KEY, RULE, UNIQUE, Case, assert_refused, row, run, tell

# `by_hand` is a refund of 4 for `succeeded`, `automatic` the one of `failed`; `bulk` has confirmed the other 6.

BULK = """
    INSERT INTO bulk_refunds (id, idempotency_key, provider, since, until, reason, note, generations, customers,
                              credits, actor, state)
    VALUES (:{id}, '{id}', 'wavespeed', '2026-11-01', '2026-11-02', 'outage', 'x', {generations}, 1, {credits},
            'ana', '{state}')"""
ITEM = """
    INSERT INTO bulk_refund_items (bulk_refund_id, generation_id, customer_id, credits)
    VALUES (:{of}, :{generation}, :me, {credits})"""


def bulk(*, id: str = "other_bulk", generations: int = 1, credits: int = 6, state: str = "running") -> str:
    return BULK.format(id=id, generations=generations, credits=credits, state=state)


def item(*, of: str = "other_bulk", generation: str = "succeeded", credits: int = 6) -> str:
    return ITEM.format(of=of, generation=generation, credits=credits)


def refund(credits: int, *, of: str = "succeeded", actor: str = "ana") -> str:
    """A refund of the bulk refund."""
    return (
        f"SELECT refund_generation(make_uuid7(), make_uuid7(), :{of}, {credits}, 'bulk', 'outage', 'x', "
        f"'{actor}', NULL, NULL, interval '30 days', :at, :bulk)"
    )


def reverse(refund: str = "by_hand") -> str:
    return f"SELECT reverse_refund(make_uuid7(), make_uuid7(), :{refund}, 'x', 'ana', 'k', :at)"


def state(value: str, more: str = "") -> str:
    return f"UPDATE bulk_refunds SET state = '{value}'{more} WHERE id = :bulk"


WRITTEN = """
    INSERT INTO reversals (id, refund_id, generation_id, customer_id, transaction_id, credits, note, actor,
                           idempotency_key, reversed_at)
    VALUES (make_uuid7(), :by_hand, :succeeded, :me, :id, {credits}, 'x', 'ana', 'k', :at)"""
BY_HAND = (
    "SELECT refund_generation(:by_hand, make_uuid7(), :succeeded, 4, 'manual', 'other', 'x', 'ana', NULL, 'k', "
    "interval '30 days', :at)"
)
AGAIN = BY_HAND.replace(":by_hand", "make_uuid7()").replace("'k'", "'k2'")
FROM_ANOTHER_GRANT = (
    row("reversal", -4, of=":succeeded", grant="elsewhere"),
    WRITTEN.format(credits=4),
)
FINISHED = ", ended_at = :at, refunded = 1, credits_refunded = 6"

CASES = [
    Case("a refund is reversed once", (reverse(), AGAIN, reverse()), UNIQUE, "uq_reversals_refund",
         (reverse(), AGAIN)),
    Case("what the policy returned is not reversed", reverse("automatic"), CHECK, "agree", reverse()),
    Case("a reversal has its row", row("reversal", -4, of=":succeeded"), CHECK, "row in reversals", reverse()),
    Case("a reversal takes what its refund gave",
         (row("reversal", -3, of=":succeeded"), WRITTEN.format(credits=3)), CHECK, "agree",
         (row("reversal", -4, of=":succeeded"), WRITTEN.format(credits=4))),
    Case("a reversal takes from the grants that its refund went to", FROM_ANOTHER_GRANT, CHECK,
         "grants that its refund went to", reverse()),
    Case("a reversal takes", row("reversal", 4, of=":succeeded"), CHECK, "", reverse()),
    Case("credits that were spent are not taken back",
         (row("adjustment", -88), reverse()), CHECK, "ck_grants_remaining", (row("adjustment", -85), reverse())),
    Case("what was not refunded is not reversed", row("reversal", -1, of=":submitted"), CHECK,
         "ck_generations_credits_refunded", reverse()),
    Case("reversals never change", (reverse(), "UPDATE reversals SET note = 'y'"), RULE, "never change",
         reverse()),
    Case("reversals stay", (reverse(), "DELETE FROM reversals"), RULE, "never change", reverse()),
    Case("a bulk refund returns what was confirmed and no more", refund(7), CHECK, "", refund(6)),
    Case("it returns nothing for another generation", refund(1, of="submitted"), CHECK, "confirmed", refund(1)),
    Case("it acts for who confirmed it", refund(1, actor="bert"), CHECK, "confirmed", refund(1)),
    Case("each generation once", (refund(1), refund(1)), UNIQUE, "uq_refunds_bulk", refund(1)),
    Case("one that is stopped refunds nothing", (state("stopped", ", stopped_by = 'x'"), refund(1)), CHECK,
         "confirmed", refund(1)),
    Case("a manual refund is none of its own",
         refund(1).replace("'bulk'", "'manual'").replace("NULL, NULL", "NULL, 'k'"), CHECK, "ck_refunds_bulk",
         refund(1)),
    Case("its generations are those that were confirmed", (bulk(), item(credits=5)), CHECK, "were confirmed",
         (bulk(), item())),
    Case("none is added later", item(of="bulk", generation="submitted"), CHECK, "were confirmed",
         (bulk(), item())),
    Case("a generation has to exist", (bulk(), item(generation="id")), FOREIGN_KEY, "generation_id",
         (bulk(), item())),
    Case("what was confirmed stays", "UPDATE bulk_refunds SET credits = 7", RULE, "never change",
         "UPDATE bulk_refunds SET refunded = 0"),
    Case("what was confirmed for a generation stays", "UPDATE bulk_refund_items SET credits = 7", RULE,
         "never change", "UPDATE bulk_refund_items SET outcome = 'skipped'"),
    Case("what is done is done",
         ("UPDATE bulk_refund_items SET outcome = 'skipped'", "UPDATE bulk_refund_items SET outcome = NULL"), RULE,
         "never change",
         ("UPDATE bulk_refund_items SET outcome = 'failed', problem = 'x'",
          "UPDATE bulk_refund_items SET outcome = NULL, problem = NULL")),
    Case("nobody approves their own", state("running", ", approver = 'ana'"), CHECK, "ck_bulk_refunds_approver",
         state("running", ", approver = 'bert'")),
    Case("it finishes when all is done", state("finished", ", ended_at = :at"), CHECK, "ck_bulk_refunds_progress",
         state("finished", FINISHED)),
    Case("one that has finished stays so", (state("finished", FINISHED), state("running", ", ended_at = NULL")),
         RULE, "never change", state("finished", FINISHED)),
    Case("one that waits begins when a second operator approves", (state("waiting"), state("running")), CHECK,
         "second operator", (state("waiting"), state("running", ", approver = 'bert'"))),
    Case("one that waits has done nothing", state("waiting", ", skipped = 1"), CHECK, "ck_bulk_refunds_progress",
         state("waiting")),
    Case("a bulk refund stays", "DELETE FROM bulk_refunds", RULE, "never change", reverse()),
    Case("the same form is one bulk refund", (bulk(), item(), bulk(id="third").replace("'third'", "'other_bulk'")),
         UNIQUE, "uq_bulk_refunds_key", (bulk(), item())),
]  # fmt: skip


@pytest.fixture
def story(session: Session) -> dict[str, Any]:
    """The names."""
    names = tell(session)
    by_hand, automatic = UUID(int=1), UUID(int=2)
    names |= {"bulk": UUID(int=3), "other_bulk": UUID(int=4), "third": UUID(int=5), "elsewhere": UUID(int=6)}
    names |= {"by_hand": by_hand, "automatic": automatic}
    run(session, BY_HAND, names)
    found = "SELECT id FROM refunds WHERE generation_id = :failed"
    names["automatic"] = session.scalar(text(found), names)
    bonus = "SELECT give_credits(:elsewhere, make_uuid7(), :me, 'bonus', 9, NULL, NULL, 't', '-', :at)"
    run(session, (bonus, bulk(id="bulk"), item(of="bulk")), names)
    return names


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sentence)
def test_the_database_refuses_what_breaks_a_rule(session: Session, story: dict[str, Any], case: Case) -> None:
    words = assert_refused(session, case.refused, story, case.sqlstate)
    assert case.name in words
    run(session, case.allowed, story)
