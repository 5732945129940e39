"""The `flask` commands. Like a route, a command parses, calls, commits and prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
import psycopg
from sqlalchemy.exc import OperationalError, ProgrammingError

from embedded import EmbeddedError
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
    except EmbeddedError as error:
        raise click.ClickException(str(error)) from None
    except (OperationalError, psycopg.OperationalError) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise click.ClickException(f"The database cannot be used, check DATABASE_URL: {reason}") from None
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != "42P01":
            raise
        raise click.ClickException("The database has no tables yet; run: flask --app app db upgrade") from None
