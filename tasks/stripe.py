"""Tasks that read Stripe: its lists page by page, and the objects of its events."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog
from flask import Flask, current_app
from sqlalchemy.orm import Session

from extensions import db
from makegood.stripe import applying, related, sync
from makegood.stripe.client import Listing
from tasks import terms

READING_SECONDS = 30
"""How long a task goes on to claim lists of Stripe: a worker that shall end does not wait for a whole backfill."""
EVENTS = 8
"""Stripe events whose objects are read at the same time, by one task."""

log = structlog.get_logger()


def read_stripe(app: Flask) -> None:
    """Read the lists of Stripe that are due, page by page. Without a key that can read Stripe there are none."""
    client = app.extensions["stripe"]
    if client is None:
        return
    sync.prepare(db.session, client.livemode, app.config["SETTINGS"].stripe.grants_since)
    end = time.monotonic() + READING_SECONDS
    while time.monotonic() < end and (claimed := sync.claim(db.session)):
        while claimed:
            db.session.commit()
            claimed = take_page(claimed, sync.read(client, claimed))
        db.session.commit()
    db.session.commit()


def take_page(claimed: sync.Claimed, page: Listing | sync.Unread) -> sync.Claimed | None:
    """Take in a page, or keep why that failed; what to read next."""
    try:
        lifetime = terms(current_app).returned_credits_live
        following = sync.take(db.session, claimed, page, lifetime=lifetime)
        db.session.commit()
    except Exception as error:
        db.session.rollback()
        log.exception("stripe_page_not_taken", resource=claimed.name)
        problem = f"What Stripe answered could not be taken in ({type(error).__name__}); the log has more."
        following = sync.take(db.session, claimed, sync.Unread(problem))
        db.session.commit()
    return following


def apply_stripe_events(app: Flask) -> None:
    """Apply what Stripe told us, until nothing is due or it has lasted long: the next task goes on. Without a key
    that can read Stripe it waits."""
    client = app.extensions["stripe"]
    if client is None:
        return

    engine = db.engine  # the threads below have no application of their own

    def known(resource: str, object_id: str) -> bool:
        with Session(engine) as session:
            return related.is_known(session, resource, object_id)

    def claim() -> list[applying.Claimed] | None:
        return applying.claim(db.session, livemode=client.livemode, limit=4 * EVENTS)

    end = time.monotonic() + READING_SECONDS
    while time.monotonic() < end and (claimed := claim()) is not None:
        db.session.commit()
        with ThreadPoolExecutor(EVENTS) as pool:
            answers = list(pool.map(partial(applying.read, client, known), claimed))
        for one, answer in zip(claimed, answers, strict=True):
            _apply(one, answer)
    applying.resolve_alert(db.session)
    db.session.commit()


def _apply(claimed: applying.Claimed, answer: applying.Answer) -> None:
    try:
        if not isinstance(answer, applying.Unread):
            lifetime = terms(current_app).returned_credits_live
            applying.take(db.session, claimed, answer, lifetime=lifetime)
            db.session.commit()
            return
    except Exception as error:
        db.session.rollback()
        log.exception("stripe_event_not_applied", events=claimed.ids)
        answer = applying.Unread(f"What Stripe answered could not be taken in ({type(error).__name__}).")
    applying.postpone(db.session, claimed, answer)
    db.session.commit()
