# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People as REP-155 (ROS for Human-Robot Interaction) sees them: persons with the faces and voices that belong to them just now."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass, field

import numpy as np

from av_perception.interfaces import LifeState, SpeakingFrame, TrackEstimate, TrackFrame

_NANO, _ID_LENGTH = 1e-9, 5


@dataclass(frozen=True)
class HumansConfig:
    """face_gap_s, voice_gap_s: a face unseen, a voice silent for longer is gone, and the next one has another id; seen_before_confidence:
    location confidence right after a person was last seen; location_scale_m: standard deviation at which it has halved; voice_memory: share that
    the earlier frames keep in the confidence of a voice; match_step, match_period_s: a match is told again when its confidence has changed by
    this much, and after this time anyway, for who did not know its parts yet;
    reset_after_s: a stamp that jumps back by more starts anew (a looped bag).
    """

    face_gap_s: float = 0.5
    voice_gap_s: float = 3.0
    seen_before_confidence: float = 0.9
    location_scale_m: float = 0.5
    voice_memory: float = 0.9
    match_step: float = 0.1
    match_period_s: float = 1.0
    reset_after_s: float = 1.0

    def __post_init__(self):
        if (
            min(
                self.face_gap_s,
                self.voice_gap_s,
                self.location_scale_m,
                self.match_step,
                self.match_period_s,
            )
            <= 0
            or self.reset_after_s < 0
        ):
            raise ValueError(
                'gaps, location_scale_m and match_step must be positive, reset_after_s not negative'
            )
        if not (0 < self.seen_before_confidence < 1 and 0 <= self.voice_memory < 1):
            raise ValueError(
                'seen_before_confidence must lie between 0 and 1, voice_memory in 0..1'
            )


@dataclass(frozen=True)
class Human:
    """One person. person, face, voice: ids, '' for none; tracked: seen or heard lately, else only known; seen: the face is in this very image;
    speaking: with hysteresis; location_confidence: 1 seen now, below 1 seen before, 0 never seen; face_confidence, voice_confidence: that the
    face and the voice are this person's. track: what the tracker says.
    """

    person: str
    face: str
    voice: str
    tracked: bool
    speaking: bool
    location_confidence: float
    face_confidence: float
    voice_confidence: float
    track: TrackEstimate

    @property
    def seen(self) -> bool:
        """Whether there is a box in this very image."""
        return self.track.box is not None

    @property
    def located(self) -> bool:
        """Whether the person has a place and not only a direction."""
        return self.location_confidence > 0


@dataclass(frozen=True)
class Match:
    """A face or a voice (`kind`) with the person it belongs to; confidence 0: it does not any more."""

    kind: str
    part: str
    person: str
    confidence: float


@dataclass(frozen=True)
class HumansFrame:
    """Everybody known at one stamp, and the matches that are new or have changed."""

    stamp_ns: int
    people: tuple[Human, ...]
    matches: tuple[Match, ...]


@dataclass
class _Memory:
    """What is remembered of one track between frames. told: part -> (kind, confidence last told, when)."""

    person: str
    face: str = ''
    voice: str = ''
    face_ns: int = 0
    voice_ns: int = 0
    voice_confidence: float = 0.0
    last_seen_ns: int = 0
    last_heard_ns: int = 0
    told: dict[str, tuple[str, float, int]] = field(default_factory=dict)


class Humans:
    """Gives tracks the ids that REP-155 wants: letters, short, never used twice, also not by another session.

    A person keeps its id as long as the tracker knows it, asleep or not; that is anonymous in the words of the REP, since nobody is recognised
    across sessions. Tentative tracks are not people yet.
    """

    def __init__(self, config: HumansConfig = HumansConfig(), seed: int | None = None):
        """seed: of the ids, None for ids that differ in every session."""
        self._config, self._random = config, random.Random(seed)
        self._used: set[str] = set()
        self._memories: dict[int, _Memory] = {}
        self._last_ns = 0

    def step(self, frame: TrackFrame, speaking: SpeakingFrame) -> HumansFrame:
        """The people of one frame; both have the same stamp."""
        matches = (
            self._forget_all()
            if (self._last_ns - frame.stamp_ns) * _NANO > self._config.reset_after_s
            else []
        )
        self._last_ns = frame.stamp_ns
        statuses = {s.id: s for s in speaking.statuses}
        alive = [t for t in frame.tracks if t.state != LifeState.TENTATIVE]
        ended = self._memories.keys() - {t.id for t in alive} | {
            t.id for t in alive if self._is_somebody_else(t)
        }
        for track_id in ended:
            matches += self._forget(track_id)
        people = [self._human(track, statuses.get(track.id), frame) for track in alive]
        for human in people:
            matches += self._changed_matches(human, frame.stamp_ns)
        return HumansFrame(frame.stamp_ns, tuple(people), tuple(matches))

    def _is_somebody_else(self, track: TrackEstimate) -> bool:
        """A tracker that was started again counts from 1: nobody is seen or heard for the last time earlier than before."""
        memory = self._memories.get(track.id)
        return memory is not None and (
            track.last_seen_ns < memory.last_seen_ns or track.last_heard_ns < memory.last_heard_ns
        )

    def _human(self, track: TrackEstimate, status, frame: TrackFrame) -> Human:
        if track.id not in self._memories:
            self._memories[track.id] = _Memory(self._new_id())
        memory = self._memories[track.id]
        memory.last_seen_ns, memory.last_heard_ns = track.last_seen_ns, track.last_heard_ns
        speaks = bool(status and status.speaking)
        if track.box is not None:
            memory.face, memory.face_ns = memory.face or self._new_id(), frame.stamp_ns
        elif (frame.stamp_ns - memory.face_ns) * _NANO > self._config.face_gap_s:
            memory.face = ''
        if speaks:
            memory.voice, memory.voice_ns = memory.voice or self._new_id(), frame.stamp_ns
        elif (frame.stamp_ns - memory.voice_ns) * _NANO > self._config.voice_gap_s:
            memory.voice, memory.voice_confidence = '', 0.0
        if frame.voice_active and speaks:
            share, kept = track.audio_responsibility, self._config.voice_memory
            memory.voice_confidence = (
                kept * memory.voice_confidence + (1 - kept) * share
                if memory.voice_confidence
                else share
            )
        return Human(
            memory.person,
            memory.face,
            memory.voice,
            track.state != LifeState.SLEEPING,
            speaks,
            self._location_confidence(track, memory.face),
            track.visibility if memory.face else 0.0,
            memory.voice_confidence if memory.voice else 0.0,
            track,
        )

    def _location_confidence(self, track: TrackEstimate, face: str) -> float:
        """REP-155: 1 while seen, 0 for who was never seen; between them it falls with the uncertainty of the position."""
        if face:
            return 1.0
        if track.last_seen_ns == 0:
            return 0.0
        variance, scale = (
            float(np.trace(track.covariance[:3, :3])) / 3,
            self._config.location_scale_m**2,
        )
        return self._config.seen_before_confidence * scale / (scale + variance)

    def _changed_matches(self, human: Human, stamp_ns: int) -> list[Match]:
        told, matches = self._memories[human.track.id].told, []
        parts = {
            part: (kind, confidence)
            for kind, part, confidence in (
                ('face', human.face, human.face_confidence),
                ('voice', human.voice, human.voice_confidence),
            )
            if part
        }
        for part in told.keys() - parts.keys():
            matches.append(Match(told.pop(part)[0], part, human.person, 0.0))
        for part, (kind, confidence) in parts.items():
            _, known, told_ns = told.get(part, (kind, float('inf'), 0))
            if (
                abs(known - confidence) >= self._config.match_step
                or (stamp_ns - told_ns) * _NANO >= self._config.match_period_s
            ):
                told[part] = kind, confidence, stamp_ns
                matches.append(
                    Match(kind, part, human.person, max(confidence, 1e-3))
                )  # 0 would say: not this person's
        return matches

    def _forget_all(self) -> list[Match]:
        return [match for track_id in list(self._memories) for match in self._forget(track_id)]

    def _forget(self, track_id: int) -> list[Match]:
        memory = self._memories.pop(track_id)
        return [Match(kind, part, memory.person, 0.0) for part, (kind, *_) in memory.told.items()]

    def _new_id(self) -> str:
        while (
            made := ''.join(self._random.choices(string.ascii_lowercase, k=_ID_LENGTH))
        ) in self._used:
            pass
        self._used.add(made)
        return made
