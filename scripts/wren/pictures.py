"""Pictures of a coloured shape on a coloured background, drawn by our own code, and the words for them.

A picture reaches the language model as a caption: the projector writes the embeddings of the caption's tokens. So the
corpus needs no pictures, only captions where pictures will stand.
"""

from __future__ import annotations

import itertools
import random
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COLOURS = {
    "red": (214, 40, 40),
    "green": (46, 160, 67),
    "blue": (38, 84, 214),
    "yellow": (244, 208, 32),
    "black": (16, 16, 16),
    "white": (245, 245, 245),
    "orange": (245, 130, 24),
    "purple": (128, 48, 168),
}
SHAPES = ("circle", "square", "triangle", "cross")
PADDING = "0"  # a digit is a token of its own, wherever it stands


@dataclass(frozen=True, slots=True)
class Picture:
    """What is to be seen."""

    colour: str
    shape: str
    background: str

    @property
    def caption(self) -> str:
        """The text that stands for the picture in the corpus."""
        return f"[{self.colour} {self.shape} on {self.background}]"


ALL = [
    Picture(colour, shape, background)
    for colour, shape, background in itertools.product(COLOURS, SHAPES, COLOURS)
    if colour != background
]


def draw(picture: Picture, side: int, rng: random.Random) -> NDArray[np.uint8]:
    """Return (side, side, 3) pixels; place and size of the shape vary."""
    radius = side * rng.uniform(0.2, 0.36)
    x0, y0 = (rng.uniform(radius, side - radius) for _ in "xy")
    y, x = np.mgrid[0:side, 0:side] + 0.5
    dx, dy = x - x0, y - y0
    inside = {
        "circle": dx**2 + dy**2 < radius**2,
        "square": np.maximum(abs(dx), abs(dy)) < radius * 0.85,
        "triangle": (dy < radius * 0.8) & (2 * abs(dx) < dy + radius),
        "cross": (np.minimum(abs(dx), abs(dy)) < radius * 0.28) & (np.maximum(abs(dx), abs(dy)) < radius),
    }[picture.shape]
    colours = [np.array(COLOURS[name]) + rng.randint(-12, 12) for name in (picture.background, picture.colour)]
    pixels = np.where(inside[..., None], colours[1], colours[0])
    return np.clip(pixels, 0, 255).astype(np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return pixels as a PNG file. Source: https://www.w3.org/TR/png-3/."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
