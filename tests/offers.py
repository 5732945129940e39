"""A model of each provider that can be simulated, and an input for it with a prompt of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Offer:
    """A model, the kind of its results, and what makes an input of a prompt."""

    model: str
    kind: str
    input: Callable[[str], Mapping[str, Any]]


def _prompt(prompt: str) -> Mapping[str, Any]:
    return {"prompt": prompt}


OFFERS: Mapping[str, Offer] = {
    "simulated": Offer("google/nano-banana/edit", "image", _prompt),
    "wavespeed": Offer("bytedance/seedream-v4", "image", _prompt),
    "nanobanana": Offer("nano-banana-2", "image", lambda prompt: {"prompt": prompt, "resolution": "2K"}),
    "luma": Offer("ray-2", "video", lambda prompt: {"prompt": prompt, "resolution": "720p", "duration": "5s"}),
    "kling": Offer("text2video/kling-v2-5-turbo", "video", lambda prompt: {"prompt": prompt, "duration": "5"}),
    "bfl": Offer("flux-2-pro", "image", _prompt),
    "elevenlabs": Offer(
        "eleven_multilingual_v2", "audio", lambda prompt: {"text": prompt, "voice_id": "21m00Tcm4TlvDq8ikWAM"}
    ),
    "piapi": Offer("flux/txt2img", "image", _prompt),
    "newport": Offer("dreamvideo_3.0/text_to_video", "video", _prompt),
    "fal": Offer("fal-ai/flux/dev", "image", _prompt),
    "replicate": Offer("black-forest-labs/flux-schnell", "image", _prompt),
}
