"""The recorded samples of providers, and adapters to read them with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from makegood.providers import registry
from makegood.providers.http import Limits
from makegood.providers.protocol import Job, Provider
from makegood.providers.signatures import sign_v3

TOKEN = "secret-token"
"""In the address that a job of `job_for` is called back at."""
SAMPLES = Path(__file__).parent / "provider_samples"
CLOCK = 1795251600
"""When the recorded callbacks were signed: seconds since 1970, UTC."""
MANIFESTS = [json.loads(path.read_text()) for path in sorted(SAMPLES.glob("manifest_*.json"))]
MANIFEST: dict[str, Any] = {
    "adapters": {name: facts for manifest in MANIFESTS for name, facts in manifest["adapters"].items()},
    "samples": [sample for manifest in MANIFESTS for sample in manifest["samples"]],
}

SIGNERS: dict[str, Callable[[str, Mapping[str, str], bytes], dict[str, str]]] = {
    "wavespeed": lambda secret, headers, body: {
        "webhook-signature": sign_v3(secret, headers["webhook-id"], headers["webhook-timestamp"], body)
    },
}
"""How each provider that signs would sign another body. Tests only."""


@dataclass(frozen=True)
class Reach:
    """How an adapter under test is reached."""

    base_url: str | None = "http://127.0.0.1:9"
    api_key: str | None = "test-key"
    api_secret: str | None = "test-api-secret"
    webhook_secret: str | None = None


def make(name: str, **reach: Any) -> Provider:
    """The adapter of that name, with time limits that a test can wait for."""
    secret = MANIFEST["adapters"].get(name, {}).get("webhook_secret")
    settings = Reach(**{"webhook_secret": secret, **reach})
    return registry.build({name: settings}, Limits(submit_seconds=0.5, fetch_seconds=0.5))[name]


@dataclass(frozen=True)
class Sample:
    """A recorded body, and what its adapter must make of it."""

    adapter: str
    expected: Mapping[str, Any]

    @property
    def body(self) -> bytes:
        """The exact bytes."""
        return (SAMPLES / self.expected["file"]).read_bytes()

    @property
    def headers(self) -> dict[str, str]:
        """The callback's headers, names in lower case."""
        return {name.lower(): value for name, value in self.recorded.get("headers", {}).items()}

    @property
    def recorded(self) -> dict[str, Any]:
        """The headers' file."""
        name = self.expected.get("headers_file")
        content: dict[str, Any] = json.loads((SAMPLES / name).read_text()) if name else {}
        return content


def sign(sample: Sample, body: bytes) -> dict[str, str]:
    """The sample's headers, proving another body; none for a provider that signs nothing."""
    facts = MANIFEST["adapters"][sample.adapter]
    if facts["samples"] not in SIGNERS:
        return {}
    signed = SIGNERS[facts["samples"]](facts["webhook_secret"], sample.headers, body)
    return {**sample.headers, **signed}


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
    return Job(
        UUID("01930000-0000-7000-8000-000000000001"),
        MANIFEST["adapters"][adapter]["model"],
        "image",
        {"prompt": "a red mug", **input},
        f"https://makegood.example.com/callbacks/p/{TOKEN}?a=b&c=d e",
    )
