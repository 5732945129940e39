"""What the providers' tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.loopback import Loopback


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    """A server on this machine that answers as the test wants."""
    with Loopback() as server:
        yield server
