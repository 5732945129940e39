"""Static files: their address carries a hash of their content, so that browsers may keep them for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from flask import Flask, Response, request, url_for

YEAR = 31_536_000


def init_app(app: Flask) -> None:
    """Give the templates `asset(path)`, and mark what is asked for by its hash as immutable."""
    folder = Path(app.static_folder or "static")

    @cache
    def fingerprint(path: str) -> str:
        return hashlib.sha256((folder / path).read_bytes()).hexdigest()[:12]

    def asset(path: str) -> str:
        if app.debug:
            fingerprint.cache_clear()
        return url_for("static", filename=path, v=fingerprint(path))

    def keep(response: Response) -> Response:
        if request.endpoint == "static" and "v" in request.args and response.status_code in (200, 304):
            response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
        return response

    app.add_template_global(asset)
    app.after_request(keep)
