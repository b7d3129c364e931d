"""Themes and what a terminal can show."""

from __future__ import annotations

import pytest
from rich._palettes import STANDARD_PALETTE
from rich.color import ColorSystem
from textual.color import Color
from textual.theme import Theme

from engine.contract.settings import ConsoleSettings
from screens.widgets.plot import Symbols
from tests import samples
from tests.consoles import console, settled, shown
from tests.fakes import FakeEngine
from wedsync_tui.theme import DARK, SIXTEEN, THEMES, symbols_for, themes_for


@pytest.mark.parametrize(
    ("environment", "symbols"),
    [
        ({"LANG": "en_GB.UTF-8", "TERM": "xterm-256color"}, "braille"),
        ({"LANG": "C.utf8"}, "braille"),
        ({"LANG": "en_GB.UTF-8", "TERM": "linux"}, "block"),
        ({"LANG": "C", "TERM": "xterm-256color"}, "ascii"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "C"}, "ascii"),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "ascii"),  # as Python makes it where only LANG=C is set
        ({"LANG": "de_DE.ISO-8859-1"}, "ascii"),
        ({"LC_CTYPE": "C.UTF-8"}, "braille"),
        ({"TERM": "xterm-256color"}, "braille"),  # as in a container, where nobody sets a locale
    ],
)
def test_a_terminal_is_drawn_on_with_what_it_can_show(environment: dict[str, str], symbols: Symbols) -> None:
    assert symbols_for(environment) == symbols


async def test_a_terminal_without_utf8_gets_ascii_in_every_cell() -> None:
    engine = FakeEngine()
    engine.show(samples.status())
    app = console(engine, symbols="ascii")
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        filters = [one for one in app.get_line_filters() if type(one).__name__ == "AsciiFilter"]
        drawn = app.screen._compositor.render_strips()
        strips = [strip.apply_filter(one, Color(0, 0, 0)) for one in filters for strip in drawn]
        assert strips
        assert "".join(strip.text for strip in strips).isascii()
        assert all(strip.cell_length == 120 for strip in strips)


# What the kernel's own font and the usual ones of console-setup all have, beside ASCII.
TEXT_CONSOLE = "·•°±²½«»‼←↑→↓≡─│┌┐└┘├┤┬┴┼═║╔╗╚╝█░▒■▲▼"


@pytest.mark.parametrize("keys", [(), ("colon",), ("b",), ("2", "x"), ("question_mark",), ("ctrl+p",)])
async def test_a_text_console_gets_only_what_its_fonts_have(keys: tuple[str, ...]) -> None:
    engine = FakeEngine()
    engine.show(samples.status())
    app = console(engine, symbols="block")
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await pilot.press(*keys)
        await settled(pilot)
        filters = [one for one in app.get_line_filters() if type(one).__name__ == "TextConsoleFilter"]
        drawn = app.screen._compositor.render_strips()
        strips = [strip.apply_filter(one, Color(0, 0, 0)) for one in filters for strip in drawn]
        assert strips
        assert {letter for strip in strips for letter in strip.text if not letter.isascii()} <= set(TEXT_CONSOLE)
        assert all(strip.cell_length == 120 for strip in strips)


@pytest.mark.parametrize(
    ("environment", "has_sixteen"),
    [
        ({"TERM": "linux"}, True),
        ({"TERM": "screen"}, True),
        ({"TERM": "xterm-16color"}, True),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "screen-256color"}, False),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, False),
    ],
)
def test_a_terminal_of_sixteen_colours_gets_a_theme_of_sixteen(environment: dict[str, str], has_sixteen: bool) -> None:
    assert themes_for(environment) is (SIXTEEN if has_sixteen else THEMES)


@pytest.mark.parametrize("theme", SIXTEEN, ids=lambda theme: theme.name)
def test_of_sixteen_colours_each_is_kept_and_states_differ(theme: Theme) -> None:
    def number(colour: str | None) -> int:
        exact = Color.parse(colour or "").rich_color
        kept = exact.downgrade(ColorSystem.STANDARD)
        assert kept.number is not None
        assert STANDARD_PALETTE[kept.number] == exact.triplet, colour
        return kept.number

    states = [number(one) for one in (theme.success, theme.warning, theme.error, theme.foreground, theme.background)]
    assert len(set(states)) == len(states)
    assert number(theme.variables["muted"]) not in states[:3]
    assert [one.name for one in SIXTEEN] == [one.name for one in THEMES]


@pytest.mark.parametrize("theme", [*THEMES, *SIXTEEN], ids=lambda theme: theme.name)
def test_every_theme_of_ours_has_every_variable_and_readable_text(theme: object) -> None:
    assert isinstance(theme, type(DARK))
    assert set(theme.variables) == set(DARK.variables)
    background = Color.parse(theme.background or "")
    for name in ("foreground", "success", "warning", "error", "accent"):
        assert contrast(Color.parse(getattr(theme, name)), background) >= 4.5, name
    assert contrast(Color.parse(theme.variables["muted"]), background) >= 4.5


def contrast(first: Color, second: Color) -> float:
    """Contrast by WCAG 2: 4.5 is what body text needs."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(color: Color) -> float:
    parts = [part / 255 for part in color.rgb]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


async def test_an_unknown_theme_in_the_settings_is_no_reason_to_fail() -> None:
    app = console(FakeEngine(), theme="no-such-theme")
    async with app.run_test() as pilot:
        await pilot.pause()
        assert app.theme == ConsoleSettings().theme


async def test_a_theme_of_textual_s_own_can_be_chosen() -> None:
    app = console(FakeEngine(), theme="nord")
    async with app.run_test() as pilot:
        await pilot.pause()
        assert app.theme == "nord"
        assert "Weddings" in shown(app)
