"""PiAPI: https://piapi.ai/docs/unified-webhook and https://piapi.ai/docs/overview

Its callbacks prove themselves with a secret in clear, which the job was given and which their body repeats. That
shows that they come from someone who knows the job, and no more: the job is fetched before anything counts.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from makegood.json_body import NotJSON, loads
from makegood.providers import failures, fields, job_secrets, output_links, refusals
from makegood.providers.http import Answer, Door, Limits
from makegood.providers.protocol import (
    Accepted,
    Account,
    CallbackRejected,
    Connection,
    ErrorClass,
    FetchFailed,
    Found,
    Job,
    JobGone,
    LostJob,
    Outcome,
    Report,
    SubmitRefused,
    SubmitUnknown,
    Units,
)

BASE_URL = "https://api.piapi.ai"

# Statuses that end a task, in lower case, which the documents and the answers do not agree on. Staged, pending and
# processing are the others. https://piapi.ai/docs/dream-machine/get-task
SUCCEEDED = "completed"
FAILED = "failed"

# Where the models put their results in "output". https://piapi.ai/docs/dream-machine/get-video (video, video_raw);
# https://piapi.ai/docs/hailuo-api/generate-video and public integrations (the others, such as Kling's
# works[].video.resource).
OUTPUTS = (
    "image_url",
    "image_urls",
    "image",
    "images",
    "video_url",
    "video",
    "video_raw",
    "works",
    "audio_url",
    "audio",
    "url",
    "resource_without_watermark",
    "resource",
)

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}(/[A-Za-z0-9][A-Za-z0-9._-]{0,80}){1,3}")


@dataclass(frozen=True)
class PiAPI:
    """The adapter."""

    name: str
    door: Door = field(repr=False)
    base_url: str
    api_key: str | None = field(repr=False)
    webhook_secret: str | None = field(repr=False)
    signed: bool = False

    @property
    def configured(self) -> bool:
        """A key is set, and a secret that those of jobs are made from."""
        return bool(self.api_key and self.job_secret(""))

    def units(self, model: str, input: Mapping[str, Any]) -> Units:
        """Points; how many, only the task says once it ended."""
        return Units("point", None)

    def job_secret(self, token: str) -> str | None:
        """What this job's callbacks bring along."""
        return job_secrets.newest(self.webhook_secret, token)

    def submit(self, job: Job) -> Accepted:
        """Submit once; the model is PiAPI's `model`, a slash, and its `task_type`. Raises SubmitRefused or
        SubmitUnknown."""
        secret = self.job_secret(job_secrets.token_of(job.callback_url))
        if not self.api_key:
            raise SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, "The provider is not configured.")
        if not secret:
            problem = "PIAPI_WEBHOOK_SECRET is not set: without it no callback can be told from a stranger's."
            raise SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, problem)
        if not _MODEL.fullmatch(job.model):
            problem = 'The model must be a model and a task type, such as "kling/video_generation".'
            raise SubmitRefused(ErrorClass.INVALID_INPUT, problem)
        model, _, task_type = job.model.rpartition("/")
        webhook = {"endpoint": job.callback_url, "secret": secret}
        config = {"service_mode": "public", "webhook_config": webhook}
        body = {"model": model, "task_type": task_type, "input": job.input, "config": config}
        return _accepted(self.door.submit(f"{self.base_url}/api/v1/task", _auth(self.api_key), body))

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime, token: str) -> Report:
        """Check the secret and read a callback: https://piapi.ai/docs/unified-webhook"""
        secrets = job_secrets.accepted(self.webhook_secret, token)
        given = headers.get("x-webhook-secret", "")
        if not given:
            raise CallbackRejected("the header x-webhook-secret is missing")
        matches = [hmac.compare_digest(secret.encode(), given.encode(errors="replace")) for secret in secrets]
        if not any(matches):
            raise CallbackRejected("the secret in x-webhook-secret is not this job's")
        try:
            task = fields.mapping(fields.mapping(loads(body)).get("data"))
        except NotJSON as error:
            raise CallbackRejected(f"not readable: {error}") from None
        job_id = fields.job_id(task.get("task_id"))
        if job_id is None:
            raise CallbackRejected("it names no task")
        return _report(job_id, task)

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """Ask for a task, which may have failed inside an answer of success.

        https://piapi.ai/docs/dream-machine/get-task
        """
        if fields.job_id(provider_job_id) is None:
            raise FetchFailed("the job's id is not one that can be asked for")
        answer = self._ask(f"/api/v1/task/{quote(provider_job_id, safe='')}")
        task = fields.mapping((answer.body or {}).get("data"))
        if answer.code != 200 or not isinstance(task.get("status"), str):
            problem = f"an answer without a task, with the code {answer.code}"
            raise JobGone(problem) if answer.code == 404 else FetchFailed(problem)
        if task.get("task_id") != provider_job_id:
            raise FetchFailed("an answer about another task")
        return _report(provider_job_id, task)

    def find(self, lost: LostJob) -> Found | None:
        """None: PiAPI lists no tasks."""
        return None

    def account(self) -> Account | None:
        """What is left, in dollars: https://doc.qubico.ai/account-management/account-info"""
        answer = self._ask("/account/info")
        body = answer.body or {}
        # Some answers are without the envelope.
        remaining = fields.amount(fields.mapping(body.get("data", body)).get("equivalent_in_usd"))
        if answer.code != 200 or remaining is None:
            raise FetchFailed(f"an answer without a balance, with the code {answer.code}")
        return Account(remaining, "USD", usd_micros=fields.micros(remaining))

    def _ask(self, path: str) -> Answer:
        if not self.api_key:
            raise FetchFailed("the provider is not configured")
        return self.door.fetch(f"{self.base_url}{path}", _auth(self.api_key))


def build(name: str, connection: Connection, limits: Limits) -> PiAPI:
    """The adapter for these settings."""
    base_url = connection.base_url or BASE_URL
    return PiAPI(name, limits.door(), base_url, connection.api_key, connection.webhook_secret)


def _auth(api_key: str) -> dict[str, str]:
    return {"x-api-key": api_key}


def _accepted(answer: Answer) -> Accepted:
    body = answer.body or {}
    task = fields.mapping(body.get("data"))
    if answer.code == 200:
        job_id = fields.job_id(task.get("task_id"))
        if job_id is None:
            raise SubmitUnknown("The provider's answer names no task.")
        return Accepted(job_id)
    raise refusals.error(answer, _text(fields.mapping(task.get("error"))) or fields.message(body.get("message")))


def _report(job_id: str, task: Mapping[str, Any]) -> Report:
    said = str(task.get("status")).lower() if isinstance(task.get("status"), str) else ""
    status = (fields.message(said) or "")[:50]
    error = fields.mapping(task.get("error"))
    code = fields.integer(error.get("code") or 0)
    if said not in (SUCCEEDED, FAILED):
        return Report(Outcome.PENDING, job_id, status=status)
    consumed = fields.quantity(fields.mapping(fields.mapping(task.get("meta")).get("usage")).get("consume"))
    usage = Units("point", consumed) if consumed is not None else None
    if said == SUCCEEDED and code == 0:
        outputs = output_links.named(fields.mapping(task.get("output")), OUTPUTS)
        return Report(Outcome.SUCCEEDED, job_id, outputs, status=status, usage=usage)
    text = _text(error)
    return Report(
        Outcome.FAILED,
        job_id,
        # The codes are not published: the texts say what there is to know.
        error_class=failures.from_text(text) or ErrorClass.UNKNOWN_ERROR,
        message=text or f"The provider ended the task as {status}, with the error code {code}.",
        # Without a price for points, no points still cost nothing.
        cost_micros=0 if consumed == 0 else None,
        status=status,
        usage=usage,
    )


def _text(error: Mapping[str, Any]) -> str | None:
    """What an error says: the model's own text where there is one, before "task failed"."""
    return fields.message(error.get("raw_message")) or fields.message(error.get("message"))
