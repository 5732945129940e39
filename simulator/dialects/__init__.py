"""The providers whose protocols can be spoken here: one file each."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.dialect import Dialect
from simulator.dialects.bfl import BFL
from simulator.dialects.elevenlabs import ElevenLabs
from simulator.dialects.fal import Fal
from simulator.dialects.kling import Kling
from simulator.dialects.luma import Luma
from simulator.dialects.nanobanana import NanoBanana
from simulator.dialects.newport import Newport
from simulator.dialects.piapi import PiAPI
from simulator.dialects.replicate import Replicate
from simulator.dialects.wavespeed import Simulated, WaveSpeed

DIALECTS: Mapping[str, type[Dialect]] = {
    "simulated": Simulated,
    "wavespeed": WaveSpeed,
    "nanobanana": NanoBanana,
    "luma": Luma,
    "kling": Kling,
    "elevenlabs": ElevenLabs,
    "newport": Newport,
    "replicate": Replicate,
    "bfl": BFL,
    "fal": Fal,
    "piapi": PiAPI,
}
