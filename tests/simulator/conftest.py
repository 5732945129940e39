"""What the simulated providers' tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from simulator.server import start
from tests.loopback import Loopback
from tests.simulator.bench import Bench


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    """Makes benches: `bench("kling", trouble=0.5)`."""
    with ExitStack() as stack:

        def make(name: str, **options: Any) -> Bench:
            inbox = stack.enter_context(Loopback())
            simulator = stack.enter_context(
                start(dialect=name, **{"seed": 1, "speed": 200.0, "late_seconds": 30, **options})
            )
            return Bench(name, simulator, inbox)

        yield make
