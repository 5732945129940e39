"""Kling AI's own API: https://app.klingai.com/global/dev/document-api (read through public mirrors of it)

It signs nothing: a callback, which comes at every change of status, is a hint, and `fetch` is what counts.
`external_task_id` is the generation's id: Kling takes it once for an account, and answers for it. A submit whose
answer was lost is therefore found, or was not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from makegood.json_body import NotJSON, loads
from makegood.providers import fields, kling_tasks
from makegood.providers.http import Answer, Door, Limits, bearer
from makegood.providers.kling_tokens import Tokens
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
    Report,
    SubmitRefused,
    SubmitUnknown,
    Units,
)

BASE_URL = "https://api-singapore.klingai.com"

# A model is its endpoint, and a `model_name` where the endpoint has several: "text2video/kling-v2-5-turbo",
# "lip-sync". The endpoint belongs to it because a task can be asked for at its own endpoint only.
ENDPOINTS = {
    "text2video": "videos/text2video",
    "image2video": "videos/image2video",
    "multi-image2video": "videos/multi-image2video",
    "omni-video": "videos/omni-video",
    "motion-control": "videos/motion-control",
    "video-extend": "videos/video-extend",
    "lip-sync": "videos/lip-sync",
    "effects": "videos/effects",
    "generations": "images/generations",
    "kolors-virtual-try-on": "images/kolors-virtual-try-on",
}

# Codes that say that no task was made: the table in apiReference/commonInfo. The HTTP status says less: 1100 to
# 1102 (account, arrears, resource pack used up) come with 429, like 1302 and 1303, which mean "too fast".
REFUSALS = {
    1000: ErrorClass.PROVIDER_ACCOUNT,
    1001: ErrorClass.PROVIDER_ACCOUNT,
    1002: ErrorClass.PROVIDER_ACCOUNT,
    1003: ErrorClass.PROVIDER_ACCOUNT,
    1004: ErrorClass.PROVIDER_ACCOUNT,
    1100: ErrorClass.PROVIDER_ACCOUNT,
    1101: ErrorClass.PROVIDER_ACCOUNT,
    1102: ErrorClass.PROVIDER_ACCOUNT,
    1103: ErrorClass.PROVIDER_ACCOUNT,
    1200: ErrorClass.INVALID_INPUT,
    1201: ErrorClass.INVALID_INPUT,
    1202: ErrorClass.UNKNOWN_ERROR,
    1203: ErrorClass.INVALID_INPUT,
    1300: ErrorClass.CONTENT_POLICY_VIOLATION,
    1301: ErrorClass.CONTENT_POLICY_VIOLATION,
    1302: ErrorClass.PROVIDER_UNAVAILABLE,
    1303: ErrorClass.PROVIDER_UNAVAILABLE,
    1304: ErrorClass.PROVIDER_ACCOUNT,
}
TOKEN_EXPIRED = 1004
NO_SUCH_TASK = (1201, 1203)
"""Answers to a look for a task by our id. Which of both an id gets that was never used is not documented."""

# The same for answers without a code, which are not the API's own but may come from what stands in front of it.
REFUSED_PAGES = {
    400: ErrorClass.INVALID_INPUT,
    401: ErrorClass.PROVIDER_ACCOUNT,
    402: ErrorClass.PROVIDER_ACCOUNT,
    403: ErrorClass.PROVIDER_ACCOUNT,
    404: ErrorClass.INVALID_INPUT,
    413: ErrorClass.INVALID_INPUT,
    429: ErrorClass.PROVIDER_UNAVAILABLE,
}

PACKS_LIVE = timedelta(days=400)
"""Resource packs that were bought longer ago are not asked for: they have expired."""


@dataclass(frozen=True)
class Kling:
    """The adapter. `tokens` is None while one of the two keys is missing, or is none that a header could carry."""

    name: str
    door: Door = field(repr=False)
    base_url: str
    tokens: Tokens | None = field(repr=False)
    signed: bool = False

    @property
    def configured(self) -> bool:
        """Both keys are set."""
        return self.tokens is not None

    def units(self, model: str, input: Mapping[str, Any]) -> Units:
        """Units of a resource pack, as many as the end of the task will say (`final_unit_deduction`)."""
        return Units("unit", None)

    def job_secret(self, token: str) -> str | None:
        """None: there is no secret for one job alone."""
        return None

    def submit(self, job: Job) -> Accepted:
        """Submit once. Raises SubmitRefused or SubmitUnknown.

        If Kling says that the token has expired, it has not taken the task, and gets it a second time with a new
        token; should it have taken it after all, it would not take the same `external_task_id` again.
        """
        if self.tokens is None:
            raise SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, "The provider is not configured.")
        endpoint, _, name = job.model.partition("/")
        if endpoint not in ENDPOINTS or len(job.model) > 200:
            raise SubmitRefused(ErrorClass.INVALID_INPUT, "The provider has no such model.")
        ours = {"callback_url": job.callback_url, "external_task_id": str(job.generation_id)}
        body = {**job.input, **ours, **({"model_name": name} if name else {})}
        url = f"{self.base_url}/v1/{ENDPOINTS[endpoint]}"
        return _accepted(_authorized(self.tokens, lambda auth: self.door.submit(url, auth, body)))

    def parse_callback(self, headers: Mapping[str, str], body: bytes, now: datetime, token: str) -> Report:
        """Read a callback, which is the task itself. There is nothing to verify."""
        try:
            task = fields.mapping(loads(body))
        except NotJSON as error:
            raise CallbackRejected(f"not readable: {error}") from None
        report = kling_tasks.report(task)
        if report is None:
            raise CallbackRejected("it names no task")
        return report

    def fetch(self, provider_job_id: str, model: str) -> Report:
        """Ask for a task at its endpoint."""
        if fields.job_id(provider_job_id) is None:
            raise FetchFailed("the job's id is not one that can be asked for")
        answer = self._task(provider_job_id, model)
        if _code(answer) == 1203 and answer.status == 404:
            raise JobGone("the provider has no such task")
        report = kling_tasks.report(_data(answer))
        if report is None or report.provider_job_id != provider_job_id:
            raise FetchFailed("an answer about another task, or about none")
        return report

    def find(self, lost: LostJob) -> Found | None:
        """Ask for the task by our own id, which it was submitted with."""
        ours = str(lost.generation_id)
        answer = self._task(ours, lost.model)
        if _code(answer) in NO_SUCH_TASK and answer.status < 500:
            return None
        task = _data(answer)
        report = kling_tasks.report(task)
        if report is None:
            return None
        if fields.mapping(task.get("task_info")).get("external_task_id") != ours:
            raise FetchFailed("an answer about another task")
        return Found(report, certain=True)

    def account(self) -> Account | None:
        """Units left in the resource packs in use; None where there are no packs, and tasks are billed afterwards.

        The figures are up to 12 hours old, and may be asked for once a second:
        https://app.klingai.com/global/dev/document-api/apiReference/accountInfoInquiry
        """
        now = datetime.now(UTC)
        start, end = (int(at.timestamp() * 1000) for at in (now - PACKS_LIVE, now))
        answer = self._ask(f"/account/costs?start_time={start}&end_time={end}")
        packs = _data(answer).get("resource_pack_subscribe_infos")
        if not isinstance(packs, list):
            raise FetchFailed("an answer without resource packs")
        if not packs:
            return None
        online = [pack for pack in map(fields.mapping, packs) if pack.get("status") == "online"]
        return Account(_sum(online, "remaining_quantity"), "units", limit=_sum(online, "total_quantity"))

    def _task(self, task: str, model: str) -> Answer:
        endpoint = model.partition("/")[0]
        if endpoint not in ENDPOINTS:
            raise FetchFailed("the provider has no such model")
        return self._ask(f"/v1/{ENDPOINTS[endpoint]}/{quote(task, safe='')}")

    def _ask(self, path: str) -> Answer:
        if self.tokens is None:
            raise FetchFailed("the provider is not configured")
        return _authorized(self.tokens, lambda auth: self.door.fetch(self.base_url + path, auth))


def build(name: str, connection: Connection, limits: Limits) -> Kling:
    """The adapter for these settings: the access key is the API key, the secret key its secret."""
    keys = (connection.api_key or "", connection.api_secret or "")
    usable = all(key.isascii() and key.isprintable() and key for key in keys)
    return Kling(name, limits.door(), connection.base_url or BASE_URL, Tokens(*keys) if usable else None)


def _authorized(tokens: Tokens, ask: Callable[[Mapping[str, str]], Answer]) -> Answer:
    """Ask, and once more with a new token if the provider takes this one for expired."""
    token = tokens.current()
    answer = ask(bearer(token))
    if answer.status == 401 and _code(answer) == TOKEN_EXPIRED:
        answer = ask(bearer(tokens.after(token)))
    return answer


def _accepted(answer: Answer) -> Accepted:
    code = _code(answer)
    refused = REFUSED_PAGES.get(answer.status) if code is None else REFUSALS.get(code)
    if refused is not None and answer.status < 500:
        text = fields.message((answer.body or {}).get("message"))
        raise SubmitRefused(refused, text or f"The provider refused with HTTP {answer.status} and code {code}.")
    if answer.status != 200 or code != 0:
        raise SubmitUnknown(f"The provider answered with HTTP {answer.status} and code {code}.")
    job_id = fields.job_id(fields.mapping((answer.body or {}).get("data")).get("task_id"))
    if job_id is None:
        raise SubmitUnknown("The provider's answer names no task.")
    return Accepted(job_id)


def _code(answer: Answer) -> int | None:
    return fields.integer((answer.body or {}).get("code"))


def _data(answer: Answer) -> Mapping[str, Any]:
    code = _code(answer)
    if answer.status != 200 or code != 0:
        raise FetchFailed(f"the provider answered with HTTP {answer.status} and code {code}")
    return fields.mapping((answer.body or {}).get("data"))


def _sum(packs: list[Mapping[str, Any]], name: str) -> Decimal:
    amounts = [fields.amount(pack.get(name)) for pack in packs]
    if None in amounts:
        raise FetchFailed(f"a resource pack without {name}")
    return sum((amount for amount in amounts if amount is not None), Decimal(0))
