"""Backup and restore as bytes: the data plane, and the runs that feed it."""
