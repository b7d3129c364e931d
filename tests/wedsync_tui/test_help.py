"""Help covers the catalog, and its examples are true."""

from __future__ import annotations

import pytest

from engine.contract.catalog import BY_VERB, CATALOG
from engine.contract.operations import Operation
from wedsync_tui import help as pages
from wedsync_tui.arguments import arguments_of
from wedsync_tui.commands import parse_line

VERBS = [spec.verb for spec in CATALOG]


def test_every_verb_has_its_group_and_an_example() -> None:
    assert sorted(verb for _, verbs in pages.GROUPS for verb in verbs) == sorted(VERBS)
    assert sorted(pages.EXAMPLES) == sorted(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_examples_parse_to_their_operation(verb: str) -> None:
    for line in pages.EXAMPLES[verb]:
        operation = parse_line(line)
        assert isinstance(operation, Operation)
        assert type(operation) is BY_VERB[verb].arguments


@pytest.mark.parametrize("verb", VERBS)
def test_page_of_a_verb_names_each_argument_and_fits_the_width(verb: str) -> None:
    text = pages.page(verb)
    for row in arguments_of(BY_VERB[verb]):
        assert row.name in text
        assert row.help.split()[0] in text
    assert max(map(len, text.splitlines())) <= pages.WIDTH


def test_program_page_lists_verbs_options_and_exit_codes() -> None:
    text = pages.program_page()
    for word in (*VERBS, "--home", "WEDSYNC_PASSPHRASE_FILE", "5 integrity error"):
        assert word in text
    assert max(map(len, text.splitlines())) <= pages.WIDTH
    assert text.isascii() or all(sign.isprintable() or sign == "\n" for sign in text)


def test_list_of_verbs_is_what_plain_help_says() -> None:
    assert pages.page("") == pages.verbs_page()
    assert pages.verbs_page() in pages.program_page()
