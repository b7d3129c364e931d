"""Monitor: what this machine and this engine are doing, measured."""
