"""The requests that a simulated provider answers, in whatever dialect it speaks."""

from __future__ import annotations

import json
import re
import select
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlsplit

from simulator import outcomes, pictures
from simulator.dialect import Reply, Request, Submission

if TYPE_CHECKING:
    from simulator.server import Server

MAX_BODY_BYTES = 5_000_000
IDLE_SECONDS = 15.0  # longer than clients keep idle connections, so that none is closed under a request
EARLY_SECONDS = 15.0  # shorter than clients wait for an answer
PROXYS_PAGE = Reply(502, content=b"<html><title>502 Bad Gateway</title></html>", content_type="text/html")

_OUTPUT = re.compile(r"/outputs/([A-Za-z0-9_-]{1,100})/([0-9]{1,2})\.svg")


class Handler(BaseHTTPRequestHandler):
    """One connection: submits, everything else that the dialect answers, pictures, and the log."""

    protocol_version = "HTTP/1.1"
    server_version = "simulator"
    sys_version = ""
    timeout = IDLE_SECONDS
    wbufsize = -1  # headers and body in one packet
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        if match := _OUTPUT.fullmatch(urlsplit(self.path).path):
            picture = pictures.draw(match[1], int(match[2]))
            self._send(Reply(200, content=picture, content_type="image/svg+xml"))
        else:
            self._serve({})

    def do_POST(self) -> None:
        body = self._body()
        if body is not None:
            self._serve(body)

    def _serve(self, body: dict[str, Any]) -> None:
        dialect, jobs = self.server.dialect, self.server.jobs
        address = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        request = Request(self.command, address.path, query, headers, body)
        if (reply := dialect.public(request)) is not None:
            return self._send(reply)
        if not dialect.knows(request, jobs.keys):
            return self._send(dialect.problem(401, "Invalid API key."))
        if address.path == "/_log":
            taken = [{"id": job.id, "model": job.asked.model} for job in list(jobs.accepted)]
            return self._send(Reply(200, {"data": taken}))
        try:
            asked = dialect.submission(request)
            if asked is not None:
                return self._submit(asked)
            if jobs.draw().random() < self.server.trouble:
                return self._send(PROXYS_PAGE)
            return self._send(dialect.answer(request, jobs) or dialect.problem(404, "Not found."))
        except ValueError as error:
            return self._send(dialect.problem(400, str(error)))

    def _submit(self, asked: Submission) -> None:
        jobs, dialect = self.server.jobs, self.server.dialect
        plan = outcomes.plan(asked.input, jobs.draw(), dialect.refusals)
        jobs.submitted.append(asked)
        self.server.stopping.wait(self.server.submit_seconds)
        if self.server.max_running is not None and jobs.running() >= self.server.max_running:
            return self._send(dialect.refusals["busy"])
        if plan.answer in dialect.refusals:
            return self._send(dialect.refusals[plan.answer])
        if dialect.synchronous and plan.failure:
            return self._send(dialect.failures.get(plan.failure, dialect.failures["unknown_error"]))
        job = jobs.take(asked, plan)
        if job is None:
            return self._send(dialect.refusals.get("taken_before", dialect.problem(400, "Used before.")))
        if dialect.synchronous:
            self.server.stopping.wait(jobs.real(job.seconds))
            jobs.finish(job)
        if plan.answer == "early":
            job.told.wait(EARLY_SECONDS)
        if plan.answer == "hang":
            self._hang()
        if plan.answer in ("hang", "cut"):
            self.close_connection = True
            return None
        if plan.answer == "error":
            return self._send(PROXYS_PAGE)
        return self._send(dialect.accepted(job, jobs), half=plan.answer == "half")

    def _hang(self) -> None:
        """Say nothing until the client goes away."""
        waited = 0.0
        while waited < self.server.hang_seconds and not self.server.stopping.is_set():
            if select.select([self.connection], [], [], 0.05)[0]:
                return
            waited += 0.05

    def _body(self) -> dict[str, Any] | None:
        """The request's JSON object. Answers and returns None if there is none."""
        problem = self.server.dialect.problem
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self._send(problem(413 if length else 411, "The body's length is missing or too large."))
            return None
        raw = self.rfile.read(int(length))
        if len(raw) < int(length):  # the client died while it wrote
            self.close_connection = True
            return None
        try:
            value = json.loads(raw or b"{}")
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            self._send(problem(400, "The body must be a JSON object."))
            return None
        return cast("dict[str, Any]", value)

    def _send(self, reply: Reply, *, half: bool = False) -> None:
        content = reply.raw
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection |= half
        self.wfile.write(content[: len(content) // 2] if half else content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: addresses contain callback tokens."""
