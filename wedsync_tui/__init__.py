"""The program: command line, scripts, palette, console, headless service."""
