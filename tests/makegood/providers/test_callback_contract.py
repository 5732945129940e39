"""What every provider's callbacks must survive. A further provider gets this for its samples in the manifest."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from makegood.providers.protocol import CallbackRejected, Outcome, Provider
from settings import PROVIDER_NAMES
from tests.samples import CLOCK, MANIFEST, TOKEN, Sample, make, samples, sign

NOW = datetime.fromtimestamp(CLOCK, UTC)
SIGNED = [sample for sample in samples("callback", genuine=True) if sample.values[0].expected.get("headers_file")]
PROVIDERS: dict[str, Provider] = {name: make(name) for name in MANIFEST["adapters"]}
SIGNING = [name for name, facts in MANIFEST["adapters"].items() if facts["webhook_secret"]]
TEXTS = st.text(max_size=40) | st.sampled_from(["", "v3,", "1795251600", "١٢٣", "v3," + "0" * 64, "\0", "\ud800"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def test_every_provider_has_samples_of_callbacks_submits_and_fetches() -> None:
    assert set(MANIFEST["adapters"]) == set(PROVIDER_NAMES)
    for name in PROVIDER_NAMES:
        for kind in ("callback", "submit", "fetch"):
            assert any(sample.values[0].adapter == name for sample in samples(kind)), (name, kind)
        assert make(name).signed == (name in SIGNING)


@pytest.mark.parametrize("sample", samples("callback", genuine=True))
def test_a_genuine_callback_says_what_happened(sample: Sample) -> None:
    report = make(sample.adapter).parse_callback(sample.headers, sample.body, NOW, TOKEN)
    expected = sample.expected
    assert report.outcome == expected["outcome"]
    assert report.provider_job_id == expected["job"]
    assert report.error_class == expected.get("error_class")
    assert list(report.outputs) == expected.get("outputs", [])
    assert (report.message is not None) == (report.outcome == Outcome.FAILED)
    assert report.status


@pytest.mark.parametrize("sample", samples("callback", genuine=True))
def test_a_replayed_callback_is_recognisable(sample: Sample) -> None:
    adapter = make(sample.adapter)
    first = adapter.parse_callback(sample.headers, sample.body, NOW, TOKEN)
    later = adapter.parse_callback(sample.headers, sample.body, NOW + timedelta(seconds=10), TOKEN)
    assert first == later
    assert (first.delivery is not None) == adapter.signed


@pytest.mark.parametrize("sample", SIGNED)
def test_a_tampered_callback_is_rejected(sample: Sample) -> None:
    adapter, body = make(sample.adapter), sample.body
    for position in {0, len(body) // 3, len(body) // 2, len(body) - 1}:
        changed = body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :]
        _reject(adapter, sample.headers, changed, "signature")
    for changed in (body + b"\n", body[:-1], b"", b"{}"):
        _reject(adapter, sample.headers, changed, "signature")


@pytest.mark.parametrize("sample", SIGNED)
def test_json_that_was_written_again_is_rejected(sample: Sample) -> None:
    again = json.dumps(json.loads(sample.body), separators=(",", ": ")).encode()
    _reject(make(sample.adapter), sample.headers, again, "signature")


@pytest.mark.parametrize("sample", SIGNED)
def test_a_callback_without_one_of_its_headers_is_rejected(sample: Sample) -> None:
    names = sample.headers.keys() - {"content-type"}
    assert names
    for missing in names:
        headers = {name: value for name, value in sample.headers.items() if name != missing}
        _reject(make(sample.adapter), headers, sample.body, missing)
    _reject(make(sample.adapter), {}, sample.body, "header")


@pytest.mark.parametrize("sample", SIGNED)
def test_a_stale_or_future_callback_is_rejected(sample: Sample) -> None:
    adapter = make(sample.adapter)
    tolerance = MANIFEST["adapters"][sample.adapter]["tolerance_seconds"]
    for direction in (-1, 1):
        assert adapter.parse_callback(
            sample.headers, sample.body, NOW + direction * timedelta(seconds=tolerance), TOKEN
        )
        late = NOW + direction * timedelta(seconds=tolerance + 1)
        _reject(adapter, sample.headers, sample.body, "timestamp", late)


@pytest.mark.parametrize("sample", SIGNED)
def test_another_signature_version_is_rejected(sample: Sample) -> None:
    facts = MANIFEST["adapters"][sample.adapter]
    name, version = facts["signature_header"], facts["signature_version"]
    digest = sample.headers[name].removeprefix(version)
    for other in ("v1,", "v4,", "", "v3", f"{version} ", version * 2):
        _reject(make(sample.adapter), {**sample.headers, name: other + digest}, sample.body, name)
    _reject(make(sample.adapter), {**sample.headers, name: version}, sample.body, name)
    _reject(make(sample.adapter), {**sample.headers, name: version + digest[::-1]}, sample.body, "signature")


@pytest.mark.parametrize("sample", SIGNED)
@pytest.mark.parametrize("secret", [None, "", " ", ",", "whsec_", " , whsec_"])
def test_without_a_secret_nothing_is_genuine(sample: Sample, secret: str | None) -> None:
    _reject(make(sample.adapter, webhook_secret=secret), sample.headers, sample.body, "no webhook secret")


@pytest.mark.parametrize("sample", SIGNED)
def test_another_endpoints_secret_does_not_fit(sample: Sample) -> None:
    other = make(sample.adapter, webhook_secret="whsec_another-secret-of-this-account")
    _reject(other, sample.headers, sample.body, "signature")


@pytest.mark.parametrize("adapter", SIGNING)
def test_the_signature_of_another_callback_does_not_fit(adapter: str) -> None:
    own = [sample.values[0] for sample in SIGNED if sample.values[0].adapter == adapter]
    for sample, other in zip(own, own[1:] + own[:1], strict=True):
        _reject(make(adapter), other.headers, sample.body, "signature")


@pytest.mark.parametrize("sample", [one for one in samples("callback") if "raises" in one.values[0].expected])
def test_a_published_example_that_does_not_verify_is_rejected(sample: Sample) -> None:
    meta = sample.recorded["meta"]
    adapter = make(sample.adapter, webhook_secret=meta["secret"])
    for headers in (sample.headers, {**sample.headers, **meta["second_published_vector"]}):
        then = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        _reject(adapter, headers, sample.body, "signature", then)


@pytest.mark.parametrize("adapter", MANIFEST["adapters"])
@given(
    headers=st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "x"]), TEXTS
    ),
    body=st.binary() | JSON.map(lambda value: json.dumps(value).encode()),
)
@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_nothing_that_a_stranger_sends_raises_anything_else(
    adapter: str, headers: dict[str, str], body: bytes
) -> None:
    provider = PROVIDERS[adapter]
    try:
        report = provider.parse_callback(headers, body, NOW, TOKEN)
    except CallbackRejected:
        return
    assert not provider.signed
    assert report.provider_job_id


@pytest.mark.parametrize("sample", samples("callback", genuine=True))
@given(data=st.data())
@hypothesis_settings(deadline=None, max_examples=8)
def test_a_field_of_another_type_is_no_crash(sample: Sample, data: st.DataObject) -> None:
    prediction = json.loads(sample.body)
    target = prediction
    if isinstance(prediction.get("data"), dict) and data.draw(st.booleans()):
        target = prediction["data"]
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(JSON)
    body = json.dumps(prediction).encode()
    headers = sign(sample, body)
    try:
        report = PROVIDERS[sample.adapter].parse_callback(headers, body, NOW, TOKEN)
    except CallbackRejected:
        return
    assert all(isinstance(link, str) and link.startswith("http") for link in report.outputs)
    assert report.message is None or 0 < len(report.message) <= 500
    assert len(report.delivery or "") <= 300
    assert len(report.provider_job_id or "") <= 200
    assert (report.error_class is not None) == (report.outcome == Outcome.FAILED)


def _reject(adapter: Provider, headers: dict[str, str], body: bytes, reason: str, now: datetime = NOW) -> None:
    with pytest.raises(CallbackRejected, match=reason):
        adapter.parse_callback(headers, body, now, TOKEN)
