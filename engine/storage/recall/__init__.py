"""How packs of a tier become readable that are not read at once: an archive class, a tape robot."""
