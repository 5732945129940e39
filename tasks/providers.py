"""Tasks about what providers charge: our balances with them, their bills, and past costs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from flask import Flask

from extensions import db
from makegood import bills
from makegood.bills import lines, reading
from makegood.prices import recompute
from makegood.provider_health import balances
from tasks import in_batches, terms

ASKED_AT_ONCE = 3
"""Providers asked for our balance at the same time."""


def ask_balances(app: Flask) -> None:
    """Ask every configured provider what is left, keep what each says, and warn where it does not last."""
    providers = app.extensions["providers"]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        for asked in pool.map(balances.ask, providers.values()):
            if asked is not None:
                balances.keep(db.session, asked)
                db.session.commit()
    balances.watch(db.session, providers, terms(app))
    db.session.commit()


def start_bills(app: Flask) -> None:
    """Start the imports of bills that nobody has to ask for, and match lines whose job has become known."""
    bills.start_nightly(db.session, app.extensions["providers"], terms(app).timezone)
    lines.match(db.session)
    db.session.commit()


def read_bills(app: Flask) -> None:
    """Read the bills that were asked for from their providers, page by page."""
    while claimed := reading.claim(db.session):
        while claimed:
            db.session.commit()
            page = reading.read(app.extensions["providers"], claimed)
            claimed = reading.take(db.session, claimed, page)
        db.session.commit()
    db.session.commit()


def recompute_costs(app: Flask) -> None:
    """Bring past costs in line with the price book, where an operator asked for it."""
    in_batches(lambda: recompute.work(db.session))
