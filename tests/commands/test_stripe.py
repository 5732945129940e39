"""`flask stripe`: reading Stripe now, and how far that is."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import func, select

from extensions import db
from makegood.models import AuditEntry, Charge
from makegood.stripe import sync
from simulator.stripe.server import SimulatedStripe
from tests.conftest import MakeApp


@pytest.fixture
def app(make_app: MakeApp, stripe: SimulatedStripe) -> Flask:
    """The application with a key for the simulated Stripe."""
    return make_app(STRIPE_API_KEY=stripe.api_key, STRIPE_BASE_URL=stripe.url)


def run(app: Flask, *arguments: str) -> tuple[int, list[str]]:
    """Run the command; its exit code and the lines that it printed."""
    result = app.test_cli_runner().invoke(args=["stripe", *arguments])
    assert "Traceback" not in result.output
    return result.exit_code, result.output.splitlines()


def test_everything_is_read_and_each_list_says_as_of_when(
    app: Flask, stripe: SimulatedStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what needs more than one turn."""
    monkeypatch.setattr(sync, "PAGES_AT_ONCE", 1)
    for _ in range(250):
        stripe.account.pay(500)
    code, lines = run(app, "sync")
    assert (code, len(lines)) == (0, 14)
    assert all("current       as of 20" in line for line in lines)
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Charge)) == 250
    assert run(app, "status") == (0, lines)


def test_reading_everything_once_more_is_audited(app: Flask, stripe: SimulatedStripe) -> None:
    """And asks for the oldest objects again."""
    run(app, "sync")
    before = len(stripe.requests)
    assert run(app, "sync", "--full")[0] == 0
    assert any(path == "/v1/charges?limit=100" for path in stripe.requests[before:])
    with app.app_context():
        assert db.session.scalars(select(AuditEntry.action)).all() == ["stripe.read_again"]


def test_a_missing_permission_is_named_and_no_failure(app: Flask, stripe: SimulatedStripe) -> None:
    """The rest is read."""
    stripe.account.deny("disputes")
    code, lines = run(app, "sync")
    assert code == 0
    assert [line for line in lines if "let it read “Disputes”" in line]
    assert sum("current" in line for line in lines) == 13


def test_what_fails_is_told_by_the_exit_code(make_app: MakeApp, stripe: SimulatedStripe) -> None:
    """A wrong key, for example, and no key at all."""
    wrong = make_app(STRIPE_API_KEY="rk_test_wrong", STRIPE_BASE_URL=stripe.url)
    code, lines = run(wrong, "sync")
    assert code == 1
    assert all("does not accept STRIPE_API_KEY" in line for line in lines)
    assert run(wrong, "status")[0] == 1
    assert run(make_app(), "sync") == (1, ["Error: STRIPE_API_KEY is not set: Stripe cannot be read without it."])


def test_before_the_first_reading_there_is_no_state(app: Flask) -> None:
    """It says how to begin."""
    assert run(app, "status") == (0, ["Stripe has not been read yet; run: flask --app app stripe sync"])
