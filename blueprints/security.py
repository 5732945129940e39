"""What every answer carries and every request passes: headers, request id, origin, request log."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, abort, current_app, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from blueprints import access
from makegood.ids import uuid7

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # "no-referrer" would make browsers post forms with "Origin: null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HSTS = "max-age=63072000; includeSubDomains"
FORM_BLUEPRINTS = frozenset({"admin", "auth"})
QUIET = frozenset({"static", "health.healthz", "health.metrics"})

log = structlog.get_logger("makegood.http")


def register(app: Flask) -> None:
    """Wire this into the application, before `csrf.init_app`: refused forms carry a request id too."""
    settings = app.config["SETTINGS"]
    https = settings.public_url.startswith("https://")
    app.config.update(
        SESSION_COOKIE_NAME="__Host-makegood_form" if https else "makegood_form",
        SESSION_COOKIE_SECURE=https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
    )
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    app.before_request(begin_request)
    app.before_request(refuse_other_sites)
    app.after_request(add_headers)
    app.after_request(log_request)


def begin_request() -> None:
    """Give the request its id, ours alone, and start its clock."""
    g.request_id = str(uuid7())
    g.started = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def refuse_other_sites() -> None:
    """A form that another site's page sends is refused, in front of the CSRF token."""
    if request.method in access.SAFE_METHODS or FORM_BLUEPRINTS.isdisjoint(request.blueprints):
        return
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        abort(403, "This form was sent by another site.")
    origin = request.headers.get("Origin")
    ours = {request.host, urlsplit(current_app.config["SETTINGS"].public_url).netloc}
    if origin is not None and origin.partition("://")[2] not in ours:
        abort(403, "This form was sent by another site.")


def add_headers(response: Response) -> Response:
    """Put the security headers on an answer."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if current_app.config["SESSION_COOKIE_SECURE"]:
        response.headers["Strict-Transport-Security"] = HSTS
    response.headers["X-Request-Id"] = g.request_id
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
        response.vary.update(("HX-Request", "Cookie"))
    return response


def log_request(response: Response) -> Response:
    """One line for each request, without query or body. `logs` masks the token in a callback's path."""
    holder = g.get("api_key")
    quiet = request.endpoint in QUIET or access.is_poll()
    (log.debug if quiet else log.info)(
        "request",
        method=request.method,
        path=request.path,
        status=response.status_code,
        milliseconds=round((time.perf_counter() - g.started) * 1000, 1),
        address=access.client_address(),
        key_hint=holder.hint if holder else None,
    )
    return response
