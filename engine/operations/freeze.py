"""What waits while many weddings are near: nothing is deleted or moved while everything comes in. Engine loop only.

From 48 hours before a day of `scaling.freeze` that has weddings, until 06:00 after it, prune and migration do not
begin, neither by themselves nor on a schedule; a person who means it says `--anyway`.
"""

from __future__ import annotations

from engine.contract.scaling import weekdays
from engine.jobs.priority import local_time
from engine.operations.context import Engine
from engine.scaling.readiness import frozen_until


def look(engine: Engine) -> None:
    """Note on the board when the freeze of now ends, if there is one; once a minute is enough."""
    settings = engine.settings.scaling
    wanted = weekdays(settings.freeze)
    days = {wedding.date for wedding in engine.facts.weddings if not wedding.archived}
    local = local_time(settings.timezone, engine.clock.now_ns())
    engine.scaling.frozen_until = frozen_until(local, {day for day in days if day.weekday() in wanted})


def words(engine: Engine) -> str:
    """Why prune and migration wait, as a warning of theirs; empty while they do not."""
    look(engine)
    end = engine.scaling.frozen_until
    return (
        f"nothing was begun: it waits until {end:%A %d %B %H:%M} for the weddings to be over; --anyway" if end else ""
    )
