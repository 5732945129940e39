"""What a bulk refund would do: which generations, of how many customers, for how many credits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Text, bindparam, text
from sqlalchemy.orm import Session

from makegood.errors import Conflict, Invalid

MOST = 10_000
"""Generations that one bulk refund may have: the audit log names each of them."""

SCOPE = """
    provider = :provider AND charged_at >= :since AND charged_at < :until
    AND (:model IS NULL OR model = :model) AND (:error_class IS NULL OR error_class = :error_class)
    AND (:status IS NULL OR status = :status)"""
CHOSEN = f"""
    SELECT id, customer_id, model, status, error_class, credits_charged - credits_refunded AS credits,
           CASE WHEN credits_refunded = 0 THEN cost_micros ELSE 0 END AS loss_micros
      FROM generations
     WHERE {SCOPE} AND ended_at IS NOT NULL AND credits_refunded < credits_charged
"""  # noqa: S608 (made of our own text)
DIGEST = "coalesce(sum(hashtextextended(concat_ws(' ', id, credits), 0)), 0)::text"
NULLABLE = (
    bindparam("model", type_=Text),
    bindparam("error_class", type_=Text),
    bindparam("status", type_=Text),
)
GROUPS = text(
    f"""
    SELECT model, status, error_class, grouping(model) = 1 AS is_total, count(*) AS generations,
           count(DISTINCT customer_id) AS customers, coalesce(sum(credits), 0)::bigint AS credits,
           coalesce(sum(loss_micros), 0)::bigint AS loss_micros,
           count(*) FILTER (WHERE loss_micros IS NULL) AS unknown_costs, {DIGEST} AS digest
      FROM ({CHOSEN}) AS chosen
     GROUP BY GROUPING SETS ((), (model, status, error_class))
     ORDER BY generations DESC, model, status, error_class
    """  # noqa: S608
).bindparams(*NULLABLE)
LEFT_OUT = text(
    f"""
    SELECT count(*) FILTER (WHERE credits_refunded = credits_charged) AS refunded,
           count(*) FILTER (WHERE ended_at IS NULL) AS in_flight,
           count(*) FILTER (WHERE ended_at IS NOT NULL AND credits_refunded > 0
                              AND credits_refunded < credits_charged) AS partly
      FROM generations WHERE {SCOPE}
    """  # noqa: S608
).bindparams(*NULLABLE)


@dataclass(frozen=True)
class Scope:
    """Which generations: a provider's that were charged from `since` until `until`, and have ended.

    None is any model, error class, or status (succeeded, failed, cancelled).
    """

    provider: str
    since: datetime
    until: datetime
    model: str | None = None
    error_class: str | None = None
    status: str | None = None


@dataclass(frozen=True)
class Group:
    """Generations of one model that ended alike: credits left to return, and their cost as loss."""

    model: str
    status: str
    error_class: str | None
    generations: int
    customers: int
    credits: int
    loss_micros: int
    unknown_costs: int


NAMES = tuple(field.name for field in fields(Group))


@dataclass(frozen=True)
class Preview:
    """What a bulk refund would return. `fingerprint` stands for exactly these generations and credits.

    Left out are generations that are `refunded` in full, and those `in_flight`; `partly` refunded ones are among
    the others with what is left of their charge.
    """

    scope: Scope
    groups: list[Group]
    generations: int
    customers: int
    credits: int
    loss_micros: int
    unknown_costs: int
    fingerprint: str
    refunded: int
    in_flight: int
    partly: int

    @property
    def too_many(self) -> bool:
        """Whether they are more than one bulk refund may have."""
        return self.generations > MOST


class Changed(Conflict):
    """The generations are not those that were previewed."""

    def __init__(self, preview: Preview) -> None:
        super().__init__(
            "The generations changed meanwhile. No credits moved. This is what would be refunded now."
        )
        self.preview = preview


def preview(session: Session, scope: Scope) -> Preview:
    """What would be refunded now. Writes nothing. Raises Invalid for a window that ends before it begins."""
    if scope.until <= scope.since:
        raise Invalid("The time window ends before it begins.", fields={"until": "must be later"})
    rows = session.execute(GROUPS, vars(scope)).all()
    left_out = session.execute(LEFT_OUT, vars(scope)).one()
    total = next(row for row in rows if row.is_total)
    groups = [Group(*(getattr(row, name) for name in NAMES)) for row in rows if not row.is_total]
    return Preview(
        scope,
        groups,
        total.generations,
        total.customers,
        total.credits,
        total.loss_micros,
        total.unknown_costs,
        fingerprint(scope, total.generations, total.digest),
        left_out.refunded,
        left_out.in_flight,
        left_out.partly,
    )


def fingerprint(scope: Scope, generations: int, digest: str) -> str:
    """Stands for exactly these generations with these credits."""
    return hashlib.sha256(repr((scope, generations, digest)).encode()).hexdigest()
