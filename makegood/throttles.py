"""Throttles: attempts counted per window in PostgreSQL, because counters in memory are per process.

An attempt is counted before it is made, and the caller commits the count before it goes on: neither a failure
that rolls back nor attempts side by side slip past. Of log-ins and keys what succeeds is given back, so that only
failures add up; searches, exports, refunds and figures all count, for each operator or key.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood.errors import Throttled
from makegood.models import Throttle


@dataclass(frozen=True)
class Limit:
    """At most so many attempts in each window; `noun` is what they are called, in the plural."""

    scope: str
    attempts: int
    window: timedelta
    noun: str = "attempts"


LOGINS = Limit("login", 1000, timedelta(minutes=5))
LOGINS_PER_ADDRESS = Limit("login_address", 20, timedelta(minutes=5))
LOGINS_PER_EMAIL = Limit("login_email", 10, timedelta(minutes=5))
CODES = (Limit("code", 10, timedelta(minutes=5)), Limit("code_day", 50, timedelta(days=1)))
"""Second steps of one operator's log-ins. Of a million codes three are right at a time: a day has few guesses."""
CONFIRMATIONS = (
    Limit("confirmation", 10, timedelta(minutes=5)),
    Limit("confirmation_day", 50, timedelta(days=1)),
)
FAILED_KEYS_PER_ADDRESS = Limit("api_key_address", 60, timedelta(minutes=1))
SEARCHES = Limit("search", 120, timedelta(minutes=1), "searches")
EXPORTS = Limit("export", 20, timedelta(minutes=10), "exports")
REFUNDS = Limit("refund", 60, timedelta(minutes=1), "refunds")
STATS = Limit("stats", 120, timedelta(minutes=1), "requests for figures")
FOR_EACH_OPERATOR = (SEARCHES, EXPORTS, REFUNDS, STATS)


def count(session: Session, limit: Limit, subject: str, *, now: datetime) -> None:
    """Count one attempt of an operator or key, which is not given back. Raises Throttled. Then commit at once."""
    hit(session, limit.scope, subject, limit.attempts, limit.window, now=now, noun=limit.noun)


def hit(
    session: Session,
    scope: str,
    subject: str,
    limit: int,
    window: timedelta,
    *,
    now: datetime,
    noun: str = "attempts",
) -> None:
    """Count one attempt of `subject` in the current window.

    Raises Throttled, with `retry_after` in seconds, when `limit` attempts were counted before; then nothing
    is written. Attempts side by side wait for each other's row until the caller commits: commit at once.
    """
    start = _window_start(now, window)
    counted = session.scalar(
        insert(Throttle)
        .values(scope=scope, subject=subject, window_start=start, attempts=1)
        .on_conflict_do_update(
            index_elements=["scope", "subject", "window_start"],
            set_={"attempts": Throttle.attempts + 1},
            where=Throttle.attempts < limit,
        )
        .returning(Throttle.attempts)
    )
    if counted is None:
        retry_after = max(1, -((now - start - window) // timedelta(seconds=1)))
        raise Throttled(f"Too many {noun}. Try again in {_spoken(retry_after)}.", retry_after=retry_after)


def give_back(session: Session, scope: str, subject: str, window: timedelta, *, now: datetime) -> None:
    """Uncount one attempt that succeeded. `now` is the time of its `hit`."""
    session.execute(
        update(Throttle)
        .where(
            Throttle.scope == scope,
            Throttle.subject == subject,
            Throttle.window_start == _window_start(now, window),
            Throttle.attempts > 0,
        )
        .values(attempts=Throttle.attempts - 1)
    )


def count_login(session: Session, email: str, address: str, *, now: datetime) -> None:
    """Count an attempt to log in: per address, per e-mail and in all. Raises Throttled. Then commit at once.

    The shared row comes last, so that an address that is over its own limit does not use up everybody's.
    """
    for limit, subject in _login_subjects(email, address):
        hit(session, limit.scope, subject, limit.attempts, limit.window, now=now)


def give_back_login(session: Session, email: str, address: str, *, now: datetime) -> None:
    """Uncount the attempt that `count_login` counted at `now`: it succeeded."""
    for limit, subject in _login_subjects(email, address):
        give_back(session, limit.scope, subject, limit.window, now=now)


def count_proof(session: Session, limits: tuple[Limit, ...], operator_id: UUID, *, now: datetime) -> None:
    """Count an operator's attempt to prove who they are: CODES or CONFIRMATIONS. Raises Throttled. Then commit."""
    for limit in limits:
        hit(session, limit.scope, str(operator_id), limit.attempts, limit.window, now=now)


def give_back_proof(session: Session, limits: tuple[Limit, ...], operator_id: UUID, *, now: datetime) -> None:
    """Uncount the attempt that `count_proof` counted at `now`: it succeeded."""
    for limit in limits:
        give_back(session, limit.scope, str(operator_id), limit.window, now=now)


def count_failed_key(session: Session, address: str, *, now: datetime) -> None:
    """Count a request with an API key that does not exist. Raises Throttled."""
    limit = FAILED_KEYS_PER_ADDRESS
    hit(session, limit.scope, network(address), limit.attempts, limit.window, now=now)


def clean(session: Session, *, before: datetime) -> int:
    """Delete the windows that began before this time. Returns how many."""
    gone = session.scalars(delete(Throttle).where(Throttle.window_start < before).returning(Throttle.scope))
    return len(gone.all())


def network(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one IPv6 customer owns."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))


def _login_subjects(email: str, address: str) -> list[tuple[Limit, str]]:
    # The e-mail is hashed: people type passwords into the wrong field. One order everywhere, so no deadlocks.
    typed = hashlib.sha256(email.strip().lower().encode("utf-8", "surrogatepass")).hexdigest()
    return [
        (LOGINS_PER_ADDRESS, network(address)),
        (LOGINS_PER_EMAIL, typed),
        (LOGINS, "all"),
    ]


def _window_start(now: datetime, window: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (now - epoch) // window * window


def _spoken(seconds: int) -> str:
    minutes, hours = -(-seconds // 60), -(-seconds // 3600)
    if seconds < 60:
        return f"{seconds} second{'' if seconds == 1 else 's'}"
    if minutes > 120:
        return f"{hours} hours"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"
