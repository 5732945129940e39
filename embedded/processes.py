"""Which processes are our server's: a process number alone proves nothing, it may have been reused."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
ORPHAN_SECONDS = 5.0
STOP_SECONDS = 60.0


def read_pid(data: Path) -> int | None:
    """The process number in `postmaster.pid`, if there is one."""
    try:
        return int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def is_server(pid: int, data: Path, uid: int) -> bool:
    """Whether that process is a live PostgreSQL of this user on this data directory."""
    if not PROC.is_dir():
        return _is_server_by_ps(pid, data, uid)
    try:
        arguments = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return _is_postgres(pid, uid) and (os.fsencode(data) in arguments or _works_in(pid, data))


def _is_postgres(pid: int, uid: int) -> bool:
    directory = PROC / str(pid)
    try:
        state = (directory / "stat").read_text().rpartition(")")[2].split()[0]
        name = (directory / "comm").read_text().strip()
        return state not in "ZX" and name == "postgres" and directory.stat().st_uid == uid
    except OSError:
        return False


def _works_in(pid: int, data: Path) -> bool:
    try:
        return (PROC / str(pid) / "cwd").readlink() == data
    except OSError:
        return False


def _is_server_by_ps(pid: int, data: Path, uid: int) -> bool:
    """The same where there is no /proc (macOS)."""
    result = subprocess.run(  # noqa: S603
        ["ps", "-o", "uid=,stat=,command=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    fields = result.stdout.split(None, 2)
    return (
        len(fields) == 3
        and fields[0] == str(uid)
        and not fields[1].startswith("Z")
        and "postgres" in fields[2].split(" -D ")[0]
        and str(data) in fields[2]
    )


def end_orphans(data: Path, uid: int) -> None:
    """Wait until the processes of a killed server are gone; end those that stay too long.

    They watch for their server's death and leave by themselves, unless they are in the middle of a query.
    """
    end = time.monotonic() + ORPHAN_SECONDS
    while orphans := _orphans(data, uid):
        if time.monotonic() > end:
            for pid in orphans:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _orphans(data: Path, uid: int) -> list[int]:
    pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()] if PROC.is_dir() else []
    return [pid for pid in pids if _works_in(pid, data) and _is_postgres(pid, uid)]


def stop_server(pid: int, data: Path, uid: int) -> None:
    """End the server: a fast shutdown, and if that takes too long an immediate one."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        end = time.monotonic() + STOP_SECONDS
        while time.monotonic() < end:
            if not is_server(pid, data, uid):
                return
            time.sleep(0.02)
