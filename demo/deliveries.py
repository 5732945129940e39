"""Callbacks of providers in the demo's history, as their dialects on this machine would have sent them."""

from __future__ import annotations

import json
from functools import cache

from demo.bodies import Ran
from makegood.providers.signatures import sign_v1
from simulator.dialect import Keys, Submission
from simulator.dialects import DIALECTS
from simulator.jobs import Job, Jobs, State
from simulator.outcomes import Plan

BASE_URL = "https://cdn.example.com"
WEBHOOK = "https://makegood.example.com/callbacks/kept-secret"
ROUTES = {"kling": "videos/text2video"}
"""What the dialect wants to know of the address that was submitted to."""
KEYS = Keys("demo-key", "demo-secret", "whsec_ZGVtbw==")


def called_back(provider: str, ran: Ran, secret: str | None) -> tuple[dict[str, str], bytes]:
    """Headers and body; `secret` is what the job's own callbacks are proven with."""
    dialect = DIALECTS[provider]()
    asked = Submission(ran.model, ran.input, WEBHOOK, secret, route=ROUTES.get(provider, ""))
    plan = Plan(failure=ran.failure[1] if ran.failure else None)
    seconds = (ran.done_at - ran.submitted_at).total_seconds()
    state = State.FAILED if ran.failure else State.SUCCEEDED
    job = Job(ran.job, asked, plan, seconds, ran.submitted_at, state, ran.done_at)
    body = json.dumps(dialect.message(job, state, _jobs(provider)), separators=(",", ":")).encode()
    headers = {name.lower(): value for name, value in dialect.sign(job, body, KEYS).items()}
    if "webhook-timestamp" in headers:
        headers |= _signed_then(ran, body)
    return {"content-type": "application/json", **headers}, body


def _signed_then(ran: Ran, body: bytes) -> dict[str, str]:
    """The headers of a callback that was signed when the job was done, and not now."""
    webhook_id, timestamp = f"msg_{ran.job}", str(int(ran.done_at.timestamp()))
    signature = sign_v1(KEYS.webhook_secret, webhook_id, timestamp, body)
    return {"webhook-id": webhook_id, "webhook-timestamp": timestamp, "webhook-signature": signature}


@cache
def _jobs(provider: str) -> Jobs:
    """Where the dialect finds addresses; no job is ever taken there."""
    jobs = Jobs(DIALECTS[provider](), KEYS, seed=0, speed=1.0, late_seconds=0.0)
    jobs.stop()
    jobs.base_url = BASE_URL
    return jobs
