"""Outputs on the generation page: what it shows, and what a browser makes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from extensions import db
from makegood import generations
from makegood.providers.protocol import ErrorClass, File, Outcome, Report
from tests.making import TERMS, make_customer, make_generation

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def ended(app: Flask, report: Report, *, late: bool = False) -> UUID:
    """A generation that ended with this report; or timed out before it came."""
    with app.app_context():
        one = make_generation(db.session(), make_customer(db.session()))
        if late:
            generations.fail(db.session(), one, ErrorClass.TIMEOUT, "no result", TERMS)
        generations.settle(db.session(), one, report, TERMS)
        db.session.commit()
    return one


def test_a_kept_picture_is_shown_where_its_scripts_cannot_run(app: Flask, operator: FlaskClient) -> None:
    one = ended(app, Report(Outcome.SUCCEEDED, files=(File("image/svg+xml", SVG),)))
    path = f"/admin/generations/{one}/outputs/1"
    page = operator.get(f"/admin/generations/{one}").text
    assert f'src="{path}"' in page
    assert "Output 1, kept here" in page
    answer = operator.get(path)
    assert (answer.status_code, answer.mimetype, answer.data) == (200, "image/svg+xml", SVG)
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("inline; filename=")


def test_what_is_no_picture_video_or_sound_is_not_shown(app: Flask, operator: FlaskClient) -> None:
    one = ended(app, Report(Outcome.SUCCEEDED, files=(File("text/html", b"<script>"),)))
    assert operator.get(f"/admin/generations/{one}/outputs/1").status_code == 502


@pytest.mark.parametrize(("minutes", "words"), [(7, "Die <time"), (-120, "Died <time")])
def test_the_page_says_when_links_die(app: Flask, operator: FlaskClient, minutes: int, words: str) -> None:
    at = datetime.now(UTC) + timedelta(minutes=minutes, seconds=2)
    one = ended(app, Report(Outcome.SUCCEEDED, outputs=("https://r.example/1.png",), outputs_expire_at=at))
    page = operator.get(f"/admin/generations/{one}").text
    assert words in page
    assert ("in 7 minutes" if minutes > 0 else "2 hours ago") in page
    assert ('href="https://r.example/1.png"' in page) is (minutes > 0)
    if minutes < 0:
        assert operator.get(f"/admin/generations/{one}/outputs/1").status_code == 410


def test_a_late_result_is_shown_with_its_loss_on_the_page_and_in_the_failure_log(
    app: Flask, operator: FlaskClient
) -> None:
    before = operator.get("/admin/failures").text
    assert "came too late" not in before
    one = ended(app, Report(Outcome.SUCCEEDED, outputs=("https://r.example/1.png",)), late=True)
    other = ended(app, Report(Outcome.FAILED, error_class=ErrorClass.TIMEOUT))
    page = operator.get(f"/admin/generations/{one}").text
    assert "Succeeded late" in page
    assert "Nothing was charged again; the result is handed over all the same, and its cost of $0.027" in page
    assert "https://r.example/1.png" in page
    listed = operator.get("/admin/failures?late=succeeded").text
    assert "1 result</a> came too late" in listed
    assert "a platform loss of $0.03" in listed
    assert str(one) in listed
    assert str(other) not in listed


def test_a_stranger_sees_no_output(app: Flask, client: FlaskClient) -> None:
    one = ended(app, Report(Outcome.SUCCEEDED, files=(File("image/png", b"x"),)))
    assert client.get(f"/admin/generations/{one}/outputs/1").status_code == 303
