"""What can go wrong between Stripe and its clients, as a script or by chance."""

from __future__ import annotations

import random
import threading
from collections import deque
from typing import Literal

Fault = Literal["429", "500", "cut", "half", "page"]
FAULTS: tuple[Fault, ...] = ("429", "500", "cut", "half", "page")
"""Too many requests; Stripe's own trouble; a connection cut before the answer or in its middle; a proxy's page."""


class Faults:
    """The faults that requests will meet."""

    def __init__(self) -> None:
        self.met: list[tuple[str, Fault]] = []
        """Which requests met which, in order."""
        self._script: deque[tuple[str, Fault | None]] = deque()
        self._chance = random.Random(1)  # noqa: S311 (nothing secret hangs on it)
        self._share = 0.0
        self._kinds: tuple[Fault, ...] = FAULTS
        self._lock = threading.Lock()

    def script(self, *faults: Fault | None, path: str = "") -> None:
        """Have the next requests whose path contains `path` meet these, one each; None lets one through."""
        with self._lock:
            self._script.extend((path, fault) for fault in faults)

    def by_chance(self, share: float, *, seed: int = 1, kinds: tuple[Fault, ...] = FAULTS) -> None:
        """Have a share of all requests meet one of these; 0 ends it."""
        with self._lock:
            self._chance, self._share, self._kinds = random.Random(seed), share, kinds  # noqa: S311

    def draw(self, path: str) -> Fault | None:
        """What this request meets."""
        with self._lock:
            fault = self._next(path)
            if fault is not None:
                self.met.append((path, fault))
            return fault

    def _next(self, path: str) -> Fault | None:
        for index, (part, fault) in enumerate(self._script):
            if part in path:
                del self._script[index]
                return fault
        return self._chance.choice(self._kinds) if self._chance.random() < self._share else None
