"""A PostgreSQL of our own, for the demo, development and tests: `start(state_directory).url("makegood")`.

Production brings its own PostgreSQL in DATABASE_URL. POSIX systems only.
"""

from __future__ import annotations

from embedded.errors import EmbeddedError
from embedded.server import EmbeddedServer, start, temporary

__all__ = ["EmbeddedError", "EmbeddedServer", "start", "temporary"]
