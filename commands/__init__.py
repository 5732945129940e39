"""The `flask` commands. Like a route, a command parses, calls, commits and prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from makegood.errors import MakegoodError

ACTOR = "command line"
"""Who acts, in the audit log and in ledgers."""


@contextmanager
def one_sentence() -> Iterator[None]:
    """Show what a rule or an unreachable database says as one sentence, without a traceback."""
    try:
        yield
    except MakegoodError as error:
        raise click.ClickException(error.message) from None
    except OperationalError:
        raise click.ClickException("The database cannot be reached; check DATABASE_URL.") from None
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != "42P01":
            raise
        raise click.ClickException("The database has no tables yet; run: flask --app app db upgrade") from None
