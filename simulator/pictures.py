"""Pictures for the outputs, so that their links show something."""

from __future__ import annotations

import hashlib


def draw(job_id: str, number: int) -> bytes:
    """An SVG picture that is always the same for the same job and number."""
    digest = hashlib.sha256(f"{job_id}/{number}".encode()).digest()
    hue, other = digest[0] * 360 // 256, digest[1] * 360 // 256
    circles = "".join(
        f'<circle cx="{x * 2}" cy="{y * 2}" r="{20 + r // 3}" fill="hsl({(hue + r) % 360} 70% 60%)" opacity=".5"/>'
        for x, y, r in zip(digest[2:12], digest[12:22], digest[22:32], strict=True)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512" width="512" height="512">'
        f'<defs><linearGradient id="g"><stop stop-color="hsl({hue} 60% 35%)"/>'
        f'<stop offset="1" stop-color="hsl({other} 60% 55%)"/></linearGradient></defs>'
        f'<rect width="512" height="512" fill="url(#g)"/>{circles}</svg>'
    ).encode()
