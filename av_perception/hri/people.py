# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People as REP-155 (ROS for Human-Robot Interaction) sees them.

They are persons with the faces and voices that belong to them just now.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass, field

import numpy as np

from av_perception.geometry.time import seconds
from av_perception.interfaces import (
    HeadPoseFrame,
    LifeState,
    SpeakingFrame,
    SpeakingStatus,
    TrackEstimate,
    TrackFrame,
)

_ID_LENGTH = 5
_LEAST_CONFIDENCE = 1e-3  # of a match that holds; 0 says that it does not any more


@dataclass(frozen=True)
class HumansConfig:
    """When faces and voices get new ids, and how confident their matches are."""

    #: [s] a face unseen for longer is gone, and the next one has another id
    face_gap_s: float = 0.5
    #: [s] a voice silent for longer is gone, and the next one has another id
    voice_gap_s: float = 3.0
    #: in (0, 1), location confidence right after a person was last seen
    seen_before_confidence: float = 0.9
    #: [m] standard deviation of the position at which that has halved
    location_scale_m: float = 0.5
    #: in [0, 1), share that the earlier frames keep in the confidence of a voice
    voice_memory: float = 0.9
    #: a match is told again when its confidence has changed by this much
    match_step: float = 0.1
    #: [s] and after this time anyway, for who did not know its parts yet
    match_period_s: float = 1.0
    #: [s] a stamp that jumps back by more starts anew (a looped bag)
    reset_after_s: float = 1.0

    def __post_init__(self):
        positive = (
            self.face_gap_s,
            self.voice_gap_s,
            self.location_scale_m,
            self.match_step,
            self.match_period_s,
        )
        if min(positive) <= 0 or self.reset_after_s < 0:
            raise ValueError(
                'gaps, location_scale_m and match_step must be positive, '
                'reset_after_s not negative'
            )
        if not (0 < self.seen_before_confidence < 1 and 0 <= self.voice_memory < 1):
            raise ValueError(
                'seen_before_confidence must lie between 0 and 1, voice_memory in 0..1'
            )


_DEFAULT = HumansConfig()


@dataclass(frozen=True)
class Human:
    """One person.

    person, face, voice: ids, '' for none; tracked: seen or heard lately, else only known;
    speaking: with hysteresis; location_confidence: 1 seen now, below 1 seen before, 0 never seen;
    face_confidence, voice_confidence: that the face and the voice are this person's; track: what
    the tracker says.
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
    """A face or a voice (`kind`) with the person it belongs to; confidence 0: not any more."""

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
    """What is remembered of one track between frames.

    told: part -> (kind, confidence last told, when).
    """

    person: str
    face: str = ''
    voice: str = ''
    face_ns: int = 0
    voice_ns: int = 0
    voice_confidence: float = 0.0
    last_seen_ns: int = 0
    last_heard_ns: int = 0
    told: dict[str, tuple[str, float, int]] = field(default_factory=dict)


def gazes(
    frame: HumansFrame, heads: HeadPoseFrame, least_probability: float = 0.6
) -> list[tuple[str, str]]:
    """List who faces whom.

    Parameters
    ----------
    frame
        The people.
    heads
        How their heads are turned, of about the same moment.
    least_probability
        That the face is turned to another person, from which on it is told; the robot has the
        hysteresis of the head poses.

    Returns
    -------
    list of tuple
        Ids of persons, the one who looks and the one looked at; '' is the robot.
    """
    persons = {human.track.id: human.person for human in frame.people}
    pairs = []
    for head in heads.heads:
        sender = persons.get(head.id)
        if sender is None:
            continue
        if head.facing:
            pairs.append((sender, ''))
        pairs += [
            (sender, persons[other])
            for other, probability in head.others.items()
            if other in persons and probability >= least_probability
        ]
    return pairs


class Humans:
    """Gives tracks the ids that REP-155 wants.

    They are letters, short, never used twice, also not by another session. A person keeps its id
    as long as the tracker knows it, asleep or not; that is anonymous in the words of the REP,
    since nobody is recognized across sessions. Tentative tracks are not people yet.

    Parameters
    ----------
    config
        See `HumansConfig`.
    seed
        Of the ids, None for ids that differ in every session.
    """

    def __init__(self, config: HumansConfig = _DEFAULT, seed: int | None = None):
        self._config, self._random = config, random.Random(seed)
        self._used: set[str] = set()
        self._memories: dict[int, _Memory] = {}
        self._last_ns = 0

    def step(self, frame: TrackFrame, speaking: SpeakingFrame) -> HumansFrame:
        """Take one frame.

        Parameters
        ----------
        frame, speaking
            Tracks and their speaking status, of the same stamp.

        Returns
        -------
        HumansFrame
            Its people.
        """
        matches: list[Match] = []
        if seconds(self._last_ns - frame.stamp_ns) > self._config.reset_after_s:
            matches += self._forget_all()
        self._last_ns = frame.stamp_ns
        statuses = {status.id: status for status in speaking.statuses}
        alive = [track for track in frame.tracks if track.state != LifeState.TENTATIVE]
        ended = self._memories.keys() - {track.id for track in alive}
        ended |= {track.id for track in alive if self._is_somebody_else(track)}
        for track_id in ended:
            matches += self._forget(track_id)
        people = [self._human(track, statuses.get(track.id), frame) for track in alive]
        for human in people:
            matches += self._changed_matches(human, frame.stamp_ns)
        return HumansFrame(frame.stamp_ns, tuple(people), tuple(matches))

    def _is_somebody_else(self, track: TrackEstimate) -> bool:
        """Whether a tracker that was started again, and counts from 1, uses the id anew.

        Nobody is seen or heard for the last time earlier than before.
        """
        memory = self._memories.get(track.id)
        return memory is not None and (
            track.last_seen_ns < memory.last_seen_ns or track.last_heard_ns < memory.last_heard_ns
        )

    def _human(
        self, track: TrackEstimate, status: SpeakingStatus | None, frame: TrackFrame
    ) -> Human:
        """One track as a person, remembered for the next frame."""
        if track.id not in self._memories:
            self._memories[track.id] = _Memory(self._new_id())
        memory = self._memories[track.id]
        memory.last_seen_ns = track.last_seen_ns
        memory.last_heard_ns = track.last_heard_ns
        speaks = status is not None and status.speaking
        self._update_face(memory, track, frame.stamp_ns)
        self._update_voice(memory, track, speaks, frame)
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

    def _update_face(self, memory: _Memory, track: TrackEstimate, stamp_ns: int) -> None:
        if track.box is not None:
            memory.face = memory.face or self._new_id()
            memory.face_ns = stamp_ns
        elif seconds(stamp_ns - memory.face_ns) > self._config.face_gap_s:
            memory.face = ''

    def _update_voice(
        self, memory: _Memory, track: TrackEstimate, speaks: bool, frame: TrackFrame
    ) -> None:
        if speaks:
            memory.voice = memory.voice or self._new_id()
            memory.voice_ns = frame.stamp_ns
        elif seconds(frame.stamp_ns - memory.voice_ns) > self._config.voice_gap_s:
            memory.voice = ''
            memory.voice_confidence = 0.0
        if not (frame.voice_active and speaks):
            return
        share, kept = track.audio_responsibility, self._config.voice_memory
        if memory.voice_confidence:
            memory.voice_confidence = kept * memory.voice_confidence + (1 - kept) * share
        else:
            memory.voice_confidence = share

    def _location_confidence(self, track: TrackEstimate, face: str) -> float:
        """REP-155: 1 while seen, 0 for who was never seen.

        Between them it falls with the uncertainty of the position.
        """
        if face:
            return 1.0
        if track.last_seen_ns == 0:
            return 0.0
        variance = float(np.trace(track.covariance[:3, :3])) / 3
        scale = self._config.location_scale_m**2
        return self._config.seen_before_confidence * scale / (scale + variance)

    def _changed_matches(self, human: Human, stamp_ns: int) -> list[Match]:
        """Tell what is new of a person's face and voice."""
        told = self._memories[human.track.id].told
        parts = {}
        if human.face:
            parts[human.face] = 'face', human.face_confidence
        if human.voice:
            parts[human.voice] = 'voice', human.voice_confidence
        matches = [
            Match(told.pop(part)[0], part, human.person, 0.0)
            for part in told.keys() - parts.keys()
        ]
        for part, (kind, confidence) in parts.items():
            _, known, told_ns = told.get(part, (kind, float('inf'), 0))
            is_old = seconds(stamp_ns - told_ns) >= self._config.match_period_s
            if is_old or abs(known - confidence) >= self._config.match_step:
                told[part] = kind, confidence, stamp_ns
                match = Match(kind, part, human.person, max(confidence, _LEAST_CONFIDENCE))
                matches.append(match)
        return matches

    def _forget_all(self) -> list[Match]:
        return [match for track_id in list(self._memories) for match in self._forget(track_id)]

    def _forget(self, track_id: int) -> list[Match]:
        """End the matches of a track."""
        memory = self._memories.pop(track_id)
        return [Match(kind, part, memory.person, 0.0) for part, (kind, *_) in memory.told.items()]

    def _new_id(self) -> str:
        while True:
            letters = self._random.choices(string.ascii_lowercase, k=_ID_LENGTH)
            new_id = ''.join(letters)
            if new_id not in self._used:
                self._used.add(new_id)
                return new_id
