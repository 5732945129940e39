"""Start PostgreSQL on a cluster, whatever a server that was killed has left behind."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import time
from pathlib import Path
from typing import IO

import psycopg

from embedded.cluster import SUPERUSER, Cluster
from embedded.errors import EmbeddedError
from embedded.locks import leave, try_alone
from embedded.processes import end_orphans, is_server, read_pid

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


def ensure_running(cluster: Cluster, users: IO[str], durable: bool) -> bool:
    """Start the server unless it runs. Returns whether it was started. The caller holds the lock."""
    if _answers(cluster):
        return False
    _refuse_other_container(cluster, users)
    if not cluster.data.exists():
        cluster.make(durable)
    end_orphans(cluster.data, cluster.account.uid)
    _remove_leftovers(cluster)
    sockets = cluster.socket_directory()
    log = cluster.run / "server.log"
    said_before = log.stat().st_size if log.exists() else 0
    if said_before > LARGEST_LOG:
        log.unlink()
        said_before = 0
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
        raise EmbeddedError(f"PostgreSQL did not start: {_complaint(log, said_before)} (its log is {log}).")
    return True


def _answers(cluster: Cluster) -> bool:
    """Whether a server runs and takes connections; waits for one that is just starting or stopping."""
    end = time.monotonic() + START_SECONDS
    while running(cluster) is not None:
        try:
            connect(cluster).close()
            return True
        except (psycopg.OperationalError, OSError) as error:
            if time.monotonic() > end:
                reason = str(error).strip().rpartition("\n")[2]
                raise EmbeddedError(f"PostgreSQL in {cluster.place} does not answer: {reason}.") from None
        time.sleep(0.05)
    return False


def connect(cluster: Cluster) -> psycopg.Connection[tuple[object, ...]]:
    """A connection for maintenance, each statement its own transaction."""
    return psycopg.connect(
        host=socket_directory(cluster),
        port=PORT,
        user=SUPERUSER,
        dbname="postgres",
        autocommit=True,
        connect_timeout=30,
    )


def running(cluster: Cluster) -> int | None:
    """The process number of the live server of this cluster."""
    pid = read_pid(cluster.data)
    return pid if pid is not None and is_server(pid, cluster.data, cluster.account.uid) else None


def _refuse_other_container(cluster: Cluster, users: IO[str]) -> None:
    """When another container on the same volume holds the lock, a server that we cannot see may run."""
    here = f"{socket.gethostname()} {_process_namespace()}"
    note = cluster.home / "host"
    if not try_alone(users) and note.exists() and note.read_text() != here:
        raise EmbeddedError(
            f"The data in {cluster.place} is in use by another container or machine; stop that one first."
        )
    leave(users)
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


def socket_directory(cluster: Cluster) -> str:
    """As the running server wrote it down (line 5 of its file). Raises OSError while it has not."""
    lines = (cluster.data / "postmaster.pid").read_text().split("\n")
    if len(lines) < 6:
        raise OSError("the server is only starting")
    return lines[4]


def _complaint(log: Path, start: int) -> str:
    """What the log says of the failed start that begins at this byte."""
    try:
        lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
    except OSError:
        return "it wrote no log"
    complaints = [line for line in lines if "FATAL:" in line or "PANIC:" in line]
    return (complaints or lines or ["it wrote no reason"])[-1].strip()
