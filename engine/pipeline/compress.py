"""Whether a blob is worth compressing, and the compressing: zstd, with a cheap probe first."""

from __future__ import annotations

from engine.pipeline.pool import Buffers
from engine.repository import codec

# Formats that are compressed already: a camera's and a phone's pictures, video, sound, archives.
PRESSED_SUFFIXES = frozenset(
    b".jpg .jpeg .jxl .heic .heif .avif .webp .png .gif .cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .raf .orf .rw2 .pef "
    b".dng .3fr .iiq .mp4 .m4v .mov .mkv .webm .avi .mts .m2ts .insv .braw .r3d .mp3 .m4a .aac .ogg .opus .flac "
    b".zip .gz .tgz .bz2 .xz .zst .lz4 .7z .rar .docx .xlsx .pptx .odt .jar .woff2 .pdf".split()
)
_PROBE_BYTES = 4096
_PROBE_RATIO = 0.95
_WORTH_BYTES = 512
_RATIO = 0.98


def is_pressed_format(path: bytes) -> bool:
    """Whether a file's name says that its contents are compressed already."""
    dot = path.rfind(b".")
    return dot >= 0 and path[dot:].lower() in PRESSED_SUFFIXES


def press(content: memoryview, buffers: Buffers, *, pressed_format: bool) -> tuple[bytes | memoryview, int]:
    """`content` compressed where that pays, and the codec; else `content` itself."""
    size_bytes = len(content)
    if size_bytes < _WORTH_BYTES:
        return content, codec.RAW
    if size_bytes >= 8 * _PROBE_BYTES:
        # Three places tell noise from text; a known format gets one, since some hold large plain previews.
        places = (size_bytes // 2,) if pressed_format else (0, size_bytes // 2, size_bytes - _PROBE_BYTES)
        sample = b"".join(content[at : at + _PROBE_BYTES] for at in places)
        if len(buffers.prober.compress(sample)) > _PROBE_RATIO * len(sample):
            return content, codec.RAW
    pressed = buffers.compressor.compress(content)
    if len(pressed) > _RATIO * size_bytes:
        return content, codec.RAW
    return pressed, codec.ZSTD
