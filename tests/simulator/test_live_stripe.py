"""A simulated Stripe that lives on: what is due is billed at its time, and the account outlives the process."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from simulator.stripe import keeping
from simulator.stripe.account import DAY
from simulator.stripe.billing import Account
from simulator.stripe.live import Live, buy
from tests.stripe import pack, plan


def test_what_was_due_while_it_was_away_is_billed_at_its_time(tmp_path: Path) -> None:
    account = Account()
    account.at(int(time.time()) - 70 * DAY)
    customer, price = account.customer("anna@example.com"), plan(account)
    stays = account.subscribe(customer, [(price, 1)])
    leaves = account.subscribe(customer, [(price, 1)])
    account.cancel_at_end(leaves)
    (tmp_path / "kept.json").write_text(keeping.dump(account))
    again = keeping.load((tmp_path / "kept.json").read_text())
    live = Live(again, tmp_path / "kept.json", "http://127.0.0.1:9", ["whsec_x"])
    live._chance.random = lambda: 1.0  # type: ignore[method-assign] # everybody pays
    live.renew()
    assert again.get(leaves["id"])["status"] == "canceled"
    bills = sorted(one["created"] - stays["created"] for one in again.all("invoices"))
    assert len(bills) == 4
    assert bills[:2] == [0, 0]
    assert 28 * DAY <= bills[2] <= 31 * DAY
    assert again.now == pytest.approx(time.time(), abs=5)
    live.keep()
    assert keeping.load((tmp_path / "kept.json").read_text()).all("invoices") == again.all("invoices")


def test_a_customer_who_comes_back_is_the_same_customer() -> None:
    account = Account()
    pack(account, 100)
    for _ in range(2):
        buy(account, "user-1", "anna@example.com", "100")
    assert len(account.all("customers")) == 1
    assert {one["metadata"]["user_id"] for one in account.all("charges")} == {"user-1"}
    with pytest.raises(LookupError, match="no pack of 7 credits"):
        buy(account, "user-1", "anna@example.com", "7")
