"""The requests that the simulated provider answers, as WaveSpeed would: https://wavespeed.ai/docs"""

from __future__ import annotations

import hmac
import json
import re
import select
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

from simulator import outcomes, pictures

if TYPE_CHECKING:
    from simulator.server import Server

MAX_BODY_BYTES = 5_000_000
IDLE_SECONDS = 15.0  # longer than clients keep idle connections, so that none is closed under a request

_RESULT = re.compile(r"/api/v3/predictions/([0-9a-f]{32})/result")
_MODEL = re.compile(r"/api/v3/([A-Za-z0-9][A-Za-z0-9._/-]{0,199})")
_OUTPUT = re.compile(r"/outputs/([0-9a-f]{32})/([0-9]{1,2})\.svg")


class Handler(BaseHTTPRequestHandler):
    """One connection: submits, results, history, balance, pictures, and the log of what was taken."""

    protocol_version = "HTTP/1.1"
    server_version = "simulator"
    sys_version = ""
    timeout = IDLE_SECONDS
    wbufsize = -1  # headers and body in one packet
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if match := _OUTPUT.fullmatch(path):
            self._answer_bytes(200, "image/svg+xml", pictures.draw(match[1], int(match[2])))
        elif not self._is_known():
            self._error(401, "Invalid API key.")
        elif match := _RESULT.fullmatch(path):
            job = self.server.jobs.find(match[1])
            if job is None:
                self._error(404, "Prediction not found.")
            else:
                self._success(job.public(self.server.jobs.base_url))
        elif path == "/api/v3/balance":
            self._success({"balance": 156.78})
        elif path == "/_log":
            self._success([{"id": job.id, "model": job.model} for job in list(self.server.jobs.accepted)])
        else:
            self._error(404, "Not found.")

    def do_POST(self) -> None:
        address = urlsplit(self.path)
        body = self._body()
        if body is None:
            return
        if not self._is_known():
            self._error(401, "Invalid API key.")
        elif address.path == "/api/v3/predictions":
            self._history(body)
        elif match := _MODEL.fullmatch(address.path):
            webhook = parse_qs(address.query).get("webhook", [None])[0]
            self._submit(match[1], body, webhook)
        else:
            self._error(404, "Not found.")

    def _submit(self, model: str, body: dict[str, Any], webhook: str | None) -> None:
        jobs = self.server.jobs
        try:
            plan = outcomes.plan(body, jobs.draw())
        except ValueError as error:
            return self._error(400, str(error), error_code=1401)
        self.server.stopping.wait(self.server.submit_seconds)
        if plan.answer in outcomes.REFUSALS:
            status, answer = outcomes.REFUSALS[plan.answer]
            return self._answer(status, answer)
        job = jobs.take(model, body, webhook, plan)
        if plan.answer == "hang":
            self._hang()
        if plan.answer in ("hang", "cut"):
            self.close_connection = True
            return None
        shown = job.public(jobs.base_url, "created")
        return self._success({name: shown[name] for name in shown if name not in ("input", "executionTime")})

    def _hang(self) -> None:
        """Say nothing until the client goes away."""
        waited = 0.0
        while waited < self.server.hang_seconds and not self.server.stopping.is_set():
            if select.select([self.connection], [], [], 0.05)[0]:
                return
            waited += 0.05

    def _history(self, body: dict[str, Any]) -> None:
        page, size = body.get("page", 1), body.get("page_size", 20)
        if not (isinstance(page, int) and isinstance(size, int) and page >= 1 and 1 <= size <= 100):
            return self._error(400, "page or page_size is invalid.", error_code=1401)
        total, found = self.server.jobs.newest((page - 1) * size, size)
        items = [job.public(self.server.jobs.base_url) for job in found]
        return self._success({"page": page, "total": total, "items": items})

    def _is_known(self) -> bool:
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        return hmac.compare_digest(given, f"Bearer {self.server.api_key}".encode())

    def _body(self) -> dict[str, Any] | None:
        """The request's JSON object. Answers and returns None if there is none."""
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self._error(413 if length else 411, "The body's length is missing or too large.")
            return None
        try:
            value = json.loads(self.rfile.read(int(length)) or b"{}")
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            self._error(400, "The body must be a JSON object.", error_code=1401)
            return None
        return cast("dict[str, Any]", value)

    def _success(self, data: Any) -> None:
        self._answer(200, {"code": 200, "message": "success", "data": data})

    def _error(self, status: int, message: str, **more: Any) -> None:
        self._answer(status, {"code": status, "message": message, **more})

    def _answer(self, status: int, value: Any) -> None:
        self._answer_bytes(status, "application/json", json.dumps(value).encode())

    def _answer_bytes(self, status: int, content_type: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: addresses contain callback tokens."""
