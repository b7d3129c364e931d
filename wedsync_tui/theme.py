"""The themes of the console, and how the terminal wants to be drawn on.

Colour only ever repeats what a word or a glyph says. Three themes are our own; any of Textual's can be chosen by
name, and gets the variables it lacks from the default. Main thread, before the first frame.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import NamedTuple

from rich.console import Console
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import Theme

from screens.text import cell_len
from screens.widgets.plot import Symbols

DEFAULT_THEME = "wedsync-dark"

DARK = Theme(
    name=DEFAULT_THEME,
    dark=True,
    primary="#6cb2eb",
    secondary="#9aa7b8",
    accent="#f2c14e",
    success="#7bc47f",
    warning="#f2a65a",
    error="#ff7b72",
    foreground="#dbe2ea",
    background="#10151c",
    surface="#1a222d",
    panel="#1f2936",
    variables={
        "muted": "#8b98a9",
        "rail": "#3b4757",
        "frame": "#334155",
        "marked": "#2b3a4e",
        "chart-read": "#f2c14e",
        "chart-stored": "#4f8fd0",
        "chart-restored": "#c792ea",
    },
)

LIGHT = Theme(
    name="wedsync-light",
    dark=False,
    primary="#1f6fb2",
    secondary="#5b6675",
    accent="#9a5b00",
    success="#1e7a34",
    warning="#a34a00",
    error="#b3261e",
    foreground="#1c232b",
    background="#fbfbf9",
    surface="#f0f1ee",
    panel="#e6e9ec",
    variables={
        "muted": "#5b6675",
        "rail": "#b8c0ca",
        "frame": "#b8c0ca",
        "marked": "#d6e3f1",
        "chart-read": "#9a5b00",
        "chart-stored": "#5a9bd4",
        "chart-restored": "#7b3fa0",
    },
)

# Blue and orange differ for every common kind of colour blindness, and in lightness, too (Okabe and Ito 2008).
COLOUR_BLIND = Theme(
    name="wedsync-colour-blind",
    dark=True,
    primary="#56b4e9",
    secondary="#9aa7b8",
    accent="#f0e442",
    success="#56b4e9",
    warning="#e69f00",
    error="#ff8c42",
    foreground="#eef1f4",
    background="#0d1117",
    surface="#161d27",
    panel="#1d2733",
    variables={
        "muted": "#9aa7b8",
        "rail": "#465365",
        "frame": "#3a4656",
        "marked": "#2a3b52",
        "chart-read": "#f0e442",
        "chart-stored": "#0f7fbf",
        "chart-restored": "#e69f00",
    },
)

THEMES: tuple[Theme, ...] = (DARK, LIGHT, COLOUR_BLIND)

# The same where there are sixteen colours: each is one of them, so that nothing is left to what is nearest. The nearest
# to the greens above would be the grey of what is dim.
_SIXTEEN = {
    "black": "#000000", "red": "#aa0000", "brown": "#aa5500", "blue": "#0000aa", "magenta": "#aa00aa",
    "cyan": "#00aaaa", "grey": "#aaaaaa", "dark": "#555555", "light red": "#ff5555", "light green": "#55ff55",
    "yellow": "#ffff55", "light magenta": "#ff55ff", "light cyan": "#55ffff", "white": "#ffffff",
}  # fmt: skip


def _of_sixteen(theme: Theme, names: str) -> Theme:
    """`theme` in colours of the sixteen, in the order in which `DARK` names its own."""
    colours = [_SIXTEEN[name] for name in names.split(", ")]
    of_theme = ("primary", "secondary", "accent", "success", "warning", "error", "foreground", "background", "surface")
    named = dict(zip((*of_theme, "panel"), colours, strict=False))
    return Theme(
        name=theme.name,
        dark=theme.dark,
        variables=dict(zip(theme.variables, colours[len(named) :], strict=True)),
        **named,  # type: ignore[arg-type]
    )


SIXTEEN: tuple[Theme, ...] = (
    _of_sixteen(DARK, "cyan, grey, light cyan, light green, yellow, light red, white, black, black, blue, "
                      "grey, dark, dark, blue, yellow, cyan, light magenta"),
    _of_sixteen(LIGHT, "blue, dark, magenta, blue, brown, red, black, white, white, grey, "
                       "dark, grey, grey, grey, brown, cyan, magenta"),
    _of_sixteen(COLOUR_BLIND, "light cyan, grey, white, light cyan, yellow, light red, white, black, black, blue, "
                              "grey, dark, dark, blue, yellow, cyan, light red"),
)  # fmt: skip


def themes_for(environment: Mapping[str, str]) -> tuple[Theme, ...]:
    """Our themes in the colours that the terminal has, by the same rule by which it is drawn on."""
    system = Console(file=io.StringIO(), force_terminal=True, _environ=environment).color_system
    return SIXTEEN if system == "standard" else THEMES


def symbols_for(environment: Mapping[str, str]) -> Symbols:
    """What the terminal can show: braille; blocks on a text console; ASCII where a locale is set and is not UTF-8.

    Python itself sets LC_CTYPE to C.UTF-8 where LANG is C, so that value tells nothing of the terminal.
    """
    ctype = environment.get("LC_CTYPE", "")
    wanted = environment.get("LC_ALL") or ("" if ctype == "C.UTF-8" else ctype) or environment.get("LANG") or ctype
    if wanted and "utf" not in wanted.lower():
        return "ascii"
    return "block" if environment.get("TERM", "") in ("linux", "vt100", "vt220") else "braille"


class Look(NamedTuple):
    """How a terminal is drawn on."""

    symbols: Symbols = "braille"
    themes: tuple[Theme, ...] = THEMES


def look_for(environment: Mapping[str, str]) -> Look:
    """What suits the terminal that is described there."""
    return Look(symbols_for(environment), themes_for(environment))


# What a screen of ours or of Textual draws with, in ASCII of the same width.
_ASCII = str.maketrans(
    {
        **dict.fromkeys("─━┄╌▁▔▂▃‾╸╺", "-"), **dict.fromkeys("│┃┆▏▕▎▍▌▐┤├║", "|"),
        **dict.fromkeys("╭╮╰╯┌┐└┘┼┬┴▊▋▉▛▜▙▟", "+"), **dict.fromkeys("█▇▆▅▄▀▮", "#"), **dict.fromkeys("▯○", "o"),
        "●": "*", "✓": "+", "▲": "!", "✗": "x", "▸": ">", "■": "=", "›": ">", "·": ".", "…": "~", "–": "-",
        "→": ">", "↑": "^", "↓": "v", "⭘": "o", "▼": "v", "▶": ">", "‖": "|", "\u00a0": " ",
    }
)  # fmt: skip


# What is missing in the fonts of text consoles (the kernel's own, and Lat15 and Uni2 of console-setup), in what all of
# them have.
_TEXT_CONSOLE = str.maketrans(
    {
        **dict.fromkeys("▔‾╺", "─"), **dict.fromkeys("━╸", "═"), **dict.fromkeys("┄╌–", "-"), "▁": "_", "┆": "│",
        "┃": "║", **dict.fromkeys("▏▕▎▍▌▐", "│"), "╭": "┌", "╮": "┐", "╰": "└", "╯": "┘", "▾": "▼", "‖": "║",
        **dict.fromkeys("▊▋▉▛▜▙▟▮▆▇", "█"), **dict.fromkeys("▂▃▯", "░"), **dict.fromkeys("▄▀▅", "▒"), "●": "•",
        **dict.fromkeys("○⭘", "o"), "✓": "+", **dict.fromkeys("✗×", "x"), **dict.fromkeys("▸›▶", ">"), "‹": "<",
        "…": "~",
    }
)  # fmt: skip


class TextConsoleFilter(LineFilter):
    """Redraw what the fonts of a text console lack; letters stay as they are."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """See `LineFilter.apply`."""
        return [
            segment
            if segment.text.isascii()
            else Segment(segment.text.translate(_TEXT_CONSOLE), segment.style, segment.control)
            for segment in segments
        ]


class AsciiFilter(LineFilter):
    """Redraw every cell in ASCII, for a terminal that shows nothing else; a letter it lacks becomes `?`."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """See `LineFilter.apply`."""
        return [
            segment if segment.text.isascii() else Segment(_to_ascii(segment.text), segment.style, segment.control)
            for segment in segments
        ]


def _to_ascii(text: str) -> str:
    mapped = text.translate(_ASCII)
    if mapped.isascii():
        return mapped
    return "".join(letter if letter.isascii() else "?" * cell_len(letter) for letter in mapped)
