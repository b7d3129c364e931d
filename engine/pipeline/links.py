"""Files with several names: the first that is met is read, the others follow it. One run's; under the run's lock."""

from __future__ import annotations

from engine.pipeline.recorder import Slot
from engine.pipeline.source import link_group
from engine.pipeline.units import FileWork
from engine.pipeline.walk import WalkItem
from engine.repository.entry import Entry

Follower = tuple[WalkItem, Slot]


class LinkGroups:
    """Which file of each link group is being read, or has been."""

    def __init__(self) -> None:
        self._leaders: dict[int, FileWork | Entry] = {}

    def join(self, work: FileWork) -> FileWork | Entry | None:
        """A file that is met: None when it is to be read, else what it follows, as an entry when that is complete."""
        assert work.item is not None
        group = link_group(work.item.stat)
        if not group:
            return None
        leader = self._leaders.setdefault(group, work)
        if leader is work:
            return None
        if isinstance(leader, FileWork):
            leader.followers.append((work.item, work.slot))
        return leader

    def complete(self, work: FileWork, entry: Entry) -> tuple[list[Follower], FileWork | None]:
        """A file is complete; who has followed it. Whoever is met later follows the entry.

        Where another file had taken its name before it was opened nobody follows: another of its names is to be read.
        """
        if entry.link_group:
            self._leaders[entry.link_group] = entry
        if work.item is None:
            return [], None
        if entry.inode != work.item.stat.st_ino:
            return [], self.give_up(work)
        group = link_group(work.item.stat)
        if group:
            self._leaders[group] = entry  # also when it is its only name by now
        followers, work.followers = work.followers, []
        return followers, None

    def give_up(self, work: FileWork) -> FileWork | None:
        """A file cannot be read by this name: another of its names, to be tried instead, with those that followed."""
        followers, work.followers = work.followers, []
        group = link_group(work.item.stat) if work.item is not None else 0
        self._leaders.pop(group, None)  # a name that is met later is tried on its own
        if not followers:
            return None
        item, slot = followers[0]
        heir = FileWork(item, item.path, slot, item.stat.st_size, None, followers=followers[1:])
        self._leaders[group] = heir
        return heir
