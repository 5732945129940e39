"""Items of ElevenLabs' history, which every speech is in: https://elevenlabs.io/docs/api-reference/history/list"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from makegood.providers import fields
from makegood.providers.protocol import LostJob, Units

MADE_WITHIN = timedelta(minutes=2)
"""A lost speech was made so soon after its charge, or so much before it by another clock."""


def like(lost: LostJob) -> dict[str, Any]:
    """The query for items that may be the lost job's."""
    return {
        "voice_id": lost.input.get("voice_id"),
        "model_id": lost.model,
        "date_after_unix": int((lost.charged_at - MADE_WITHIN).timestamp()),
        "date_before_unix": int((lost.charged_at + MADE_WITHIN).timestamp()) + 1,
    }


def is_like(item: Mapping[str, Any], lost: LostJob) -> bool:
    """Whether it is a speech of the same text, voice and model, made when the job was charged, and still there."""
    asked = {"voice_id": lost.input.get("voice_id"), "model_id": lost.model, "text": lost.input.get("text")}
    made = _made_at(item)
    near = made is not None and abs(made - lost.charged_at) <= MADE_WITHIN
    return near and asked.items() <= item.items() and item.get("state") != "deleted"


def job_id(item: Mapping[str, Any]) -> str | None:
    """The request that made it, by which the submit's answer names it too; else its own id."""
    return fields.job_id(item.get("request_id")) or fields.job_id(item.get("history_item_id"))


def usage(item: Mapping[str, Any]) -> Units | None:
    """What the account's count went up by."""
    before = fields.integer(item.get("character_count_change_from"))
    after = fields.integer(item.get("character_count_change_to"))
    if before is None or after is None or after < before:
        return None
    return Units("character", Decimal(after - before))


def _made_at(item: Mapping[str, Any]) -> datetime | None:
    seconds = fields.integer(item.get("date_unix"))
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None and 0 <= seconds < 2**33 else None
