# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the nodes of a graph say of themselves while something goes wrong."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from av_perception.ros.observer import GraphObserver

POLL_S = 0.01


@dataclass(frozen=True)
class Said:
    """One status of a node."""

    #: Of the node.
    name: str
    #: OK, WARN or ERROR.
    level: bytes
    #: What it says.
    message: str


class DiagnosticsWatch:
    """Keeps all statuses in order of arrival. `mark` tells a moment among them."""

    def __init__(self, observer: GraphObserver):
        """observer: hears them in its own thread."""
        self._statuses: list[Said] = []
        observer.node.create_subscription(
            DiagnosticArray, '/diagnostics', self._on_diagnostics, 50
        )

    def mark(self) -> int:
        """Give the present moment."""
        return len(self._statuses)

    def complaints(self, mark: int) -> list[str]:
        """Give what was said to be wrong since a moment, with the name of the node before it."""
        return [
            f'{said.name}: {said.message}'
            for said in self._statuses[mark:]
            if said.level != DiagnosticStatus.OK
        ]

    def silent(self, names: list[str], mark: int, patience_s: float) -> list[str]:
        """Wait until each node has said something since a moment; gives those that have not."""
        deadline = time.monotonic() + patience_s
        while True:
            heard = {said.name for said in self._statuses[mark:]}
            missing = [name for name in names if name not in heard]
            if not missing or time.monotonic() > deadline:
                return missing
            time.sleep(POLL_S)

    def inactive(self, names: list[str], mark: int) -> list[str]:
        """Give the nodes whose last word since a moment is that they are not active."""
        last = {said.name: said.message for said in self._statuses[mark:]}
        return [name for name in names if last.get(name, '').startswith('not active')]

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = status.name.rsplit('/', 1)[-1]
            self._statuses.append(Said(name, status.level, status.message))


class LogWatch:
    """Finds tracebacks in the logs of a folder, each once."""

    def __init__(self, folder: Path):
        """folder: one file for each process."""
        self._folder = folder
        self._read: dict[Path, int] = {}

    def new_text(self) -> str:
        """Give what was written since the last call."""
        texts = []
        for path in sorted(self._folder.glob('*.log')):
            with open(path, errors='replace') as file:
                file.seek(self._read.get(path, 0))
                texts.append(file.read())
                self._read[path] = file.tell()
        return ''.join(texts)
