"""`python -m tests.crashes`: the whole crash test, with its counts printed."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from flask_migrate import upgrade

import embedded
from app import create_app
from extensions import db
from tests.conftest import environment
from tests.crashes import world

KILLS = 300


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def main() -> int:
    """Run it on a throw-away PostgreSQL. Returns the exit status: 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.crashes", description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS, help="how often a process is killed, in all")
    parser.add_argument("--seed", type=int, help="makes chance repeat itself, as far as processes do")
    options = parser.parse_args()
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    began = time.monotonic()
    with embedded.temporary(durable=False) as server, tempfile.TemporaryDirectory() as logs:
        database = server.url("makegood")
        environ = environment(database)
        app = create_app(environ)
        with app.app_context():
            upgrade()
            db.engine.dispose()
        database = app.config["SETTINGS"].database_url
        verdict = world.run(database, environ, Path(logs), world.long(options.kills), seed, _say)
    print(f"crash test with seed {seed}, {time.monotonic() - began:.0f} seconds\n{verdict}")  # noqa: T201
    return 1 if verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main())
