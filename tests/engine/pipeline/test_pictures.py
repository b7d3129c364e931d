"""Pictures as 64 bits: near for what looks alike, far for what does not, and bounds on what is decoded."""

from __future__ import annotations

import io
import random
import struct
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from engine.base.errors import NotFound
from engine.pipeline import pictures
from engine.pipeline.pictures import Blank, Damaged, PictureHasher, Refused

HASHER = PictureHasher()


def scene(seed: int, size: tuple[int, int] = (360, 240)) -> Image.Image:
    """A made-up photograph: soft shapes, the same for the same seed."""
    chance = random.Random(seed)
    small = Image.new("RGB", (9, 6))
    small.putdata([tuple(chance.randrange(256) for _ in range(3)) for _ in range(54)])
    return small.resize(size, Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    """As a file has it."""
    output = io.BytesIO()
    picture.save(output, form, **options)
    return output.getvalue()


def _distance(one: bytes, other: bytes) -> int:
    return (HASHER.hash_of(one) ^ HASHER.hash_of(other)).bit_count()


def _turned(picture: Image.Image) -> bytes:
    """Stored on its side, with the note of how to hold it, as cameras do."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(picture.transpose(Image.Transpose.ROTATE_90), exif=exif)


@pytest.mark.parametrize("seed", range(8))
def test_the_same_picture_in_another_dress_is_near(seed: int) -> None:
    """Smaller, harder pressed, brighter, another format, stored on its side."""
    picture = scene(seed)
    original = encoded(picture, quality=92)
    for other in (
        encoded(picture.resize((180, 120)), quality=60),
        encoded(picture, quality=25),
        encoded(ImageEnhance.Brightness(picture).enhance(1.1)),
        encoded(picture, "PNG"),
        encoded(picture, "WEBP"),
        encoded(picture, progressive=True),
        _turned(picture),
    ):
        assert _distance(original, other) <= 5


def test_other_pictures_are_far() -> None:
    """None of eight is taken for another."""
    originals = [encoded(scene(seed)) for seed in range(8)]
    assert all(_distance(originals[one], originals[other]) > 10 for one in range(8) for other in range(one))


def _bomb(width: int, height: int) -> bytes:
    """A few bytes that say they are a very large picture."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + part(b"IDAT", zlib.compress(bytes(1000))) + part(b"IEND", b"")


@pytest.mark.parametrize("size", [(100_000, 100_000), (12_650, 12_650), (2**31 - 1, 1)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    """By what its header says; a gigabyte of memory is never asked for."""
    with pytest.raises(Refused):
        HASHER.hash_of(_bomb(*size))


def test_a_picture_of_many_pixels_has_the_decoder_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them at once would need twice the memory."""
    monkeypatch.setattr(pictures, "_AT_ONCE_PIXELS", 1)
    entered = []
    hasher = PictureHasher()

    class Noting:
        def __enter__(self) -> None:
            entered.append(True)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(hasher, "_large", Noting())
    hasher.hash_of(encoded(scene(1)))
    assert entered == []  # a baseline JPEG is made smaller by its decoder
    hasher.hash_of(encoded(scene(1), progressive=True))
    hasher.hash_of(encoded(scene(1), "PNG"))
    assert entered == [True, True]


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"\xff\xd8\xff\xe0", encoded(scene(1))[:1000], b"GIF89a" + bytes(50)]
)
def test_what_cannot_be_decoded_is_damaged(data: bytes) -> None:
    """Cut short, empty, or something else under a picture's name."""
    with pytest.raises(Damaged):
        HASHER.hash_of(data)


@given(st.integers(0, 4000), st.integers(1, 255))
def test_any_damage_is_an_answer_and_no_crash(at: int, change: int) -> None:
    """Whatever bytes an upload has."""
    data = bytearray(encoded(scene(2, (90, 60))))
    data[at % len(data)] ^= change
    try:
        HASHER.hash_of(bytes(data))
    except (Damaged, Refused, Blank):
        pass


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_nothing_to_be_seen_is_blank(shade: int) -> None:
    """All lens caps look alike, and mean nothing."""
    with pytest.raises(Blank):
        HASHER.hash_of(encoded(Image.new("RGB", (300, 200), (shade, shade, shade))))


@pytest.mark.parametrize("missing", ["PIL", "imagehash"])
def test_without_the_extra_one_line_says_so(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(NotFound, match="needs the extra photos") as caught:
        PictureHasher()
    assert "wedsync[photos]" in caught.value.hint
