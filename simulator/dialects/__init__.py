"""The providers whose protocols can be spoken here: one file each."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.dialect import Dialect
from simulator.dialects.nanobanana import NanoBanana
from simulator.dialects.wavespeed import Simulated, WaveSpeed

DIALECTS: Mapping[str, type[Dialect]] = {
    "simulated": Simulated,
    "wavespeed": WaveSpeed,
    "nanobanana": NanoBanana,
}
