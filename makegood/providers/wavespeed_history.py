"""WaveSpeed's list of recent predictions, newest first, seven days long: where a lost job is looked for.

`POST /api/v3/predictions` with `page` and `page_size` (at most 100): https://github.com/WaveSpeedAI/mcp-server
Whether it repeats the callback address is not documented. Where it does, the address proves whose job it is; else
a job is only like the lost one: the same model and input, made at that time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from makegood.providers import fields
from makegood.providers.http import Answer
from makegood.providers.protocol import FetchFailed, LostJob

PAGE_SIZE = 100
MAX_PAGES = 10
EARLIER = timedelta(seconds=60)
"""The provider's clock may be so far behind ours."""
LATER = timedelta(minutes=3)
"""A submit waits 20 seconds for its answer; what was made much later is another job."""


def page(answer: Answer) -> list[Mapping[str, Any]]:
    """The predictions on a page. Raises FetchFailed."""
    items = fields.mapping(fields.mapping(answer.body).get("data")).get("items")
    if answer.code != 200 or not isinstance(items, list):
        raise FetchFailed(f"an answer without a list of jobs, with the code {answer.code}")
    return [fields.mapping(item) for item in items]


def is_last(items: list[Mapping[str, Any]], lost: LostJob) -> bool:
    """Whether the pages after this one are too old, or there are none."""
    made_at = fields.instant(items[-1].get("created_at")) if items else None
    return len(items) < PAGE_SIZE or made_at is None or made_at < lost.charged_at - EARLIER


def is_ours(item: Mapping[str, Any], lost: LostJob) -> bool:
    """Whether it calls back to the address of this generation."""
    return any(fields.calls_back(item.get(name), lost.callback_token_hash) for name in ("webhook", "webhook_url"))


def is_like(item: Mapping[str, Any], lost: LostJob) -> bool:
    """Whether it was made at that time, of the same model, with everything that we sent."""
    made_at = fields.instant(item.get("created_at"))
    if made_at is None or not lost.charged_at - EARLIER <= made_at <= lost.charged_at + LATER:
        return False
    given = item.get("input")
    same = isinstance(given, dict) and all(
        name in given and given[name] == value for name, value in lost.input.items()
    )
    return same and item.get("model") == lost.model
