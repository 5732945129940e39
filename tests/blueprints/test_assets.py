"""Static files are kept by browsers for as long as they do not change."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from flask.testing import FlaskClient


def test_what_is_asked_for_by_its_hash_may_be_kept_for_ever(client: FlaskClient) -> None:
    page = client.get("/login").text
    addresses = re.findall(r'(?:href|src)="(/static/[^"#]+\?v=[0-9a-f]{12})', page)
    assert len(addresses) >= 4
    for address in addresses:
        with client.get(address) as response:
            assert response.status_code == 200
            assert "immutable" in response.headers["Cache-Control"]


def test_without_a_hash_a_file_is_asked_for_again(client: FlaskClient) -> None:
    for address in ("/static/app.css", "/static/nothing.css?v=1"):
        with client.get(address) as response:
            assert "immutable" not in response.headers.get("Cache-Control", "")


def test_text_is_sent_compressed_to_those_who_take_it(client: FlaskClient) -> None:
    with client.get("/static/app.css", headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.headers["Content-Length"] == str(len(packed.data))
    for accepted in ("identity", "gzip;q=0"):
        with client.get("/static/app.css", headers={"Accept-Encoding": accepted}) as plain:
            assert "Content-Encoding" not in plain.headers
            assert "Accept-Encoding" in plain.headers["Vary"]
            assert gzip.decompress(packed.data) == plain.data


def test_every_icon_that_a_template_names_exists_and_none_is_idle(root: Path) -> None:
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (root / "static/icons.svg").read_text()))
    sources = [*(root / "templates").rglob("*.html"), *(root / "static").glob("*.js")]
    sources.append(root / "blueprints/admin/places.py")
    text = "\n".join(path.read_text() for path in sources)
    idle = {name for name in sprite if f'"{name}"' not in text and f"#{name}" not in text}
    named = set(re.findall(r'ui\.icon\("([a-z]+)"\)', text)) | set(re.findall(r"icons\.svg'\) }}#([a-z]+)", text))
    assert named - sprite == set()
    assert idle == set()


def test_no_template_carries_a_script_or_a_style_of_its_own(root: Path) -> None:
    for path in (root / "templates").rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son[a-z]+=|hx-on|javascript:", text), path
