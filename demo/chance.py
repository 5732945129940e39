"""Chance that repeats itself: the same key gives the same customers, times and identifiers."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

T = TypeVar("T")


class Chance(random.Random):
    """A random generator with the draws that a made-up history needs. Nothing secret hangs on it."""

    def weighted(self, choices: Sequence[tuple[float, T]]) -> T:
        """One of the choices, each as likely as its weight."""
        return self.choices([choice for _, choice in choices], [weight for weight, _ in choices])[0]

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return self.random() < probability

    def poisson(self, mean: float) -> int:
        """How many independent events fall into a time in which `mean` are expected."""
        count, product, limit = 0, self.random(), math.exp(-mean)
        while product > limit:
            count += 1
            product *= self.random()
        return count

    def seconds(self, least: float, most: float) -> timedelta:
        """A duration between the two, to the millisecond."""
        return timedelta(milliseconds=round(1000 * self.uniform(least, most)))

    def uuid7(self, at: datetime) -> UUID:
        """An identifier as a row that was made at that instant would have, so that it sorts where it belongs."""
        milliseconds = round(at.timestamp() * 1000)
        bits = self.getrandbits(74)
        return UUID(int=milliseconds << 80 | 7 << 76 | (bits >> 62) << 64 | 2 << 62 | bits & (1 << 62) - 1)

    def hex(self, digits: int) -> str:
        """A text of hexadecimal digits, as providers name their jobs."""
        return f"{self.getrandbits(4 * digits):0{digits}x}"
