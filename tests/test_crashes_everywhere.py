"""Web process and worker are killed at random points, under traffic through several providers: no job is lost.

`make crash` does this with hundreds of kills.
"""

from __future__ import annotations

from pathlib import Path

from simulator.dialects import DIALECTS
from tests.conftest import environment
from tests.crashes import world

KILLS, SECONDS, SEED = 24, 24.0, 20261121


def test_whatever_is_killed_every_generation_ends_once_and_the_books_balance(
    database: str, tmp_path: Path
) -> None:
    verdict = world.run(database, environment(database), tmp_path, world.short(KILLS, SECONDS), SEED)
    print(verdict)  # noqa: T201
    assert verdict.problems == []
    assert verdict.total("submitted twice") == 0
    assert min(verdict.kills.values()) >= 3
    assert sum(counts["generations"] > 0 for counts in verdict.counts.values()) > len(DIALECTS) / 2
    assert verdict.total("succeeded") > 0
    assert verdict.counts.keys() == DIALECTS.keys()
    assert verdict.total("failed and refunded") > 0
    assert verdict.total("found after a lost submit") > 0
