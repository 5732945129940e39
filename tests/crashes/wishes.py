"""The fates that the crash test wishes."""

from __future__ import annotations

WISHES = {
    "succeed": 40,
    "fail:content_policy_violation": 6,
    "fail:internal_error": 6,
    "fail:generation_failed": 4,
    "refuse": 3,
    "refuse_account": 1,
    "busy": 2,
    "hang": 6,
    "cut": 8,
    "half": 4,
    "error": 5,
    "early": 4,
    "lose_callback": 8,
    "duplicate": 5,
    "disorder": 4,
    "processing_first": 3,
    "late": 4,
    "stuck": 2,
    "gone": 2,
}
"""Of about 117 generations."""
