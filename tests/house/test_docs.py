"""Papers and program say the same: errors, dependencies, links."""

from __future__ import annotations

import inspect
import re
import tomllib
from importlib import metadata

from engine.base import errors
from tests.house.tree import ROOT, modules, texts

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_READ_BY = {"tzdata": {"zoneinfo"}}  # dependencies that are data, and the modules that read them


def _error_rows() -> list[tuple[str, ...]]:
    """The rows of the first table of docs/errors.md, cells without their code marks."""
    text = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    rows = [
        tuple(cell.strip(" `") for cell in line.strip("|").split("|")) for line in text.splitlines() if line[:2] == "| "
    ]
    return [row[:4] for row in rows if row[0] in vars(errors)]


def test_errors_paper_lists_exactly_the_classes() -> None:
    """Class, code, exit code and HTTP status of every error, in one table."""
    classes = [
        (name, kind.code, str(kind.exit_code), str(kind.http_status))
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.WedSyncError)
    ]
    assert sorted(_error_rows()) == sorted(classes)


def test_error_codes_are_each_their_own() -> None:
    """A program tells errors apart by their code alone."""
    codes = [row[1] for row in _error_rows()]
    assert len(codes) == len(set(codes))


def test_every_exit_code_is_in_the_errors_paper() -> None:
    """Scripts branch on these."""
    text = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_") and isinstance(value, int)}
    assert {int(code) for code in re.findall(r"^\| (\d) \|", text, re.MULTILINE)} == codes


def test_every_declared_dependency_is_imported() -> None:
    """What nothing imports is not needed; of data, the module that reads it is imported instead."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[^\w-]", line, maxsplit=1)[0].lower() for line in project["dependencies"]}
    provided: dict[str, set[str]] = {}
    for import_name, distributions in metadata.packages_distributions().items():
        for distribution in distributions:
            provided.setdefault(distribution.lower(), set()).add(import_name)
    source = "\n".join(line for module in modules() for line in module.lines)
    imported = set(re.findall(r"^\s*(?:from|import)\s+(\w+)", source, re.MULTILINE))
    provided |= _READ_BY
    assert sorted(name for name in declared if not provided.get(name, set()) & imported) == []


def _anchors(markdown: str) -> set[str]:
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in _HEADING.findall(markdown)}


def test_every_relative_link_leads_somewhere() -> None:
    """To a file or folder of the tree, and to a heading of it where one is named."""
    papers = {shown: _FENCE.sub("", text) for shown, text in texts() if shown.endswith(".md")}
    broken = []
    for shown, text in papers.items():
        for link in _LINK.findall(text):
            path, _, anchor = link.partition("#")
            target = (ROOT / shown).parent / path if path else ROOT / shown
            if "://" in link or link.startswith("mailto:"):
                continue
            name = str(target.resolve().relative_to(ROOT)) if target.resolve().is_relative_to(ROOT) else ""
            if not target.exists() or (anchor and anchor not in _anchors(papers.get(name, ""))):
                broken.append(f"{shown}: {link}")
    assert broken == []


def test_every_paper_is_in_the_index() -> None:
    """docs/README.md leads to each document and each decision."""
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    papers = [
        shown.removeprefix("docs/") for shown, _ in texts() if shown.startswith("docs/") and shown.endswith(".md")
    ]
    assert [paper for paper in papers if paper != "README.md" and f"({paper})" not in index] == []


def test_the_architecture_fits_in_one_sitting() -> None:
    """A map that is too long is not read."""
    assert len((ROOT / "docs/architecture.md").read_text(encoding="utf-8").splitlines()) <= 250
