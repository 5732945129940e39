"""The way back after a log-in: only ever a page of the console."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode, urlsplit

HOME = "/admin/"
INNER_PATH = re.compile(r"/admin(?:[/?][!-\[\]-~]*)?")
LONGEST = 2000
QUOTED_ALREADY = "/%:@!$&'()*+,;=~"


def inner_path(path: str | None) -> str:
    """The path if it is one of the console's own, else its first page. Nothing else is ever redirected to."""
    if path is None or len(path) > LONGEST or ".." in path or not INNER_PATH.fullmatch(path):
        return HOME
    return path


def page_at(url: str | None) -> str:
    """The page of the console at this URL, without its query; the first page for anything else."""
    try:
        return inner_path(urlsplit(url or "").path)
    except ValueError:
        return HOME


def login_path(url: str | None) -> str:
    """The log-in page, which leads back to this page of the console afterwards."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return "/login"
    path, query = quote(parts.path, safe=QUOTED_ALREADY), quote(parts.query, safe=f"{QUOTED_ALREADY}?")
    after = inner_path(f"{path}?{query}" if query else path)
    return "/login" if after == HOME else f"/login?{urlencode({'next': after})}"
