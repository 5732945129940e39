"""POST /callbacks/<provider>/<token>: what providers tell us of their jobs. The rules: `makegood.callbacks`."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, current_app, jsonify, request

from blueprints import raw_body
from extensions import csrf, db
from makegood import callbacks
from makegood.errors import NotFound

blueprint = Blueprint("callbacks", __name__, url_prefix="/callbacks")
csrf.exempt(blueprint)


@blueprint.post("/<provider>/<token>")
def receive(provider: str, token: str) -> tuple[Response, int]:
    """Take one delivery. 2xx only after the commit; always exactly 200, which is all that some providers accept.

    An unknown token is 404, a delivery that is not genuine 401 (and kept for operators to see); while the database
    is away 503, so that the provider delivers again.
    """
    body = raw_body.read(callbacks.MAX_BODY)
    providers = current_app.extensions["providers"]
    if provider not in providers:
        raise NotFound("There is no such provider.")
    receipt = callbacks.receive(
        db.session,
        providers,
        provider,
        token,
        {name.lower(): value for name, value in request.headers.items()},
        body,
        current_app.config["SETTINGS"].terms,
    )
    db.session.commit()
    rejected = receipt.state == "rejected"
    return jsonify(state=receipt.state), HTTPStatus.UNAUTHORIZED if rejected else HTTPStatus.OK
