"""Whatever happened, in whatever order it was committed: every figure equals the rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.rollup_tables import FOLDS
from tests.conftest import fresh_database
from tests.makegood.stats.histories import CHANGES, STARTS, Stage, histories, stage, terms_of

SLOW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
TABLES = (*FOLDS, "rollup_tiers")
LATE_COMMIT = [
    ("charge", 0, 0, "wavespeed", 3),
    ("charge", 1, 0, "external", 2),
    ("settle", 1, 0, False, None),
    ("commit", 1),
    ("fold",),
    ("compare",),
    ("move", 0, 0, "pro"),
    ("settle", 0, 0, False, 5),
    ("commit", 0),
    ("compare",),
    ("fold",),
    ("wait", timedelta(hours=25)),
    ("charge", 0, 0, "wavespeed", 1),
    ("cost", 1, 0, 7),
    ("compare",),
]
"""A writer whose events are older than the fold before its commit; a refund in another tier than the charge."""


@SLOW
@example(("Europe/Berlin", "2026-10-24", 0), LATE_COMMIT, "Asia/Kathmandu", LATE_COMMIT)
@given(STARTS, histories(), st.sampled_from(sorted(CHANGES)), histories(12))
def test_every_figure_equals_the_rows(
    server: str, start: tuple[str, str, int], history: list[Any], other_zone: str, sequel: list[Any]
) -> None:
    with fresh_database(server) as url, stage(url, *start) as played:
        played.play(history)
        played.compare()
        played.finish()
        played.compare()
        played.fold()
        played.compare()
        folded = rollup_rows(played)
        played.rebuild()
        assert rollup_rows(played) == folded
        played.terms = terms_of(other_zone)
        played.rebuild()
        assert played.valid()
        played.compare()
        played.play(sequel)
        played.finish()
        played.compare()


def rollup_rows(played: Stage) -> dict[str, list[str]]:
    """All rows of the rollups."""
    with Session(played.engine) as session:
        return {table: sorted(session.scalars(text(f"SELECT {table}::text FROM {table}"))) for table in TABLES}
