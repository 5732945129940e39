"""The recorded samples of providers, what is particular to each, and adapters to read them with."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from makegood.ids import hash_token
from makegood.providers import bfl, fal, registry
from makegood.providers.http import Limits
from makegood.providers.protocol import Job, LostJob, Provider, Units
from makegood.providers.signatures import sign_v1, sign_v3

TOKEN = "secret-token"
"""In the address that a job of `job_for` is called back at."""
GENERATION = UUID("01930000-0000-7000-8000-000000000001")
SAMPLES = Path(__file__).parent / "provider_samples"
CLOCK = 1795251600
"""When the recorded callbacks were signed: seconds since 1970, UTC."""
MANIFESTS = [json.loads(path.read_text()) for path in sorted(SAMPLES.glob("manifest_*.json"))]
MANIFEST: dict[str, Any] = {
    "adapters": {
        name: facts
        for manifest in MANIFESTS
        for name, facts in manifest["adapters"].items()
        if name in registry.ADAPTERS
    },
    "samples": [sample for manifest in MANIFESTS for sample in manifest["samples"]],
}
WAIT = Limits(submit_seconds=5, fetch_seconds=5)
"""More than a loopback server ever needs; a test of one that is silent has shorter limits of its own."""

FAL_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
"""What the recorded callbacks of fal are signed with, in place of fal's own key."""

SIGNERS: dict[str, Callable[[str, Mapping[str, str], bytes], dict[str, str]]] = {
    "wavespeed": lambda secret, headers, body: {
        "webhook-signature": sign_v3(secret, headers["webhook-id"], headers["webhook-timestamp"], body)
    },
    "replicate": lambda secret, headers, body: {
        "webhook-signature": sign_v1(secret, headers["webhook-id"], headers["webhook-timestamp"], body)
    },
    "bfl": lambda secret, headers, body: {"x-bfl-signature": bfl.sign(secret, body)},
    "fal": lambda secret, headers, body: {
        "x-fal-webhook-signature": FAL_KEY.sign(
            fal.message(
                *(headers[f"x-fal-webhook-{name}"] for name in ("request-id", "user-id", "timestamp")), body
            )
        ).hex()
    },
    "piapi": lambda secret, headers, body: {"x-webhook-secret": secret},
}
"""How each provider that proves its callbacks would prove another body: the headers that depend on it."""

PREPARED: dict[str, Callable[[Any], None]] = {
    "fal": lambda provider: provider.keys.learn([FAL_KEY.public_key()]),
}
"""What an adapter must have been told before it can read callbacks without a network, such as published keys."""


@dataclass(frozen=True)
class Reach:
    """How an adapter under test is reached."""

    base_url: str | None = "http://127.0.0.1:9"
    api_key: str | None = "test-key"
    api_secret: str | None = "test-api-secret-of-32-characters"
    webhook_secret: str | None = None


def facts_of(adapter: str) -> Mapping[str, Any]:
    """What is particular to the adapter; empty parts for one that has no manifest."""
    facts: Mapping[str, Any] = MANIFEST["adapters"].get(adapter, {})
    return facts


def part_of(adapter: str, name: str) -> Mapping[str, Any]:
    """One part of the facts: submit, fetch, callback, find, account. Empty where there is no such thing."""
    part: Mapping[str, Any] = facts_of(adapter).get(name) or {}
    return part


def make(name: str, limits: Limits = WAIT, **reach: Any) -> Provider:
    """The adapter of that name, with time limits that a test can wait for."""
    settings = Reach(**{"webhook_secret": part_of(name, "callback").get("webhook_secret"), **reach})
    provider = registry.build({name: settings}, limits)[name]
    PREPARED.get(name, lambda _: None)(provider)
    return provider


@cache
def job_secret(adapter: str) -> str | None:
    """What the provider is given for the job of `job_for` alone."""
    return make(adapter).job_secret(TOKEN)


@dataclass(frozen=True)
class Sample:
    """A recorded body, and what its adapter must make of it."""

    adapter: str
    expected: Mapping[str, Any]

    @property
    def body(self) -> bytes:
        """The exact bytes; with a job of ours in it for a list of jobs."""
        return self._read(self.expected["file"])

    @property
    def headers(self) -> dict[str, str]:
        """The callback's headers, names in lower case; proven with the job's own secret where there is one."""
        recorded = {name.lower(): value for name, value in self.recorded.get("headers", {}).items()}
        secret = job_secret(self.adapter)
        return {**recorded, **_proof(self.adapter, secret, recorded, self.body)} if secret else recorded

    @property
    def recorded(self) -> dict[str, Any]:
        """The headers' file."""
        name = self.expected.get("headers_file")
        content: dict[str, Any] = json.loads((SAMPLES / name).read_text()) if name else {}
        return content

    @property
    def answers(self) -> list[tuple[int, bytes, dict[str, str]]]:
        """What the provider answers to one question after the other: status, body, headers."""
        first = (self.expected["http_status"], self.body, self.expected.get("answer_headers", {}))
        then = self.expected.get("then", [])
        return [
            first,
            *((one["http_status"], self._read(one["file"]), one.get("answer_headers", {})) for one in then),
        ]

    def _read(self, file: str) -> bytes:
        body = (SAMPLES / file).read_bytes()
        if self.expected["kind"] != "find":
            return body
        ours = {"{callback_url}": job_for(self.adapter).callback_url, "{generation_id}": str(GENERATION)}
        for placeholder, value in ours.items():
            body = body.replace(placeholder.encode(), value.encode())
        return body


def sign(sample: Sample, body: bytes) -> dict[str, str]:
    """The sample's headers, proving another body; none for a provider that proves nothing."""
    callback = part_of(sample.adapter, "callback")
    secret = job_secret(sample.adapter) or callback.get("webhook_secret") or ""
    return {**sample.headers, **_proof(sample.adapter, secret, sample.headers, body)}


def _proof(adapter: str, secret: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    signer = SIGNERS.get(facts_of(adapter)["samples"])
    return signer(secret, headers, body) if signer else {}


def samples(kind: str, *, genuine: bool = False) -> list[Any]:
    """Parameters: every sample of that kind, for each adapter that reads it."""
    return [
        pytest.param(Sample(adapter, entry), id=f"{adapter}-{entry['file'].removesuffix('.json')}")
        for adapter, facts in MANIFEST["adapters"].items()
        for entry in MANIFEST["samples"]
        if entry["provider"] == facts["samples"] and entry["kind"] == kind
        if not (genuine and "raises" in entry)
    ]


def job_for(adapter: str, **input: Any) -> Job:
    """A job for the adapter's own model."""
    facts = facts_of(adapter)
    return Job(
        GENERATION,
        facts.get("model", "a-model"),
        facts.get("kind", "image"),
        {**facts.get("input", {"prompt": "a red mug"}), **input},
        f"https://makegood.example.com/callbacks/p/{TOKEN}?a=b&c=d e",
    )


def lost_for(adapter: str) -> LostJob:
    """The same job, as reconcile looks for it; charged at CLOCK."""
    job = job_for(adapter)
    charged_at = datetime.fromtimestamp(CLOCK, UTC)
    return LostJob(job.generation_id, job.model, job.input, charged_at, hash_token(TOKEN))


def accepted(adapter: str, job_id: Any) -> tuple[int, bytes, dict[str, str]]:
    """The least that the provider answers when it takes a job: status, body, headers."""
    answer = part_of(adapter, "submit")["accepted"]
    headers = {name: str(_filled(value, job_id)) for name, value in answer.get("headers", {}).items()}
    if "content" in answer:
        return answer["status"], answer["content"].encode(), headers
    return answer["status"], json.dumps(_filled(answer["body"], job_id)).encode(), headers


def _filled(value: Any, job_id: Any) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner, job_id) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, job_id) for inner in value]
    return job_id if value == "{job}" else value


def usage_in(expected: Mapping[str, Any]) -> Units | None:
    """What a sample says was billed; its quantity is a text."""
    if "usage" not in expected:
        return None
    unit, quantity, qualifier = expected["usage"]
    return Units(unit, Decimal(quantity), qualifier)


def dig(value: Any, path: str) -> Any:
    """What stands at a path of names and numbers with dots between them; the whole value for ""."""
    for name in path.split(".") if path else ():
        if isinstance(value, list) and name.isdigit():
            value = value[int(name)] if int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


def changed(value: Any, path: str, new: Any) -> Any:
    """A copy of a JSON object with something else at a path."""
    result = copy.deepcopy(value)
    *above, last = path.split(".")
    dig(result, ".".join(above))[last] = new
    return result


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value, that itself first."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)
