"""Tasks that tidy up: alerts whose cause is gone, and what its time has passed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Flask

from extensions import db
from makegood import alerts, logins, notifications, outputs, throttles
from makegood.bills import drafts
from makegood.provider_health import balances


def resolve_alerts(app: Flask) -> None:
    """Resolve the alerts of providers that take our generations again, and of refunds that were made after all."""
    alerts.resolve_mended_accounts(db.session)
    alerts.resolve_ended(db.session)
    db.session.commit()


def clean_up(app: Flask) -> None:
    """Forget what its time has passed: throttle windows, kept outputs, delivered notifications, old balances,
    uploads nobody imported."""
    drafts.clean(db.session)
    logins.clean(db.session, before=datetime.now(UTC) - timedelta(days=1))
    throttles.clean(db.session, before=datetime.now(UTC) - timedelta(days=1))
    outputs.forget(db.session)
    notifications.forget(db.session, before=datetime.now(UTC) - notifications.KEEP)
    balances.forget(db.session, before=datetime.now(UTC) - balances.KEEP)
    db.session.commit()
