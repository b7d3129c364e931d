"""Which mounted file systems number their files anew now and then, so that another inode is no other file there.

FAT and exFAT, as cards have them, have no inode numbers: the kernel draws one whenever it meets a file. FUSE daemons
(sshfs, rclone) count as they go, SMB does where the server tells none, and so do shares of virtual machines. NFS and
local disks keep theirs. In: the kernel's table of mounts. Out: device numbers. Blocks a moment; any thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

_TABLE = "/proc/self/mountinfo"
_DRAWN = frozenset({"vfat", "msdos", "exfat", "9p", "virtiofs", "vboxsf", "fuse"})
_SMB = frozenset({"cifs", "smb3"})


def renumbering_devices() -> frozenset[int]:
    """`st_dev` of each such file system that is mounted now; none where the system does not tell."""
    try:
        with open(_TABLE, encoding="utf-8", errors="surrogateescape") as table:
            return devices_in(table)
    except OSError:
        return frozenset()


def devices_in(table: Iterable[str]) -> frozenset[int]:
    """The same, of the lines of a table (proc(5), mountinfo): `… major:minor … - type source options`."""
    found = set()
    for line in table:
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) < 3 or len(kinds) < 3:
            continue
        major, _, minor = fields[2].partition(":")
        kind, options = kinds[0], kinds[2].split(",")
        is_drawn = kind in _DRAWN or kind.startswith("fuse.") or (kind in _SMB and "serverino" not in options)
        if is_drawn and major.isdecimal() and minor.isdecimal():
            found.add(os.makedev(int(major), int(minor)))
    return frozenset(found)
