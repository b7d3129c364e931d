"""Tests mirror the source; fakes and samples are shared here."""
