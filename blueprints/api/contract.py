"""The API's contract: requests are validated against it, and the OpenAPI document is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Request, Response, g, make_response, request
from pydantic import BaseModel, ValidationError
from spectree import Response as Answers
from spectree import SecurityScheme, SpecTree
from spectree.models import SecuritySchemeData
from spectree.plugins.base import Context
from spectree.plugins.flask_plugin import FlaskPlugin
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from blueprints import raw_body
from blueprints.api import fields
from blueprints.api.bodies import Error
from makegood import json_body
from makegood.errors import Invalid

NOT_VALID = "The request is not valid. No credits moved."
DESCRIPTIONS = {
    400: "The body is not JSON that we accept; or the provider refused the content or the input (refunded)",
    401: "No API key, or not one of ours",
    402: "The customer has too few credits; no credits moved",
    403: "The API key lacks the scope",
    404: "No such thing",
    409: "The state of things does not allow this; no credits moved",
    413: "The body is larger than 1 MB",
    415: "The body is not declared as application/json",
    422: "Fields are not valid; `error.fields` names each",
    429: "Too many requests without a valid API key",
    500: "Our mistake; `error.request_id` finds it in the log",
    502: "The provider did not take the generation (refunded)",
    503: "The provider (refunded) or the database does not answer; repeat with the same Idempotency-Key",
}
ALWAYS = (400, 401, 403, 413, 415, 422, 429, 500, 503)


def read_body() -> None:
    """Read a request's JSON into `g.body`, strictly: nothing hostile gets any further."""
    g.body = None
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    raw = raw_body.read()
    if not raw:
        return
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the body as application/json.")
    try:
        g.body = json_body.loads(raw, plain_text=True)
    except json_body.NotJSON as error:
        raise BadRequest(str(error)) from None


class StrictPlugin(FlaskPlugin):
    """Validates what `read_body` read and names every invalid field at once. Answers are left as they are."""

    def request_validation(
        self, request: Request, query: Any, json: Any, form: Any, headers: Any, cookies: Any
    ) -> None:
        """Put the validated parts where spectree looks for them. Raises Invalid."""
        arguments = {name: values[0] if len(values) == 1 else values for name, values in request.args.lists()}
        found: dict[str, str] = {}
        parts = [
            _part(query or fields.Strict, arguments, found),
            _part(json or fields.Strict, {} if g.body is None else g.body, found),
            None,
            _part(headers, dict(request.headers), found) if headers else None,
            None,
        ]
        if found:
            raise Invalid(NOT_VALID, fields=found)
        request.context = Context(*parts)  # type: ignore[attr-defined]

    def validate_response(self, resp: Any, *_: Any) -> tuple[Response, None]:
        """Answers are made from the models of `answers`; the tests compare them with the document."""
        return make_response(resp), None

    def get_func_operation_id(self, func: Any, path: str, method: str) -> str:
        """Operations are called as their views are."""
        name: str = func.__name__
        return name

    def parse_path(self, route: Any, path_parameter_descriptions: Any) -> tuple[str, list[Any]]:
        """Document our own converter, which spectree does not know."""
        path, parameters = super().parse_path(route, path_parameter_descriptions)
        for parameter in parameters:
            if parameter["schema"] is None:
                parameter["schema"] = {"type": "string", "minLength": 1, "maxLength": 200}
        return path, parameters


def _part(model: type[BaseModel], value: Any, found: dict[str, str]) -> BaseModel | None:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found.update(fields.problems(error))
        return None


def documented(status: int, model: type[BaseModel], *bad: int, also: Mapping[int, str] | None = None) -> Answers:
    """What a route answers: a good status with its model, and errors: those of every route, and `bad` ones.
    `also` says what a status means at this route beside what it means at all of them."""
    meanings = {code: DESCRIPTIONS[code] for code in (*ALWAYS, *bad)}
    meanings |= {code: f"{meanings[code]}. {more}" for code, more in (also or {}).items()}
    models: dict[str, Any] = {f"HTTP_{code}": (Error, meaning) for code, meaning in meanings.items()}
    return Answers(**{f"HTTP_{status}": model}, **models)


spec = SpecTree(
    "flask",
    backend=StrictPlugin,
    mode="strict",
    title="Makegood",
    version="1",
    description=(
        "Credits, generations and refunds. Amounts are whole credits; costs are US dollars as decimal texts; "
        "times are ISO 8601 in UTC. An error of a request that moves credits says whether they moved."
    ),
    page_templates={},
    naming_strategy=lambda model: model.__name__,
    nested_naming_strategy=lambda parent, child: child,
    validation_error_model=Error,
    security_schemes=[SecurityScheme(name="apiKey", data=SecuritySchemeData(type="http", scheme="bearer"))],
    security={"apiKey": []},
)
