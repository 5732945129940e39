"""Things to do later: one thread that keeps the time, a bounded pool that does them."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class Schedule:
    """Runs functions after a delay in seconds. What is still to come when it stops is dropped."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="simulator-callback")
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="simulator-schedule", daemon=True)
        self._thread.start()

    def after(self, delay: float, action: Callable[[], None]) -> None:
        """Run `action` in the pool after `delay` seconds."""
        with self._changed:
            heapq.heappush(self._heap, (time.monotonic() + delay, next(self._numbers), action))
            self._changed.notify()

    def stop(self) -> None:
        """Drop what is still to come and wait for what runs."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()
        self._pool.shutdown(cancel_futures=True)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._stopped and self._wait_seconds() != 0:
                    self._changed.wait(self._wait_seconds())
                if self._stopped:
                    return
                _, _, action = heapq.heappop(self._heap)
            self._pool.submit(action)

    def _wait_seconds(self) -> float | None:
        return max(0.0, self._heap[0][0] - time.monotonic()) if self._heap else None
