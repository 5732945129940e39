"""The books: what must hold between the ledger, grants, generations, refunds and events at every instant, and
between them and the sums that are kept of them.

The database refuses most of this when it is written; `violations` finds what got past it, by whatever way.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.books import events, ledger, purchases, refunds, revenue, rollups
from makegood.books.violation import Violation

__all__ = ["CHECKS", "Violation", "broken", "violations"]

CHECKS = ledger.CHECKS | refunds.CHECKS | purchases.CHECKS | events.CHECKS | revenue.CHECKS
"""What must hold, as a sentence, and the query that finds what does not: subject, and what was found."""


def _found(rule: str) -> str:
    return f"SELECT '{rule.replace(chr(39), chr(39) * 2)}' AS rule, found.* FROM ({CHECKS[rule]}) AS found"  # noqa: S608


ALL = text("\nUNION ALL\n".join(_found(rule) for rule in CHECKS))


def violations(session: Session) -> list[Violation]:
    """Everything in the books that does not add up. Reads all rows; empty when all is well."""
    return [*(Violation(*row) for row in session.execute(ALL)), *rollups.violations(session)]


def broken(session: Session, rule: str, *, most: int | None = None) -> list[Violation]:
    """What breaks one of CHECKS, at most so many rows. Reads all rows that the rule is about."""
    query = text(f"{_found(rule)} LIMIT CAST(:most AS bigint)")
    return [Violation(*row) for row in session.execute(query, {"most": most})]
