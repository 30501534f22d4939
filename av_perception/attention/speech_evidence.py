# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How long everybody has spoken, as far as it draws a look, and who came into view."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from av_perception.attention.config import AttentionConfig
from av_perception.geometry.time import seconds
from av_perception.interfaces import TrackEstimate

_LONGEST_EVIDENCE = 2.0  # in units of min_speech_s


@dataclass
class Evidence:
    """What is known of one person.

    speech_s: grows while the person speaks and fades in silence; spoke_ns: when last, arrived_ns:
    when the person was first seen, None for never.
    """

    speech_s: float = 0.0
    spoke_ns: int | None = None
    arrived_ns: int | None = None

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
        self._people = {i: self._people.get(i) or _newly_met(t, config) for i, t in tracks.items()}
        longest_s = _LONGEST_EVIDENCE * config.min_speech_s
        for i, person in self._people.items():
            if probability.get(i, 0.0) >= config.speech_threshold:  # NaN is not
                person.speech_s = min(person.speech_s + elapsed_s, longest_s)
                person.spoke_ns = stamp_ns
            else:
                person.speech_s = max(0.0, person.speech_s - elapsed_s)
            if tracks[i].seen:
                if person.arrived_ns is None:
                    person.arrived_ns = stamp_ns

    def of(self, person_id: int) -> Evidence:
        """Give what is known of a person of the last frame."""
        return self._people[person_id]

    def inherit(self, new_id: int, old: Evidence) -> None:
        """Let a new id go on with what was known of an old one."""
        self._people[new_id] = old


def _newly_met(track: TrackEstimate, config: AttentionConfig) -> Evidence:
    is_found_by_voice = track.heard and not track.last_seen_ns
    return Evidence(config.found_by_voice_s if is_found_by_voice else 0.0)
