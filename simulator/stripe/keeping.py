"""An account in a file, so that a simulated Stripe that is started again goes on where it was."""

from __future__ import annotations

import json
import os
from pathlib import Path

from simulator.stripe.account import Listed
from simulator.stripe.billing import Account


def write(text: str, path: Path) -> None:
    """Keep a dumped account, complete or not at all. Raises OSError."""
    scratch = path.with_suffix(".part")
    scratch.write_text(text)
    os.replace(scratch, path)


def dump(account: Account) -> str:
    """The account as text."""
    with account.lock:
        lists = {
            name: [[*entry, listed.by_id[entry[2]]] for entry in listed.order]
            for name, listed in account.lists.items()
        }
        return json.dumps(
            {
                "lists": lists,
                "livemode": account.livemode,
                "discounts": account.discounts,
                "undelivered": sorted(account.undelivered),
                "private": account.private(),
            }
        )


def load(text: str) -> Account:
    """The account that was dumped. Raises ValueError, KeyError and the like where it is none."""
    kept = json.loads(text)
    account = Account(livemode=kept["livemode"])
    for name, entries in kept["lists"].items():
        account.lists[name] = Listed(
            [(created, count, key) for created, count, key, _ in entries],
            {key: value for _, _, key, value in entries},
        )
    account.discounts = kept["discounts"]
    account.undelivered = set(kept["undelivered"])
    account.restore(kept["private"])
    return account
