"""`python -m embedded.leash STATE`: wait until nobody uses a throw-away server any more, then remove all of it.

It is what cleans up after tests that were killed.
"""

from __future__ import annotations

import fcntl
import shutil
import sys
from pathlib import Path

from embedded.account import server_account
from embedded.cluster import find
from embedded.launch import running
from embedded.processes import stop_server


def main(state: Path) -> None:
    """Wait for the last user, stop the server, and remove its files."""
    home = state / "postgresql"
    with (home / "users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        cluster = find(home, server_account())
        if pid := running(cluster):
            stop_server(pid, cluster.data, cluster.account.uid)
        shutil.rmtree(cluster.place)
        shutil.rmtree(state, ignore_errors=True)  # `place` may have been a part of it


if __name__ == "__main__":
    main(Path(sys.argv[1]))
