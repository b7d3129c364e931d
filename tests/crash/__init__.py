"""Processes killed in the midst of their work, disks that forget what was not fsynced, objects with flipped bits."""
