"""Static files: their address carries a hash of their content, so that browsers may keep them for ever.

What is text is sent compressed, in case no proxy does it: the style sheets and scripts of a page weigh a sixth
then. Pages themselves are not: they carry secrets beside what an address can put into them.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path

from flask import Flask, Response, request, url_for

YEAR = 31_536_000
TEXT = (".css", ".js", ".svg")


def init_app(app: Flask) -> None:
    """Give the templates `asset(path)`, mark what is asked for by its hash as immutable, and compress text."""
    folder = Path(app.static_folder or "static")

    @cache
    def fingerprint(path: str) -> str:
        return hashlib.sha256((folder / path).read_bytes()).hexdigest()[:12]

    @cache
    def address(path: str, root: str) -> str:
        """A page asks for a hundred, all the same below one root."""
        return url_for("static", filename=path, v=fingerprint(path))

    def asset(path: str) -> str:
        if app.debug:
            fingerprint.cache_clear()
            address.cache_clear()
        return address(path, request.script_root)

    def keep(response: Response) -> Response:
        if request.endpoint != "static":
            return response
        if "v" in request.args and response.status_code in (200, 304):
            response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
        path = folder / (request.view_args or {}).get("filename", "")
        if path.suffix in TEXT:
            response.vary.add("Accept-Encoding")
            if response.status_code == 200 and request.accept_encodings["gzip"] and request.method == "GET":
                response.close()  # the open file that would have been sent
                response.direct_passthrough = False
                response.set_data(_compressed(path, path.stat().st_mtime_ns))
                response.headers["Content-Encoding"] = "gzip"
                response.headers.pop("ETag", None)
        return response

    app.add_template_global(asset)
    app.after_request(keep)


@cache
def _compressed(path: Path, changed: int) -> bytes:
    """The file as gzip. `changed` is when it was changed last, so that an edited file is read again."""
    return gzip.compress(path.read_bytes(), 9, mtime=0)
