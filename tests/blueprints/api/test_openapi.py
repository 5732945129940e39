"""The OpenAPI document is public and true: answers to whatever it allows, and to what it forbids, conform."""

from __future__ import annotations

import re
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from makegood.ids import uuid7
from makegood.models import Notification
from makegood.providers.protocol import Accepted, File, Outcome, Report
from tests.backend import Platform
from tests.making import MODEL

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
BOUNDED = settings(
    max_examples=30,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

OPERATIONS = (
    "put_customer",
    "get_customer",
    "list_transactions",
    "add_grant",
    "start_generation",
    "get_generation",
    "get_output",
    "cancel_generation",
    "report_outcome",
)


def test_the_document_is_public_and_says_what_it_must(client: Any) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    document = answer.json
    assert document["openapi"].startswith("3.1")
    assert document["security"] == [{"apiKey": []}]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert {operation["operationId"] for operation in operations} == set(OPERATIONS)
    for operation in operations:
        assert {"401", "403", "422", "429", "503"} <= set(operation["responses"])
        assert operation["summary"]


def test_the_document_describes_the_notifications_that_are_sent(client: Any) -> None:
    document = client.get("/api/v1/openapi.json").json
    [check] = [rule for rule in Notification.__table__.constraints if rule.name == "ck_notifications_event"]
    events = re.findall("'([a-z_]+)'", str(check.sqltext))
    assert document["webhooks"].keys() == {f"generation.{event}" for event in events}
    for name, webhook in document["webhooks"].items():
        message = webhook["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert message["properties"]["type"] == {"const": name}
        assert message["properties"]["data"]["$ref"].rpartition("/")[2] in document["components"]["schemas"]


def test_there_are_no_pages_with_foreign_scripts(app: Flask) -> None:
    assert not [rule for rule in app.url_map.iter_rules() if "apidoc" in str(rule) or "swagger" in str(rule)]


def narrow(document: Any, platform: Platform) -> None:
    """Let valid examples name rows that exist, at least half of the time."""
    customers = [platform.make_customer(1000), "nobody"]
    external = {"provider": "external", "model": "own/model", "credits": 1}
    generations = [platform.start(customers[0], **fields).json["id"] for fields in ({}, external, external)]
    platform.send("POST", f"/generations/{generations[2]}/outcome", {"status": "failed"})
    platform.provider.answer = Accepted(
        "job-2", report=Report(Outcome.SUCCEEDED, files=(File("image/png", b"x"),))
    )
    generations.append(platform.start(customers[0]).json["id"])
    known = {"customer_id": customers, "generation_id": [*generations, str(uuid7())], "number": [1, 2]}
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["name"] in known:
                    parameter["schema"]["enum"] = known[parameter["name"]]
    schemas = document["components"]["schemas"]
    schemas["CustomerBody"]["properties"]["tier"]["enum"] = ["free", "pro"]
    body = schemas["GenerationBody"]["properties"]
    body["customer_id"]["enum"] = customers
    body["provider"]["enum"] = ["wavespeed", "external"]
    body["model"]["enum"] = [MODEL]
    body["credits"] = {"type": "integer", "minimum": 1, "maximum": 1000}


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_answers_conform(platform: Platform, operation_id: str, mode: GenerationMode) -> None:
    document = platform.client.get("/api/v1/openapi.json").json
    if mode is GenerationMode.POSITIVE:
        narrow(document, platform)
    operation = schemathesis.openapi.from_dict(document).find_operation_by_id(operation_id)
    seen = set()

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        answer = case.call(app=platform.app, headers={"Authorization": f"Bearer {platform.key}"})
        case.validate_response(answer, checks=CHECKS)
        seen.add(answer.status_code)

    check()
    assert mode is GenerationMode.NEGATIVE or min(seen) < 300
