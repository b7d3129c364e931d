"""A repository that was set back as a whole: the snapshot that this home made last is not in it any more.

Where numbers fell (register, config, keys) it does not open (`repository.seen`); a backup raises none of them, but the
journal knows what it made. Told, not refused: an older copy may be all that there is. Engine loop only.
"""

from __future__ import annotations

import logging

from engine.base.errors import WedSyncError
from engine.operations.context import Engine

_LOG = logging.getLogger(__name__)


async def notice(engine: Engine) -> None:
    """Warn when what the newest backup of the journal made is gone. Called once the repository is open."""
    repository = engine.opening.repository
    ended = (job for job in engine.dispatcher.jobs() if job.ended and job.kind in ("backup", "store"))
    made = next((job for job in ended if job.snapshot), None)
    if repository is None or made is None or engine.facts.by_id(made.wedding_id) is None:
        return  # nothing was made, or it was made in another repository
    try:
        is_there = await engine.offload.run("facts", lambda: repository.holds(made.wedding_id, made.snapshot))
    except WedSyncError as error:
        _LOG.warning("it is not known whether the newest snapshot is there: %s", error.line())
        return
    if not is_there:
        repository.warn(
            f"snapshot {made.snapshot} of {made.wedding}, the last that this home made, is gone: the repository was "
            "set back to an older state, and what was backed up since then has to be again"
        )
