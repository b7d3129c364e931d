"""The engine's doors for other processes: a unix socket in its home."""
