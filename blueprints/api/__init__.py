"""The JSON API for the platform's backend. Its `before_request` is the only place that checks for an API key.

Each module beside this one adds routes to `blueprint`; `contract.spec` validates requests and documents them.
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter

from blueprints import api_access, entrance
from blueprints.api import contract, fields, webhooks
from extensions import csrf

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")
csrf.exempt(blueprint)  # no cookie opens it


class IdentifierConverter(BaseConverter):
    """An id of the platform's own in a path: percent-encoded, it may hold any character, slashes included."""

    part_isolating = False
    regex = r"[\s\S]+?"
    weight = 200


@blueprint.record
def add_converter(state: BlueprintSetupState) -> None:
    """Teach the application's URL map what an identifier is."""
    state.app.url_map.converters["identifier"] = IdentifierConverter


@blueprint.before_request
def check_request() -> None:
    """Turn strangers away, and read the body before anything else does."""
    if request.endpoint in entrance.PUBLIC:
        return
    api_access.require_api_key("platform")
    contract.read_body()
    if "customer_id" in (request.view_args or {}):
        fields.check_identifier("id", request.view_args["customer_id"])


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI 3.1 document of this API, and of the notifications that it sends."""
    return jsonify(contract.spec.spec | {"webhooks": webhooks.described()})


from blueprints.api import customers, generations, outputs  # noqa: E402, F401 (their routes belong to the blueprint)
