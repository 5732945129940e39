"""The refund policy: what share of a charge comes back for which failure, by version, with author and reason.

A new version holds for failures from then on; what was refunded before stays. A version is published only on top
of the one that its author looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, literal, select, union_all
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood import audit
from makegood.errors import Conflict, Invalid
from makegood.models import Generation, RefundPolicy
from makegood.providers.protocol import ErrorClass

CANCELLED = "cancelled"
CLASSES = (*(code.value for code in ErrorClass), CANCELLED)
LOOK_BACK = timedelta(days=30)
MAX_NOTE = 1000


@dataclass(frozen=True)
class Version:
    """A policy: the percentage of the charge that comes back, by error class."""

    number: int
    actor: str
    note: str
    created_at: datetime
    shares: dict[str, int]


@dataclass(frozen=True)
class Ended:
    """Generations that ended with an error class and had each been charged so many credits."""

    error_class: str
    charged: int
    generations: int


@dataclass(frozen=True)
class Effect:
    """What a policy means for the generations of an error class that ended in a range, in credits."""

    error_class: str
    generations: int
    charged: int
    returned: int


def versions(session: Session) -> list[Version]:
    """All policies, the newest first."""
    rows = session.scalars(select(RefundPolicy).order_by(RefundPolicy.version.desc()))
    found: dict[int, list[RefundPolicy]] = {}
    for row in rows:
        found.setdefault(row.version, []).append(row)
    return [
        Version(
            number,
            shares[0].actor,
            shares[0].note,
            shares[0].created_at,
            {row.error_class: row.percent for row in shares},
        )
        for number, shares in found.items()
    ]


def share_of(shares: Mapping[str, int], error_class: str) -> int:
    """The percentage for an error class. One that the policy does not name is an unknown error."""
    return shares.get(error_class, shares.get(ErrorClass.UNKNOWN_ERROR, 100))


def ended(session: Session, *, since: datetime) -> list[Ended]:
    """What failed or was cancelled since then, by error class and charge.

    A cancellation before anything was submitted is refunded in full by any policy, and not counted.
    """
    failed = select(Generation.error_class.label("error"), Generation.credits_charged.label("charged")).where(
        Generation.status == "failed", Generation.ended_at >= since
    )
    cancelled = select(literal(CANCELLED), Generation.credits_charged).where(
        Generation.status == CANCELLED, Generation.ended_at >= since, Generation.submitted_at.is_not(None)
    )
    found = union_all(failed, cancelled).subquery()
    query = select(found.c.error, found.c.charged, func.count()).group_by(found.c.error, found.c.charged)
    return [Ended(*row) for row in session.execute(query)]


def effects(found: Iterable[Ended], shares: Mapping[str, int]) -> dict[str, Effect]:
    """What these shares would have returned for what ended, by error class; refunds by hand apart."""
    sums = {code: [0, 0, 0] for code in CLASSES}
    for one in found:
        total = sums.setdefault(one.error_class, [0, 0, 0])
        total[0] += one.generations
        total[1] += one.generations * one.charged
        total[2] += one.generations * ((one.charged * share_of(shares, one.error_class) + 50) // 100)
    return {code: Effect(code, *total) for code, total in sums.items()}


def publish(
    session: Session,
    shares: Mapping[str, int | None],
    *,
    based_on: int,
    note: str,
    actor: str,
    address: str | None = None,
) -> int:
    """A new policy, for failures from now on; its version. `based_on` is the version that was looked at.

    Raises Invalid, and Conflict when another one was published meanwhile. No credits move.
    """
    wanted = check(shares, note)
    before = versions(session)[0]
    if before.number != based_on:
        raise Conflict(f"{before.actor} published version {before.number} meanwhile. Nothing was saved.")
    was = {code: share_of(before.shares, code) for code in CLASSES}
    if wanted == was:
        raise Invalid("Nothing is different. Nothing was saved.")
    made = {"version": based_on + 1, "actor": actor, "note": note.strip()}
    rows = [{"error_class": code, "percent": percent, **made} for code, percent in wanted.items()]
    added = session.execute(
        insert(RefundPolicy).values(rows).on_conflict_do_nothing().returning(RefundPolicy.error_class)
    )
    if len(added.all()) != len(rows):
        raise Conflict("Somebody published a version at this moment. Nothing was saved.")
    changed = [code for code in CLASSES if wanted[code] != was[code]]
    audit.record(
        session,
        actor=actor,
        action="policy.published",
        subject=f"policy:{based_on + 1}",
        details={
            "before": {code: was[code] for code in changed},
            "after": {code: wanted[code] for code in changed},
            "note": note.strip(),
        },
        address=address,
    )
    return based_on + 1


def check(shares: Mapping[str, int | None], note: str) -> dict[str, int]:
    """The shares of every class, valid. Raises Invalid, which names each field that is not."""
    fields = {}
    wanted = {}
    for code in CLASSES:
        percent = shares.get(code)
        if percent is None or not 0 <= percent <= 100:
            fields[code] = "must be a whole number from 0 to 100"
        else:
            wanted[code] = percent
    if not note.strip():
        fields["note"] = "say in a few words why"
    elif len(note) > MAX_NOTE or "\0" in note:
        fields["note"] = f"must be at most {MAX_NOTE} characters of text"
    if fields:
        raise Invalid("The policy was not saved.", fields=fields)
    return wanted
