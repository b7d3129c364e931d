"""The read cache as an operator sets it: `[cache]` of `config.toml`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from engine.base.units import parse_bytes


class CacheSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is kept at hand of packs that were read from warm and cold. Both 0: nothing."""

    memory: Annotated[
        str, msgspec.Meta(description="memory for what was read from warm and cold, as 128MiB; 0: none")
    ] = "128MiB"
    disk: Annotated[
        str, msgspec.Meta(description="room in the home for what was read from warm and cold, as 10GiB; 0: none")
    ] = "10GiB"
    region: Annotated[
        str, msgspec.Meta(description="region that this machine stands in; weddings bound to others are not cached")
    ] = ""


COLD_CACHE_SETTINGS = frozenset({"cache.memory", "cache.disk", "cache.region"})


def check_cache(settings: CacheSettings) -> None:
    """Raises ValueError with a sentence that begins with the setting for what means nothing."""
    for name, text in (("memory", settings.memory), ("disk", settings.disk)):
        try:
            parse_bytes(text)
        except ValueError as error:
            raise ValueError(f"cache.{name}: {error}") from None
