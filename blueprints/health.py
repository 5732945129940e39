"""For machines that watch this one: is it alive, and how is it doing."""

from __future__ import annotations

import os
import time

from flask import Blueprint, Flask, Response, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import text

from blueprints import api_access, entrance
from extensions import db

blueprint = Blueprint("health", __name__)

requests = Counter("makegood_http_requests", "Answers by endpoint and status", ["endpoint", "method", "status"])
seconds = Histogram("makegood_http_request_seconds", "Time to answer by endpoint", ["endpoint"])


def register(app: Flask) -> None:
    """Add the routes, and count every answer."""
    app.register_blueprint(blueprint)
    app.after_request(count)


@blueprint.before_request
def check_key() -> None:
    """Metrics are for holders of an API key; whether we are alive is no secret."""
    if request.endpoint not in entrance.PUBLIC:
        api_access.require_api_key("stats")


@blueprint.get("/healthz")
def healthz() -> Response:
    """200 when the database answers; the error handler says 503 when it does not."""
    db.session.execute(text("SELECT 1"))
    return jsonify(status="ok")


@blueprint.get("/metrics")
def metrics() -> Response:
    """Counters of this process in Prometheus' format.

    Of all processes where PROMETHEUS_MULTIPROC_DIR names a directory: that is the library's own convention.
    """
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def count(response: Response) -> Response:
    """Count an answer. Paths that do not exist share one label: strangers choose those."""
    endpoint = request.endpoint or "none"
    requests.labels(endpoint, request.method if request.endpoint else "any", response.status_code).inc()
    seconds.labels(endpoint).observe(time.perf_counter() - g.started)
    return response
