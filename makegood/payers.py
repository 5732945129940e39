"""Who ever paid for anything: whoever bought credits here, and whose payments at Stripe are known.

Triggers keep the table `payers`; payments that are not in line with what changed may belong to others as well. The
rollups' rows of months and quarters say of whom they are, as of their last fold: those of the few of whom that is
not true any more are named to whoever reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ARRAY, Text, bindparam, text
from sqlalchemy.orm import Session

PAYERS = """
    SELECT customer_id FROM payers WHERE purchased OR payments > 0 UNION ALL SELECT unnest(CAST(:others AS text[]))
"""
"""Their ids as SQL, with the parameter `others`; some may be there twice."""
MOVED = text("SELECT customer_id, flagged FROM payers WHERE flagged <> (purchased OR payments > 0)")
FLAGGED = text("SELECT customer_id FROM payers WHERE flagged AND customer_id = ANY(:ids)").bindparams(
    bindparam("ids", type_=ARRAY(Text))
)


@dataclass(frozen=True)
class Payers:
    """Who pays without being flagged, who is flagged without paying any more, and payers of whom the table may not
    know: the `others`."""

    unflagged: Sequence[str]
    gone: Sequence[str]
    others: Sequence[str]

    @property
    def parameters(self) -> dict[str, list[str]]:
        """The parameters of PAYERS and of `rows`."""
        return {"unflagged": list(self.unflagged), "gone": list(self.gone), "others": list(self.others)}

    def rows(self) -> list[str]:
        """Which rows of a flagged rollup are theirs, as conditions in SQL: a row fulfils one of them at most."""
        theirs = ["payer AND customer_id <> ALL(CAST(:gone AS text[]))" if self.gone else "payer"]
        return theirs + (["customer_id = ANY(CAST(:unflagged AS text[]))"] if self.unflagged else [])


def of(session: Session, others: Sequence[str] = ()) -> Payers:
    """Who they are, `others` as well. The caller has begun a snapshot."""
    moved = {row.customer_id: row.flagged for row in session.execute(MOVED)}
    flagged = set(session.scalars(FLAGGED, {"ids": list(others)})) if others else set()
    unflagged = {one for one, was in moved.items() if not was} | (set(others) - flagged)
    gone = {one for one, was in moved.items() if was} - set(others)
    return Payers(sorted(unflagged), sorted(gone), list(others))
