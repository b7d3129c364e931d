"""Tests of the doors and the console."""
