"""Answers of providers that the database could not take: kept in memory, written as soon as it answers.

The charged row is the durable retry of its refund; this one is quicker, knows the provider's answer, and is lost
with the process.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from uuid import UUID

import structlog
from flask import Flask

from extensions import db
from makegood import alerts, generations
from makegood.generations import Lost, Refusal
from makegood.providers.protocol import Accepted
from makegood.terms import Terms

Result = Accepted | Refusal | Lost

FIRST_WAIT, LONGEST_WAIT = 1.0, 10.0
"""Seconds between two tries."""
MOST = 10_000
"""Answers kept at the same time; beyond that the oldest is left to reconcile."""
MOST_BYTES = 200_000_000
"""Of files that came with answers; beyond that only the job is kept, and reconcile fetches its result."""

log = structlog.get_logger("makegood.unrecorded")


class Unrecorded:
    """The answers that wait, and the thread that writes them while there are any."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._waiting: deque[tuple[UUID, Result]] = deque(maxlen=MOST)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def keep(self, generation_id: UUID, result: Result) -> None:
        """Write this answer as soon as possible."""
        with self._lock:
            held = sum(_size(waiting) for _, waiting in self._waiting)
            if isinstance(result, Accepted) and held + _size(result) > MOST_BYTES:
                result = replace(result, report=None)
            self._waiting.append((generation_id, result))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="unrecorded", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Write nothing more: what still waits is reconcile's. For an application that ends before its process."""
        self._stopped.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        wait = FIRST_WAIT
        while not self._stopped.wait(wait):
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                generation_id, result = self._waiting.popleft()
            if self._try(generation_id, result):
                wait = 0.0
                continue
            wait = min(max(2 * wait, FIRST_WAIT), LONGEST_WAIT)
            with self._lock:
                self._waiting.append((generation_id, result))

    def _try(self, generation_id: UUID, result: Result) -> bool:
        try:
            with self._app.app_context():
                _write(generation_id, result, self._app.config["SETTINGS"].terms)
        except Exception as error:
            log.warning("not recorded yet", generation_id=str(generation_id), error=type(error).__name__)
            return False
        log.info("recorded", generation_id=str(generation_id))
        return True


def _size(result: Result) -> int:
    report = result.report if isinstance(result, Accepted) else None
    return sum(len(file.content) for file in report.files) if report else 0


def _write(generation_id: UUID, result: Result, terms: Terms) -> None:
    if not isinstance(result, Refusal):
        generations.record_submit(db.session, generation_id, result, terms)
        db.session.commit()
        return
    if generations.get(db.session, generation_id).ended_at is None:
        # The alert first and by itself: it must stand even where the refund still cannot be written.
        alerts.raise_refund_failed(db.session, generation_id)
        db.session.commit()
        generations.fail(db.session, generation_id, result.error_class, result.message, terms, refused=True)
    alerts.resolve(db.session, alerts.REFUND_FAILED, str(generation_id))
    db.session.commit()
