"""The monitoring pages: what they show is what the rows behind and the files say."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from extensions import db
from makegood import generations, rollups
from makegood.providers.protocol import ErrorClass
from tests.making import MODEL, TERMS, FakeProvider, make_customer, make_generation
from tests.people import add_operator, log_in

PAGES = ("usage", "customers", "failures", "refunds", "latency")
FILES = {
    "usage-providers": "usage",
    "usage-models": "usage",
    "usage-days": "usage",
    "top-customers": "customers",
    "failures-classes": "failures",
    "failures-providers": "failures",
    "failures-models": "failures",
    "failures-days": "failures",
    "refunds-reasons": "refunds",
    "refunds-models": "refunds",
    "refunds-days": "refunds",
    "latency-providers": "latency",
    "latency-models": "latency",
    "latency-days": "latency",
}
TOTALS = {
    "usage": ("generations", 5),
    "failures": ("failed", 2),
    "refunds": ("refunds", 2),
    "latency": ("succeeded", 2),
}
"""What each file of a page adds up to, but the one of customers."""


@pytest.fixture
def busy(app: Flask) -> None:
    """Of c/1 two that succeeded, two that failed, one of them at the provider external, and one in flight; of c/2
    one that succeeded two months ago."""
    now = datetime.now(UTC)
    with app.app_context():
        first = make_customer(db.session, 100, customer_id="c/1", at=now - timedelta(days=90))
        second = make_customer(db.session, 100, customer_id="c/2", at=now - timedelta(days=90))
        for status in ("succeeded", "succeeded", "failed", "submitted"):
            make_generation(db.session, first, status=status, credits=2, at=now - timedelta(hours=1))
        outside = make_generation(db.session, first, provider=FakeProvider("external"), credits=3, at=now)
        generations.fail(db.session, outside, ErrorClass.TIMEOUT, "late", TERMS, at=now)
        make_generation(db.session, second, status="succeeded", credits=2, at=now - timedelta(days=60))
        db.session.commit()


@pytest.fixture(params=["tail", "folded"])
def folded(request: pytest.FixtureRequest, app: Flask, busy: None) -> None:
    """With all events in the rollups, or none."""
    if request.param == "folded":
        with app.app_context():
            rollups.fold(db.session(), TERMS.timezone)
            db.session.commit()


def rows_of(browser: FlaskClient, table: str, query: str = "") -> list[dict[str, str]]:
    """A table's file."""
    answer = browser.get(f"/admin/exports/{table}.csv{query}")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_without_anything_says_so(operator: FlaskClient, page: str) -> None:
    text = operator.get(f"/admin/monitoring/{page}").text
    assert "in this range." in text
    assert "matches these filters" not in text


@pytest.mark.parametrize("page", ["usage", "failures", "refunds", "latency"])
def test_filters_that_nothing_matches_can_be_cleared(operator: FlaskClient, busy: None, page: str) -> None:
    text = operator.get(f"/admin/monitoring/{page}?provider=nobody&range=7d").text
    assert "Nothing in this range matches these filters" in text
    assert f'<a href="/admin/monitoring/{page}?range=7d">Clear them</a>' in text


@pytest.mark.usefixtures("folded")
@pytest.mark.parametrize(("table", "page"), FILES.items())
def test_a_file_adds_up_to_the_figures_of_its_page(operator: FlaskClient, table: str, page: str) -> None:
    rows = rows_of(operator, table)
    measure, total = TOTALS.get(page, ("generations", 5))
    assert sum(int(row[measure] or 0) for row in rows) == total
    assert rows_of(operator, table, "?range=last-month") != rows
    assert f"/admin/exports/{table}" in operator.get(f"/admin/monitoring/{page}").text


TOTAL_ROWS = {
    "usage": {
        "By provider": ("usage-providers", "Charged", "generations"),
        "By model and kind": ("usage-models", "Charged", "generations"),
    },
    "failures": {
        "By provider": ("failures-providers", "Failed", "failed"),
        "By provider and model": ("failures-models", "Failed", "failed"),
    },
    "refunds": {
        "By reason": ("refunds-reasons", "Refunds", "refunds"),
        "By provider and model": ("refunds-models", "Refunds", "refunds"),
    },
}


@pytest.mark.usefixtures("folded")
@pytest.mark.parametrize("page", TOTAL_ROWS)
def test_a_row_of_totals_has_what_its_columns_and_the_file_add_up_to(operator: FlaskClient, page: str) -> None:
    text = operator.get(f"/admin/monitoring/{page}").text
    for title, (table, column, measure) in TOTAL_ROWS[page].items():
        _, _, panel = text.partition(f">{title}</h2>")
        body, _, foot = panel.partition("</table>")[0].partition("<tfoot>")
        cell = rf'data-label="{column}">(?:<a [^>]+>)?(\d+)'
        listed = [int(number) for number in re.findall(cell, body)]
        [total] = re.findall(cell, foot)
        assert len(listed) > 1
        assert int(total) == sum(listed) == sum(int(row[measure]) for row in rows_of(operator, table)), title


def test_the_rate_of_all_counts_providers_and_models_without_a_failure(operator: FlaskClient, busy: None) -> None:
    text = operator.get("/admin/monitoring/failures").text
    assert text.partition('id="failing-external"')[2].partition("</tr>")[0].count("1 of 1") == 1
    rows = {row["provider"]: (row["failed"], row["ended"]) for row in rows_of(operator, "failures-providers")}
    assert rows == {"external": ("1", "1"), "wavespeed": ("1", "3")}
    foots = re.findall(r"<tfoot>.*?</tfoot>", text.partition('id="title-monitoring_failures_providers"')[2], re.S)
    assert all("2 of 4" in foot for foot in foots)
    assert len(foots) == 2


@pytest.fixture
def two_weeks(app: Flask) -> None:
    """At wavespeed 3 of 20 failed in this week, 1 of 20 in the one before; at nanobanana none of 2 and 1 of 1;
    at simulated nothing ended and 1 of 2, of an error class of its own."""
    now = datetime.now(UTC) - timedelta(minutes=5)
    with app.app_context():
        customer = make_customer(db.session, 500, at=now - timedelta(days=30))
        for provider, days, failed, succeeded in (
            ("wavespeed", 0, 3, 17),
            ("wavespeed", 8, 1, 19),
            ("nanobanana", 0, 0, 2),
            ("nanobanana", 8, 1, 0),
            ("simulated", 8, 0, 1),
        ):
            model = "nano-banana" if provider == "nanobanana" else MODEL
            for status in ["failed"] * failed + ["succeeded"] * succeeded:
                at = now - timedelta(days=days)
                make_generation(
                    db.session, customer, provider=FakeProvider(provider), model=model, status=status, at=at
                )
        at = now - timedelta(days=8)
        gone = make_generation(db.session, customer, provider=FakeProvider("simulated"), model=MODEL, at=at)
        generations.fail(db.session, gone, ErrorClass.TIMEOUT, "late", TERMS, at=at)
        db.session.commit()


WEEK = "?range=7d"


def test_a_rate_stands_beside_that_of_the_period_before_and_changes_in_points(
    operator: FlaskClient, two_weeks: None
) -> None:
    page = operator.get(f"/admin/monitoring/failures{WEEK}").text
    for panel in ("providers", "models"):
        table = page.partition(f'id="title-monitoring_failures_{panel}"')[2].partition("</table>")[0]
        rows = re.findall(r'<tr id="failing-([a-z]+)(.*?)</tr>', table, re.S)
        shown = {name: cells_of(row) for name, row in rows}
        shown["All"] = cells_of(table.partition("<tfoot>")[2])
        assert shown == {
            "wavespeed": ("15.0% 3 of 20", "5.0% 1 of 20", "+10.0 pts , 5.0% before"),
            "nanobanana": ("n/a , of fewer than 20 0 of 2", "n/a , of fewer than 20 1 of 1", "–"),
            "simulated": ("No data", "n/a , of fewer than 20 1 of 2", "–"),
            "All": ("13.6% 3 of 22", "13.0% 3 of 23", "+0.6 pts , 13.0% before"),
        }
    assert page.count('class="delta delta-bad" title="5.0% before"') == 2


def cells_of(row: str) -> tuple[str, ...]:
    """A row's rate, the rate before, and its change."""
    found = [
        re.search(rf'data-label="{label}">(.*?)</td>', row, re.S)
        for label in ("Failure rate", "Rate before", "Change of rate")
    ]
    return tuple(" ".join(re.sub(r"<[^>]+>", " ", cell[1]).split()) for cell in found if cell)


def test_the_files_have_the_exact_rates_with_their_denominators_and_all_that_the_screen_has(
    operator: FlaskClient, two_weeks: None
) -> None:
    rates = ("failed", "ended", "failure_rate", "failed_before", "ended_before", "failure_rate_before")
    for table in ("failures-providers", "failures-models"):
        rows = rows_of(operator, table, WEEK)
        assert [(row["provider"], *(row[name] for name in rates)) for row in rows] == [
            ("wavespeed", "3", "20", "0.15", "1", "20", "0.05"),
            ("nanobanana", "0", "2", "0", "1", "1", "1"),
            ("simulated", "0", "0", "", "1", "2", "0.5"),
        ]
    classes = rows_of(operator, "failures-classes", WEEK)
    counts = {row["error_class"]: (row["failed"], row["failed_before"]) for row in classes}
    assert counts.pop("timeout") == ("0", "1")
    assert list(counts.values()) == [("3", "2")]


def test_files_say_what_is_unknown_by_nothing(operator: FlaskClient, busy: None) -> None:
    days = rows_of(operator, "latency-days", "?range=7d")
    assert len(days) == 7
    assert [row["p50_ms"] for row in days[:-2]] == [""] * 5
    providers = {row["provider"]: row for row in rows_of(operator, "usage-providers")}
    assert (providers["external"]["cost_usd"], providers["external"]["unknown_costs"]) == ("", "1")


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("page", PAGES)
def test_every_kind_of_link_leads_somewhere_in_another_time_zone(operator: FlaskClient, page: str) -> None:
    text = operator.get(f"/admin/monitoring/{page}?range=90d&zone=Asia/Kolkata").text
    main = text[text.index("<main") : text.index("</main")]
    links = {html.unescape(link) for link in re.findall(r'href="(/admin/[^"#]+)"', main)}
    kinds = {re.sub(r"=[^&]+", "", link): link for link in links}
    assert len(kinds) > 5
    assert {link: status for link in kinds.values() if (status := operator.get(link).status_code) != 200} == {}


def listed(page: str) -> int:
    """How many rows a list has."""
    return len(re.findall(r'<tr class="leads"', page))


def test_a_figure_leads_to_as_many_rows(operator: FlaskClient, busy: None) -> None:
    found = 0
    for name in PAGES:
        text = operator.get(f"/admin/monitoring/{name}").text
        main = text[text.index('id="panels"') : text.index("</main")]
        for link, figure in re.findall(r'<a class="through" href="([^"]+)">([\d,]+)</a>', main):
            rows = listed(operator.get(html.unescape(link)).text)
            assert rows == int(figure), (name, link)
            found += 1
    assert found > 20


def test_top_customers_are_sorted_by_what_was_asked(operator: FlaskClient, busy: None) -> None:
    def order(query: str) -> list[str]:
        return re.findall(r'<tr id="customer-([^"]+)"', operator.get(f"/admin/monitoring/customers{query}").text)

    assert order("?range=90d") == ["c/1", "c/2"]
    assert order("?range=90d&sort=refunds") == ["c/1"]
    assert order("?range=30d") == ["c/1"]
    assert order("?range=90d&sort=nonsense") == ["c/1", "c/2"]
    assert 'aria-sort="descending"' in operator.get("/admin/monitoring/customers?sort=cost").text


def test_top_customers_are_compared_and_those_of_a_tier(operator: FlaskClient, busy: None) -> None:
    page = "/admin/monitoring/customers?range=30d"
    shown = " ".join(re.sub(r"<[^>]+>", " ", operator.get(page).text).split())
    assert "Change of charged" in shown
    assert re.search(r"c/1 \S+ now .*? from 0 , 0 before", shown)
    [tier] = {row["tier_now"] for row in rows_of(operator, "top-customers", "?range=90d")}
    assert len(rows_of(operator, "top-customers", f"?range=90d&tier={tier}")) == 2
    assert rows_of(operator, "top-customers", "?range=90d&tier=none") == []
    assert "matches these filters" in operator.get(f"{page}&tier=none").text


def test_failing_models_are_sorted_by_a_rate_of_many_before_one_of_few(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        at = datetime.now(UTC) - timedelta(minutes=5)
        customer = make_customer(db.session, 500, at=at)
        for provider, failed, succeeded in (("simulated", 2, 0), ("wavespeed", 3, 17), ("nanobanana", 4, 26)):
            model = "nano-banana" if provider == "nanobanana" else MODEL
            for status, count in (("failed", failed), ("succeeded", succeeded)):
                for _ in range(count):
                    make_generation(
                        db.session, customer, provider=FakeProvider(provider), model=model, status=status, at=at
                    )
        db.session.commit()

    def order(query: str) -> list[str]:
        page = operator.get(f"/admin/monitoring/failures{query}").text
        return re.findall(r'<tr id="failing-(\w+)-', page)

    assert order("") == ["nanobanana", "wavespeed", "simulated"]
    page = operator.get("/admin/monitoring/failures?sort=rate").text
    assert order("?sort=rate") == ["wavespeed", "nanobanana", "simulated"]
    assert re.search(r'aria-sort="descending"><a class="sort"[^>]*>Failure rate', page)
    models = page.partition('id="title-monitoring_failures_models"')[2]
    rates = re.findall(r'data-label="Failure rate">(.*?)</td>', models)
    assert [" ".join(re.sub(r"<[^>]+>", " ", rate).split()) for rate in rates] == [
        "15.0% 3 of 20",
        "13.3% 4 of 30",
        "n/a , of fewer than 20 2 of 2",
        "17.3% 9 of 52",
    ]


@pytest.mark.parametrize("page", PAGES)
def test_only_a_range_that_goes_on_is_refreshed(operator: FlaskClient, busy: None, page: str) -> None:
    address = f'hx-get="/admin/pulse/monitoring/{page}'
    assert address in operator.get(f"/admin/monitoring/{page}?range=7d").text
    assert address not in operator.get(f"/admin/monitoring/{page}?range=last-month").text
    pulse = operator.get(f"/admin/pulse/monitoring/{page}?range=7d").text
    assert "<html" not in pulse
    assert f'hx-target="#panel-monitoring_{page}_cards"' in pulse


def test_strangers_are_led_to_the_log_in_and_viewers_may_see(app: Flask, client: FlaskClient) -> None:
    assert client.get("/admin/monitoring/usage").status_code == 303
    add_operator(app, "viewer@example.com", "viewer")
    log_in(client, "viewer@example.com")
    assert client.get("/admin/monitoring/usage").status_code == 200
