"""What Makegood asks of the database server itself."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.errors import MakegoodError

DURABILITY_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")


class UnsafeDatabase(MakegoodError):
    """The server may forget what it has confirmed. `settings` in the details names why."""

    code = "unsafe_database"
    status = 500


def check_durability(session: Session) -> None:
    """Raise UnsafeDatabase when a crash of the server could lose or corrupt committed rows."""
    off = [
        name
        for name in DURABILITY_SETTINGS
        if session.scalar(text("SELECT current_setting(:name)"), {"name": name}) == "off"
    ]
    if off:
        raise UnsafeDatabase(
            f"The database runs with {' and '.join(f'{name} = off' for name in off)}: a crash would lose "
            "credits that were already confirmed. Switch it on in the settings of PostgreSQL.",
            settings=off,
        )
