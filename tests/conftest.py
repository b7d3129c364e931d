"""What every test stands on: shared suites that show their values, repeatable chance, and no home of a person."""

from __future__ import annotations

import os

import hypothesis
import pytest

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


@pytest.fixture(autouse=True, scope="session")
def _clean_environment() -> None:
    """Forget what the person at the keyboard has set: a test must never find their repository or passphrase."""
    for name in [name for name in os.environ if name.startswith("WEDSYNC_")]:
        del os.environ[name]
    os.umask(0o022)
