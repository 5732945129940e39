"""Keeping what Stripe has told us: objects by their ids, the newest reading of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood.models import (
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Coupon,
    Dispute,
    Invoice,
    InvoicePayment,
    PaymentRefund,
    Payout,
    Product,
    StripeAccount,
    StripeCustomer,
    StripePrice,
    Subscription,
)
from makegood.models.stripe import Mirrored
from makegood.stripe import columns
from makegood.stripe.resources import RESOURCE_OF

__all__ = ["MODELS", "RESOURCE_OF", "mark_deleted", "mark_unlisted", "store", "store_each"]

MODELS: Mapping[str, type[Mirrored]] = {
    "balance_transactions": BalanceTransaction,
    "charges": Charge,
    "checkout_sessions": CheckoutSession,
    "coupons": Coupon,
    "customers": StripeCustomer,
    "disputes": Dispute,
    "invoice_payments": InvoicePayment,
    "invoices": Invoice,
    "payouts": Payout,
    "prices": StripePrice,
    "products": Product,
    "refunds": PaymentRefund,
    "subscriptions": Subscription,
}
"""The table of each resource."""

_REPLACED = re.compile("[\0\ud800-\udfff]")


def store(session: Session, resource: str, objects: Sequence[Mapping[str, Any]], read_at: datetime) -> list[str]:
    """Keep objects as received, asked for at `read_at`; the ids of those that are new or changed, in order.

    What was asked for earlier never overwrites what was asked for later. Whose an object is stays as it is.
    """
    model: Any = MODELS[resource]
    table = model.__table__
    by_id = {one["id"]: plain(one) for one in objects}
    if not by_id:
        return []
    livemode = bool(session.scalar(select(StripeAccount.livemode)))
    rows = [
        {
            **columns.of(resource, by_id[one], livemode=livemode),
            "deleted": False,
            "body": by_id[one],
            "read_at": read_at,
        }
        for one in sorted(by_id)
    ]
    wanted = insert(table)
    # New ones are written and known ones locked in one go, in the order of their ids like every writer's, so that
    # two pages never wait for each other.
    locking = wanted.on_conflict_do_update(
        index_elements=["id"], set_={"id": wanted.excluded.id}, where=text("false")
    )
    new = set(session.scalars(locking.returning(table.c.id), rows))
    known = [row for row in rows if row["id"] not in new]
    if not known:
        return sorted(new)
    before = {
        row.id: row
        for row in session.execute(
            select(table.c.id, table.c.deleted, table.c.body).where(table.c.id.in_(by_id.keys() - new))
        )
    }
    replacing = wanted.on_conflict_do_update(
        index_elements=["id"],
        set_={name: wanted.excluded[name] for name in rows[0] if name != "id"},
        where=table.c.read_at <= wanted.excluded.read_at,
    )
    written = session.scalars(replacing.returning(table.c.id), known)
    changed = {one for one in written if before[one].deleted or before[one].body != by_id[one]}
    return sorted(new | changed)


def store_each(
    session: Session, resource: str, objects: Sequence[Mapping[str, Any]], read_at: datetime
) -> tuple[list[str], dict[str, Exception]]:
    """The same, where an object that cannot be kept does not keep the others out: the ids of those that are new or
    changed, and of those that could not be kept, with the reason."""
    try:
        with session.begin_nested():
            return store(session, resource, objects, read_at), {}
    except Exception:
        if not objects:
            raise
    news, unkept = [], {}
    for one in sorted(objects, key=lambda one: str(one.get("id"))):
        try:
            with session.begin_nested():
                news += store(session, resource, [one], read_at)
        except Exception as error:
            unkept[str(one.get("id"))] = error
    return news, unkept


def mark_deleted(session: Session, resource: str, object_id: str, read_at: datetime) -> bool:
    """Keep that Stripe no longer has an object, as of `read_at`; whether that is news."""
    table: Any = MODELS[resource]
    marked = session.scalars(
        update(table)
        .where(table.id == object_id, table.read_at <= read_at, table.deleted.is_(False))
        .values(deleted=True, read_at=read_at)
        .returning(table.id)
        .execution_options(synchronize_session=False)
    )
    return marked.first() is not None


def mark_unlisted(session: Session, resource: str, begun_at: datetime) -> list[str]:
    """Keep that Stripe no longer has what a complete reading of the list, begun then, did not show; their ids."""
    table: Any = MODELS[resource]
    marked = session.scalars(
        update(table)
        .where(table.read_at < begun_at, table.deleted.is_(False))
        .values(deleted=True, read_at=begun_at)
        .returning(table.id)
        .execution_options(synchronize_session=False)
    )
    return sorted(marked)


def plain(value: Any) -> Any:
    """The same JSON without what PostgreSQL cannot store in a text: NUL characters and halves of surrogate pairs
    become U+FFFD."""
    if isinstance(value, str):
        return _REPLACED.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {plain(name): plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value
