"""Submits and fetches over real HTTP: what every provider's adapter must make of any answer, and of none."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from makegood.providers import protocol
from makegood.providers.http import MAX_ANSWER_BYTES
from makegood.providers.protocol import ErrorClass, FetchFailed, JobGone, SubmitRefused, SubmitUnknown
from tests.loopback import Loopback, free_port
from tests.samples import MANIFEST, Sample, job_for, make, samples

ADAPTERS = list(MANIFEST["adapters"])
JOB = "7c1f0e5b9a3d4c6f8b2e1a0d9c8b7a65"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([200, 402, 404, 500, JOB, "completed", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["code", "data", "id", "taskId", "status", "error", "successFlag", "outputs"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("sample", samples("submit"))
def test_a_submit_is_answered_as_recorded(sample: Sample, loopback: Loopback) -> None:
    adapter, expected = make(sample.adapter, base_url=loopback.url), sample.expected
    loopback.answer = (expected["http_status"], sample.body)
    if "raises" not in expected:
        assert adapter.submit(job_for(sample.adapter)).provider_job_id == expected["job"]
    else:
        with pytest.raises(getattr(protocol, expected["raises"])) as raised:
            adapter.submit(job_for(sample.adapter))
        assert getattr(raised.value, "error_class", None) == expected.get("error_class")
        assert str(raised.value)
    assert len(loopback.requests) == 1


@pytest.mark.parametrize("sample", samples("fetch"))
def test_a_fetch_is_answered_as_recorded(sample: Sample, loopback: Loopback) -> None:
    adapter, expected = make(sample.adapter, base_url=loopback.url), sample.expected
    loopback.answer = (expected["http_status"], sample.body)
    model = MANIFEST["adapters"][sample.adapter]["model"]
    if "raises" in expected:
        with pytest.raises(getattr(protocol, expected["raises"])):
            adapter.fetch(JOB, model)
    else:
        report = adapter.fetch(expected["job"], model)
        assert report.outcome == expected["outcome"]
        assert report.provider_job_id == expected["job"]
        assert report.error_class == expected.get("error_class")
        assert list(report.outputs) == expected.get("outputs", [])
        with pytest.raises(FetchFailed, match="another"):
            adapter.fetch("some-other-job", model)
    request = loopback.requests[0]
    assert request.method == "GET"
    assert request.headers["authorization"] == "Bearer test-key"


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_submit_carries_the_input_the_key_and_where_to_call_back(adapter: str, loopback: Loopback) -> None:
    job = job_for(adapter)
    with pytest.raises(SubmitUnknown):
        make(adapter, base_url=loopback.url).submit(job)
    [request] = loopback.requests
    assert request.method == "POST"
    assert request.headers["authorization"] == "Bearer test-key"
    assert request.headers["content-type"] == "application/json"
    body = json.loads(request.body)
    assert job.input.items() <= body.items()
    query = parse_qs(urlsplit(request.path).query)
    assert job.callback_url in [*query.get("webhook", []), body.get("callBackUrl")]


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("lacking", [{"api_key": None}, {"api_key": ""}, {"api_key": "a\nb"}, {"api_key": "ключ"}])
def test_without_a_usable_key_nothing_is_sent(
    adapter: str, lacking: dict[str, str | None], loopback: Loopback
) -> None:
    provider = make(adapter, **{"base_url": loopback.url, **lacking})
    _refused(provider, adapter, ErrorClass.PROVIDER_UNAVAILABLE)
    with pytest.raises(FetchFailed):
        provider.fetch(JOB, "m")
    assert loopback.requests == []


def test_a_simulated_provider_without_an_address_takes_no_job() -> None:
    provider = make("simulated", base_url=None)
    _refused(provider, "simulated", ErrorClass.PROVIDER_UNAVAILABLE)
    with pytest.raises(FetchFailed):
        provider.fetch(JOB, "m")


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}", "http://127.0.0.1:99999", "ftp://127.0.0.1"])
def test_a_provider_that_cannot_be_reached_has_not_taken_the_job(adapter: str, address: str) -> None:
    provider = make(adapter, base_url=address.format(port=free_port()))
    _refused(provider, adapter, ErrorClass.PROVIDER_UNAVAILABLE)
    with pytest.raises(FetchFailed):
        provider.fetch(JOB, "m")


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_name_that_does_not_resolve_means_that_nothing_was_taken(
    adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    provider = make(adapter, base_url="http://provider.example.com")
    _refused(provider, adapter, ErrorClass.PROVIDER_UNAVAILABLE)


def _cut(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def _stop_halfway(connection: socket.socket) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"code": 200')
    connection.shutdown(socket.SHUT_RDWR)


def _talk_nonsense(connection: socket.socket) -> None:
    connection.sendall(b"\x00\xff nonsense\r\n\r\n")
    connection.shutdown(socket.SHUT_RDWR)


def _say_nothing(connection: socket.socket) -> None:
    connection.recv(1)


def _drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(100):
        connection.sendall(b" ")
        time.sleep(0.05)


def _never_end(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b" " * 100_000)


@pytest.mark.parametrize("adapter", ["wavespeed", "nanobanana"])
@pytest.mark.parametrize("mishap", [_cut, _reset, _stop_halfway, _talk_nonsense, _say_nothing, _drip, _never_end])
def test_after_a_lost_answer_nobody_knows(adapter: str, mishap: object, loopback: Loopback) -> None:
    loopback.answer = mishap  # type: ignore[assignment]
    provider = make(adapter, base_url=loopback.url)
    started = time.monotonic()
    with pytest.raises(SubmitUnknown):
        provider.submit(job_for(adapter))
    with pytest.raises(FetchFailed):
        provider.fetch(JOB, "m")
    assert time.monotonic() - started < 4
    assert len(loopback.requests) == 2, "nothing is ever sent twice"


@pytest.mark.parametrize("adapter", ["wavespeed", "nanobanana"])
def test_an_answer_that_is_too_long_is_not_read(adapter: str, loopback: Loopback) -> None:
    answer = {"code": 200, "data": {"id": JOB, "taskId": JOB}, "more": "x" * (MAX_ANSWER_BYTES - 200)}
    provider = make(adapter, base_url=loopback.url)
    loopback.answer = (200, json.dumps(answer).encode())
    assert provider.submit(job_for(adapter)).provider_job_id == JOB
    loopback.answer = (200, json.dumps({**answer, "still more": "x" * 200}).encode())
    with pytest.raises(SubmitUnknown, match="Endless"):
        provider.submit(job_for(adapter))


UNREADABLE = [b"<html>Bad gateway</html>", b"", b"[]", b"[" * 5000, b'{"a":1,"a":2}', b'{"code":NaN}', b"\xff"]


@pytest.mark.parametrize("adapter", ["wavespeed", "nanobanana"])
@pytest.mark.parametrize("status", [200, 201, 302, 307, 408, 409, 418, 500, 502, 503, 504])
def test_an_unreadable_answer_is_no_refusal(adapter: str, status: int, loopback: Loopback) -> None:
    provider = make(adapter, base_url=loopback.url)
    with Loopback() as elsewhere:
        loopback.headers = {"Location": elsewhere.url}
        for body in UNREADABLE:
            loopback.answer = (status, body)
            with pytest.raises(SubmitUnknown):
                provider.submit(job_for(adapter))
            with pytest.raises(FetchFailed):
                provider.fetch(JOB, "m")
    assert elsewhere.requests == [], "redirects are not followed"


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_server_error_is_no_refusal(adapter: str, status: int, loopback: Loopback) -> None:
    loopback.answer = (status, json.dumps({"code": status, "message": "x", "msg": "x"}).encode())
    with pytest.raises(SubmitUnknown):
        make(adapter, base_url=loopback.url).submit(job_for(adapter))


@pytest.mark.parametrize("adapter", ["wavespeed", "nanobanana"])
@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_page_that_refuses_our_account_is_a_refusal(adapter: str, status: int, loopback: Loopback) -> None:
    loopback.answer = (status, b"<html>no</html>")
    _refused(make(adapter, base_url=loopback.url), adapter, ErrorClass.PROVIDER_ACCOUNT)


@pytest.mark.parametrize("adapter", ["wavespeed", "nanobanana"])
@pytest.mark.parametrize("job_id", [None, 7, "", "a b", "../../balance", "x" * 201, "a\0b", "é", ["x"]])
def test_a_job_id_that_is_none_makes_the_submit_unknown(adapter: str, job_id: object, loopback: Loopback) -> None:
    loopback.answer = (200, json.dumps({"code": 200, "data": {"id": job_id, "taskId": job_id}}).encode())
    provider = make(adapter, base_url=loopback.url)
    with pytest.raises(SubmitUnknown):
        provider.submit(job_for(adapter))
    if isinstance(job_id, str):
        with pytest.raises(FetchFailed):
            provider.fetch(job_id, "m")
        assert len(loopback.requests) == 1, "an id that could be a path is never asked for"


@pytest.mark.parametrize("adapter", ["wavespeed", "nanobanana"])
def test_no_answer_at_all_raises_anything_else(adapter: str) -> None:
    with Loopback() as loopback:
        provider = make(adapter, base_url=loopback.url)

        @given(status=st.sampled_from([200, 201, 400, 402, 404, 422, 429, 500, 503]), value=JSON)
        @hypothesis_settings(deadline=None, max_examples=100)
        def check(status: int, value: object) -> None:
            loopback.answer = (status, json.dumps(value).encode())
            with suppress(SubmitRefused, SubmitUnknown):
                assert provider.submit(job_for(adapter)).provider_job_id
            with suppress(FetchFailed, JobGone):
                assert provider.fetch(JOB, "m").provider_job_id == JOB

        check()


@pytest.mark.parametrize("adapter", ["wavespeed", "nanobanana"])
def test_neither_key_nor_callback_token_is_logged_or_said(
    adapter: str, loopback: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider = make(adapter, base_url=loopback.url, api_key="key-that-nobody-may-see")
    with pytest.raises(SubmitUnknown) as raised:
        provider.submit(job_for(adapter))
    seen = caplog.text + str(raised.value) + repr(provider) + repr(job_for(adapter))
    assert "secret-token" not in seen
    assert "nobody-may-see" not in seen
    assert "whsec_" not in seen


@pytest.mark.parametrize("adapter", ["wavespeed"])
def test_one_adapter_serves_many_threads(adapter: str, loopback: Loopback) -> None:
    loopback.answer = (200, json.dumps({"code": 200, "data": {"id": JOB}}).encode())
    provider, taken = make(adapter, base_url=loopback.url), []
    threads = [threading.Thread(target=lambda: taken.append(provider.submit(job_for(adapter)))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(loopback.requests) == 20


def _refused(provider: protocol.Provider, adapter: str, error_class: ErrorClass) -> None:
    with pytest.raises(SubmitRefused) as raised:
        provider.submit(job_for(adapter))
    assert raised.value.error_class == error_class
    assert raised.value.message
