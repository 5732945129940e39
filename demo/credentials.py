"""The demo's own log-in, API keys and customer."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from demo.catalogue import KIND, TEXT
from demo.state import State
from makegood import api_keys, customers, grants, operators, passwords
from makegood.models import Customer, Operator
from makegood.terms import Terms
from simulator.outcomes import PLANS

ACTOR = "demo"
EMAIL = "demo@example.com"
CUSTOMER = "cus_demo"
CREDITS = 1_000


def is_new(session: Session) -> bool:
    """Whether no demo has been in this database yet."""
    return not session.scalar(select(exists().where(Operator.email == EMAIL)))


def has_account(session: Session) -> bool:
    """Whether somebody's account is in this database: customers or operators."""
    return bool(session.scalar(select(exists(select(Customer.id)) | exists(select(Operator.id)))))


def ensure(session: Session, state: State, terms: Terms) -> None:
    """Make the log-in, the keys and the customer that the demo prints, unless `state` knows them already."""
    stored = session.scalar(select(Operator.password_hash).where(Operator.email == EMAIL))
    if stored is None:
        operators.create(session, EMAIL, "admin", state.password, actor=ACTOR)
    elif not passwords.matches(stored, state.password):
        operators.set_password(session, EMAIL, state.password, actor=ACTOR, now=datetime.now(UTC))
    if api_keys.find(session, state.api_key) is None:
        state.api_key = api_keys.create(session, "Demo platform", ["platform"], actor=ACTOR)[1]
    if api_keys.find(session, state.stats_key) is None:
        state.stats_key = api_keys.create(session, "Demo figures", ["stats"], actor=ACTOR)[1]
    if session.get(Customer, CUSTOMER) is None:
        customers.upsert(session, CUSTOMER, email="try.me@example.com", tier="pro", timezone=terms.timezone)
        grants.add(session, CUSTOMER, CREDITS, source="bonus", reason="For trying things out", actor=ACTOR)


def as_json(state: State, url: str) -> str:
    """The way in, for scripts."""
    words = {"url": url, "operator": EMAIL, "password": state.password}
    return json.dumps(words | {"api_key": state.api_key, "stats_key": state.stats_key}, indent=2) + "\n"


def greeting(state: State, url: str) -> str:
    """The way in, for people."""
    body = {
        "customer_id": CUSTOMER,
        "provider": "simulated",
        "model": TEXT,
        "kind": KIND,
        "input": {"prompt": "a lighthouse at dawn"},
    }
    return f"""
Makegood runs at  {url}
     log in with  {EMAIL}
        password  {state.password}
         API key  {state.api_key}

Start a generation, and watch it appear:

curl {url}/api/v1/generations -H 'Authorization: Bearer {state.api_key}' \\
  -H 'Content-Type: application/json' -H "Idempotency-Key: $(date +%s)-$RANDOM" \\
  -d '{json.dumps(body)}'

To choose what becomes of it, put "simulate" into its input: "fail:timeout" or another error class,
{", ".join(f'"{wish}"' for wish in PLANS)}."""
