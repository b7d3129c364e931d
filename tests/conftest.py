"""What every test stands on: shared suites that show their values, repeatable chance, a time limit, nobody's home."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from types import FrameType

import hypothesis
import pytest

from tests.memory import memory_folder

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the program: waiting threads took four fifths of the time

pytest.register_assert_rewrite("tests.suites", "tests.strategies")

# The same examples at every run: a red test is red for everybody. `--hypothesis-profile=search` looks further.
hypothesis.settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=50,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.register_profile(
    "search", parent=hypothesis.settings.get_profile("repeatable"), derandomize=False, max_examples=2000
)
hypothesis.settings.load_profile("repeatable")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Put the folders of tests into memory, unless whoever started the run says where they are to lie."""
    folder = memory_folder()
    if folder is not None and not config.getoption("basetemp"):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(folder))


@pytest.fixture(autouse=True, scope="session")
def _clean_environment() -> None:
    """Forget what the person at the keyboard has set: a test must never find their repository or passphrase."""
    for name in [name for name in os.environ if name.startswith("WEDSYNC_")]:
        del os.environ[name]
    os.umask(0o022)
    # A shell starts what runs in its background with these ignored, and each process of a test would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def disk_path() -> Iterator[Path]:
    """A temporary folder on a disk, whose rules for direct I/O a file system in memory does not have."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


# A test that waits for ever fails by itself, a little after pytest has printed where every thread stands.
LIMIT_S = 100.0
_over_limit: list[str] = []


@contextlib.contextmanager
def _limit(item: pytest.Item) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        _over_limit.append(item.nodeid)
        raise TimeoutError(f"still running after {LIMIT_S:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Interrupt the fixtures after `LIMIT_S`."""
    with _limit(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Interrupt the test after `LIMIT_S`."""
    with _limit(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Interrupt the end of the fixtures after `LIMIT_S`."""
    with _limit(item):
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Threads of a test that hung would keep the interpreter from ending."""
    if _over_limit:
        os._exit(1)
