"""Where a restore goes: a folder, an archive stream, or one descriptor."""
