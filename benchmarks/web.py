"""Requests per second through HTTP: granian, two processes of eight threads, load from a third process."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO
from urllib.parse import urlencode

from psycopg import ClientCursor
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from benchmarks import charges, database, load
from benchmarks.load import Request
from makegood import api_keys
from makegood.providers.signatures import sign_v3

ROOT = Path(__file__).resolve().parents[1]
CONNECTIONS = 8
START_SECONDS = 60.0
INPUT = {"prompt": "a lighthouse at dawn", "size": "1024*1024"}
CALLBACK_BODY = {
    "id": "job",
    "model": "bytedance/seedream-v4",
    "outputs": ["https://results.example/1.png"],
    "status": "completed",
    "error": "",
    "timings": {"inference": 5123},
}
SUBMITTED = """
    SELECT count(reserve_generation(
               uuidv7()::text, sha256('request'), uuidv7(), uuidv7(), 'customer-' || (1 + number %% %(customers)s),
               'wavespeed', 'bytedance/seedream-v4', 'image', '{"prompt": "a lighthouse at dawn"}', NULL, NULL,
               sha256(convert_to(%(prefix)s || number, 'UTF8')), 'image', 1, '', 'platform', NULL, 'UTC', '1 day'))
      FROM generate_series(1, %(count)s) AS number;
    UPDATE generations SET status = 'submitted', provider_job_id = job, submitted_at = now()
      FROM (SELECT %(prefix)s || number AS job FROM generate_series(1, %(count)s) AS number) AS jobs
     WHERE callback_token_hash = sha256(convert_to(job, 'UTF8'));
"""


@dataclass(frozen=True)
class Result:
    """Requests per second: charges by the product, the same by the ORM's unit of work, callbacks."""

    charges: float
    orm: float
    callbacks: float
    unexpected: int


def measure(server: database.Server, *, rounds: int, seconds: float, customers: int) -> Result:
    """Medians of rounds in turn."""
    url = database.make(server, "web")
    database.add_customers(url, customers)
    charges.copy_without_rules(url)
    key = _api_key(url)
    found: dict[str, list[load.Load]] = {"ours": [], "orm": [], "callbacks": []}
    plain = f"{url}&{urlencode({'options': '-c search_path=plain,public'})}"
    with served("app:create_app", url) as ours, served("benchmarks.orm_app:create_app", plain) as orm:
        for number in range(-1, rounds):
            taken = {
                "ours": _charge(ours, "/api/v1/generations", key, customers, seconds),
                "orm": _charge(orm, "/api/v1/orm/generations", key, customers, seconds),
                "callbacks": _call_back(ours, url, f"round-{number}-", customers, seconds),
            }
            if number >= 0:  # the one before warms everything up
                for name, result in taken.items():
                    found[name].append(result)
    server.drop_database("web")
    speeds = {name: median(result.per_second for result in results) for name, results in found.items()}
    unexpected = sum(result.unexpected for results in found.values() for result in results)
    return Result(speeds["ours"], speeds["orm"], speeds["callbacks"], unexpected)


def _charge(port: int, path: str, key: str, customers: int, seconds: float) -> load.Load:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def requests(number: int) -> Iterator[Request]:
        choice = random.Random(number)
        while True:
            request = {
                "customer_id": f"customer-{choice.randint(1, customers)}",
                "provider": "external",
                "model": "bytedance/seedream-v4",
                "kind": "image",
                "input": INPUT,
                "credits": 2,
            }
            yield path, json.dumps(request).encode(), {**headers, "Idempotency-Key": uuid.uuid4().hex}

    return load.run(port, requests, connections=CONNECTIONS, seconds=seconds, expected=202)


def _call_back(port: int, url: str, prefix: str, customers: int, seconds: float) -> load.Load:
    count = max(CONNECTIONS, int(2_000 * seconds))
    with database.connect(url) as connection, ClientCursor(connection) as cursor:
        cursor.execute(SUBMITTED, {"count": count, "customers": customers, "prefix": prefix})
    timestamp = str(int(time.time()))

    def signed(number: int) -> Request:
        delivery = f"{prefix}{number}"
        body = json.dumps({**CALLBACK_BODY, "id": delivery}).encode()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery,
            "webhook-timestamp": timestamp,
            "webhook-signature": sign_v3(database.WEBHOOK_SECRET, delivery, timestamp, body),
        }
        return f"/callbacks/wavespeed/{delivery}", body, headers

    prepared = [signed(number) for number in range(1, count + 1)]
    return load.run(
        port,
        lambda number: iter(prepared[number::CONNECTIONS]),
        connections=CONNECTIONS,
        seconds=seconds,
        expected=200,
    )


def _api_key(url: str) -> str:
    engine = create_engine(url)
    with Session(engine) as session:
        _, key = api_keys.create(session, "benchmark", ["platform"], actor="benchmark")
        session.commit()
    engine.dispose()
    return key


@contextmanager
def served(factory: str, url: str) -> Iterator[int]:
    """The application on a free port of this machine, as in production."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "granian", factory, "--factory", "--interface", "wsgi", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "2", "--blocking-threads", "8", "--respawn-failed-workers"]
    environ = {"PATH": os.environ["PATH"], **database.ENVIRONMENT, "DATABASE_URL": url}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log) as process,
    ):
        try:
            _wait(port, process, log)
            yield port
        finally:
            process.terminate()


def _wait(port: int, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            connection.close()
            return
        time.sleep(0.1)
    log.seek(0)
    raise RuntimeError(f"the web server did not start: {log.read().decode()}")
