# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Ids that never repeat: a tracker that takes a dead one's place goes on after its last id."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from av_perception.ros.privacy import SHARED_MEMORY

TOUCH_S = 2.0
# A note that nobody has renewed for longer is of another session.
FRESH_S = 60.0
MAX_ID = 2**31 - 1  # of a message's field


class IdMemory:
    """Notes the highest id outside the process, as long as the node lives.

    A node that ends in order takes its note away; one that is killed leaves it to its successor,
    who has the same name in the same domain. Where nothing can be written nothing is handed over.
    """

    def __init__(self, node_name: str, domain: int, folder: Path = SHARED_MEMORY):
        """Find the note.

        Parameters
        ----------
        node_name : str
            With its namespace.
        domain : int
            ROS_DOMAIN_ID.
        folder : Path
            Where notes are; one that forgets when the machine restarts.
        """
        key = hashlib.sha256(f'{os.getuid()} {domain} {node_name}'.encode()).hexdigest()
        self._path = folder / f'av_perception_ids_{key[:16]}'
        self._touched_s = 0.0
        self.highest = self._read()

    def keep(self, highest: int) -> None:
        """Note the highest id so far; call it with every frame, it writes seldom."""
        now_s = time.monotonic()
        if highest <= self.highest and now_s - self._touched_s < TOUCH_S:
            return
        self.highest = max(self.highest, highest)
        self._touched_s = now_s
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, 'w') as file:
                file.write(f'{self.highest:020d}\n')
        except OSError:
            return

    def forget(self) -> None:
        """Take the note away: this session has ended in order."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> int:
        """Give the highest id of a node of this name that was killed just now, else 0."""
        try:
            is_ours = self._path.stat().st_uid == os.getuid() and not self._path.is_symlink()
            if not is_ours or time.time() - self._path.stat().st_mtime > FRESH_S:
                return 0
            noted = int(self._path.read_text()[:21])
        except (OSError, ValueError):
            return 0
        return noted if 0 < noted < MAX_ID else 0
