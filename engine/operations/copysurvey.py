"""What the places of a wedding hold, copy by copy, and the reading of those copies. Blocks; on the executor.

What lies where is told by a listing of each place, when it was last read by the copy catalog. A copy counts as read
back when it was read whole after it was written; one that was changed since, by whomever, does not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

import msgspec

from engine.base.errors import WedSyncError
from engine.contract.weddings import Wedding
from engine.operations.accepting import open_repository
from engine.operations.context import Engine
from engine.operations.scrubbing import is_readable
from engine.operations.tiering import copies_kept
from engine.pipeline.copies import CopiesRun, ToRead
from engine.repository import layout
from engine.storage.copycheck import CopyChecker, Findings
from engine.storage.locations import Copy
from engine.storage.stores.store import ObjectInfo, ObjectStore

_NS = 10**9


class Survey(msgspec.Struct, frozen=True):
    """What the places of a wedding hold."""

    held: Mapping[str, Mapping[str, Copy]]  # object → place → its copy; `verified_ns` 0: not read back
    known: Mapping[str, tuple[Copy, ...]]  # pack → its copies by the catalog, listed or not
    silent: Mapping[str, str]  # places that do not answer, and what they say


def places_of(engine: Engine) -> Mapping[str, ObjectStore]:
    """The store of each place."""
    stack = engine.opening.stack
    assert stack is not None  # the repository is open
    return stack.places


def survey(engine: Engine, wedding: Wedding) -> Survey:
    """List what every place holds of a wedding."""
    known = dict(engine.home.locations().of_wedding(wedding.id))
    held: dict[str, dict[str, Copy]] = {}
    silent: dict[str, str] = {}
    stack, folder = engine.opening.stack, layout.wedding_folder(bytes.fromhex(wedding.id))
    assert stack is not None  # the repository is open
    keeping = {region.name for region in engine.settings.regions if region.append_only}
    for place, store in sorted(stack.places.items()):
        is_keeping = place.partition("/")[2] in keeping  # what was deleted, too: nobody reads that any more
        may_be_changed = is_readable(engine.settings.tiers, place)  # archiving alone gives a pack another time
        try:
            for info in stack.listed(place, folder) if is_keeping else store.list(folder):
                copies = known.get(info.name, ())
                copy = next((each for each in copies if each.place == place), None)
                held.setdefault(info.name, {})[place] = _as_listed(place, info, copy, may_be_changed=may_be_changed)
        except WedSyncError as error:
            silent[place] = error.message
    return Survey(held, known, silent)


def _as_listed(place: str, info: ObjectInfo, known: Copy | None, *, may_be_changed: bool) -> Copy:
    if known is None or known.state == "missing":
        return Copy(place, info.size_bytes, written_ns=info.modified_ns)
    is_changed = info.size_bytes != known.size_bytes or (
        may_be_changed and info.modified_ns // _NS > max(known.written_ns, known.verified_ns) // _NS
    )
    if known.state == "good" and (is_changed or known.verified_ns < known.written_ns):
        return Copy(place, info.size_bytes, written_ns=info.modified_ns)
    return known


# --- reading --------------------------------------------------------------------------------------------


def packs_of(engine: Engine, wedding: Wedding) -> frozenset[str]:
    """The packs that the index of a wedding names."""
    with open_repository(engine).vault(wedding.id) as vault:
        return frozenset(layout.pack(vault.keys.wedding, pack.name) for pack in vault.index.packs())


def has_unread(engine: Engine, wedding: Wedding, packs: frozenset[str]) -> bool:
    """Whether any copy of these packs was not read back yet, and can be read now."""
    return bool(_to_read(engine, wedding, survey(engine, wedding), packs, again=False).copies)


@contextlib.contextmanager
def reading(
    engine: Engine, wedding: Wedding, packs: Callable[[Engine, Wedding], frozenset[str]], *, again: bool = True
) -> Iterator[CopiesRun]:
    """A run that reads every copy of some packs; with `again` also those that were read back already."""
    with engine.tiering.readers.reading(wedding.id):
        found = survey(engine, wedding)
        locations = engine.home.locations()
        stack = engine.opening.stack
        assert stack is not None
        findings = Findings(stack.replicated, locations)
        wanted = _to_read(engine, wedding, found, packs(engine, wedding), again=again)
        for name, copy in wanted.missing:
            findings.found(name, copy)
        checker = CopyChecker(stack.places, locations, engine.clock, findings.found)
        run = CopiesRun(wanted, checker, engine.opening.meters)
        with engine.tiering.waking(run):
            yield run


def _to_read(engine: Engine, wedding: Wedding, found: Survey, packs: frozenset[str], *, again: bool) -> ToRead:
    copies: list[tuple[str, Copy]] = []
    archived: dict[str, tuple[str, ...]] = {}
    missing: list[tuple[str, Copy]] = []
    lost: list[str] = []
    places = places_of(engine)
    for name in sorted(packs):
        here = found.held.get(name, {})
        for place, copy in here.items():
            if not is_readable(engine.settings.tiers, place):
                archived[name] = (*archived.get(name, ()), *((place,) if is_read_back(copy) else ()))
            elif again or (copy.state == "good" and not copy.verified_ns):
                copies.append((name, copy))
        for copy in found.known.get(name, ()):
            is_expected = copy.state == "good" and copy.place in places and copy.place not in found.silent
            if is_expected and copy.place not in here:
                missing.append((name, msgspec.structs.replace(copy, state="missing")))
        if not here:
            lost.append(name)
    return ToRead(
        tuple(copies),
        archived,
        tuple(missing),
        lost=tuple(name for name in lost if not found.silent),
        silent=found.silent,
        copies_wanted=copies_kept(engine.settings, wedding),
    )


def is_read_back(copy: Copy) -> bool:
    """Whether a copy was read whole since it was written, and was good."""
    return copy.state == "good" and copy.verified_ns > 0
