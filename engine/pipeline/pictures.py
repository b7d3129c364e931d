"""A picture's bytes → 64 bits that change little when the picture does. The one door to Pillow and imagehash.

Both come with the extra `photos`, and are loaded when the first picture is looked at. What is decoded is bounded: bytes
before, pixels as the header tells them, and pictures whose decoding takes much memory one at a time. Any thread.
"""

from __future__ import annotations

import io
import threading
import warnings
from contextlib import nullcontext

from engine.base.errors import NotFound
from engine.base.units import MIB

FILE_BYTES_MAX = 64 * MIB
PIXELS_MAX = 160_000_000  # a medium-format back has 151 million
_AT_ONCE_PIXELS = 32_000_000  # more of them, unless the decoder makes them smaller itself, are decoded one by one
_SIDE = 160  # the hash looks at 9 × 8; what is made smaller in two steps is made so well
_CONTRAST_MIN = 10  # of 255, between the darkest and the brightest; below, all pictures look alike
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF")
ENDINGS = frozenset({b"jpg", b"jpeg", b"jpe", b"png", b"webp", b"tif", b"tiff"})


class Damaged(Exception):
    """It cannot be decoded."""


class Refused(Exception):
    """It has more pixels than are decoded: a decompression bomb, or a stitched panorama."""


class Blank(Exception):
    """There is nothing to be seen in it."""


class PictureHasher:
    """Difference hashes of pictures (imagehash.dhash; Krawetz 2013, "Kind of Like That")."""

    def __init__(self) -> None:
        """Raises NotFound where the extra is not installed."""
        try:
            import imagehash
            from PIL import Image, ImageOps
        except ImportError:
            hint = "install it: pip install 'wedsync[photos]'"
            raise NotFound("looking at photographs needs the extra photos, which is not installed", hint) from None
        self._image, self._ops, self._hash = Image, ImageOps, imagehash
        Image.MAX_IMAGE_PIXELS = PIXELS_MAX // 2  # Pillow refuses twice as many, and warns from here on
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        self._large = threading.Lock()

    def hash_of(self, data: bytes) -> int:
        """64 bits. Raises Damaged, Refused, Blank."""
        try:
            with self._image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                if picture.width * picture.height > PIXELS_MAX:
                    raise Refused
                alone = picture.width * picture.height > _AT_ONCE_PIXELS and not _shrinks_itself(picture)
                with self._large if alone else nullcontext():
                    picture.thumbnail((_SIDE, _SIDE))
                grey = self._ops.exif_transpose(picture).convert("L")
        except self._image.DecompressionBombError:
            raise Refused from None
        except Refused:
            raise
        except Exception as error:  # a decoder meets bytes that somebody made up, and has no small set of answers
            raise Damaged(str(error)) from None
        shades = [shade for shade, count in enumerate(grey.histogram()) if count]
        if shades[-1] - shades[0] < _CONTRAST_MIN:
            raise Blank
        return int(str(self._hash.dhash(grey)), 16)


def _shrinks_itself(picture: object) -> bool:
    """Whether it is a JPEG whose decoder gives an eighth at once; a progressive one is held whole all the same."""
    info = getattr(picture, "info", {})
    return getattr(picture, "format", "") == "JPEG" and not info.get("progressive")
