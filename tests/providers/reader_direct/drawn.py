"""Image files drawn for tests."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw


def drawing(seed: int, width: int = 600, height: int = 400) -> Image.Image:
    """A picture of its own for each seed: rectangles in places and shades that depend on it, whatever its size."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for n in range(6):
        value = zlib.crc32(f"{seed}/{n}".encode())
        x, y, shade = value % 7 / 10, value // 7 % 7 / 10, value // 49 % 180
        draw.rectangle((x * width, y * height, (x + 0.25) * width, (y + 0.25) * height), fill=(shade, shade, shade))
    return image


def file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A small PNG whose header states this size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")
