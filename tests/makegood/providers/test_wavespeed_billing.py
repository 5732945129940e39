"""WaveSpeed's billing API: pages, both units of price, and what is refused rather than guessed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from makegood.providers import wavespeed, wavespeed_billing
from makegood.providers.billing import BilledLine, BillPage, BillUnreadable
from makegood.providers.http import Limits
from makegood.providers.protocol import FetchFailed
from makegood.providers.wavespeed_billing import WaveSpeedBilling
from makegood.providers.wavespeed_prices import MICRO_USD, UNTOLD, USD, unit_of
from settings import ProviderSettings
from tests.loopback import Loopback

SAMPLES = Path(__file__).parents[2] / "provider_samples"
START, END = datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def loopback() -> Any:
    """The provider."""
    with Loopback() as loopback:
        yield loopback


@pytest.fixture
def billing(loopback: Loopback) -> WaveSpeedBilling:
    """Its billing API."""
    connection = ProviderSettings(api_key="test-key", base_url=loopback.url)
    found = wavespeed_billing.of(wavespeed.build("wavespeed", connection, Limits()))
    assert found is not None
    return found


def item(uuid: str = "line-1", price: Any = "0.038", **changes: Any) -> str:
    """A line as JSON; the price is written as given."""
    made = {
        "uuid": uuid,
        "billing_type": "deduct",
        "price": "PRICE",
        "created_at": "2026-11-21T08:59:41.933Z",
        "order": {"state": "done"},
        "prediction": {"uuid": f"job-{uuid}", "model_uuid": "google/nano-banana/edit"},
        **changes,
    }
    return json.dumps(made).replace('"PRICE"', str(price))


def page(*items: str, total: int | None = None, number: int = 1) -> tuple[int, bytes]:
    """An answer with these lines."""
    data = f'{{"page": {number}, "total": {json.dumps(total)}, "items": [{", ".join(items)}]}}'
    return 200, f'{{"code": 200, "message": "success", "data": {data}}}'.encode()


def read(billing: WaveSpeedBilling, cursor: str | None = None) -> BillPage:
    return billing.page(START, END, cursor)


@pytest.mark.parametrize(
    ("sample", "micros", "price"),
    [
        ("wavespeed_billings_search.json", 38_000, "0.038"),
        ("wavespeed_billings_search_legacy_micro.json", 24_300, "24300"),
    ],
)
def test_both_documented_shapes_are_the_same_line(
    billing: WaveSpeedBilling, loopback: Loopback, sample: str, micros: int, price: str
) -> None:
    loopback.answer = 200, (SAMPLES / sample).read_bytes()
    [line] = read(billing).lines
    assert line == BilledLine(
        "1113382d696d4677a036540a9bbb88b4",
        "7c1f0e5b9a3d4c6f8b2e1a0d9c8b7a65",
        "charge",
        micros,
        datetime(2026, 11, 21, 8, 59, 41, 933000, tzinfo=UTC),
        line.raw,
        "google/nano-banana/edit",
    )
    assert f'"price": {price}, "origin_price"' in line.raw
    assert json.loads(line.raw)["access_key_name"] == "prod"


def test_deductions_and_then_refunds_are_asked_for_in_milliseconds_as_texts(
    billing: WaveSpeedBilling, loopback: Loopback
) -> None:
    loopback.answer = page(total=0)
    first = read(billing)
    loopback.answer = page(item(billing_type="refund"), total=1)
    second = read(billing, first.next)
    assert [line.kind for line in second.lines] == ["refund"]
    assert second.next is None
    sent = [json.loads(request.body) for request in loopback.requests]
    assert [body["billing_type"] for body in sent] == ["deduct", "refund"]
    assert (sent[0]["start_time"], sent[0]["end_time"]) == ("1795219200000", "1795305600000")
    assert (sent[0]["page"], sent[0]["page_size"]) == (1, 100)
    assert {request.path for request in loopback.requests} == {"/api/v3/billings/search"}
    assert loopback.requests[0].headers["authorization"] == "Bearer test-key"


def test_pages_follow_until_nothing_is_missing_whatever_their_size(
    billing: WaveSpeedBilling, loopback: Loopback
) -> None:
    cursor, seen = None, []
    for number in (1, 2, 3):
        loopback.answer = page(*(item(f"l-{number}-{n}") for n in range(2)), total=6, number=number)
        answer = read(billing, cursor)
        seen += [line.line_id for line in answer.lines]
        cursor = answer.next
    assert len(set(seen)) == 6
    assert cursor == "refund:1:usd:0"


def test_a_full_page_without_a_total_is_followed_by_another(billing: WaveSpeedBilling, loopback: Loopback) -> None:
    loopback.answer = page(*(item(f"l-{n}") for n in range(100)))
    assert read(billing).next == "deduct:2:usd:100"
    loopback.answer = page(number=2)
    assert read(billing, "deduct:2:usd:100").next == "refund:1:usd:0"


def test_a_list_that_shrinks_while_it_is_read_is_said_so(billing: WaveSpeedBilling, loopback: Loopback) -> None:
    loopback.answer = page(number=2, total=101)
    with pytest.raises(BillUnreadable, match="Only 100 of 101 lines"):
        read(billing, "deduct:2:usd:100")


def test_what_is_not_final_is_left_out_and_counted(billing: WaveSpeedBilling, loopback: Loopback) -> None:
    loopback.answer = page(item("a"), item("b", order={"state": "pre"}), total=2)
    answer = read(billing)
    assert ([line.line_id for line in answer.lines], answer.pending) == (["a"], 1)


@pytest.mark.parametrize(
    ("prices", "known", "unit"),
    [
        (["0.038"], UNTOLD, USD),
        ([27_000], UNTOLD, MICRO_USD),
        ([100], UNTOLD, MICRO_USD),
        ([0, "0.0"], UNTOLD, UNTOLD),
        ([0], USD, USD),
        ([1, "0.5"], UNTOLD, USD),
        ([2], USD, USD),
        ([5, 27_000], UNTOLD, MICRO_USD),
        (["99.5"], UNTOLD, USD),
        (["0.038000000000000006"], UNTOLD, USD),
    ],
)
def test_the_unit_is_what_the_prices_tell(prices: list[Any], known: str, unit: str) -> None:
    items = [{"price": Decimal(price) if isinstance(price, str) else price} for price in prices]
    assert unit_of(items, known) == unit


@pytest.mark.parametrize(
    ("prices", "known", "said"),
    [
        ([1], UNTOLD, "may be US dollars or micro-dollars"),
        ([99], UNTOLD, "may be US dollars or micro-dollars"),
        (["24300.0"], UNTOLD, "may be US dollars or micro-dollars"),
        (["100.5"], USD, "may be US dollars or micro-dollars"),
        (["0.038", 27_000], UNTOLD, "none can be trusted"),
        ([27_000], USD, "none can be trusted"),
        (["0.038"], MICRO_USD, "none can be trusted"),
    ],
)
def test_a_unit_that_could_only_be_guessed_is_refused(prices: list[Any], known: str, said: str) -> None:
    items = [{"price": Decimal(price) if isinstance(price, str) else price, "uuid": "line-9"} for price in prices]
    with pytest.raises(BillUnreadable, match=said):
        unit_of(items, known)


@pytest.mark.parametrize(
    ("price", "micros"),
    [
        ("0.038", 38_000),
        ("0.038000000000000006", 38_000),
        ("0.0000005", 1),
        ("1e-7", 0),
        ("0.0", 0),
        ("12.5", 12_500_000),
    ],
)
def test_dollars_are_rounded_once_to_the_nearest_micro_dollar(
    billing: WaveSpeedBilling, loopback: Loopback, price: str, micros: int
) -> None:
    loopback.answer = page(item("a", price), item("b", "0.5"), total=2)
    assert read(billing).lines[0].amount_micros == micros


@pytest.mark.parametrize(
    "line",
    [
        item(price=-5),
        item(price="-0.038"),
        item(price="true"),
        item(price="null"),
        item(price='"0.038"'),
        item(uuid="", price="0.038"),
        item(uuid="a b"),
        item(billing_type="refund"),
        item(billing_type="gift"),
        item(created_at="yesterday"),
        item(created_at=None),
    ],
)
def test_a_line_that_is_not_as_it_must_be_stops_the_import_with_its_reason(
    billing: WaveSpeedBilling, loopback: Loopback, line: str
) -> None:
    loopback.answer = page(line, item("z", "0.5"), total=2)
    with pytest.raises(BillUnreadable, match=r"^(Line|The price|A line) .*"):
        read(billing)


def test_a_line_without_a_job_is_kept(billing: WaveSpeedBilling, loopback: Loopback) -> None:
    loopback.answer = page(item(prediction=None), total=1)
    assert [line.provider_job_id for line in read(billing).lines] == [None]


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"{}"),
        (429, b'{"code": 429}'),
        (200, b"not json"),
        (200, b'{"code": 200}'),
        (200, b'{"code": 200, "data": {"items": [5]}}'),
        (200, b'{"code": 200, "data": {"items": null, "total": 5}}'),
        (200, b'{"code": 200, "data": {"items": [{"uuid": "\\u0000"}]}}'),
        (200, b'{"code": 200, "data": {"items": [{"price": NaN}]}}'),
        (200, b'{"code": 5003, "data": {"items": []}}'),
        page(item(), number=3),
    ],
)
def test_an_answer_that_is_none_can_be_asked_for_again(
    billing: WaveSpeedBilling, loopback: Loopback, answer: tuple[int, bytes]
) -> None:
    loopback.answer = answer
    with pytest.raises(FetchFailed):
        read(billing)


def test_a_refusal_says_what_the_provider_said(billing: WaveSpeedBilling, loopback: Loopback) -> None:
    loopback.answer = 401, b'{"code": 401, "message": "Invalid API key"}'
    with pytest.raises(BillUnreadable, match="401: Invalid API key"):
        read(billing)


def test_a_provider_without_a_key_cannot_be_asked() -> None:
    assert wavespeed_billing.of(wavespeed.build("wavespeed", ProviderSettings(), Limits())) is None
    assert wavespeed_billing.of(None) is None
