"""The engine of another process, here of the same one: every promise of a handle, over the socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.contract import operations as ops
from engine.contract.handle import EngineHandle
from engine.local import LocalEngine
from engine.remote import RemoteEngine
from tests.engine.homes import home_with_repository
from tests.engine.test_local import engine_on, furnish
from tests.suites.engine_handle import ANSWER_S, EngineHandleSuite, eventually


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a repository in memory."""
    return home_with_repository(tmp_path / "home", url=f"memory://{tmp_path.name}")


@pytest.fixture
def engine(home: Path) -> Iterator[LocalEngine]:
    """The engine of that home, with one wedding."""
    with engine_on(home) as started:
        furnish(started)
        yield started


def attached(home: Path) -> RemoteEngine:
    """A handle on the engine that runs there."""
    found = RemoteEngine.attach(home)
    assert found is not None
    return found


class TestRemoteEngine(EngineHandleSuite):
    """The suite of every handle."""

    @pytest.fixture
    def handle(self, home: Path, engine: LocalEngine) -> Iterator[EngineHandle]:
        """Attached; the engine stops after it."""
        remote = attached(home)
        yield remote
        remote.close(drain_s=0.0).result(ANSWER_S)

    def stop(self, handle: EngineHandle) -> None:
        """By the operation: closing a remote handle stops nothing."""
        handle.call(ops.Shutdown()).result(ANSWER_S)
        assert eventually(lambda: handle.status().status == "stopped")
