"""Start, find again and stop the embedded PostgreSQL.

A file lock keeps starters apart. Every process that uses the server holds a second, shared lock for as long
as it lives: the last one to leave stops the server, and one that was killed is no longer counted.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg
from psycopg import sql

from embedded import cluster as clusters
from embedded.account import server_account
from embedded.cluster import SUPERUSER, Cluster
from embedded.errors import EmbeddedError
from embedded.launch import PORT, connect, ensure_running, running, socket_directory
from embedded.locks import alone, join, leave, try_alone
from embedded.processes import stop_server


class EmbeddedServer:
    """A running server. `started` tells whether this call started it or found it running."""

    def __init__(self, cluster: Cluster, users: IO[str], started: bool) -> None:
        self.started = started
        self.version = cluster.binaries.version
        self._cluster = cluster
        self._users = users
        self._process = os.getpid()
        self._sockets = socket_directory(cluster)

    def parameters(self, database: str = "makegood") -> dict[str, str | int]:
        """How libpq connects to a database."""
        return {"host": self._sockets, "port": PORT, "user": SUPERUSER, "dbname": database}

    def url(self, database: str = "makegood") -> str:
        """The address of a database, for SQLAlchemy with psycopg."""
        host = quote(self._sockets, safe="")
        return f"postgresql+psycopg://{SUPERUSER}@/{quote(database)}?host={host}&port={PORT}"

    def create_database(self, name: str = "makegood") -> None:
        """Create a database unless it exists."""
        with connect(self._cluster) as connection:
            connection.execute("SELECT pg_advisory_lock(1)")  # two creators at once fail in several ways
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def drop_database(self, name: str = "makegood") -> None:
        """Drop a database if it exists, and end its connections."""
        with connect(self._cluster) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def usable(self) -> bool:
        """Whether the server lives, and it was this process (not its parent) that started or joined it."""
        mine = not self._users.closed and os.getpid() == self._process
        return mine and running(self._cluster) is not None

    def stop(self, *, even_in_use: bool = False) -> None:
        """Leave the server, and stop it when nobody else uses it (or `even_in_use`). Idempotent.

        A server whose directory was removed ends by itself.
        """
        if self._users.closed or os.getpid() != self._process:
            return
        with self._users, suppress(FileNotFoundError), alone(self._cluster.home):
            leave(self._users)
            pid = running(self._cluster)
            if pid is not None and (try_alone(self._users) or even_in_use):
                stop_server(pid, self._cluster.data, self._cluster.account.uid)


def start(
    state: Path, *, database: str = "makegood", durable: bool = True, major: int | None = None
) -> EmbeddedServer:
    """Start the server whose data lies in `<state>/postgresql/<major version>`, or join the one that runs.

    Makes the data directory and the database when they are missing. The server stops when the last process
    that started or joined it calls `stop` or exits. `durable=False`, for tests, gives up safety against a
    crash for speed; `major` asks for one version of PostgreSQL. Raises EmbeddedError.
    """
    home = state.resolve() / "postgresql"
    account = server_account()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with alone(home), ExitStack() as on_failure:
            cluster = clusters.find(home, account, major)
            cluster.check()
            users = on_failure.enter_context((home / "users").open("a+"))
            started = ensure_running(cluster, users, durable)
            join(users)
            server = EmbeddedServer(cluster, users, started)
            on_failure.pop_all()
    except OSError as error:
        raise EmbeddedError(
            f"The directory {home} cannot be used ({error.strerror or error}: {error.filename})."
        ) from None
    atexit.register(server.stop)
    try:
        server.create_database(database)
    except psycopg.Error as error:
        reason = str(error).strip().partition("\n")[0]
        raise EmbeddedError(f"The embedded PostgreSQL in {cluster.place} does not answer: {reason}.") from None
    return server


@contextmanager
def temporary(
    *, durable: bool = True, major: int | None = None, within: Path | None = None
) -> Iterator[EmbeddedServer]:
    """A server of its own on a new data directory; both are gone afterwards, even if this process is killed.

    The directory is made `within` this one, or where temporary files are.
    """
    state = Path(tempfile.mkdtemp(prefix="makegood-", dir=within)).resolve()
    state.chmod(0o711)  # the unprivileged user passes through it when we are root
    server = start(state, durable=durable, major=major)
    leash = subprocess.Popen(  # noqa: S603 (the arguments are ours)
        [sys.executable, "-m", "embedded.leash", str(state)],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield server
    finally:
        server.stop(even_in_use=True)
        removed = leash.wait() == 0
    if not removed:
        raise EmbeddedError(f"The throw-away PostgreSQL in {state} could not be removed.")
