"""Error mappings: what a provider's message means where its own code left us without a class.

A failure that nobody mapped is an `unknown_error`. An operator may say what its message means; from then on
`generations.fail` takes that class. Messages are compared without what differs between failures (`normal_error`
in the database); the newest mapping of a provider's message rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ScalarSelect, Select, Subquery, func, literal_column, select, text
from sqlalchemy.orm import Session

from makegood import audit
from makegood.errors import Conflict, Invalid
from makegood.models import ErrorMapping, Generation
from makegood.providers.protocol import ErrorClass

SINCE_MONTH = """date_trunc('month', ended_at AT TIME ZONE 'UTC')
    >= date_trunc('month', CAST(:since_month AS timestamptz) AT TIME ZONE 'UTC')"""
SOME_WAIT = text(
    """
    WITH RECURSIVE seen AS (
        (SELECT date_trunc('month', ended_at AT TIME ZONE 'UTC') AS month, provider,
                normal_error(error_message) AS message
           FROM generations
          WHERE error_class = 'unknown_error'
            AND date_trunc('month', ended_at AT TIME ZONE 'UTC')
                >= date_trunc('month', CAST(:since AS timestamptz) AT TIME ZONE 'UTC')
          ORDER BY 1, 2, 3 LIMIT 1)
        UNION ALL
        SELECT next.* FROM seen CROSS JOIN LATERAL (
            SELECT date_trunc('month', ended_at AT TIME ZONE 'UTC'), provider, normal_error(error_message)
              FROM generations
             WHERE error_class = 'unknown_error'
               AND (date_trunc('month', ended_at AT TIME ZONE 'UTC'), provider, normal_error(error_message))
                   > (seen.month, seen.provider, seen.message)
             ORDER BY 1, 2, 3 LIMIT 1) next
    )
    SELECT EXISTS (
        SELECT FROM seen
         WHERE (SELECT error_class FROM error_mappings AS mapping
                 WHERE mapping.provider = seen.provider AND mapping.message = seen.message
                 ORDER BY mapping.id DESC LIMIT 1) IS NULL
           AND EXISTS (
                SELECT FROM generations AS failed
                 WHERE failed.error_class = 'unknown_error'
                   AND date_trunc('month', failed.ended_at AT TIME ZONE 'UTC') = seen.month
                   AND failed.provider = seen.provider AND normal_error(failed.error_message) = seen.message
                   AND failed.ended_at >= :since))
    """
)
"""Each message of a month once, by one look into the index for each, until one is found that nobody mapped."""
MAPPABLE = tuple(code.value for code in ErrorClass if code is not ErrorClass.UNKNOWN_ERROR)


@dataclass(frozen=True)
class Unmapped:
    """Unknown errors of a provider with the same normalised message. `example_id` is the last generation."""

    provider: str
    message: str
    generations: int
    last_at: datetime
    example_id: UUID
    example: str


def mapped(session: Session, generation_id: UUID, message: str | None) -> ErrorClass | None:
    """The class that this message of the generation's provider was mapped to."""
    found = session.scalar(
        select(ErrorMapping.error_class)
        .join(Generation, Generation.provider == ErrorMapping.provider)
        .where(Generation.id == generation_id, ErrorMapping.message == func.normal_error(message))
        .order_by(ErrorMapping.id.desc())
        .limit(1)
    )
    return ErrorClass(found) if found else None


def unmapped(since: datetime) -> Select[*tuple[Any, ...]]:
    """Unknown errors that ended since then and are not mapped by now, the most frequent first."""
    message = func.normal_error(Generation.error_message)
    seen = (
        select(
            Generation.provider,
            message.label("message"),
            func.count().label("generations"),
            func.max(Generation.ended_at).label("last_at"),
            func.max(Generation.id.cast(ErrorMapping.message.type)).label("example_id"),
        )
        .where(
            Generation.error_class == literal_column("'unknown_error'"),  # as in the index
            text(SINCE_MONTH).bindparams(since_month=since),
            Generation.ended_at >= since,
        )
        .group_by(Generation.provider, message)
        .subquery()
    )
    example = select(Generation.error_message).where(Generation.id == seen.c.example_id.cast(Generation.id.type))
    return (
        select(seen, example.scalar_subquery().label("example"))
        .where(_meaning(seen).is_(None))
        .order_by(seen.c.generations.desc(), seen.c.last_at.desc(), seen.c.provider, seen.c.message)
    )


def seen_lately(session: Session, *, since: datetime) -> list[Unmapped]:
    """Unknown errors since then that wait to be mapped, the most frequent first."""
    return [
        Unmapped(row.provider, row.message, row.generations, row.last_at, UUID(row.example_id), row.example or "")
        for row in session.execute(unmapped(since))
    ]


def some_wait(session: Session, *, since: datetime) -> bool:
    """Whether there is an unknown error since then that waits to be mapped: cheap in an incident and after it."""
    return bool(session.scalar(SOME_WAIT, {"since": since}))


def _meaning(seen: Subquery) -> ScalarSelect[str | None]:
    """The class that `seen`'s message of its provider is mapped to now."""
    return (
        select(ErrorMapping.error_class)
        .where(ErrorMapping.provider == seen.c.provider, ErrorMapping.message == seen.c.message)
        .order_by(ErrorMapping.id.desc())
        .limit(1)
        .scalar_subquery()
    )


def rules() -> Select[*tuple[Any, ...]]:
    """The mappings that hold now, by provider and message."""
    newest = select(func.max(ErrorMapping.id.cast(ErrorMapping.message.type))).group_by(
        ErrorMapping.provider, ErrorMapping.message
    )
    return (
        select(ErrorMapping)
        .where(ErrorMapping.id.cast(ErrorMapping.message.type).in_(newest), ErrorMapping.error_class.is_not(None))
        .order_by(ErrorMapping.provider, ErrorMapping.message)
    )


def change(
    session: Session,
    provider: str,
    message: str,
    error_class: str | None,
    *,
    before: str | None,
    actor: str,
    address: str | None = None,
) -> ErrorMapping:
    """Say what a provider's message means from now on; None takes it back. Audited with what held before.

    Raises Invalid, and Conflict when `before` is not what it is mapped to. What failed before keeps its class.
    """
    if error_class is not None and error_class not in MAPPABLE:
        raise Invalid("Nothing was mapped.", fields={"error_class": "choose what the message means"})
    if not 1 <= len(provider) <= 200 or "\0" in provider + message:
        raise Invalid("Nothing was mapped.", fields={"provider": "must have 1 to 200 characters"})
    normal = session.scalar(select(func.normal_error(message))) or ""
    # One change at a time, so that each was made on top of what it was said to follow.
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{provider} {normal}", 0))))
    now = session.scalar(
        select(ErrorMapping.error_class)
        .where(ErrorMapping.provider == provider, ErrorMapping.message == normal)
        .order_by(ErrorMapping.id.desc())
        .limit(1)
    )
    if now != before:
        raise Conflict(
            f"Somebody mapped this meanwhile to {now.replace('_', ' ')}. Nothing was changed."
            if now
            else "Somebody took this mapping back meanwhile. Nothing was changed."
        )
    made = ErrorMapping(provider=provider, message=normal, error_class=error_class, actor=actor)
    session.add(made)
    session.flush()
    audit.record(
        session,
        actor=actor,
        action="error.mapped" if error_class else "error.unmapped",
        subject=f"error-mapping:{provider}",
        details={"message": normal, "before": before or "unknown_error", "after": error_class or "unknown_error"},
        address=address,
    )
    return made
