"""Callbacks as the providers would have sent them, byte by byte."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from makegood.providers.signatures import sign_v3

Failure = tuple[int | None, str]
"""A provider's code, where it gives one, and its text."""


@dataclass(frozen=True)
class Ran:
    """A job that a provider worked on: when it was submitted and done, and why it failed (None: it did not)."""

    job: str
    model: str
    input: Mapping[str, Any]
    submitted_at: datetime
    done_at: datetime
    failure: Failure | None


def prediction(ran: Ran, status: str | None = None) -> bytes:
    """WaveSpeed's callback: https://wavespeed.ai/docs/how-to-use-webhooks"""
    status = status or ("failed" if ran.failure else "completed")
    code, text = ran.failure or (None, "")
    milliseconds = round((ran.done_at - ran.submitted_at).total_seconds() * 1000)
    done = status == "completed"
    outputs = [f"https://cdn.example.com/predictions/{ran.job}/1.{_extension(ran)}"] if done else []
    body = {
        "id": ran.job,
        "model": ran.model,
        "input": ran.input,
        "outputs": outputs,
        "urls": {"get": f"https://api.wavespeed.ai/api/v3/predictions/{ran.job}/result"},
        "has_nsfw_contents": [False] * len(outputs),
        "status": status,
        "created_at": ran.submitted_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "error": text,
        "executionTime": milliseconds,
        "timings": {"inference": milliseconds},
    }
    return _compact(body if code is None else {**body, "code": code})


def signed(ran: Ran, body: bytes, sent_at: datetime, secret: str) -> dict[str, str]:
    """The headers of WaveSpeed's callback."""
    timestamp = str(int(sent_at.timestamp()))
    return {
        "content-type": "application/json",
        "webhook-id": ran.job,
        "webhook-timestamp": timestamp,
        "webhook-signature": sign_v3(secret, ran.job, timestamp, body),
    }


def task(ran: Ran) -> bytes:
    """NanoBanana's callback: https://docs.nanobananaapi.ai/nanobanana-api/generate-image-2-callbacks"""
    code, text = ran.failure or (None, None)
    link = None if ran.failure else f"https://cdn.example.com/r/{ran.job}_{int(ran.done_at.timestamp())}.jpg"
    data = {
        "taskId": ran.job,
        "paramJson": _compact(ran.input).decode(),
        "completeTime": f"{ran.done_at:%Y-%m-%d %H:%M:%S}",
        "response": {"originImageUrl": None, "resultImageUrl": link},
        "successFlag": 3 if ran.failure else 1,
        "errorCode": code,
        "errorMessage": text,
        "operationType": f"{ran.model}_{str(ran.input.get('resolution', '1K')).lower()}",
        "createTime": f"{ran.submitted_at:%Y-%m-%d %H:%M:%S}",
    }
    return _compact({"code": 200, "msg": "success", "data": data})


def digest(body: bytes) -> str:
    """What identifies a delivery that has no id of its own."""
    return hashlib.sha256(body).hexdigest()


def _extension(ran: Ran) -> str:
    return "png" if ran.input.get("output_format") == "png" else "jpeg"


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
