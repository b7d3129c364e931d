"""Sizes, rates, spans and dates: as people write them, as people read them."""

from __future__ import annotations

import datetime as dt
import re

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

_FACTORS = {
    "": 1, "b": 1,
    "k": 1000, "kb": 1000, "m": 1000**2, "mb": 1000**2, "g": 1000**3, "gb": 1000**3, "t": 1000**4, "tb": 1000**4,
    "kib": KIB, "mib": MIB, "gib": GIB, "tib": 1024 * GIB,
}  # fmt: skip
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)\s*")
_SPAN_FACTORS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SPAN_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]+)")


def parse_bytes(text: str) -> int:
    """`"50MB"` → 50,000,000; `"64MiB"` → 67,108,864. Raises ValueError with a sentence."""
    match = _SIZE.fullmatch(text)
    factor = _FACTORS.get(match.group(2).lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"{text!r} is not a size; write it like 500MB or 64MiB")
    return round(float(match.group(1)) * factor)


def parse_span(text: str) -> float:
    """`"90s"`, `"5m"`, `"1h30m"`, `"2d"` → seconds. Raises ValueError with a sentence."""
    stripped = text.strip()
    parts = _SPAN_PART.findall(stripped)
    if not parts or _SPAN_PART.sub("", stripped).strip() or any(unit not in _SPAN_FACTORS for _, unit in parts):
        raise ValueError(f"{text!r} is not a span of time; write it like 90s, 5m, 1h30m or 2d")
    return sum(float(number) * _SPAN_FACTORS[unit] for number, unit in parts)


def parse_rate(text: str) -> float:
    """`"100TB/h"`, `"1.5 GB/s"` → bytes a second. Raises ValueError with a sentence."""
    amount, _, unit = text.strip().partition("/")
    try:
        return parse_bytes(amount) / _RATE_SPANS_S[unit.strip().lower()]
    except (ValueError, KeyError):
        raise ValueError(f"{text!r} is no rate; write it like 100TB/h or 800MB/s") from None


_RATE_SPANS_S = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def parse_date(text: str) -> dt.date:
    """`"2026-06-20"` → date. Raises ValueError with a sentence."""
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not a date; write it like 2026-06-20") from None


def format_bytes(count: float) -> str:
    """`1_500_000` → `"1.50 MB"`: decimal units, three digits, as disks and networks are sold."""
    sign, value = ("-", -count) if count < 0 else ("", count)
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if value < 999.5 or unit == "PB":
            break
        value /= 1000
    if unit == "B":
        return f"{sign}{value:.0f} B"
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{sign}{value:.{digits}f} {unit}"


def format_rate(bytes_per_s: float) -> str:
    """`1_500_000` → `"1.50 MB/s"`."""
    return f"{format_bytes(bytes_per_s)}/s"


def format_span(seconds: float) -> str:
    """`0.25` → `"250 ms"`, `75` → `"1m 15s"`, `93600` → `"1d 2h"`: the two largest units."""
    if seconds < 0:
        return f"-{format_span(-seconds)}"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    total = round(seconds)
    for (big, big_s), (small, small_s) in zip(_SPAN_UNITS, _SPAN_UNITS[1:], strict=False):
        if total >= big_s:
            rest = total % big_s // small_s
            return f"{total // big_s}{big} {rest}{small}" if rest else f"{total // big_s}{big}"
    return f"{total}s"


_SPAN_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def format_count(count: int, noun: str = "") -> str:
    """`12345` → `"12,345"`; with what is counted, in the singular, `"1 entry"`, `"12,345 entries"`."""
    if not noun or count == 1:
        return f"{count:,} {noun}".rstrip()
    plural = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{count:,} {plural}"


def format_time(ns: int) -> str:
    """Nanoseconds since 1970 → `"2026-06-20T14:03:07.123Z"`."""
    moment = dt.datetime.fromtimestamp(ns // 10**9, tz=dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % 10**9 // 10**6:03d}Z"
