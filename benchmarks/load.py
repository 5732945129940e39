"""Requests over kept-alive connections from a process of its own."""

from __future__ import annotations

import http.client
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Request = tuple[str, bytes, dict[str, str]]
"""Path, body and headers of a POST."""
Requests = Callable[[int], Iterator[Request]]
"""The requests of one connection, by its number."""


@dataclass(frozen=True)
class Load:
    """Requests per second, and how many were answered otherwise than expected."""

    per_second: float
    unexpected: int


def run(port: int, requests: Requests, *, connections: int, seconds: float, expected: int) -> Load:
    """Send requests for a while, or until there are none left: one at least over each connection."""
    context = multiprocessing.get_context("fork")
    results: multiprocessing.SimpleQueue[tuple[int, int, float]] = context.SimpleQueue()
    process = context.Process(target=_work, args=(results, port, requests, connections, seconds, expected))
    process.start()
    done, unexpected, took = results.get()
    process.join()
    return Load(done / took, unexpected)


def _work(
    results: multiprocessing.SimpleQueue[tuple[int, int, float]],
    port: int,
    requests: Requests,
    connections: int,
    seconds: float,
    expected: int,
) -> None:
    counts: list[tuple[int, int]] = []
    prepared = [requests(number) for number in range(connections)]
    ready = threading.Barrier(connections + 1)

    def work(own: Iterator[Request]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.connect()
        ready.wait()
        end = time.monotonic() + seconds
        done = unexpected = 0
        for path, body, headers in own:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read()
            done += 1
            unexpected += answer.status != expected
            if time.monotonic() >= end:
                break
        connection.close()
        counts.append((done, unexpected))

    threads = [threading.Thread(target=work, args=(own,)) for own in prepared]
    for thread in threads:
        thread.start()
    ready.wait()
    begun = time.monotonic()
    for thread in threads:
        thread.join()
    took = time.monotonic() - begun
    results.put((sum(done for done, _ in counts), sum(unexpected for _, unexpected in counts), took))
