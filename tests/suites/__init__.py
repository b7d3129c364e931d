"""Shared suites: one for each Protocol of the house, run over every implementation of it."""
