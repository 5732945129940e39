"""What the demo's customers ask for: five models with believable inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from demo.chance import Chance

EDIT = "google/nano-banana/edit"
TEXT = "google/nano-banana/text-to-image"
SEEDREAM = "bytedance/seedream-v4"
KIND = "image"
NANOBANANA = "nanobanana"

CLIPS: dict[str, dict[str, Any]] = {
    "kling": {"duration": "5", "mode": "pro", "aspect_ratio": "16:9"},
    "luma": {"duration": "5s", "resolution": "720p", "aspect_ratio": "16:9"},
}
SUBJECTS = (
    "a ceramic mug", "a pair of running shoes", "a wooden desk lamp", "a bottle of olive oil", "a linen armchair",
    "a city bicycle", "a leather notebook", "a bowl of ramen", "a wrist watch", "a tabby cat on a windowsill",
    "a mountain hut at dawn", "a jazz trio on a small stage", "a greenhouse full of ferns", "a lighthouse in fog",
    "a street market after rain", "an astronaut watering a plant", "a paper crane", "a tram in the snow",
)  # fmt: skip
STYLES = (
    "soft window light, shallow depth of field", "flat vector art, two colours", "watercolour, rough paper",
    "studio photograph on a grey background", "isometric, pastel colours", "35 mm film, late afternoon",
    "linocut print, high contrast", "minimal poster with generous empty space", "claymation, warm colours",
)  # fmt: skip
EDITS = (
    "Replace the background with plain white", "Remove the price tag", "Make it golden hour",
    "Turn the jacket dark green", "Add soft shadows below the product", "Remove the people in the background",
    "Put it on a marble table", "Straighten the horizon and brighten the sky", "Make the mug blue",
)  # fmt: skip
ASPECTS = ("1:1", "4:3", "3:4", "16:9", "9:16")
SIZES = ("2048*2048", "2304*1728", "1728*2304", "2560*1440")
FEATURES = ("product-shots", "editor", "moodboard", "social", "api")


SCENES = (
    "The camera circles", "A slow dolly towards", "Time lapse of", "Handheld close-up of", "A drone rises over",
)  # fmt: skip
LINES = (
    "Welcome back. Your order has left the warehouse and should reach you tomorrow before noon.",
    "In this lesson we look at how light bends when it passes from air into water.",
    "Thank you for calling. All of our agents are busy; your call will be answered in about three minutes.",
    "Chapter one. It was the kind of morning on which the harbour could be heard before it could be seen.",
    "Turn left at the next corner. Your destination is on the right.",
    "Our autumn collection is here: warm wool, quiet colours, and seams that are made to last.",
)
VOICES = ("21m00Tcm4TlvDq8ikWAM", "EXAVITQu4vr4xnSDxMaL", "pNInz6obpgDQGcFmaJgB")


@dataclass(frozen=True)
class Offer:
    """A model of a provider, as customers can choose it; `credits` where the price list does not know it."""

    provider: str
    model: str
    kind: str = KIND
    credits: int | None = None

    def input(self, chance: Chance) -> dict[str, Any]:
        """What a customer sends for it, in the provider's own fields."""
        if self.kind == "audio":
            text = " ".join(chance.sample(LINES, chance.randint(1, 3)))
            return {"text": text, "voice_id": chance.choice(VOICES)}
        if self.kind == "video":
            prompt = f"{chance.choice(SCENES)} {chance.choice(SUBJECTS)}, {chance.choice(STYLES)}"
            return {"prompt": prompt, **CLIPS[self.provider]}
        if self.model == EDIT:
            picture = f"https://uploads.example.com/{chance.hex(12)}.png"
            return {"prompt": f"{chance.choice(EDITS)}.", "images": [picture], "output_format": "png"}
        prompt = f"{chance.choice(SUBJECTS)}, {chance.choice(STYLES)}"
        if self.model == SEEDREAM:
            return {"prompt": prompt, "size": chance.choice(SIZES)}
        if self.provider == "bfl":
            return {"prompt": prompt, "width": 1024, "height": 1024}
        if self.provider == "replicate":
            return {"prompt": prompt, "aspect_ratio": chance.choice(ASPECTS)}
        if self.model == TEXT:
            return {"prompt": prompt, "aspect_ratio": chance.choice(ASPECTS), "output_format": "png"}
        # The price book has no price for nano-banana-pro in 4K: what those cost is not known.
        sizes = ((98, "2K"), (2, "4K")) if self.model == "nano-banana-pro" else ((62, "1K"), (30, "2K"), (8, "4K"))
        return {"prompt": prompt, "aspectRatio": chance.choice(ASPECTS), "resolution": chance.weighted(sizes)}


OTHERS = (
    (6, Offer("bfl", "flux-2-pro")),
    (3, Offer("kling", "text2video/kling-v2-5-turbo", "video")),
    (2, Offer("luma", "ray-2", "video")),
    (6, Offer("elevenlabs", "eleven_multilingual_v2", "audio")),
    (3, Offer("replicate", "black-forest-labs/flux-schnell", credits=1)),
)
"""Further providers, whose protocols are spoken on this machine too."""
OFFERS = (
    (30, Offer("wavespeed", EDIT)),
    (20, Offer("wavespeed", TEXT)),
    (22, Offer("wavespeed", SEEDREAM)),
    (18, Offer(NANOBANANA, "nano-banana-2")),
    (10, Offer(NANOBANANA, "nano-banana-pro")),
    *OTHERS,
)
SIMULATED = (
    (40, Offer("simulated", EDIT)),
    (30, Offer("simulated", TEXT)),
    (30, Offer("simulated", SEEDREAM)),
)
"""The same models at the provider that runs on this machine."""
LIVE = (*((3 * weight / 4, offer) for weight, offer in SIMULATED), *OTHERS)
"""What the traffic asks for."""


def metadata(chance: Chance) -> dict[str, Any]:
    """What a platform notes on its generations for itself."""
    return {"feature": chance.choice(FEATURES), "request": f"req_{chance.hex(10)}"}
