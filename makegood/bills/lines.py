"""The lines of bills: each is kept once, whichever import brings it, and matched to the generation it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, DateTime, Numeric, Text, bindparam, text
from sqlalchemy.dialects.postgresql import UUID as PGUUID
from sqlalchemy.orm import Session

from makegood.ids import uuid7
from makegood.models import Bill
from makegood.providers.billing import BilledLine

BATCH = 5_000
BECOMES_KNOWN_WITHIN = timedelta(days=30)

_COLUMNS: dict[str, Any] = {
    "ids": PGUUID(as_uuid=True),
    "line_ids": Text(),
    "jobs": Text(),
    "models": Text(),
    "kinds": Text(),
    "amounts": BigInteger(),
    "quantities": Numeric(18, 3),
    "units": Text(),
    "times": DateTime(timezone=True),
    "raws": Text(),
}
_GIVEN = ", ".join(f":{name}" for name in _COLUMNS)

ADD = text(
    f"""
    INSERT INTO bill_lines (id, bill_id, provider, line_id, provider_job_id, model, kind, amount_micros, quantity,
                            unit, billed_at, raw, generation_id)
    SELECT l.id, :bill, :provider, l.line_id, l.job, l.model, l.kind, l.amount, l.quantity, l.unit, l.at, l.raw,
           ours.generation_id
      FROM unnest({_GIVEN}) AS l (id, line_id, job, model, kind, amount, quantity, unit, at, raw)
      LEFT JOIN LATERAL (
            SELECT (array_agg(g.id))[1] AS generation_id FROM generations g
             WHERE g.provider_job_id = l.job AND g.provider = :provider HAVING count(*) = 1) AS ours ON true
     ORDER BY l.line_id
    ON CONFLICT (provider, line_id) DO NOTHING
    """  # noqa: S608 (names of parameters)
).bindparams(*(bindparam(name, type_=ARRAY(kind)) for name, kind in _COLUMNS.items()))

KNOWN = text(
    """
    SELECT count(*) AS known,
           count(*) FILTER (WHERE (b.provider_job_id, b.kind, b.amount_micros)
                                  IS DISTINCT FROM (l.job, l.kind, l.amount)) AS differing
      FROM unnest(:line_ids, :jobs, :kinds, :amounts) AS l (line_id, job, kind, amount)
      JOIN bill_lines b ON b.provider = :provider AND b.line_id = l.line_id AND b.bill_id <> :bill
    """
).bindparams(*(bindparam(name, type_=ARRAY(_COLUMNS[name])) for name in ("line_ids", "jobs", "kinds", "amounts")))

# As there, a job that two generations claim is matched to neither.
MATCH = text(
    """
    WITH found AS (
        SELECT l.id, (array_agg(g.id))[1] AS generation_id
          FROM bill_lines l
          JOIN generations g ON g.provider_job_id = l.provider_job_id AND g.provider = l.provider
         WHERE l.generation_id IS NULL AND l.billed_at >= :since
         GROUP BY l.id HAVING count(*) = 1
    )
    UPDATE bill_lines l SET generation_id = found.generation_id
      FROM found WHERE l.id = found.id AND l.generation_id IS NULL
    """
)


@dataclass(frozen=True)
class Stored:
    """What became of lines: how many were new, were known from another import, and said something else there."""

    added: int
    known: int
    differing: int


def store(session: Session, bill: Bill, lines: Sequence[BilledLine]) -> Stored:
    """Keep what is new. A line that is known stays as it first came. Counts them on the bill too."""
    added = known = differing = 0
    for start in range(0, len(lines), BATCH):
        batch = lines[start : start + BATCH]
        columns = _columns(batch)
        keys = {"bill": bill.id, "provider": bill.provider}
        added += session.execute(ADD, columns | keys).rowcount  # type: ignore[attr-defined]
        named = {name: columns[name] for name in ("line_ids", "jobs", "kinds", "amounts")}
        row = session.execute(KNOWN, named | keys).one()
        known, differing = known + row.known, differing + row.differing
    bill.lines_added += added
    bill.lines_known += known
    bill.lines_differing += differing
    session.flush()
    return Stored(added, known, differing)


def match(session: Session, *, at: datetime | None = None) -> int:
    """Match lines whose job was not known when they came, by provider and job; returns how many were. A job
    becomes known within days or never."""
    since = (at or datetime.now(UTC)) - BECOMES_KNOWN_WITHIN
    matched: int = session.execute(MATCH, {"since": since}).rowcount  # type: ignore[attr-defined]
    return matched


def _columns(lines: Sequence[BilledLine]) -> dict[str, list[object]]:
    ids: list[UUID] = [uuid7() for _ in lines]
    return {
        "ids": list(ids),
        "line_ids": [line.line_id for line in lines],
        "jobs": [line.provider_job_id for line in lines],
        "models": [line.model for line in lines],
        "kinds": [line.kind for line in lines],
        "amounts": [line.amount_micros for line in lines],
        "quantities": [line.quantity for line in lines],
        "units": [line.unit for line in lines],
        "times": [line.billed_at for line in lines],
        "raws": [line.raw for line in lines],
    }
