"""`RetrieveDialog`: wedding, snapshot, files, target; what it will take is shown before it starts.

Four pages, one question each; Escape goes a page back. Files are a tree whose folders are listed as they are opened.
Flows in: a desk. Flows out: a command line that is understood, or nothing. Drawing thread.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from engine.contract import operations as ops
from screens.desk import Desk, Problem
from screens.filetree import FileTree
from screens.fuzzy import ranked
from screens.retrieving import OVERWRITE, Wish, common_folder, plan_lines, snapshot_rows
from screens.text import Column, Line, Row, Span, clean, columns_at, cut, fit, lay_out, line_of
from screens.widgets.filerows import FileRows
from screens.widgets.pick import Pick
from screens.widgets.rows import Rows
from screens.widgets.tick import Tick

PAGES = ("wedding", "snapshot", "files", "target")
LISTED_MAX = 200
ENTRIES_MAX = 2_000
_NAME_COLUMNS = (Column(14, 30), Column(10, 60))
_HINTS = {
    "wedding": "letters narrow the list · ↑ ↓ mark · Enter takes it",
    "snapshot": "the newest stands first, times are UTC · Enter takes it",
    "files": "Enter opens · space chooses · nothing chosen: all of it · ^s next",
    "target": "Enter looks at what it will take, and starts nothing yet",
}


class RetrieveDialog(ModalScreen[str]):
    """The result is the line of the retrieval, or nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", priority=True),
        Binding("ctrl+s", "next", "Next", priority=True),
    ]

    def __init__(self, desk: Desk, wedding: str = "") -> None:
        """With a `wedding`, its page is passed over."""
        super().__init__()
        self._desk = desk
        self._given = wedding
        self._page = ""
        self._wedding = self._snapshot = ""
        self._snapshots: tuple[ops.SnapshotSummary, ...] = ()
        self._tree = FileTree()
        self._plan: ops.RetrievalPlan | None = None
        self._planned = ""  # the line that was planned, without its choice of overwriting
        self._problem = self._waiting = ""
        self._suggested: list[str] = []

    def compose(self) -> ComposeResult:
        """Where we are, the four pages, words, buttons."""
        with Vertical(classes="dialog form", id="retrieve"):
            yield Rows(id="trail", fill=self._fill_trail)
            with Vertical(id="page-wedding", classes="page"):
                yield Input(placeholder="the wedding", id="wedding-filter", compact=True)
                yield Rows(id="weddings-list", fill=self._fill_weddings, choosable=True)
            with Vertical(id="page-snapshot", classes="page"):
                yield Rows(id="snapshots-list", fill=self._fill_snapshots, choosable=True)
            with Vertical(id="page-files", classes="page"):
                yield FileRows(id="tree", fill=self._fill_tree)
            with Vertical(id="page-target", classes="page"):
                with Horizontal(classes="field"):
                    yield Label("* folder", classes="field-label")
                    yield Input(placeholder="the folder to write into", id="to", compact=True, select_on_focus=False)
                yield Rows(id="suggestions", fill=self._fill_suggestions)
                with Horizontal(classes="field", id="strip-field"):
                    yield Label("  shorten", classes="field-label")
                    yield Tick(False, id="strip")
                    yield Label("", classes="field-help", id="strip-help")
                with Horizontal(classes="field", id="overwrite-field"):
                    yield Label("* files there", classes="field-label")
                    yield Pick(OVERWRITE, id="overwrite")
                yield Rows(id="plan", fill=self._fill_plan)
            yield Rows(id="words", fill=self._fill_words)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Back", id="back", compact=True)
                yield Button("Next", id="next", variant="primary", compact=True)

    def on_mount(self) -> None:
        """The first page that asks something."""
        for box in self.query(Input):
            box.cursor_blink = False
        self.query_one("#overwrite-field").display = False
        if self._given:
            self._take_wedding(self._given)
        else:
            self._turn_to("wedding")

    # --- pages ---

    def _turn_to(self, page: str) -> None:
        self._page, self._problem = page, ""
        for name in PAGES:
            self.query_one(f"#page-{name}").display = name == page
        self.query_one("#back").display = PAGES.index(page) > (1 if self._given else 0)
        first = {"wedding": "wedding-filter", "snapshot": "snapshots-list", "files": "tree", "target": "to"}[page]
        self.query_one(f"#{first}").focus()
        self._name_button()
        self.call_after_refresh(self.look_again)

    def _name_button(self) -> None:
        is_planned = self._page == "target" and self._plan is not None
        label = "Start" if is_planned else "Look" if self._page == "target" else "Next"
        button = self.query_one("#next", Button)
        button.label = label
        button.variant = "success" if is_planned else "primary"

    def look_again(self) -> None:
        """Fill what is shown anew."""
        for rows in self.query(Rows):
            rows.refill()

    def action_back(self) -> None:
        """A page back; from the first one, away."""
        at = PAGES.index(self._page)
        if at <= (1 if self._given else 0):
            self.dismiss("")
        else:
            self._forget_plan()
            self._turn_to(PAGES[at - 1])

    def action_next(self) -> None:
        """Take what stands on this page."""
        if self._page == "wedding":
            self._take_wedding(self.query_one("#weddings-list", Rows).cursor_key)
        elif self._page == "snapshot":
            self._take_snapshot(self.query_one("#snapshots-list", Rows).cursor_key)
        elif self._page == "files":
            self._turn_to("target")
            self._offer_strip()
        else:
            self._look_or_start()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Cancel, back, next."""
        if event.button.id == "cancel":
            self.dismiss("")
        elif event.button.id == "back":
            self.action_back()
        else:
            self.action_next()

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        """Enter on a list: take the row; in the tree, open or choose it."""
        if event.rows.id == "tree":
            self._open(event.key)
        else:
            self.action_next()

    # --- wedding and snapshot ---

    def _fill_weddings(self, rows: Rows) -> None:
        words = dict(self._desk.weddings())
        names = ranked(self.query_one("#wedding-filter", Input).value.strip(), words)[:LISTED_MAX]
        sizes = columns_at(_NAME_COLUMNS, rows.text_width)
        rows.show(
            [
                Row(name, lay_out((line_of(Span(clean(name), "strong")), line_of(Span(words[name], "dim"))),
                                  _NAME_COLUMNS, sizes))
                for name in names
            ]
        )  # fmt: skip

    def _take_wedding(self, name: str) -> None:
        if not name:
            return
        self._wedding, self._snapshots, self._snapshot = name, (), ""
        self._turn_to("snapshot")
        self._ask(ops.ListSnapshots(wedding=name), self._took_snapshots)

    def _took_snapshots(self, answer: ops.Result) -> None:
        if isinstance(answer, ops.SnapshotList) and answer.wedding == self._wedding:
            self._snapshots = answer.snapshots
            self._problem = "" if answer.snapshots else f"{self._wedding} has no snapshot yet"

    def _fill_snapshots(self, rows: Rows) -> None:
        rows.show(snapshot_rows(self._snapshots, rows.text_width))

    def _take_snapshot(self, snapshot: str) -> None:
        if not snapshot:
            return
        if snapshot != self._snapshot:
            self._snapshot, self._tree = snapshot, FileTree()
            self._list("/")
        self._turn_to("files")

    # --- files ---

    def _list(self, path: str) -> None:
        wanted = self._snapshot
        operation = ops.Browse(wedding=self._wedding, snapshot=wanted, path=path, limit=ENTRIES_MAX)

        def took(answer: ops.Result) -> None:
            if isinstance(answer, ops.EntryList) and wanted == self._snapshot:
                self._tree.fill(path, answer.entries, truncated=answer.truncated)
                inside = [entry for entry in answer.entries if entry.path != path]
                if len(inside) == 1 and inside[0].type == "folder" and not inside[0].path_base64:
                    self._list(inside[0].path)  # a lone folder is not what anybody looks for

        self._ask(operation, took)

    def _fill_tree(self, rows: Rows) -> None:
        if self._tree.is_known:
            rows.show(self._tree.rows(rows.text_width))
        else:
            rows.show_lines((line_of(Span("reading …", "dim")),))

    def _open(self, path: str) -> None:
        node = self._tree.find(path)
        if node is None:
            return
        if not node.is_folder:
            self.choose(path)
        elif node.children is None and node.entry.path_base64:
            self._say("its name is not UTF-8, so it cannot be opened here; choose the folder around it")
        elif node.children is None:
            self._list(path)
        else:
            node.is_open = not node.is_open
            self.query_one("#tree", Rows).refill()

    def on_file_rows_turned(self, event: FileRows.Turned) -> None:
        """Left and right in the tree close and open folders."""
        node = self._tree.find(event.key)
        if node is not None and node.is_folder and node.is_open != event.opens:
            self._open(event.key)

    def on_file_rows_ticked(self, event: FileRows.Ticked) -> None:
        """Space."""
        self.choose(event.key)

    def choose(self, path: str) -> None:
        """Choose a file or folder, or let it go."""
        node = self._tree.find(path)
        if node is None:
            return
        if node.entry.path_base64:
            self._say("its name is not UTF-8: choose the folder around it")
        elif node.is_taken and not node.is_chosen:
            self._say("the folder around it is chosen whole")
        else:
            node.is_chosen = not node.is_chosen
            self._forget_plan()
            self.look_again()

    # --- target and plan ---

    def wish(self, *, overwrite: str = "") -> Wish:
        """What is asked for, as it stands."""
        paths = tuple(node.entry.path for node in self._tree.chosen())
        strip = common_folder(paths) if self.query_one("#strip", Tick).value else ""
        to = self.query_one("#to", Input).value.strip()
        return Wish(self._wedding, self._snapshot, paths, to, strip, overwrite)

    def _offer_strip(self) -> None:
        folder = common_folder([node.entry.path for node in self._tree.chosen()])
        self.query_one("#strip-field").display = bool(folder)
        self.query_one("#strip-help", Label).update(f"leave {clean(folder)}/ off the front of each path")

    def _look_or_start(self) -> None:
        wish = self.wish()
        if not wish.to:
            self._say("name the folder to write into")
            return
        line = wish.line()
        if self._plan is not None and line == self._planned:
            choice = self.query_one("#overwrite", Pick).value if self._plan.conflicts else ""
            self.dismiss(self.wish(overwrite=choice).line())
            return
        meant = self._desk.understand(line)
        if isinstance(meant, Problem) or not isinstance(meant, ops.RetrieveWeddingData):
            self._say(meant.line if isinstance(meant, Problem) else "this is no retrieval")
            return

        def took(answer: ops.Result) -> None:
            if isinstance(answer, ops.RetrievalPlan) and self._page == "target" and line == self.wish().line():
                self._plan, self._planned = answer, line
                self.query_one("#overwrite-field").display = answer.conflicts > 0
                self._name_button()
                self.query_one("#overwrite" if answer.conflicts else "#next").focus()

        self._ask(msgspec.structs.replace(meant, dry_run=True), took)

    def _forget_plan(self) -> None:
        if self._plan is not None:
            self._plan = None
            self.query_one("#overwrite-field").display = False
            self._name_button()

    def _fill_plan(self, rows: Rows) -> None:
        lines: tuple[Line, ...] = plan_lines(self._plan) if self._plan is not None else ()
        rows.show_lines([fit(line, rows.text_width) for line in lines])

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the list, or suggest folders."""
        event.stop()
        self._problem = ""
        if event.input.id == "to":
            self._forget_plan()
        self.look_again()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on."""
        event.stop()
        self.action_next()

    def on_tick_changed(self) -> None:
        """Another target."""
        self._forget_plan()
        self.look_again()

    def on_key(self, event: Key) -> None:
        """Down leads from the letters into the list, or takes a suggested folder; Enter takes what is picked."""
        box = self.focused
        if event.key == "enter" and isinstance(box, Pick):
            self.action_next()
            event.prevent_default()
            event.stop()
        if event.key not in ("down", "up") or not isinstance(box, Input):
            return
        if box.id == "wedding-filter":
            self.query_one("#weddings-list").focus()
        elif self._suggested:
            box.value = self._suggested[0]
            box.cursor_position = len(box.value)
        event.prevent_default()
        event.stop()

    def _fill_suggestions(self, rows: Rows) -> None:
        found = self._desk.suggest(f"retrieve x --to {self.query_one('#to', Input).value}")
        self._suggested = [one.shown for one in found if one.shown.endswith("/")]
        width = rows.text_width
        words = [cut(clean(one), max(0, width - 2), keep_end=True) for one in self._suggested[:3]]
        rows.show_lines([fit(line_of(Span(f"  {one}", "dim")), width) for one in words])

    # --- words ---

    def _ask(self, operation: ops.Operation, took: object) -> None:
        self._waiting = "reading …"

        def then(answer: ops.Result | Problem) -> None:
            if not self.is_attached:
                return
            self._waiting = ""
            if isinstance(answer, Problem):
                self._problem = answer.line
            else:
                took(answer)  # type: ignore[operator]
            self.look_again()

        self._desk.ask(operation, then)
        self.query_one("#words", Rows).refill()

    def _say(self, problem: str) -> None:
        self._problem = problem
        self.query_one("#words", Rows).refill()

    def _fill_words(self, rows: Rows) -> None:
        if self._problem:
            line = line_of(Span(f"✗ {clean(self._problem)}", "critical"))
        else:
            hint = _HINTS.get(self._page, "")
            if self._plan is not None:
                hint = "→ changes the choice · Enter starts it" if self._plan.conflicts else "Enter starts it"
            line = line_of(Span(self._waiting or hint, "dim"))
        rows.show_lines((fit(line, rows.text_width),))

    def _fill_trail(self, rows: Rows) -> None:
        when = next((one.time.replace("T", " ")[:16] for one in self._snapshots if one.id == self._snapshot), "")
        chosen = len(self._tree.chosen())
        files = f"{chosen} chosen" if chosen else "all files" if self._page == "target" else ""
        parts = ["retrieve", *filter(None, (clean(self._wedding), when, files))]
        spans = [Span(" › ", "dim") if part is None else Span(part, "strong") for part in _between(parts)]
        rows.show_lines((fit(tuple(spans), rows.text_width),))


def _between(parts: list[str]) -> list[str | None]:
    """The parts with None between them."""
    spread: list[str | None] = []
    for part in parts:
        spread += [None, part] if spread else [part]
    return spread
