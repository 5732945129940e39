"""What the OpenAPI document says of the notifications that the platform is sent: https://www.standardwebhooks.com"""

from __future__ import annotations

from typing import Any

EVENTS = {
    "succeeded": "A generation succeeded",
    "failed": "A generation failed; `credits_refunded` says what came back",
    "cancelled": "A generation was cancelled",
    "late_outcome": "A generation's provider reported otherwise after it had ended; see `late_outcome`",
}
HEADERS = {
    "webhook-id": "The same for every try: what was seen before is a repetition",
    "webhook-timestamp": "Seconds since 1970, when this try was made",
    "webhook-signature": "`v1,` and the base64 of HMAC-SHA256 over id.timestamp.body; one for each secret",
}


def described() -> dict[str, Any]:
    """The document's `webhooks`: one POST to NOTIFY_URL for each event."""
    return {f"generation.{event}": {"post": _operation(event, summary)} for event, summary in EVENTS.items()}


def _operation(event: str, summary: str) -> dict[str, Any]:
    message = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": f"generation.{event}"},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened"},
            "data": {"$ref": "#/components/schemas/Generation"},
        },
    }
    return {
        "operationId": f"on_generation_{event}",
        "summary": summary,
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": what, "schema": {"type": "string"}}
            for name, what in HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": message}}},
        "responses": {
            "2XX": {"description": "Taken. Anything else is tried again for three days."},
            "410": {"description": "Given up at once."},
        },
    }
