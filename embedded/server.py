"""Start, find again and stop the embedded PostgreSQL.

A file lock keeps starters apart. Every process that uses the server holds a second, shared lock for as long
as it lives: the last one to leave stops the server, and one that was killed is no longer counted.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg
from psycopg import sql

from embedded import cluster as clusters
from embedded.account import server_account
from embedded.binaries import available
from embedded.cluster import SUPERUSER, Cluster
from embedded.errors import EmbeddedError
from embedded.processes import end_orphans, is_server, read_pid, stop_server

START_SECONDS = 120
LARGEST_LOG = 10_000_000
PORT = 5432
"""Only a part of the socket's name: the server does not listen on the network."""

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "jit": "off",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}
THROW_AWAY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class EmbeddedServer:
    """A running server. `started` tells whether this call started it or found it running."""

    def __init__(self, cluster: Cluster, users: IO[str], started: bool) -> None:
        self.started = started
        self.version = cluster.binaries.version
        self._cluster = cluster
        self._users = users
        self._process = os.getpid()
        self._sockets = _socket_directory(cluster)

    def url(self, database: str = "makegood") -> str:
        """The address of a database, for SQLAlchemy with psycopg."""
        host = quote(self._sockets, safe="")
        return f"postgresql+psycopg://{SUPERUSER}@/{quote(database)}?host={host}&port={PORT}"

    def create_database(self, name: str = "makegood") -> None:
        """Create a database unless it exists."""
        with self._maintenance() as connection, suppress(psycopg.errors.DuplicateDatabase):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def drop_database(self, name: str = "makegood") -> None:
        """Drop a database if it exists, and end its connections."""
        with self._maintenance() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def _maintenance(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=self._sockets,
            port=PORT,
            user=SUPERUSER,
            dbname="postgres",
            autocommit=True,
            connect_timeout=30,
        )

    def alive(self) -> bool:
        """Whether the server's process lives."""
        return _running(self._cluster) is not None

    def stop(self, *, even_in_use: bool = False) -> None:
        """Leave the server, and stop it when nobody else uses it (or `even_in_use`). Idempotent."""
        if self._users.closed or os.getpid() != self._process:
            return
        with _locked(self._cluster.home), self._users:
            fcntl.flock(self._users, fcntl.LOCK_UN)
            pid = _running(self._cluster)
            if pid is not None and (_try_lock(self._users) or even_in_use):
                stop_server(pid, self._cluster.data, self._cluster.account.uid)


def start(state: Path, *, database: str = "makegood", durable: bool = True) -> EmbeddedServer:
    """Start the server whose data lies in `<state>/postgresql/<major version>`, or join the one that runs.

    Makes the data directory and the database when they are missing. The server stops when the last process
    that started or joined it calls `stop` or exits. `durable=False` gives up safety against a crash for speed:
    for tests. Raises EmbeddedError.
    """
    home = state.resolve() / "postgresql"
    account = server_account()
    installations = available(account)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _locked(home):
            cluster = clusters.find(home, installations, account)
            cluster.check()
            users = (home / "users").open("a+")
            started = _ensure_running(cluster, users, durable)
            fcntl.flock(users, fcntl.LOCK_SH)
            server = EmbeddedServer(cluster, users, started)
    except OSError as error:
        raise EmbeddedError(
            f"The directory {home} cannot be used: {error.filename or ''} {error.strerror}."
        ) from None
    atexit.register(server.stop)
    server.create_database(database)
    return server


@contextmanager
def temporary(*, durable: bool = True) -> Iterator[EmbeddedServer]:
    """A server of its own on a new data directory; both are gone afterwards."""
    state = Path(tempfile.mkdtemp(prefix="makegood-"))
    state.chmod(0o711)  # the unprivileged user passes through it when we are root
    place = state
    try:
        server = start(state, durable=durable)
        place = server._cluster.place
        try:
            yield server
        finally:
            server.stop(even_in_use=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)


def _ensure_running(cluster: Cluster, users: IO[str], durable: bool) -> bool:
    """Start the server unless it runs. Returns whether it was started. The caller holds the lock."""
    if _running(cluster) is not None:
        return False
    _refuse_other_container(cluster, users)
    if not cluster.data.exists():
        cluster.make(durable)
    end_orphans(cluster.data, cluster.account.uid)
    _remove_leftovers(cluster)
    sockets = cluster.socket_directory()
    log = cluster.run / "server.log"
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.unlink()
    settings = SETTINGS | ({} if durable else THROW_AWAY) | {"unix_socket_directories": str(sockets)}
    options = shlex.join([part for name, value in settings.items() for part in ("-c", f"{name}={value}")])
    command: list[str | Path] = [
        cluster.binaries.program("pg_ctl"),
        "start",
        "--wait",
        "--timeout",
        str(START_SECONDS),
    ]
    command += ["--pgdata", cluster.data, "--log", log, "--options", options]
    result = cluster.account.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if result.returncode != 0:
        raise EmbeddedError(f"PostgreSQL did not start: {_last_complaint(log)} (its log is {log}).")
    return True


def _running(cluster: Cluster) -> int | None:
    pid = read_pid(cluster.data)
    return pid if pid is not None and is_server(pid, cluster.data, cluster.account.uid) else None


def _refuse_other_container(cluster: Cluster, users: IO[str]) -> None:
    """When another container on the same volume holds the lock, a server that we cannot see may run."""
    here = f"{socket.gethostname()} {_process_namespace()}"
    note = cluster.home / "host"
    if not _try_lock(users) and note.exists() and note.read_text() != here:
        raise EmbeddedError(
            f"The data in {cluster.place} is in use by another container or machine; stop that one first."
        )
    fcntl.flock(users, fcntl.LOCK_UN)
    note.write_text(here)


def _process_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _remove_leftovers(cluster: Cluster) -> None:
    """What a killed server leaves behind: it keeps the next one from starting once its number is reused."""
    (cluster.data / "postmaster.pid").unlink(missing_ok=True)
    for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        (cluster.socket_directory() / name).unlink(missing_ok=True)


def _socket_directory(cluster: Cluster) -> str:
    """As the running server wrote it down (line 5 of its file)."""
    return (cluster.data / "postmaster.pid").read_text().split("\n")[4]


def _last_complaint(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return "it wrote no log"
    complaints = [line for line in lines if "FATAL:" in line or "PANIC:" in line or "error" in line]
    return (complaints or lines or ["it wrote no reason"])[-1].strip()


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Alone with this directory: one process starts or stops the server at a time."""
    with (home / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
