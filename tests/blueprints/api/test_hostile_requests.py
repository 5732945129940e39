"""What strangers and broken clients send: always a 4xx in the API's own shape, and no credits move."""

from __future__ import annotations

import json
import re
from io import BytesIO
from typing import Any

import pytest

from makegood.providers import registry
from settings import PROVIDER_NAMES, ProviderSettings
from tests.backend import Platform
from tests.making import MODEL
from tests.people import add_key

GOOD = {"customer_id": "cus_1", "provider": "wavespeed", "model": MODEL, "kind": "image", "input": {}}


def written(**fields: Any) -> bytes:
    """A generation's body as our own encoder writes it."""
    return json.dumps(GOOD | fields).encode()


def with_input(raw: bytes) -> bytes:
    """A generation's body with this input, whatever that is."""
    return written(input="HERE").replace(b'"HERE"', raw)


BODIES = {
    "empty": b"",
    "blank": b" ",
    "cut": written()[:-5],
    "two values": written() + b"{}",
    "null": b"null",
    "a number": b"1",
    "a text": b'"x"',
    "an array": b"[" + written() + b"]",
    "false": b"false",
    "an empty array": b"[]",
    "five thousand deep": with_input(b'{"a":' * 5000 + b"1" + b"}" * 5000),
    "five thousand arrays deep": with_input(b"[" * 5000 + b"]" * 5000),
    "never closed": b"[" * 100_000,
    "NaN": with_input(b'{"a": NaN}'),
    "infinity": with_input(b'{"a": -Infinity}'),
    "a huge float": with_input(b'{"a": 1e400}'),
    "a huge integer": with_input(b'{"a": 1' + b"0" * 5000 + b"}"),
    "a huge amount": with_input(b"{}").replace(b'"kind"', b'"credits": 99999999999999999999, "kind"'),
    "a field twice": with_input(b'{"a": 1, "a": 2}'),
    "a known field twice": with_input(b'{}, "kind": "image"'),
    "NUL": with_input(b'{"a": "\\u0000"}'),
    "a raw NUL": with_input(b'{"a": "\x00"}'),
    "NUL in a name": with_input(b'{"a\\u0000": 1}'),
    "half a surrogate pair": with_input(b'{"a": "\\ud800"}'),
    "latin-1": with_input('{"a": "é"}'.encode("latin-1")),
    "UTF-16": written().decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + written(),
    "a form": b"customer_id=cus_1&provider=wavespeed",
    "XML": b"<generation/>",
    "NUL in the model": written(model="a\x00"),
    "a line feed in the kind": written(kind="a\n"),
    "an endless model": written(model="x" * 201),
    "the wrong types": written(customer_id=1, provider=[], model={}, kind=None, input=[]),
    "an unknown field": written(balance=1_000_000),
    "ten thousand unknown fields": json.dumps(GOOD | {f"f{n}": 0 for n in range(10_000)}).encode(),
    "an unknown field with a long name": json.dumps(GOOD | {"x" * 100_000: 0}).encode(),
    "credits of zero": written(credits=0),
    "negative credits": written(credits=-5),
    "credits in pieces": written(credits=0.5),
    "true credits": written(credits=True),
    "too many credits": written(credits=10**9 + 1),
    "metadata that is no object": written(metadata=[1]),
    "a provider that cannot be": written(provider="__class__"),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_a_hostile_body_is_refused_and_moves_nothing(platform: Platform, body: bytes) -> None:
    customer = platform.make_customer(customer_id="cus_1")
    answer = platform.send_raw("POST", "/generations", body, Idempotency_Key="g1")
    assert answer.status_code in (400, 422)
    assert set(answer.json) == {"error"}
    assert answer.json["error"]["code"] in ("bad_request", "invalid")
    assert len(answer.data) < 20_000
    assert (platform.balance(customer), platform.provider.submitted) == (5, [])
    assert platform.send_raw("POST", "/generations", written(), Idempotency_Key="g1").status_code == 202


def test_depth_is_bounded_where_documented(platform: Platform) -> None:
    customer = platform.make_customer(customer_id="cus_1")
    for depth, status in ((31, 202), (32, 400)):
        raw = with_input(b'{"a":' * depth + b"1" + b"}" * depth)
        assert platform.send_raw("POST", "/generations", raw, Idempotency_Key=f"g{depth}").status_code == status
    assert platform.balance(customer) == 3


def test_a_body_over_a_megabyte_is_413(platform: Platform) -> None:
    customer = platform.make_customer(customer_id="cus_1")
    fits = written(input={"prompt": "x" * 990_000})
    assert platform.send_raw("POST", "/generations", fits, Idempotency_Key="g1").status_code == 202
    answer = platform.send_raw(
        "POST", "/generations", written(input={"prompt": "x" * 10**6}), Idempotency_Key="g2"
    )
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "request_entity_too_large")
    assert platform.balance(customer) == 3


def test_a_chunked_body_has_the_same_limit(platform: Platform) -> None:
    customer = platform.make_customer(customer_id="cus_1")
    for raw, status in ((written() + b" " * 990_000, 202), (written() + b" " * 10**6, 413)):
        answer = platform.client.post(
            "/api/v1/generations",
            input_stream=BytesIO(raw),
            environ_overrides={"wsgi.input_terminated": True},
            headers={
                "Authorization": f"Bearer {platform.key}",
                "Content-Type": "application/json",
                "Transfer-Encoding": "chunked",
                "Idempotency-Key": str(len(raw)),
            },
        )
        assert answer.status_code == status
    assert platform.balance(customer) == 3


@pytest.mark.parametrize("name", [name for name in BODIES if "NUL" in name or "surrogate" in name])
def test_what_no_column_can_hold_does_not_reach_the_database(platform: Platform, name: str) -> None:
    answer = platform.send_raw("POST", "/generations", BODIES[name], Idempotency_Key="g1")
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "multipart/form-data; boundary=x"},
        {"Content_Type": ""},
        {"Content_Encoding": "gzip"},
    ],
)
def test_what_is_not_declared_as_json_is_415(platform: Platform, headers: dict[str, str]) -> None:
    customer = platform.make_customer(customer_id="cus_1")
    answer = platform.send_raw("POST", "/generations", written(), Idempotency_Key="g1", **headers)
    assert (answer.status_code, answer.json["error"]["code"]) == (415, "unsupported_media_type")
    assert platform.balance(customer) == 5


def test_odd_but_plain_json_is_stored_as_it_came(platform: Platform) -> None:
    platform.make_customer(customer_id="cus_1")
    values = {"": "", "e": 1.5e-7, "n": -(2**63) + 1, "t": "😀 \u202e ü\n\t", "x": None, "l": [[], {}, False]}
    answer = platform.send_raw("POST", "/generations", written(metadata=values), Idempotency_Key="g1")
    assert answer.status_code == 202
    assert platform.send("GET", f"/generations/{answer.json['id']}").json["metadata"] == values


def test_a_request_without_a_body_takes_none(platform: Platform) -> None:
    customer = platform.make_customer()
    path = f"/generations/{platform.start(customer).json['id']}/cancel"
    answer = platform.send("POST", path, {"refund": "all"})
    assert answer.json["error"]["fields"] == {"refund": "is not a field of this request"}
    assert platform.send("POST", path, {}).json["status"] == "cancelled"


INPUTS = [
    *({"num_images": value, "numImages": value} for value in ("x", "٣", -1, 0, 10**18, 1.5, None, True, [], {})),
    *({"images": value, "imageUrls": value} for value in ([None] * 1000, "x", {}, 7)),
    *({"image_size": value, "size": value} for value in (10**18, {}, "x")),
]


@pytest.mark.parametrize("provider", PROVIDER_NAMES)
def test_no_input_breaks_the_counting_of_what_a_provider_bills(platform: Platform, provider: str) -> None:
    platform.app.extensions["providers"] = registry.build({provider: ProviderSettings()})
    customer = platform.make_customer(50)
    for number, values in enumerate(INPUTS):
        answer = platform.start(customer, provider=provider, credits=1, input=values, idempotency=f"g{number}")
        assert answer.json["error"]["code"] == "provider_unavailable", values
        assert (answer.json["refunded"], platform.balance(customer)) == (True, 55)


ROUTES = [
    ("PUT", "/customers/cus_1"),
    ("GET", "/customers/cus_1"),
    ("GET", "/customers/cus_1/transactions"),
    ("POST", "/customers/cus_1/grants"),
    ("POST", "/generations"),
    ("GET", "/generations/01a1fe1d-db90-72ec-b261-1ac988672a26"),
    ("GET", "/generations/01a1fe1d-db90-72ec-b261-1ac988672a26/outputs/1"),
    ("POST", "/generations/01a1fe1d-db90-72ec-b261-1ac988672a26/cancel"),
    ("POST", "/generations/01a1fe1d-db90-72ec-b261-1ac988672a26/outcome"),
]


def test_the_list_of_routes_is_whole(platform: Platform) -> None:
    rules = [rule for rule in platform.app.url_map.iter_rules() if rule.endpoint.startswith("api.")]
    found = {
        (method, re.sub("<[^>]+>", "*", str(rule)))
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    known = {(method, re.sub("cus_1|[0-9a-f-]{36}|1$", "*", f"/api/v1{path}")) for method, path in ROUTES}
    assert found - known == {("GET", "/api/v1/openapi.json")}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_key_nothing_is_answered(platform: Platform, method: str, path: str) -> None:
    stats = add_key(platform.app, "stats")
    answers = [
        platform.client.open(f"/api/v1{path}", method=method, data=b"[" * 5000, headers=headers)
        for headers in ({}, {"Authorization": "Bearer mg_" + "x" * 43}, {"Authorization": f"Bearer {stats}"})
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 403]
    assert [answer.json["error"]["code"] for answer in answers] == ["unauthenticated"] * 2 + ["forbidden"]


def test_an_operators_session_opens_nothing_here(platform: Platform, operator: Any) -> None:
    assert operator.get("/api/v1/customers/cus_1").status_code == 401


@pytest.mark.parametrize("path", ["/nothing", "/generations/", "/customers"])
def test_a_path_that_does_not_exist_is_answered_in_json(platform: Platform, path: str) -> None:
    answer = platform.send("GET", path)
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "not_found")


def test_a_wrong_method_is_answered_in_json(platform: Platform) -> None:
    answer = platform.send("DELETE", "/customers/cus_1")
    assert (answer.status_code, answer.json["error"]["code"]) == (405, "method_not_allowed")
