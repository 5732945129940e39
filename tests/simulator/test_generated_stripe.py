"""The generated account and the plain ledger beside it tell the same story."""

from __future__ import annotations

from collections import Counter, defaultdict

from simulator.stripe.generated import generate

CATEGORIES = {
    "charge": ("gross", 1),
    "refund": ("refunds", -1),
    "refund_failure": ("refunds", -1),
    "dispute": ("disputes", -1),
    "dispute_reversal": ("disputes", -1),
    "fee": ("account_fees", -1),
    "network_cost": ("account_fees", -1),
    "tax": ("tax_on_fees", -1),
    "something_new": ("other", 1),
}


def test_every_row_is_in_the_plain_ledger_and_every_trap_is_there() -> None:
    made = generate(charges=420, share=0.1)
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for row in made.account.all("balance_transactions"):
        column, sign = CATEGORIES.get(row["reporting_category"], ("moved", 0))
        sums[row["currency"]][column] += sign * row["amount"]
        sums[row["currency"]]["fees"] += row["fee"]
    for currency, figures in made.ledger.figures().items():
        for column, amount in figures.items():
            if column != "net":
                assert sums[currency][column] == amount, (currency, column)
    assert len(made.account.all("charges")) == 420
    assert {one["status"] for one in made.account.all("disputes")} == {
        "lost",
        "won",
        "needs_response",
        "warning_closed",
    }
    assert {one["status"] for one in made.account.all("refunds")} == {"succeeded", "pending", "failed"}
    paid = Counter(one["invoice"] for one in made.account.all("invoice_payments"))
    assert max(paid.values()) == 2
