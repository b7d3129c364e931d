"""Pictures of the dashboard: three sizes, in colour and without. Made anew with `pytest --snapshot-update`."""

from __future__ import annotations

from typing import Protocol

import pytest

from tests import samples
from tests.consoles import console, without_colours_of_ours
from tests.fakes import FakeEngine
from wedsync_tui.app import ConsoleApp


class Compare(Protocol):
    """The fixture of pytest-textual-snapshot."""

    def __call__(self, app: ConsoleApp, *, terminal_size: tuple[int, int]) -> bool: ...


@pytest.mark.parametrize("colours", ["dark", "no-color"])
@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_dashboard(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], colours: str) -> None:
    without_colours_of_ours(monkeypatch)
    if colours == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")
    engine = FakeEngine()
    engine.show(samples.status())
    assert snap_compare(console(engine), terminal_size=size)
