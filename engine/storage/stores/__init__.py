"""One store of named bytes, and what wraps one."""
