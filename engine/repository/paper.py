"""Keys on paper: 256 random bits as thirteen groups of five characters that a person can type. Pure.

Four characters of a group carry 20 bits (Crockford's base 32: no I, L, O, U), the fifth checks them and the group's
place, so a slip is told by its group and not only as "wrong". In a key slot the canonical text is the passphrase.
"""

from __future__ import annotations

import re

from engine.base.invariants import check

SECRET_BYTES = 32
GROUPS = 13
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})
_WEIGHTS = (1, 3, 5, 7)  # odd, so that no single slip goes unseen
_SHAPE = re.compile(rf"[0-9A-Z]{{5}}(?:[-\s]*[0-9A-Z]{{5}}){{{GROUPS - 1}}}")


def paper_text(secret: bytes) -> str:
    """The canonical text of a secret of 32 bytes: capitals, groups joined by dashes."""
    check(len(secret) == SECRET_BYTES, "a key on paper has 256 bits")
    number = int.from_bytes(secret, "big") << (GROUPS * 20 - SECRET_BYTES * 8)
    groups = []
    for place in range(GROUPS):
        values = [number >> (GROUPS * 20 - place * 20 - 5 * (at + 1)) & 31 for at in range(4)]
        groups.append("".join(_ALPHABET[value] for value in (*values, _check_value(place, values))))
    return "-".join(groups)


def as_passphrase(text: str) -> str:
    """What was typed, as a key slot knows it: a key on paper in its canonical text, all else as it is."""
    groups = _groups(text)
    return text if groups is None or _mistaken(groups) else "-".join(groups)


def mistake_in(text: str) -> str:
    """What of a key on paper was typed wrongly, as a sentence; empty for one that is right, and for all else."""
    mistaken = _mistaken(_groups(text) or [])
    if not mistaken:
        return ""
    many = "s" if len(mistaken) > 1 else ""
    return f"group{many} {', '.join(map(str, mistaken))} of the key on paper cannot be as printed"


def _groups(text: str) -> list[str] | None:
    """The groups of what has the shape of a key on paper."""
    typed = text.strip().upper()
    if not _SHAPE.fullmatch(typed):
        return None
    letters = re.sub(r"[-\s]", "", typed).translate(_READ_AS)
    return [letters[at : at + 5] for at in range(0, len(letters), 5)]


def _mistaken(groups: list[str]) -> list[int]:
    """The places, from 1 on, of groups whose last character does not fit."""
    return [place + 1 for place, group in enumerate(groups) if not _is_right(place, group)]


def _is_right(place: int, group: str) -> bool:
    values = [_VALUES.get(letter, -1) for letter in group]
    return -1 not in values and _check_value(place, values[:4]) == values[4]


def _check_value(place: int, values: list[int]) -> int:
    return (place + sum(weight * value for weight, value in zip(_WEIGHTS, values, strict=True))) % 32
