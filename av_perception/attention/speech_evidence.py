# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How long everybody has spoken, as far as it draws a look, and who came into view."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from av_perception.attention.config import AttentionConfig
from av_perception.geometry.time import nanoseconds, seconds
from av_perception.interfaces import LifeState, TrackEstimate

_LONGEST_EVIDENCE = 2.0  # in units of min_speech_s
# A voice that is found is heard for a while before, and that sound is given to who is there. Who
# began to speak no longer than this before it was found, is doubted: a new voice takes longer to
# be found than that of a sleeper.
_MISTAKEN_S = 0.8
_MISTAKEN_FOR_SLEEPER_S = 0.3
_DOUBT_S = 0.4  # for so long


@dataclass
class Evidence:
    """What is known of one person.

    speech_s: grows while the person speaks and fades in silence; spoke_ns: when last, arrived_ns:
    when the person was first seen, None for never; is_awake: whether the track was, None for a new
    one; began_ns: when the person began to speak, None in silence; spoke_before_ns: when last
    before that; doubted_until_ns: until then nothing counts as speech.
    """

    speech_s: float = 0.0
    spoke_ns: int | None = None
    began_ns: int | None = None
    spoke_before_ns: int | None = None
    doubted_until_ns: int = 0
    arrived_ns: int | None = None
    is_awake: bool | None = None

    def silent_s(self, stamp_ns: int) -> float:
        """Tell for how long the person has not spoken [s], infinite for never."""
        return math.inf if self.spoke_ns is None else seconds(stamp_ns - self.spoke_ns)

    def note_speech(self, stamp_ns: int, elapsed_s: float, longest_s: float) -> None:
        """Take a frame in which the person speaks."""
        if stamp_ns < self.doubted_until_ns:
            return
        if self.began_ns is None:
            self.began_ns = stamp_ns
            self.spoke_before_ns = self.spoke_ns
        self.speech_s = min(self.speech_s + elapsed_s, longest_s)
        self.spoke_ns = stamp_ns

    def note_silence(self, elapsed_s: float) -> None:
        """Take a frame in which the person does not speak."""
        self.began_ns = None
        self.speech_s = max(0.0, self.speech_s - elapsed_s)

    def doubt(self, stamp_ns: int, mistaken_s: float) -> None:
        """Take back speech that began no longer than this ago: the voice was somebody else's."""
        if self.began_ns is None or seconds(stamp_ns - self.began_ns) > mistaken_s:
            return
        self.spoke_ns = self.spoke_before_ns
        self.began_ns = None
        self.speech_s = 0.0
        self.doubted_until_ns = stamp_ns + nanoseconds(_DOUBT_S)


class SpeechEvidence:
    """Evidence of everybody who is tracked, by id."""

    def __init__(self) -> None:
        self._people: dict[int, Evidence] = {}

    def forget_speech(self) -> None:
        """Let all speech so far count for nothing: the input had a gap."""
        for person in self._people.values():
            person.speech_s = 0.0
            person.spoke_ns = None
            person.began_ns = None
            person.doubted_until_ns = 0

    def update(
        self,
        stamp_ns: int,
        elapsed_s: float,
        tracks: Mapping[int, TrackEstimate],
        probability: Mapping[int, float],
        config: AttentionConfig,
    ) -> None:
        """Take one frame.

        Parameters
        ----------
        stamp_ns, elapsed_s
            Its stamp [ns], and the time since the frame before [s].
        tracks, probability
            Everybody, and that they speak, by id.
        config
            What counts as speech.
        """
        self._people = {i: self._people.get(i) or Evidence() for i in tracks}
        longest_s = _LONGEST_EVIDENCE * config.min_speech_s
        found = {i: _note_state(one, tracks[i], config) for i, one in self._people.items()}
        for i, person in self._people.items():
            mistaken_s = max((s for j, s in found.items() if j != i), default=0.0)
            if mistaken_s > 0:
                person.doubt(stamp_ns, mistaken_s)
            if probability.get(i, 0.0) >= config.speech_threshold:  # NaN is not
                person.note_speech(stamp_ns, elapsed_s, longest_s)
            elif not found[i]:  # of whom was just found the probability tells nothing yet
                person.note_silence(elapsed_s)
            if tracks[i].seen and person.arrived_ns is None:
                person.arrived_ns = stamp_ns

    def of(self, person_id: int) -> Evidence:
        """Give what is known of a person of the last frame."""
        return self._people[person_id]

    def inherit(self, new_id: int, old: Evidence) -> None:
        """Let a new id go on with what was known of an old one."""
        self._people[new_id] = old


def _note_state(person: Evidence, track: TrackEstimate, config: AttentionConfig) -> float:
    """Credit who was just found, or woken, by voice alone with the speech that it took.

    Returns how long before others may have been taken for the person [s], 0 for who was neither.
    """
    is_new = person.is_awake is None and not track.last_seen_ns
    is_woken = person.is_awake is False and track.state != LifeState.SLEEPING
    is_found = (is_new or is_woken) and track.heard and not track.seen
    person.is_awake = track.state != LifeState.SLEEPING
    if not is_found:
        return 0.0
    person.speech_s = max(person.speech_s, config.found_by_voice_s)
    return _MISTAKEN_S if is_new else _MISTAKEN_FOR_SLEEPER_S
