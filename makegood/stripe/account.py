"""What holds for the whole Stripe account: kept from the first time that it is read or heard."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood.models import StripeAccount


def ensure(
    session: Session,
    grants_since: datetime | None,
    *,
    livemode: bool | None = None,
    at: datetime | None = None,
) -> StripeAccount:
    """The account's row, made now if there is none.

    What was paid for since then grants credits. A `grants_since` of the settings wins over what is kept;
    `livemode` is learned once.
    """
    first = {"id": 1, "livemode": livemode, "grants_since": grants_since or at or datetime.now(UTC)}
    kept = session.get(StripeAccount, 1)
    if kept is None:
        session.execute(insert(StripeAccount).values(first).on_conflict_do_nothing())
        kept = session.get_one(StripeAccount, 1)
    if kept.livemode is None and livemode is not None:
        kept.livemode = livemode
    if grants_since is not None and kept.grants_since != grants_since:
        kept.grants_since = grants_since
    session.flush()
    return kept


def livemode(session: Session) -> bool | None:
    """Whether what is stored is of real payments; None while nobody knows."""
    return session.scalar(select(StripeAccount.livemode))
