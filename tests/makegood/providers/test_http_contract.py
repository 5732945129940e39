"""Submits and questions over real HTTP: what every provider's adapter must make of any answer, and of none."""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import cache
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from makegood.providers import protocol
from makegood.providers.http import MAX_ANSWER_BYTES, Limits
from makegood.providers.protocol import (
    Account,
    ErrorClass,
    FetchFailed,
    Found,
    JobGone,
    Outcome,
    SubmitRefused,
    SubmitUnknown,
    Units,
)
from settings import PROVIDER_NAMES
from tests.loopback import Answer, Loopback, Request, free_port
from tests.samples import (
    MANIFEST,
    MANIFESTS,
    TOKEN,
    Sample,
    accepted,
    changed,
    dig,
    facts_of,
    job_for,
    job_secret,
    lost_for,
    make,
    objects,
    part_of,
    samples,
    usage_in,
)

ADAPTERS = list(MANIFEST["adapters"])


def with_part(name: str) -> list[str]:
    """The adapters whose manifest has this part."""
    return [adapter for adapter in ADAPTERS if part_of(adapter, name)]


def job_id_of(adapter: str) -> str:
    """An id as the provider gives it to a job."""
    own = (one.values[0] for one in samples("submit", genuine=True))
    job: str = next(sample.expected["job"] for sample in own if sample.adapter == adapter)
    return job


def model_of(adapter: str) -> str:
    """The adapter's model."""
    return job_for(adapter).model


@cache
def said_by(adapter: str) -> tuple[list[str], list[Any]]:
    """The names and the values in everything that the provider was recorded to say."""
    names, values = {"code", "message"}, [200, 404, 500, 0, "x"]
    for kind in ("submit", "fetch", "find", "account", "callback"):
        for sample in (one.values[0] for one in samples(kind)):
            with suppress(ValueError):
                for one in objects(json.loads(sample.body)) if sample.adapter == adapter else ():
                    names |= one.keys()
                    values += [value for value in one.values() if not isinstance(value, (dict, list))]
    return sorted(names), values


def answers_of(adapter: str) -> st.SearchStrategy[Any]:
    """Any JSON in the provider's own words."""
    names, values = said_by(adapter)
    scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(values)
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, min_size=1, max_size=5)
        ),
        max_leaves=12,
    )


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_there_are_samples_of_everything_that_the_provider_can_be_asked(adapter: str) -> None:
    for kind in ("submit", "fetch", "find", "account"):
        own = [one.values[0] for one in samples(kind) if one.values[0].adapter == adapter]
        assert bool(own) == (kind == "submit" or bool(part_of(adapter, kind))), kind


def test_every_provider_has_a_manifest() -> None:
    assert {name for manifest in MANIFESTS for name in manifest["adapters"]} == set(PROVIDER_NAMES)


@pytest.mark.parametrize("sample", samples("submit"))
def test_a_submit_is_answered_as_recorded(sample: Sample, loopback: Loopback) -> None:
    adapter, expected = make(sample.adapter, base_url=loopback.url), sample.expected
    loopback.first = list(sample.answers)
    if "raises" in expected:
        _raises(expected, lambda: adapter.submit(job_for(sample.adapter)))
    else:
        taken = adapter.submit(job_for(sample.adapter))
        assert taken.provider_job_id == expected["job"]
        assert taken.usage == usage_in(expected)
        assert taken.cost_micros == expected.get("cost_micros")
        assert (taken.report.outcome if taken.report else None) == expected.get("outcome")
    assert len(loopback.requests) == len(sample.answers)


@pytest.mark.parametrize("sample", samples("fetch"))
def test_a_fetch_is_answered_as_recorded(sample: Sample, loopback: Loopback) -> None:
    adapter, expected = make(sample.adapter, base_url=loopback.url), sample.expected
    loopback.first = list(sample.answers)
    model, job_id = model_of(sample.adapter), expected.get("job") or job_id_of(sample.adapter)
    if "raises" in expected:
        _raises(expected, lambda: adapter.fetch(job_id, model))
    else:
        report = adapter.fetch(job_id, model)
        _is_as_expected(report, expected)
        if part_of(sample.adapter, "fetch").get("names_job", True):
            loopback.first = list(sample.answers)
            with pytest.raises(FetchFailed, match="another"):
                adapter.fetch("1234567", model)
    for request in loopback.requests:
        assert request.method == part_of(sample.adapter, "fetch")["method"]
        _is_authorized(sample.adapter, request)


@pytest.mark.parametrize("sample", samples("find"))
def test_a_lost_job_is_found_as_recorded(sample: Sample, loopback: Loopback) -> None:
    adapter, expected = make(sample.adapter, base_url=loopback.url), sample.expected
    loopback.first = list(sample.answers)
    loopback.answer = sample.answers[-1]
    if "raises" in expected:
        _raises(expected, lambda: adapter.find(lost_for(sample.adapter)))
    else:
        found = adapter.find(lost_for(sample.adapter))
        assert (found is not None) == ("job" in expected)
        if found is not None:
            assert found.certain is expected["certain"]
            _is_as_expected(found.report, expected)
    assert loopback.requests
    for request in loopback.requests:
        _is_authorized(sample.adapter, request)
        assert TOKEN not in request.path + str(request.body), "we do not even know it then"


@pytest.mark.parametrize("sample", samples("account"))
def test_an_account_is_answered_as_recorded(sample: Sample, loopback: Loopback) -> None:
    adapter, expected = make(sample.adapter, base_url=loopback.url), sample.expected
    loopback.first = list(sample.answers)
    if "raises" in expected:
        _raises(expected, adapter.account)
    else:
        account = adapter.account()
        assert account is not None
        assert (str(account.remaining), account.unit) == (expected["remaining"], expected["unit"])
        assert account.usd_micros == expected.get("usd_micros")
        assert (None if account.limit is None else str(account.limit)) == expected.get("limit")
    for request in loopback.requests:
        _is_authorized(sample.adapter, request)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_what_a_provider_cannot_be_asked_is_not_asked(adapter: str, loopback: Loopback) -> None:
    provider = make(adapter, base_url=loopback.url)
    if not part_of(adapter, "find"):
        assert provider.find(lost_for(adapter)) is None
    if not part_of(adapter, "account"):
        assert provider.account() is None
    if not part_of(adapter, "fetch"):
        with pytest.raises(FetchFailed):
            provider.fetch(job_id_of(adapter), model_of(adapter))
    assert loopback.requests == []


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_submit_carries_the_input_the_key_and_where_to_call_back(adapter: str, loopback: Loopback) -> None:
    request = _submitted(adapter, loopback)
    facts, job = part_of(adapter, "submit"), job_for(adapter)
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    _is_authorized(adapter, request)
    body = json.loads(request.body)
    expected = facts.get("sends", job.input)
    assert expected.items() <= dig(body, facts.get("input", "")).items()
    where, _, path = part_of(adapter, "callback").get("address", "").partition(":")
    query = parse_qs(urlsplit(request.path).query)
    if where == "query":
        assert query[path] == [job.callback_url]
    elif where == "body":
        assert dig(body, path) == job.callback_url
    else:
        assert TOKEN not in unquote(request.path) + request.body.decode(), "nobody calls back"


def _calls_back_beside_the_input(adapter: str) -> bool:
    where, _, path = part_of(adapter, "callback").get("address", "").partition(":")
    return where == "body" and path.rpartition(".")[0] == part_of(adapter, "submit").get("input", "")


@pytest.mark.parametrize("adapter", [one for one in ADAPTERS if _calls_back_beside_the_input(one)])
def test_an_input_cannot_send_callbacks_elsewhere(adapter: str, loopback: Loopback) -> None:
    last = part_of(adapter, "callback")["address"].rpartition(":")[2].rpartition(".")[2]
    request = _submitted(adapter, loopback, **{last: "https://evil.example.com"})
    assert b"evil" not in request.body


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_jobs_own_secret_is_hard_to_guess_and_given_to_the_provider(adapter: str, loopback: Loopback) -> None:
    secret = job_secret(adapter)
    request = _submitted(adapter, loopback)
    if secret is None:
        assert make(adapter).job_secret("another-token") is None
        return
    assert len(secret) >= 22
    assert secret.isascii()
    assert secret.isprintable()
    assert TOKEN not in secret, "who sees the secret must not learn the address"
    assert secret == make(adapter).job_secret(TOKEN) != make(adapter).job_secret("another-token")
    assert secret in request.body.decode()


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_without_a_usable_key_nothing_is_sent(adapter: str, loopback: Loopback) -> None:
    assert make(adapter).configured
    for needed in facts_of(adapter)["needs"]:
        for lacking in (None, "", "a\nb", "ключ"):
            provider = make(adapter, **{"base_url": loopback.url, needed: lacking})
            assert lacking or not provider.configured
            _refused(provider, adapter, ErrorClass.PROVIDER_UNAVAILABLE)
            with pytest.raises(FetchFailed):
                provider.fetch(job_id_of(adapter), model_of(adapter))
            with suppress(FetchFailed):
                assert provider.find(lost_for(adapter)) is None
            with suppress(FetchFailed):
                assert provider.account() is None
    assert loopback.requests == []


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}", "http://127.0.0.1:99999", "ftp://127.0.0.1"])
def test_a_provider_that_cannot_be_reached_has_not_taken_the_job(adapter: str, address: str) -> None:
    provider = make(adapter, base_url=address.format(port=free_port()))
    _refused(provider, adapter, ErrorClass.PROVIDER_UNAVAILABLE)
    _cannot_be_asked(provider, adapter)


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


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("mishap", [_cut, _reset, _stop_halfway, _talk_nonsense, _say_nothing, _drip, _never_end])
def test_after_a_lost_answer_nobody_knows(adapter: str, mishap: Answer, loopback: Loopback) -> None:
    loopback.answer = mishap
    limits = Limits(submit_seconds=0.25, fetch_seconds=0.25)
    provider = make(adapter, limits, base_url=loopback.url)
    started = time.monotonic()
    with pytest.raises(SubmitUnknown):
        provider.submit(job_for(adapter))
    assert len(loopback.requests) == 1, "nothing is ever sent twice"
    with pytest.raises(FetchFailed):
        provider.fetch(job_id_of(adapter), model_of(adapter))
    assert time.monotonic() - started < 4
    if mishap is _cut:
        _cannot_be_asked(provider, adapter)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_answer_that_is_too_long_is_not_read(adapter: str, loopback: Loopback) -> None:
    limit = part_of(adapter, "submit").get("max_bytes", MAX_ANSWER_BYTES)
    status, content, headers = accepted(adapter, job_id_of(adapter))
    provider = make(adapter, Limits(submit_seconds=20), base_url=loopback.url)
    # Blanks in front of JSON mean nothing; to audio any byte is as good as another.
    loopback.answer = (status, b" " * (limit - len(content)) + content, headers)
    assert provider.submit(job_for(adapter)).provider_job_id == job_id_of(adapter)
    loopback.answer = (status, b" " * (limit - len(content) + 1) + content, headers)
    with pytest.raises(SubmitUnknown, match="Endless"):
        provider.submit(job_for(adapter))


UNREADABLE = [b"<html>Bad gateway</html>", b"", b"[]", b"[" * 5000, b'{"a":1,"a":2}', b'{"code":NaN}', b"\xff"]


@pytest.mark.parametrize("adapter", ADAPTERS)
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
                provider.fetch(job_id_of(adapter), model_of(adapter))
            _cannot_be_asked(provider, adapter)
    assert elsewhere.requests == [], "redirects are not followed"


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_is_no_refusal(adapter: str, status: int, loopback: Loopback) -> None:
    loopback.answer = (status, json.dumps({"code": status, "message": "x", "msg": "x", "detail": "x"}).encode())
    with pytest.raises(SubmitUnknown):
        make(adapter, base_url=loopback.url).submit(job_for(adapter))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_page_that_refuses_our_account_is_a_refusal(adapter: str, loopback: Loopback) -> None:
    for status in part_of(adapter, "submit").get("account_statuses", [401, 402, 403]):
        loopback.answer = (status, b"<html>no</html>")
        _refused(make(adapter, base_url=loopback.url), adapter, ErrorClass.PROVIDER_ACCOUNT)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_refusal_that_repeats_our_callback_address_does_not_pass_its_token_on(
    adapter: str, loopback: Loopback
) -> None:
    address = job_for(adapter).callback_url
    said = f"cannot call {address} (as {quote(address, safe='')})"
    loopback.answer = (400, json.dumps({"code": 1201, "message": said, "msg": said, "detail": said}).encode())
    with pytest.raises(SubmitRefused, match="cannot call") as refused:
        make(adapter, base_url=loopback.url).submit(job_for(adapter))
    assert TOKEN not in refused.value.message
    assert refused.value.message.count("***") == 2


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_fault_of_our_account_is_recorded_as_one(adapter: str) -> None:
    own = [one.values[0].expected for one in samples("submit") if one.values[0].adapter == adapter]
    assert any(one.get("error_class") == ErrorClass.PROVIDER_ACCOUNT for one in own)
    for expected in own:
        assert expected.get("raises") != "SubmitRefused" or expected.get("error_class"), expected["file"]


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("job_id", [None, 7, "", "a b", "../../balance", "x" * 201, "a\0b", "é", ["x"]])
def test_a_job_id_that_is_none_makes_the_submit_unknown(adapter: str, job_id: object, loopback: Loopback) -> None:
    if "{job}" in json.dumps(part_of(adapter, "submit")["accepted"].get("body", {})):
        loopback.answer = accepted(adapter, job_id)
        with pytest.raises(SubmitUnknown):
            make(adapter, base_url=loopback.url).submit(job_for(adapter))
        assert len(loopback.requests) == 1
    if isinstance(job_id, str):
        with pytest.raises(FetchFailed):
            make(adapter, base_url=loopback.url).fetch(job_id, model_of(adapter))
        assert len(loopback.requests) <= 1, "an id that could be a path is never asked for"


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_no_answer_at_all_raises_anything_else(adapter: str) -> None:
    job_id = job_id_of(adapter)
    with Loopback() as loopback:
        provider = make(adapter, base_url=loopback.url)

        @given(
            status=st.sampled_from([200, 201, 400, 402, 404, 422, 429, 500, 503]),
            value=answers_of(adapter),
            then=answers_of(adapter),
        )
        @hypothesis_settings(deadline=None, max_examples=40)
        def check(status: int, value: object, then: object) -> None:
            bodies = [json.dumps(one).encode() for one in (value, then)]
            with _answering(loopback, status, bodies), suppress(SubmitRefused, SubmitUnknown):
                assert provider.submit(job_for(adapter)).provider_job_id
            with _answering(loopback, status, bodies), suppress(FetchFailed, JobGone):
                assert provider.fetch(job_id, model_of(adapter)).provider_job_id == job_id
            with _answering(loopback, status, bodies), suppress(FetchFailed):
                found = provider.find(lost_for(adapter))
                assert found is None or (isinstance(found, Found) and found.report.provider_job_id)
            with _answering(loopback, status, bodies), suppress(FetchFailed):
                account = provider.account()
                assert account is None or (isinstance(account, Account) and account.remaining.is_finite())

        check()


FETCHED = [one for one in samples("fetch", genuine=True) if part_of(one.values[0].adapter, "fetch").get("status")]


@pytest.mark.parametrize("adapter", with_part("fetch"))
def test_the_manifest_says_where_the_status_of_a_fetch_stands(adapter: str) -> None:
    assert any(one.values[0].adapter == adapter for one in FETCHED)


@pytest.mark.parametrize("sample", FETCHED)
def test_a_status_that_nobody_knows_or_that_is_no_end_ends_nothing(sample: Sample, loopback: Loopback) -> None:
    """Where the answer has become unreadable by it, nothing is known either."""
    path = sample.expected.get("status") or part_of(sample.adapter, "fetch")["status"]
    provider, facts = make(sample.adapter, base_url=loopback.url), facts_of(sample.adapter)
    unknown = ["no-such-status", "", " ", None, [], {}, 4096, -1, True, 1.5, "9"]
    telling = [n for n, (_, body, _) in enumerate(sample.answers) if dig(_read(body), path) is not None]
    assert telling, "the manifest names where the status stands"
    for status in [*unknown, *facts["pending"]]:
        assert not any(type(end) is type(status) and end == status for end in facts["ends"])
        loopback.first = list(sample.answers)
        for n in telling:
            http_status, body, headers = sample.answers[n]
            told = json.dumps(changed(json.loads(body), path, status)).encode()
            loopback.first[n] = (http_status, told, headers)
        try:
            report = provider.fetch(sample.expected["job"], model_of(sample.adapter))
        except FetchFailed:
            assert status in unknown
            continue
        assert (report.outcome, report.error_class, report.outputs) == (Outcome.PENDING, None, ()), status


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_units_are_what_the_price_book_can_multiply(adapter: str) -> None:
    provider, job = make(adapter), job_for(adapter)
    unit, quantity, qualifier = facts_of(adapter)["units"]
    expected = Units(unit, None if quantity is None else Decimal(quantity), qualifier)
    assert provider.units(job.model, job.input) == expected

    names = sorted(said_by(adapter)[0] + list(job.input))
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    )

    @given(
        model=st.just(job.model) | st.text(max_size=50), changes=st.dictionaries(st.sampled_from(names), anything)
    )
    @hypothesis_settings(deadline=None, max_examples=60)
    def check(model: str, changes: dict[str, Any]) -> None:
        units = provider.units(model, {**job.input, **changes})
        assert units.unit == unit or (units.unit and units.quantity in (None, 1))
        assert len(units.qualifier) <= 50
        if units.quantity is not None:
            assert isinstance(units.quantity, (int, Decimal))
            assert Decimal(0) <= units.quantity < 10**9
            assert Decimal(units.quantity) == round(Decimal(units.quantity), 3)

    check()


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_neither_key_nor_callback_token_is_logged_or_said(
    adapter: str, loopback: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hidden = {"api_key": "key-that-nobody-may-see", "api_secret": "the-other-half-that-nobody-may-see"}
    provider = make(adapter, base_url=loopback.url, **hidden)
    loopback.answer = (500, b"")
    with pytest.raises(SubmitUnknown) as raised:
        provider.submit(job_for(adapter))
    with pytest.raises(FetchFailed) as failed:
        provider.fetch(job_id_of(adapter), model_of(adapter))
    seen = "".join(map(str, (caplog.text, raised.value, failed.value, repr(provider), repr(job_for(adapter)))))
    webhook_secret = part_of(adapter, "callback").get("webhook_secret")
    sent = loopback.requests[0].headers[facts_of(adapter)["auth"]["header"]]
    for secret in (TOKEN, "nobody-may-see", webhook_secret, job_secret(adapter), sent, sent.split()[-1]):
        assert secret is None or secret not in seen


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_one_adapter_serves_many_threads(adapter: str, loopback: Loopback) -> None:
    loopback.answer = accepted(adapter, job_id_of(adapter))
    provider, taken = make(adapter, Limits(submit_seconds=20), base_url=loopback.url), []
    threads = [threading.Thread(target=lambda: taken.append(provider.submit(job_for(adapter)))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(loopback.requests) == 20


@contextmanager
def _answering(loopback: Loopback, status: int, bodies: list[bytes]) -> Iterator[None]:
    """One question (or two in a row) with these answers."""
    loopback.first = [(status, bodies[0])]
    loopback.answer = (status, bodies[-1])
    yield


def _read(body: bytes) -> Any:
    """The JSON in a body; None if there is none, as in audio."""
    with suppress(ValueError):
        return json.loads(body)
    return None


def _submitted(adapter: str, loopback: Loopback, **input: Any) -> Request:
    loopback.answer = (500, b"")
    with pytest.raises(SubmitUnknown):
        make(adapter, base_url=loopback.url).submit(job_for(adapter, **input))
    [request] = loopback.requests
    return request


def _is_authorized(adapter: str, request: Request) -> None:
    auth = facts_of(adapter)["auth"]
    assert re.fullmatch(auth["pattern"], request.headers[auth["header"]])


def _raises(expected: Any, ask: Any) -> None:
    with pytest.raises(getattr(protocol, expected["raises"])) as raised:
        ask()
    assert getattr(raised.value, "error_class", None) == expected.get("error_class")
    assert str(raised.value)


def _is_as_expected(report: protocol.Report, expected: Any) -> None:
    assert report.outcome == expected["outcome"]
    assert report.provider_job_id == expected["job"]
    assert report.error_class == expected.get("error_class")
    assert list(report.outputs) == expected.get("outputs", [])
    assert report.usage == usage_in(expected)
    assert report.cost_micros == expected.get("cost_micros")
    assert (report.message is not None) == (report.outcome == Outcome.FAILED)


def _cannot_be_asked(provider: protocol.Provider, adapter: str) -> None:
    with pytest.raises(FetchFailed):
        provider.fetch(job_id_of(adapter), model_of(adapter))
    for name, ask in (("find", lambda: provider.find(lost_for(adapter))), ("account", provider.account)):
        if part_of(adapter, name):
            with pytest.raises(FetchFailed):
                ask()


def _refused(provider: protocol.Provider, adapter: str, error_class: ErrorClass) -> None:
    with pytest.raises(SubmitRefused) as raised:
        provider.submit(job_for(adapter))
    assert raised.value.error_class == error_class
    assert raised.value.message
