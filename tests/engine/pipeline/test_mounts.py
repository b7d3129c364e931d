"""File systems whose inode numbers mean nothing: which they are, and what follows for change detection."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.pipeline.mounts import devices_in, renumbering_devices

_TABLE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:45 / /mnt/nas rw,relatime shared:2 - nfs4 nas:/photos rw,vers=4.2
41 22 0:46 / /mnt/smb rw,relatime - cifs //nas/photos rw,vers=3.1.1,serverino,soft
42 22 0:47 / /mnt/old\\040smb rw,relatime - cifs //old/photos rw,vers=1.0,noserverino
43 22 0:48 / /mnt/ssh rw,nosuid - fuse.sshfs studio:/ rw,user_id=0
44 22 8:17 / /media/CARD rw - exfat /dev/sdb1 rw,fmask=0022
45 22 8:33 / /media/OLD rw - vfat /dev/sdc1 rw
46 22 8:49 / /media/ntfs rw - fuseblk /dev/sdd1 rw
47 22 0:50 / /host rw - 9p share rw
broken line
48 22 x:y / /odd rw - vfat none rw
"""


def test_the_kernels_table_tells_them() -> None:
    """Cards, sshfs, SMB without numbers of the server, shares of virtual machines; not NFS, disks, ntfs-3g."""
    found = {(os.major(device), os.minor(device)) for device in devices_in(_TABLE.splitlines())}
    assert found == {(0, 47), (0, 48), (8, 17), (8, 33), (0, 50)}


def test_this_machines_table_is_read(tmp_path: Path) -> None:
    """The folder of the tests is on a disk, or in memory."""
    assert tmp_path.stat().st_dev not in renumbering_devices()


def test_without_a_table_every_number_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.pipeline.mounts._TABLE", "/nowhere/mountinfo")
    assert renumbering_devices() == frozenset()
