"""The account that the server runs under: our own, or `nobody` when we are root.

PostgreSQL refuses to run as root. Nothing that we did not make is ever given other permissions.
"""

from __future__ import annotations

import errno
import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.errors import EmbeddedError

UNPRIVILEGED_USER = "nobody"


@dataclass(frozen=True)
class Account:
    """A user that may run PostgreSQL; `switch` when it is not the user of this process."""

    uid: int
    gid: int
    switch: bool

    def run(self, arguments: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program as this user, in a clean environment and without standard input."""
        if self.switch:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        clean = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
        try:
            return subprocess.run(  # noqa: S603 (the arguments are ours)
                [str(argument) for argument in arguments],
                stdin=subprocess.DEVNULL,
                text=True,
                cwd="/",  # the directory of this process may be closed to that user
                env=clean,
                check=False,
                **options,
            )
        except OSError as error:
            if not self.switch or error.errno not in (errno.EPERM, errno.EINVAL):
                raise
            raise EmbeddedError(
                "PostgreSQL does not run as root, and this system does not let us become "
                f"{UNPRIVILEGED_USER!r} ({error.strerror}); start as an ordinary user, or set DATABASE_URL."
            ) from None

    def make_directory(self, path: Path) -> None:
        """Make a directory that only this user can enter."""
        path.mkdir(mode=0o700, exist_ok=True)
        if self.switch and path.lstat().st_uid == os.geteuid():
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_enter(self, path: Path) -> bool:
        """Whether this user can pass through every directory down to this one."""
        if not self.switch:
            return True
        return self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", path], stderr=subprocess.DEVNULL).returncode == 0


def server_account() -> Account:
    """The account for the server. Raises EmbeddedError when there is none."""
    uid = os.geteuid()
    if uid != 0:
        try:
            pwd.getpwuid(uid)
        except KeyError:
            raise EmbeddedError(
                f"PostgreSQL needs a user with a name, and the user number {uid} has none; "
                "run as a user that /etc/passwd lists, or set DATABASE_URL."
            ) from None
        return Account(uid, os.getegid(), switch=False)
    try:
        entry = pwd.getpwnam(UNPRIVILEGED_USER)
    except KeyError:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and this system has no user {UNPRIVILEGED_USER!r} to run it; "
            "start as an ordinary user, or set DATABASE_URL."
        ) from None
    return Account(entry.pw_uid, entry.pw_gid, switch=True)
