"""Tests as somebody else: what a plain user may and may not do, also when the tests are run by root."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.trees import scratch

NOBODY = 65534
IS_ROOT = os.geteuid() == 0


@contextmanager
def plain_user() -> Iterator[None]:
    """Be a plain user inside the `with`: root becomes nobody, who has no capabilities; others stay who they are."""
    if not IS_ROOT:
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A temporary folder that `plain_user` can reach and owns."""
    with scratch() as made:
        folder = made / "shared"
        folder.mkdir()
        os.chmod(made, 0o755)
        if IS_ROOT:
            os.chown(folder, NOBODY, NOBODY)
        yield folder


@contextmanager
def few_descriptors(count: int) -> Iterator[None]:
    """No more than `count` descriptors may be open inside the `with`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
