"""What every provider's callbacks must survive. A further provider gets this for its samples in its manifest."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from makegood.providers.protocol import CallbackRejected, Outcome, Provider
from tests.samples import (
    CLOCK,
    MANIFEST,
    TOKEN,
    Sample,
    changed,
    dig,
    facts_of,
    make,
    objects,
    part_of,
    samples,
    sign,
    usage_in,
)

NOW = datetime.fromtimestamp(CLOCK, UTC)
ADAPTERS = list(MANIFEST["adapters"])
PROVIDERS: dict[str, Provider] = {name: make(name) for name in ADAPTERS}
GENUINE = samples("callback", genuine=True)


def proven(*proofs: str, secret: str | None = None) -> list[Any]:
    """The genuine samples of the adapters with such a proof (and such a kind of secret)."""
    facts = {name: part_of(name, "callback") for name in ADAPTERS}
    fitting = [
        name
        for name in ADAPTERS
        if facts[name].get("proof") in proofs and secret in (None, facts[name].get("secret"))
    ]
    return [sample for sample in GENUINE if sample.values[0].adapter in fitting]


SIGNED = proven("signature")
TEXTS = st.text(max_size=40) | st.sampled_from(
    ["", "v3,", "v1,", "sha256=", "t=1795251600,v0=", "1795251600", "١٢٣", "v3," + "0" * 64, "\0", "\ud800"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_proof_of_a_callback_is_what_the_manifest_says(adapter: str) -> None:
    callback = part_of(adapter, "callback")
    own = [sample.values[0] for sample in GENUINE if sample.values[0].adapter == adapter]
    assert bool(own) == bool(callback), "callbacks need samples, and samples the part `callback`"
    assert make(adapter).signed == (callback.get("proof") == "signature")
    assert callback.get("proof", "none") in ("signature", "static", "none")
    assert (callback.get("secret") == "job") == (make(adapter).job_secret(TOKEN) is not None)
    if callback.get("proof") == "signature":
        assert len({sample.body for sample in own}) > 1, "to show that one's signature does not fit another"


@pytest.mark.parametrize("sample", GENUINE)
def test_a_genuine_callback_says_what_happened(sample: Sample) -> None:
    report = make(sample.adapter).parse_callback(sample.headers, sample.body, NOW, TOKEN)
    expected = sample.expected
    assert report.outcome == expected["outcome"]
    assert report.provider_job_id == expected["job"]
    assert report.error_class == expected.get("error_class")
    assert list(report.outputs) == expected.get("outputs", [])
    assert report.usage == usage_in(expected)
    assert report.cost_micros == expected.get("cost_micros")
    expire_at = report.outputs_expire_at
    assert (expire_at.isoformat() if expire_at else None) == expected.get("outputs_expire_at")
    assert (report.message is not None) == (report.outcome == Outcome.FAILED)
    assert report.status
    assert report.files == ()
    assert report.incomplete == expected.get("incomplete", False)


@pytest.mark.parametrize("sample", GENUINE)
def test_a_replayed_callback_is_recognisable(sample: Sample) -> None:
    adapter = make(sample.adapter)
    first = adapter.parse_callback(sample.headers, sample.body, NOW, TOKEN)
    later = adapter.parse_callback(sample.headers, sample.body, NOW + timedelta(seconds=10), TOKEN)
    assert first == later
    # Without an id of its own, a delivery is recognised by its body.
    assert first.delivery is None or part_of(sample.adapter, "callback")["proof"] == "signature"


UNKNOWN = ("no-such-status", "", " ", None, [], {}, ["completed"], 4096, -1, True, 1.5, "COMPLETED!", "9")
"""Statuses that no provider has."""


@pytest.mark.parametrize("sample", GENUINE)
def test_a_status_that_nobody_knows_ends_nothing(sample: Sample) -> None:
    for status in UNKNOWN:
        _ends_nothing(sample, status)


@pytest.mark.parametrize("sample", GENUINE)
def test_a_status_that_is_no_end_ends_nothing(sample: Sample) -> None:
    assert facts_of(sample.adapter)["pending"]
    for status in facts_of(sample.adapter)["pending"]:
        _ends_nothing(sample, status)


@pytest.mark.parametrize("sample", SIGNED)
def test_a_tampered_callback_is_rejected(sample: Sample) -> None:
    adapter, body = make(sample.adapter), sample.body
    for position in {0, len(body) // 3, len(body) // 2, len(body) - 1}:
        tampered = body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :]
        _reject(adapter, sample.headers, tampered, "signature")
    for tampered in (body + b"\n", body[:-1], b"", b"{}"):
        _reject(adapter, sample.headers, tampered, "signature")


@pytest.mark.parametrize("sample", SIGNED)
def test_json_that_was_written_again_is_rejected(sample: Sample) -> None:
    again = json.dumps(json.loads(sample.body), separators=(",", ": ")).encode()
    _reject(make(sample.adapter), sample.headers, again, "signature")


@pytest.mark.parametrize("sample", proven("signature", "static"))
def test_a_callback_without_one_of_its_headers_is_rejected(sample: Sample) -> None:
    names = part_of(sample.adapter, "callback")["headers"]
    assert names
    for missing in names:
        headers = {name: value for name, value in sample.headers.items() if name != missing}
        _reject(make(sample.adapter), headers, sample.body, f"(?i){missing}")
    _reject(make(sample.adapter), {}, sample.body, "header")


@pytest.mark.parametrize(
    "sample", [one for one in SIGNED if "tolerance_seconds" in part_of(one.values[0].adapter, "callback")]
)
def test_a_stale_or_future_callback_is_rejected(sample: Sample) -> None:
    adapter = make(sample.adapter)
    tolerance = part_of(sample.adapter, "callback")["tolerance_seconds"]
    for direction in (-1, 1):
        assert adapter.parse_callback(
            sample.headers, sample.body, NOW + direction * timedelta(seconds=tolerance), TOKEN
        )
        late = NOW + direction * timedelta(seconds=tolerance + 1)
        _reject(adapter, sample.headers, sample.body, "timestamp", late)


@pytest.mark.parametrize("sample", SIGNED)
def test_another_signature_version_is_rejected(sample: Sample) -> None:
    facts = part_of(sample.adapter, "callback")
    name, version = facts["signature"], facts.get("version", "")
    before, _, digest = sample.headers[name].rpartition(version) if version else ("", "", sample.headers[name])
    assert digest
    for other in ("v9,", "", version[:-1], f"{version} ", version * 2) if version else ("v1,", "0"):
        headers = {**sample.headers, name: before + other + digest}
        _reject(make(sample.adapter), headers, sample.body, "(?i)signature")
    for other in ("", digest[::-1], digest[:-4], "0" * len(digest), "é" * len(digest)):
        headers = {**sample.headers, name: before + version + other}
        _reject(make(sample.adapter), headers, sample.body, "(?i)signature")


@pytest.mark.parametrize("sample", proven("signature", "static", secret="account"))
def test_without_a_secret_nothing_is_genuine(sample: Sample) -> None:
    for secret in (None, "", " ", ",", "whsec_", " , whsec_"):
        _reject(make(sample.adapter, webhook_secret=secret), sample.headers, sample.body, "no webhook secret")


@pytest.mark.parametrize("sample", proven("signature", "static", secret="account"))
def test_another_endpoints_secret_does_not_fit(sample: Sample) -> None:
    other = make(sample.adapter, webhook_secret="whsec_YW5vdGhlciBzZWNyZXQgb2YgdGhpcyBhY2NvdW50")
    _reject(other, sample.headers, sample.body, "signature|secret")


@pytest.mark.parametrize("sample", proven("signature", "static", secret="job"))
def test_another_jobs_secret_does_not_fit(sample: Sample) -> None:
    for token in ("another-token", "", TOKEN + "x"):
        with pytest.raises(CallbackRejected, match=r"signature|secret"):
            make(sample.adapter).parse_callback(sample.headers, sample.body, NOW, token)


@pytest.mark.parametrize("sample", proven("static"))
def test_a_wrong_static_secret_is_rejected(sample: Sample) -> None:
    for name in part_of(sample.adapter, "callback")["headers"]:
        for wrong in ("", " ", "wrong", "é", "\ud800", sample.headers[name] + "x", sample.headers[name][:-1]):
            _reject(make(sample.adapter), {**sample.headers, name: wrong}, sample.body, f"(?i)secret|{name}")


@pytest.mark.parametrize("sample", SIGNED)
def test_the_signature_of_another_callback_does_not_fit(sample: Sample) -> None:
    for other in (one.values[0] for one in SIGNED):
        if other.adapter == sample.adapter and other.body != sample.body:
            _reject(make(sample.adapter), other.headers, sample.body, "signature")


@pytest.mark.parametrize("sample", [one for one in samples("callback") if "raises" in one.values[0].expected])
def test_a_callback_that_is_not_genuine_is_rejected(sample: Sample) -> None:
    _reject(make(sample.adapter), sample.headers, sample.body, ".")


@pytest.mark.parametrize("adapter", ADAPTERS)
@given(data=st.data(), body=st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_nothing_that_a_stranger_sends_raises_anything_else(
    adapter: str, data: st.DataObject, body: bytes
) -> None:
    callback = part_of(adapter, "callback")
    names = st.sampled_from([*callback.get("headers", []), "content-type", "x"])
    try:
        report = PROVIDERS[adapter].parse_callback(data.draw(st.dictionaries(names, TEXTS)), body, NOW, TOKEN)
    except CallbackRejected:
        return
    assert callback.get("proof") == "none"
    assert report.provider_job_id


@pytest.mark.parametrize("sample", GENUINE)
@given(data=st.data())
@hypothesis_settings(deadline=None, max_examples=15)
def test_a_field_of_another_type_is_no_crash(sample: Sample, data: st.DataObject) -> None:
    value = json.loads(sample.body)
    target = data.draw(st.sampled_from([one for one in objects(value) if one]))
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(JSON)
    body = json.dumps(value).encode()
    try:
        report = PROVIDERS[sample.adapter].parse_callback(sign(sample, body), body, NOW, TOKEN)
    except CallbackRejected:
        return
    assert all(isinstance(link, str) and link.startswith("http") for link in report.outputs)
    assert report.message is None or 0 < len(report.message) <= 500
    assert len(report.delivery or "") <= 300
    assert len(report.provider_job_id or "") <= 200
    assert (report.error_class is not None) == (report.outcome == Outcome.FAILED)
    assert report.outputs_expire_at is None or report.outputs_expire_at.tzinfo is not None


def _ends_nothing(sample: Sample, status: object) -> None:
    path = sample.expected.get("status") or part_of(sample.adapter, "callback")["status"]
    value = json.loads(sample.body)
    ends = facts_of(sample.adapter)["ends"]
    assert not any(type(end) is type(status) and end == status for end in ends)
    assert dig(value, path) is not None, "the manifest names where the status stands"
    body = json.dumps(changed(value, path, status)).encode()
    report = PROVIDERS[sample.adapter].parse_callback(sign(sample, body), body, NOW, TOKEN)
    assert (report.outcome, report.error_class, report.outputs) == (Outcome.PENDING, None, ()), status


def _reject(adapter: Provider, headers: dict[str, str], body: bytes, reason: str, now: datetime = NOW) -> None:
    with pytest.raises(CallbackRejected, match=reason):
        adapter.parse_callback(headers, body, now, TOKEN)
