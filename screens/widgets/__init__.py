"""Pieces a screen is made of: lists, charts, lines of text."""
