# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How long everybody has spoken, as far as it draws a look, and who came into view."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from av_perception.attention.config import AttentionConfig
from av_perception.geometry.time import seconds
from av_perception.interfaces import LifeState, TrackEstimate

_LONGEST_EVIDENCE = 2.0  # in units of min_speech_s


@dataclass
class Evidence:
    """What is known of one person.

    speech_s: grows while the person speaks and fades in silence; spoke_ns: when last, arrived_ns:
    when the person was first seen, None for never; is_awake: whether the track was, None for a new
    one.
    """

    speech_s: float = 0.0
    spoke_ns: int | None = None
    arrived_ns: int | None = None
    is_awake: bool | None = None

    def silent_s(self, stamp_ns: int) -> float:
        """Tell for how long the person has not spoken [s], infinite for never."""
        return math.inf if self.spoke_ns is None else seconds(stamp_ns - self.spoke_ns)


class SpeechEvidence:
    """Evidence of everybody who is tracked, by id."""

    def __init__(self) -> None:
        self._people: dict[int, Evidence] = {}

    def forget_speech(self) -> None:
        """Let all speech so far count for nothing: the input had a gap."""
        for person in self._people.values():
            person.speech_s = 0.0
            person.spoke_ns = None

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
        for i, person in self._people.items():
            _note_state(person, tracks[i], config)
            if probability.get(i, 0.0) >= config.speech_threshold:  # NaN is not
                person.speech_s = min(person.speech_s + elapsed_s, longest_s)
                person.spoke_ns = stamp_ns
            else:
                person.speech_s = max(0.0, person.speech_s - elapsed_s)
            if tracks[i].seen and person.arrived_ns is None:
                person.arrived_ns = stamp_ns

    def of(self, person_id: int) -> Evidence:
        """Give what is known of a person of the last frame."""
        return self._people[person_id]

    def inherit(self, new_id: int, old: Evidence) -> None:
        """Let a new id go on with what was known of an old one."""
        self._people[new_id] = old


def _note_state(person: Evidence, track: TrackEstimate, config: AttentionConfig) -> None:
    """Credit who was just found, or woken, by voice alone with the speech that it took."""
    is_new = person.is_awake is None and not track.last_seen_ns
    is_woken = person.is_awake is False and track.state != LifeState.SLEEPING
    if (is_new or is_woken) and track.heard and not track.seen:
        person.speech_s = max(person.speech_s, config.found_by_voice_s)
    person.is_awake = track.state != LifeState.SLEEPING
