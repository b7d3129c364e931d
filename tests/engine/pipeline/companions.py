"""Companions for tests: begun at once instead of after many files, and waited for."""

from __future__ import annotations

import select

import pytest

from engine.pipeline import companion
from engine.pipeline.companion import Companion

ENDED_S = 60.0  # what no process of a test takes
_IS_READY_FOR = Companion.is_ready_for


def made_ready(one: Companion) -> bool:
    """Begun, and heard of."""
    if one._door is None:
        one._begin()
    assert one._door is not None
    assert select.select([one._door], [], [], ENDED_S)[0]
    return _IS_READY_FOR(one, companion.FILES_MIN)


def for_every_unit(patch: pytest.MonkeyPatch) -> list[int]:
    """From now on every stream has a companion for every unit; how many files each was asked for."""
    asked: list[int] = []
    ask = Companion._ask

    def counted(one: Companion, unit: companion.ReadUnit | companion.WriteUnit, folders: list[int]) -> bytes | None:
        asked.append(len(unit.files))
        return ask(one, unit, folders)

    patch.setattr(companion, "FILES_MIN", 1)
    patch.setattr(Companion, "is_ready_for", lambda one, files: one.is_ready or (files > 0 and made_ready(one)))
    patch.setattr(Companion, "_ask", counted)
    return asked
