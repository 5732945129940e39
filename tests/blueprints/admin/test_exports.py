from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from blueprints.admin import exports
from extensions import db
from makegood.models import AuditEntry, Refund
from tests.making import make_customer, make_generation


@pytest.fixture
def failed(app: Flask) -> None:
    """Sixty failed and refunded generations, more than a page holds, of two customers."""
    with app.app_context():
        early = datetime.now(UTC) - timedelta(days=3)
        names = ("=cmd|' /C calc'!A0", "c_2")
        customers = [make_customer(db.session, customer_id=name, credits=500, at=early) for name in names]
        for number in range(60):
            at = early + timedelta(minutes=number)
            make_generation(db.session, customers[number % 2], status="failed", credits=2, at=at)
        db.session.commit()


def rows(client: FlaskClient, address: str) -> list[dict[str, str]]:
    response = client.get(address)
    assert response.status_code == 200
    assert response.mimetype == "text/csv"
    return list(csv.DictReader(io.StringIO(response.text)))


@pytest.mark.usefixtures("failed")
def test_the_file_has_every_row_of_every_page_and_its_total(app: Flask, operator: FlaskClient) -> None:
    found = rows(operator, "/admin/exports/refunds.csv")
    with app.app_context():
        kept = {str(refund.id): refund for refund in db.session.scalars(select(Refund))}
    assert len(found) == 60
    assert {row["refund_id"] for row in found} == set(kept)
    assert sum(int(row["credits"]) for row in found) == sum(refund.credits for refund in kept.values()) == 120
    assert all(datetime.fromisoformat(row["issued_at"]).utcoffset() == timedelta(0) for row in found)


@pytest.mark.usefixtures("failed")
def test_the_file_follows_the_filters_and_names_the_rows_before(operator: FlaskClient) -> None:
    assert "<strong>30 rows</strong>" in operator.get("/admin/exports/failures?customer=c_2").text
    assert {row["customer_id"] for row in rows(operator, "/admin/exports/failures.csv?customer=c_2")} == {"c_2"}
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert "<strong>No row</strong>" in operator.get(f"/admin/exports/failures?from={tomorrow}").text
    assert rows(operator, f"/admin/exports/failures.csv?from={tomorrow}") == []


@pytest.mark.usefixtures("failed")
def test_a_customer_s_id_is_no_formula(operator: FlaskClient) -> None:
    found = {row["customer_id"] for row in rows(operator, "/admin/exports/refunds.csv")}
    assert found == {"'=cmd|' /C calc'!A0", "c_2"}


@pytest.mark.usefixtures("failed")
def test_who_took_what_is_in_the_audit_log(app: Flask, operator: FlaskClient) -> None:
    operator.get("/admin/exports/refunds.csv?customer=c_2&older=x")
    with app.app_context():
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "table.exported")).one()
        assert (entry.actor, entry.subject) == ("ana@example.com", "table:refunds")
        assert entry.details == {"rows": 30, "filters": {"customer": "c_2"}, "customer_id": "c_2"}


TABLES = {
    "refunds.csv?customer=c_2": "c_2",
    "ledger.csv?customer_id=c_2": "c_2",
    "notes.csv?customer_id=c_2": "c_2",
    "audit.csv?subject=customer:c_2": "c_2",
    "refunds.csv?customer=c_3": None,  # nobody is called so
    "refunds.csv?customer_id=c_2": None,  # a filter that this table has not
    "margin-days.csv?customer=c_2": None,
    "audit.csv?subject=table:refunds&customer=c_2": None,
    "customers.csv?customer_id=c_2": None,
}


@pytest.mark.usefixtures("failed")
def test_a_file_belongs_to_a_customer_s_history_where_its_rows_are_theirs_alone(
    app: Flask, operator: FlaskClient
) -> None:
    for address in TABLES:
        assert operator.get(f"/admin/exports/{address}").status_code == 200, address
    with app.app_context():
        taken = select(AuditEntry.details["customer_id"].astext).where(AuditEntry.action == "table.exported")
        assert list(db.session.scalars(taken.order_by(AuditEntry.id))) == list(TABLES.values())


OF_ONE_THING = {"bill_rows", "bulk-refund", "ledger", "grants", "notes"}


@pytest.mark.parametrize("name", sorted(exports.names() - OF_ONE_THING))
def test_every_table_has_its_dialog_and_its_file(operator: FlaskClient, name: str) -> None:
    assert operator.get(f"/admin/exports/{name}").status_code == 200
    file = operator.get(f"/admin/exports/{name}.csv")
    assert file.headers["Content-Disposition"].startswith(f'attachment; filename="makegood-{name}-')
    assert len(file.text.splitlines()) == int(file.headers["X-Rows"]) + 1


def test_the_file_names_the_days_of_the_range(operator: FlaskClient) -> None:
    of_a_week = operator.get("/admin/exports/refunds.csv?range=7d").headers["Content-Disposition"]
    first, last = map(date.fromisoformat, re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", of_a_week))
    assert (last - first).days == 6
    of_a_day = operator.get("/admin/exports/refunds.csv?from=2026-11-03&to=2026-11-03").headers
    assert of_a_day["Content-Disposition"] == 'attachment; filename="makegood-refunds-2026-11-03.csv"'


def test_a_file_that_nobody_reads_gives_its_connection_back(app: Flask, operator: FlaskClient) -> None:
    for ask in (operator.head, operator.get):
        ask("/admin/exports/refunds.csv").close()
    with app.app_context():
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_table_that_does_not_exist_is_not_found(operator: FlaskClient) -> None:
    assert operator.get("/admin/exports/operators_passwords").status_code == 404
    assert operator.get("/admin/exports/operators_passwords.csv").status_code == 404


def test_the_dialog_is_a_fragment_for_htmx_and_a_page_without(operator: FlaskClient) -> None:
    assert "<html" in operator.get("/admin/exports/refunds").text
    fragment = operator.get("/admin/exports/refunds", headers={"HX-Request": "true"}).text
    assert "<html" not in fragment
    assert "<dialog" in fragment
