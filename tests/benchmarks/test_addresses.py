"""What the benchmark of the pages asks for."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.exceptions import Gone

from benchmarks.addresses import FILTERED, NOTHING, OF_ONE
from blueprints.admin import filters


def test_every_filter_that_is_measured_is_one_of_its_page(
    operator: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page without it shows everything: its time would say nothing about the filter."""
    known: list[str] = []

    def stop(names: tuple[str, ...], **_: object) -> None:
        known.extend((*names, *filters.SPAN))
        raise Gone

    monkeypatch.setattr(filters, "read", stop)
    of_one = (path.format("customer-1") for path in OF_ONE)
    for path in (path for path in (*FILTERED, *NOTHING, *of_one) if "?" in path and "/search" not in path):
        known.clear()
        assert operator.get(path).status_code == Gone.code, path
        asked = dict(parse_qsl(urlsplit(path).query, keep_blank_values=True))
        assert asked.keys() <= set(known), path
