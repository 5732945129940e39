"""ElevenLabs' output formats, and how long a text fits into an answer in each."""

from __future__ import annotations

# Bytes for a second. https://github.com/elevenlabs/elevenlabs-python (text_to_speech/types)
OUTPUT_FORMATS = {
    "mp3_22050_32": 4_000,
    "mp3_24000_48": 6_000,
    "mp3_44100_32": 4_000,
    "mp3_44100_64": 8_000,
    "mp3_44100_96": 12_000,
    "mp3_44100_128": 16_000,
    "mp3_44100_192": 24_000,
    "opus_48000_32": 4_000,
    "opus_48000_64": 8_000,
    "opus_48000_96": 12_000,
    "opus_48000_128": 16_000,
    "opus_48000_192": 24_000,
    "pcm_8000": 16_000,
    "pcm_16000": 32_000,
    "pcm_22050": 44_100,
    "pcm_24000": 48_000,
    "pcm_44100": 88_200,
    "pcm_48000": 96_000,
    "ulaw_8000": 8_000,
    "alaw_8000": 8_000,
}
USUAL_FORMAT = "mp3_44100_128"
CHARACTERS_PER_SECOND = 12
"""Of a slow voice; a usual one speaks 16: https://help.elevenlabs.io/hc/en-us/articles/19572237925521"""


def longest_text(output_format: str, max_bytes: int) -> int:
    """How many characters a slow voice speaks in so many bytes of a format."""
    return max_bytes * CHARACTERS_PER_SECOND // OUTPUT_FORMATS[output_format]
