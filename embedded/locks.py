"""File locks: one process starts or stops the server at a time, and all that use it are counted.

The kernel releases the locks of a process that dies, however it dies.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Alone with this directory: one process starts or stops the server at a time."""
    with (home / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def try_alone(users: IO[str]) -> bool:
    """Become the only user, when nobody else is one."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def join(users: IO[str]) -> None:
    """Be counted as a user of the server until `leave`, or the end of this process."""
    fcntl.flock(users, fcntl.LOCK_SH)


def leave(users: IO[str]) -> None:
    """No longer be counted."""
    fcntl.flock(users, fcntl.LOCK_UN)
