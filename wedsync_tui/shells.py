"""Completion for a shell: the script it loads, and the words that a half-written line may go on with.

In: what stands after the program's name, up to the cursor, and what is `Known`. Out: whole words, one for each way to
go on, which the shell quotes by itself. Pure but for the reading of folders that `Known` brings along.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wedsync_tui.completion import Known, suggest
from wedsync_tui.options import OPTIONS, SHORT
from wedsync_tui.words import OpenQuote, Word, split_words

BASH = r"""# Loaded by: eval "$(wedsync-tui --completion bash)"
_wedsync_tui() {
    local line=${COMP_LINE:0:COMP_POINT} quoted=${COMP_WORDS[COMP_CWORD]} word
    line=${line#*"${COMP_WORDS[0]}"}
    COMPREPLY=()
    while IFS= read -r word; do
        if [[ $word == --*=* && $COMP_WORDBREAKS == *=* ]]; then word=${word#*=}; fi
        if [[ $word == */ ]]; then compopt -o nospace; fi
        if [[ $quoted != [\"\']* ]]; then printf -v word %q "$word"; fi
        COMPREPLY+=("$word")
    done < <("$1" --complete "$line" 2>/dev/null)
}
complete -o nosort -F _wedsync_tui wedsync-tui
"""

_PLACES = frozenset({"DIR", "FILE"})
_BY_FLAG = {row.flag: row for row in OPTIONS}


def candidates(line: str, known: Known) -> list[str]:
    """The words that may stand where `line` ends, the likeliest first, in place of what is written of them."""
    words = _words(line)
    partial = words.pop() if words and words[-1].end >= len(line) else None
    command = _command_at(words)
    text = _text(partial) if partial else ""
    if command is None:
        found = _own(words, text, known)
    else:
        begin = words[command].start if command < len(words) else partial.start if partial else len(line)
        found = _of_command(line[begin:], len(words) - command, known)
    return list(dict.fromkeys(word for word in found if word.startswith(text) and word.isprintable()))


def _words(line: str) -> list[Word]:
    for ending in ("", "'", '"'):
        try:
            return list(split_words(line + ending))
        except OpenQuote:
            continue
    return []


def _text(word: Word) -> str:
    return word.filled({name: f"${name}" for name in word.variables})


def _command_at(words: list[Word]) -> int | None:
    """Which word begins the command, also when it is the one being written; None: an option's value comes first."""
    wants_value = False
    for at, word in enumerate(words):
        text = _text(word)
        if wants_value:
            wants_value = False
        elif not text.startswith("-"):
            return at
        else:
            row = _BY_FLAG.get(SHORT.get(text, text))
            wants_value = row is not None and row.kind != "switch"
    return None if wants_value else len(words)


def _own(words: list[Word], text: str, known: Known) -> Iterator[str]:
    """The value of one of the program's own options."""
    flag = _text(words[-1])
    row = _BY_FLAG[SHORT.get(flag, flag)]
    yield from row.choices
    if row.title in _PLACES:
        folder, slash, _ = text.rpartition("/")
        for name in sorted(known.list_folder(folder or slash or ".")):
            yield f"{folder}{slash}{name}"


def _of_command(line: str, position: int, known: Known) -> Iterator[str]:
    """The words at `position` of the command that `line` begins."""
    if position == 0 and line.startswith("-"):
        yield from _BY_FLAG
    for suggestion in suggest(line, known):
        words = _words(suggestion.line)
        if len(words) > position:
            yield _text(words[position])


def page(found: Iterable[str]) -> str:
    """The words as a shell reads them: one a line."""
    return "\n".join(found)
