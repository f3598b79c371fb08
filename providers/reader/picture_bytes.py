"""What the bytes of an image are: their kind and size, and a small copy. Runs in a worker process, because the bytes are hostile."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from schemas.errors import ReadError

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
MIN_PIXELS = 256
"""Width and height of the smallest image that shows something."""
MAX_PIXELS = 25_000_000
"""Pixels of the largest image that is decoded, which takes 100 MB, with transparency some times that."""
_BOX_PIXELS = 256
_CELLS = 32


@dataclass(frozen=True)
class Measured:
    """An image that could be decoded; one below `MIN_PIXELS` is not, and has neither cells nor a copy."""

    width: int
    height: int
    cells: bytes = b""
    """Its brightness in 32 x 32 cells, which is the same for the same picture in other sizes."""
    copy: bytes = b""
    """A JPEG of it that fits 256 x 256, on white where it is transparent."""


def measure(data: bytes) -> Measured:
    """The size of an image, of whatever type it was said to be, and a copy of its first frame.

    Raises `ReadError`, whose message continues the name of the image, when it is no PNG, JPEG, GIF or WebP, damaged, or larger than
    `MAX_PIXELS`.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415  (only workers need it)

    # A limit of our own is checked before anything is decoded, in one wording.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ReadError(f"has {width} x {height} pixels, more than {MAX_PIXELS // 1_000_000} million")
            if min(width, height) < MIN_PIXELS:
                return Measured(width, height)
            # A JPEG is decoded at about the size that is wanted.
            image.draft("RGB", (2 * _BOX_PIXELS, 2 * _BOX_PIXELS))
            opaque = _on_white(image)
            opaque.thumbnail((_BOX_PIXELS, _BOX_PIXELS), Image.Resampling.LANCZOS)
            cells = opaque.convert("L").resize((_CELLS, _CELLS), Image.Resampling.BOX).tobytes()
            copy = BytesIO()
            opaque.convert("RGB").save(copy, "JPEG", quality=85)
            return Measured(width, height, cells, copy.getvalue())
    except UnidentifiedImageError as error:
        raise ReadError("is no PNG, JPEG, GIF or WebP") from error
    except (ReadError, MemoryError):
        raise
    except Exception as error:  # decoders raise anything on damaged data
        raise ReadError(f"is damaged: {' '.join(str(error).split())[:100] or type(error).__name__}") from error


def _on_white(image: Image) -> Image:
    from PIL import Image  # noqa: PLC0415

    if not image.has_transparency_data:
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
