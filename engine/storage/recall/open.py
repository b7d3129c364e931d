"""Settings → recall drivers. The one place that knows which kinds there are."""

from __future__ import annotations

from collections.abc import Mapping

from engine.base.clock import Clock
from engine.contract.tiers import TIERS, Tier, TiersSettings
from engine.storage.recall.command import CommandRecall
from engine.storage.recall.driver import NoRecall, RecallDriver


def open_drivers(tiers: TiersSettings, clock: Clock) -> Mapping[Tier, RecallDriver]:
    """The driver of each tier. Raises UsageError when the library that one needs is not there."""
    return {tier: _opened(tiers, tier, clock) for tier in TIERS}


def _opened(tiers: TiersSettings, tier: Tier, clock: Clock) -> RecallDriver:
    settings = tiers.of(tier)
    if settings.recall == "command":
        return CommandRecall(settings.recall_command, clock)
    if settings.recall == "s3-restore":
        from engine.storage.recall.s3 import S3Restore  # its library is loaded only where it is needed

        return S3Restore(settings.url, settings.archive_class)
    return NoRecall()
