"""A nudge for pages that keep themselves fresh (LIVE_NUDGE=on): "there is news, ask now", as a server-sent event.

It is only ever an addition to the pages' own asking: it carries no figures, may be missed, and each open stream
holds one of the server's threads. So there are few per process, they end after five minutes, and hidden pages have
none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import structlog
from flask import Response, current_app
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from blueprints.access import poll
from blueprints.admin import blueprint
from extensions import db
from makegood import news

MOST_STREAMS = 4
LOOK_EVERY = 2.0
PING_EVERY = 15.0
STREAM_LIVES = 300.0
RECONNECT_AFTER_MS = 10_000

log = structlog.get_logger("makegood.nudges")


class Bell:
    """Rings when there is news. One thread of the process looks, and only while somebody listens."""

    def __init__(self, engine: Engine) -> None:
        self.rung = 0
        self._engine = engine
        self._listeners = 0
        self._watched = False
        self._changed = threading.Condition()
        self._mark: str | None = None

    def enter(self) -> bool:
        """Begin to listen; False when enough others do. Who entered calls `leave` once."""
        with self._changed:
            if self._listeners >= MOST_STREAMS:
                return False
            self._listeners += 1
            if not self._watched:
                self._watched = True
                self._mark = None
                threading.Thread(target=self._watch, name="nudges", daemon=True).start()
            return True

    def leave(self) -> None:
        """Listen no longer."""
        with self._changed:
            self._listeners -= 1
            self._changed.notify_all()

    def wait(self, heard: int, seconds: float) -> int:
        """How often it rang so far, as soon as that is another number than `heard` or the seconds are over."""
        with self._changed:
            self._changed.wait_for(lambda: self.rung != heard, seconds)
            return self.rung

    def _watch(self) -> None:
        while True:
            mark = self._look()
            with self._changed:
                if mark is not None and mark != self._mark:
                    self.rung += self._mark is not None
                    self._mark = mark
                    self._changed.notify_all()
                if self._changed.wait_for(lambda: self._listeners == 0, LOOK_EVERY):
                    self._watched = False
                    return

    def _look(self) -> str | None:
        try:
            with Session(self._engine) as session:
                return news.mark(session)
        except SQLAlchemyError as error:
            log.warning("cannot look for news", exc_info=error)
            return None


@blueprint.get("/nudges")
@poll
def nudges() -> Response:
    """A stream of nudges; 204, which makes a browser give up, when they are off or enough others listen."""
    if not current_app.config["SETTINGS"].live_nudge:
        return Response(status=204)
    bell: Bell = current_app.extensions.setdefault("nudges", Bell(db.engine))
    if not bell.enter():
        return Response(status=204)
    response = Response(_stream(bell), mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
    response.call_on_close(bell.leave)
    return response


def _stream(bell: Bell) -> Iterator[str]:
    yield f"retry: {RECONNECT_AFTER_MS}\n\n"
    ends = time.monotonic() + STREAM_LIVES
    heard = bell.rung
    while (left := ends - time.monotonic()) > 0:
        rung = bell.wait(heard, min(PING_EVERY, left))
        yield "data: news\n\n" if rung != heard else ": nothing new\n\n"
        heard = rung
