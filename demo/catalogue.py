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


@dataclass(frozen=True)
class Offer:
    """A model of a provider, as customers can choose it."""

    provider: str
    model: str

    def input(self, chance: Chance) -> dict[str, Any]:
        """What a customer sends for it, in the provider's own fields."""
        if self.model == EDIT:
            picture = f"https://uploads.example.com/{chance.hex(12)}.png"
            return {"prompt": f"{chance.choice(EDITS)}.", "images": [picture], "output_format": "png"}
        prompt = f"{chance.choice(SUBJECTS)}, {chance.choice(STYLES)}"
        if self.model == SEEDREAM:
            return {"prompt": prompt, "size": chance.choice(SIZES)}
        if self.model == TEXT:
            return {"prompt": prompt, "aspect_ratio": chance.choice(ASPECTS), "output_format": "png"}
        # The price book has no price for nano-banana-pro in 4K: what those cost is not known.
        sizes = ((98, "2K"), (2, "4K")) if self.model == "nano-banana-pro" else ((62, "1K"), (30, "2K"), (8, "4K"))
        return {"prompt": prompt, "aspectRatio": chance.choice(ASPECTS), "resolution": chance.weighted(sizes)}


OFFERS = (
    (30, Offer("wavespeed", EDIT)),
    (20, Offer("wavespeed", TEXT)),
    (22, Offer("wavespeed", SEEDREAM)),
    (18, Offer(NANOBANANA, "nano-banana-2")),
    (10, Offer(NANOBANANA, "nano-banana-pro")),
)
SIMULATED = (
    (40, Offer("simulated", EDIT)),
    (30, Offer("simulated", TEXT)),
    (30, Offer("simulated", SEEDREAM)),
)
"""The same models at the provider that runs on this machine."""


def metadata(chance: Chance) -> dict[str, Any]:
    """What a platform notes on its generations for itself."""
    return {"feature": chance.choice(FEATURES), "request": f"req_{chance.hex(10)}"}
