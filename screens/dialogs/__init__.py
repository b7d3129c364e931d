"""Screens over the screen: they ask for one thing and go."""
