"""Whether there is news that an operator should see at once rather than with the next refresh of the page."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

MARK = text("""
SELECT (SELECT count(*) || ' ' || coalesce(max(id::text), '') FROM alerts WHERE acknowledged_at IS NULL) || ', ' ||
       (SELECT count(*) || ' ' || coalesce(max(created_at)::text, '') FROM provider_switches) || ', ' ||
       (SELECT count(*) || ' ' || coalesce(max(id::text), '') FROM approvals WHERE state = 'pending')
""")


def mark(session: Session) -> str:
    """A text that differs as soon as there is an alert, a switch or a request for approval more or less."""
    return str(session.scalar(MARK))
