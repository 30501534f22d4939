# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A fault as an object: what it does and for how long; and what the graph made of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FRAME_S = 0.04
#: Frames until tracks are right again after the end of a cause.
MAX_RECOVERY = 50


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, begins and ends."""

    #: Words with hyphens, for --only.
    name: str
    #: What goes wrong, for people.
    what: str
    #: Makes what holds while it lasts, of the graph that is to suffer it.
    during: Callable[[Any], AbstractContextManager] = lambda graph: nullcontext()
    #: One of these must be found on /diagnostics, or in what a service or a command answers, as
    #: a regular expression; (): there is nothing to tell.
    told: tuple[str, ...] = ()
    #: At least so long [frames].
    frames: int = 50
    #: Which graph: 'head' (one process, the default), 'robot' (with transforms, joints, an IMU
    #: and the cameras' own calibration), 'all' (with the nodes that are not there by default),
    #: 'processes' (one for each node) or 'command' (`up`).
    setup: str = 'head'
    #: Whether the same people must have the same ids afterwards.
    keeps_ids: bool = True
    #: It does no harm: every frame that is answered meanwhile must hold both people.
    is_harmless: bool = False
    #: Nobody can say anything while it lasts: it does not wait for a word.
    is_mute: bool = False
    #: With the setup 'command': does it all, given a folder for logs.
    attempt: Callable[[Path], FaultResult] | None = None

    def find(self, sentences: list[str]) -> str:
        """Find the sentence that names the cause; '' when none does."""
        for pattern in self.told:
            for sentence in sentences:
                if re.search(pattern, sentence):
                    return sentence
        return ''

    def excerpt(self, sentence: str) -> str:
        """Cut the clauses before the one that names the cause; whose words they are stays."""
        for pattern in self.told:
            found = re.search(pattern, sentence)
            if found:
                name, _, words = sentence.partition(': ')
                end = max(0, found.start() - len(sentence) + len(words))
                start = max(words.rfind(mark, 0, end) for mark in ('; ', ', '))
                return sentence if start < 0 else f'{name}: {words[start + 2 :]}'
        return sentence


@dataclass(frozen=True)
class FaultResult:
    """What the graph made of a fault."""

    #: Of the fault.
    name: str
    #: Of the fault.
    what: str
    #: Every node lives on, and no log holds a traceback.
    survived: bool
    #: From the end of the cause until the tracks are right again [frames]; None: never.
    recovery_frames: int | None
    #: The same people have the same ids; None where the fault may change them.
    ids_kept: bool | None
    #: The sentence that names the cause; '' when nothing does.
    told: str
    #: Whether there is something to tell.
    is_told_of: bool
    #: What else was wrong.
    problems: tuple[str, ...] = ()
    #: Whether it ends the graph, so that there is nothing to recover.
    is_end: bool = False
    #: Until the graph was well, and for the fault and the recovery [s of wall time].
    took_s: float = 0.0

    @property
    def recovery_s(self) -> float | None:
        """From the end of the cause until the tracks are right again [s of the stream]."""
        return None if self.recovery_frames is None else self.recovery_frames * FRAME_S

    @property
    def is_held(self) -> bool:
        """Whether all is as it must be."""
        return not self.complaints

    @property
    def complaints(self) -> list[str]:
        """Say what is not as it must be."""
        found = list(self.problems)
        frames = self.recovery_frames
        if not self.is_end and (frames is None or frames > MAX_RECOVERY):
            found.append(f'right again after {frames or "more than 75"} frames')
        if self.ids_kept is False:
            found.append('other ids')
        if self.is_told_of and not self.told:
            found.append('nothing names the cause')
        return found

    @property
    def figures(self) -> dict[str, Any]:
        """What is reported."""
        return {
            'name': self.name,
            'what': self.what,
            'survived': self.survived,
            'recovery_s': self.recovery_s,
            'ids_kept': self.ids_kept,
            'told': self.told,
            'problems': list(self.problems),
            'held': self.is_held,
            'took_s': round(self.took_s, 1),
        }
