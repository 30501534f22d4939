# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who of the tracked people speaks, from tracks and sound that arrive in any order.

Two methods. `joint` hears for itself: a hidden Markov model over subsets of the people, on the
directions of single time-frequency bins (`joint_activity`). `vavit` judges the share of the sound
that the tracker gave each person (`speaking_filter`). Where `joint` has no sound, `vavit` answers.

What comes out depends on stamps alone, live as offline: a block of sound goes with the newest
tracks at or before its center, and tracks get the newest activity at or before their stamp.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from av_perception.audio.direction_bins import BinBlock, DirectionLikelihood
from av_perception.diarization.joint_activity import Activity, JointActivity
from av_perception.diarization.joint_activity_config import JointActivityConfig
from av_perception.diarization.seen_angles import SeenAngles
from av_perception.diarization.sound_agreement import SoundAgreement
from av_perception.diarization.speaking_filter import SpeakingConfig, SpeakingFilter
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import nanoseconds, seconds
from av_perception.interfaces import MouthFrame, SpeakingFrame, SpeakingStatus, TrackFrame
from av_perception.lips.visual_activity import VisualActivity, VisualActivityConfig
from av_perception.lips.voice_lag import VoiceLag

JOINT = 'joint'
VAVIT = 'vavit'
METHODS = (JOINT, VAVIT)
WITHOUT_MOUTHS = 'tracks without the mouths of their image'
VOICES_ELSEWHERE = 'voices that do not come from the faces that are seen'
VOICES_APART = 'voices that come before or after their lips'
WITHOUT_SOUND = 'tracks without sound: their status is that of method vavit'
_START_ANEW_S = 1.0  # a stamp so far back begins another stream
_MAX_MOUTHS = 25  # images whose tracks are still to come
_STEP_S = 0.039  # the next block lies so far behind the newest one, with some jitter
_MAX_PENDING = 250  # blocks without tracks, 10 s: then the oldest go
_MIN_DISTANCE_M = 1e-6  # nearer to the array a track has no direction

Directions = dict[int, np.ndarray]  # by id of a track


@dataclass(frozen=True)
class SpeakingEstimatorConfig:
    """The method, the configuration of both, and the waiting for sound."""

    #: How it is found out who speaks: joint hears for itself, by the directions of single
    #: time-frequency bins; vavit judges the share of the sound that the tracker gave each person.
    #: vavit also serves where there is no sound, or a head that hears no directions.
    method: str = JOINT
    #: Of the method `joint`.
    joint: JointActivityConfig = field(default_factory=JointActivityConfig)
    #: Of the method `vavit`.
    vavit: SpeakingConfig = field(default_factory=SpeakingConfig)
    #: Whether lips that move count beside the sound (method joint): of whom they foretold it so
    #: far, and of nobody else.
    lips: bool = False
    #: When lips are believed.
    visual: VisualActivityConfig = field(default_factory=VisualActivityConfig)
    #: How long tracks wait for the sound at their stamp, in seconds.
    audio_wait_s: float = 0.1
    #: Tracks whose newest sound is older than this get the status of `vavit` [s].
    deaf_after_s: float = 0.5

    def __post_init__(self):
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, not '{self.method}'")
        if math.isnan(self.audio_wait_s) or self.audio_wait_s < 0:
            raise ValueError('audio_wait_s must not be negative')
        if not self.deaf_after_s > 0:
            raise ValueError('deaf_after_s must be positive')


@dataclass(frozen=True)
class _Pending:
    """A frame of tracks that waits for its sound, with what `vavit` says and its arrival."""

    frame: TrackFrame
    vavit: SpeakingFrame
    arrived_ns: int


class SpeakingEstimator:
    """Statuses of all tracks, in the order of the tracks.

    `counters` tells how often sound or tracks were missing.
    """

    def __init__(
        self,
        config: SpeakingEstimatorConfig,
        likelihood: DirectionLikelihood | None,
        angles: SeenAngles | None = None,
    ):
        """Make both methods.

        Parameters
        ----------
        config
            May be replaced later by `reconfigure`.
        likelihood
            Of the head's microphones; None where no directions are heard: the method is `vavit`.
        angles
            Of the head, to tell a wrong focal length by the voices; None: nobody looks for it.
        """
        self._filter = SpeakingFilter(config.vavit)
        self._joint: JointActivity | None = None
        self._agreement: SoundAgreement | None = None
        if likelihood is not None and config.method == JOINT:
            self._joint = JointActivity(likelihood, config.joint)
            self._agreement = SoundAgreement(likelihood, angles)
        self._config = config
        self._uses_lips = self._joint is not None and config.lips
        self._lips = VisualActivity(config.visual, config.joint.start, config.joint.stop)
        self._voice_lag = VoiceLag()
        self._mouths: deque[MouthFrame] = deque(maxlen=_MAX_MOUTHS)
        self.counters: Counter[str] = Counter()
        self._waiting: deque[_Pending] = deque()
        self._blocks: deque[BinBlock] = deque()
        self._directions: deque[tuple[int, Directions]] = deque(maxlen=_MAX_PENDING)
        # Those of them who were seen, see `SoundAgreement.note`.
        self._faces: deque[tuple[int, Directions]] = deque(maxlen=_MAX_PENDING)
        self._activities: deque[tuple[int, dict[int, Activity]]] = deque(maxlen=_MAX_PENDING)
        self._newest_block_ns: int | None = None
        self._newest_track_ns: int | None = None
        self._first_track_ns: int | None = None
        # Tracks have waited in vain: those after them do not wait, until there is sound again.
        self._has_given_up = False

    @property
    def method(self) -> str:
        """The method in use."""
        return VAVIT if self._joint is None else JOINT

    @property
    def is_waiting(self) -> bool:
        """Whether tracks wait for their sound."""
        return bool(self._waiting)

    def reconfigure(self, config: SpeakingEstimatorConfig) -> None:
        """Go on with other thresholds; the method stays."""
        self._config = config
        self._filter.config = config.vavit
        if self._joint is not None:
            self._joint.config = config.joint
        self._lips.config = config.visual

    @property
    def believed_lips(self) -> tuple[int, ...]:
        """Ids of the people whose lips count at present."""
        return self._lips.believed if self._uses_lips else ()

    @property
    def sound_problem(self) -> str:
        """A sentence when voices do not come from the faces that are seen, else ''."""
        return '' if self._agreement is None else self._agreement.problem

    @property
    def lag_problem(self) -> str:
        """A sentence when voices come before or after the lips that are seen, else ''."""
        return self._voice_lag.problem

    def take_mouths(self, mouths: MouthFrame) -> None:
        """Take the mouths of an image, before the tracks of the same stamp.

        Without `lips` they tell whether sound and images are apart, and nothing else.
        """
        if self._joint is not None:
            self._mouths.append(mouths)

    def take_blocks(self, blocks: list[BinBlock]) -> None:
        """Take sound, as DirectionBins made blocks of it."""
        if self._joint is None:
            return
        for block in blocks:
            if seconds(block.stamp_ns - (self._newest_block_ns or 0)) < -_START_ANEW_S:
                self._forget(block.stamp_ns)
            self._newest_block_ns = block.stamp_ns
            self._has_given_up = False
            if len(self._blocks) == _MAX_PENDING:
                self._blocks.popleft()
                self.counters['sounds without tracks'] += 1
            self._blocks.append(block)
        self._judge_blocks()

    def follow(
        self, frame: TrackFrame, reference_from_array: RigidTransform | None, now_ns: int
    ) -> None:
        """Take tracks.

        Parameters
        ----------
        frame
            All live tracks at one stamp.
        reference_from_array
            Where the array is in the frame of the tracks, at their stamp; None where nobody knows:
            their directions are then taken for those of the tracks before.
        now_ns
            Time of arrival on the clock that `poll` gets [ns].
        """
        if seconds(frame.stamp_ns - (self._newest_track_ns or 0)) < -_START_ANEW_S:
            self._forget(frame.stamp_ns)
        if self._first_track_ns is None:
            self._first_track_ns = frame.stamp_ns
        self._waiting.append(_Pending(frame, self._filter.step(frame), now_ns))
        if self._joint is None:
            return
        if self._newest_track_ns is None or frame.stamp_ns > self._newest_track_ns:
            self._newest_track_ns = frame.stamp_ns
            self._watch_lips(frame)
            if reference_from_array is not None:
                directions = track_directions(frame, reference_from_array)
                self._directions.append((frame.stamp_ns, directions))
                seen = {track.id for track in frame.tracks if track.seen}
                faces = {
                    key: np.stack([directions[key], reference_from_array.rotate(directions[key])])
                    for key in seen & directions.keys()
                }
                self._faces.append((frame.stamp_ns, faces))
        self._judge_blocks()

    def _watch_lips(self, frame: TrackFrame) -> None:
        """Look at the mouths of new tracks."""
        own = [mouths for mouths in self._mouths if mouths.stamp_ns == frame.stamp_ns]
        if self._uses_lips and not own and any(track.box is not None for track in frame.tracks):
            self.counters[WITHOUT_MOUTHS] += 1
        if self._uses_lips or own:
            motions = self._lips.watch(frame, own[0] if own else None)
            self._voice_lag.note_motion(frame.stamp_ns, motions)

    def poll(self, now_ns: int) -> list[tuple[TrackFrame, SpeakingFrame]]:
        """Return the tracks that are decided at now_ns, each with its statuses, oldest first."""
        decided = []
        while self._waiting and self._is_decided(self._waiting[0], now_ns):
            decided.append(self._answer(self._waiting.popleft()))
        return decided

    def flush(self) -> list[tuple[TrackFrame, SpeakingFrame]]:
        """Return all that is left, at the end."""
        left = [self._answer(pending) for pending in self._waiting]
        self._waiting.clear()
        return left

    def _forget(self, stamp_ns: int) -> None:
        """Forget what is of the stream before the one that begins at a stamp.

        Sound and tracks begin anew one after the other: what has begun already stays.
        """
        last_ns = stamp_ns + nanoseconds(_START_ANEW_S)
        self._activities.clear()
        if self._newest_block_ns is not None and self._newest_block_ns > last_ns:
            self._blocks.clear()
            self._newest_block_ns = None
        if self._newest_track_ns is not None and self._newest_track_ns > last_ns:
            self._directions.clear()
            self._faces.clear()
            self._newest_track_ns = None
            self._first_track_ns = None

    def _judge_blocks(self) -> None:
        """Give each block to `joint` once the tracks at its center are known."""
        lag_ns = nanoseconds(self._config.joint.look_ahead_s)
        newest_ns = self._newest_track_ns
        assert self._joint is not None  # there are no blocks without it
        while self._blocks and newest_ns is not None and self._blocks[0].stamp_ns <= newest_ns:
            block = self._blocks.popleft()
            directions = _newest_at(self._directions, block.stamp_ns) or {}
            self._compare_with_faces(block)
            seen = self._lips.evidence(block.stamp_ns) if self._uses_lips else None
            activity = self._joint.update(block, directions, seen)
            if self._uses_lips:
                self._lips.learn(block.stamp_ns, self._joint.sound_evidence())
            judged_ns = block.stamp_ns - lag_ns
            self._remember(judged_ns, {a.id: a for a in activity})
            voices = {a.id: a.probability for a in activity}
            if self._voice_lag.note_voices(judged_ns, voices) and self._voice_lag.problem:
                self.counters[VOICES_APART] += 1

    def _compare_with_faces(self, block: BinBlock) -> None:
        """Note whether voices come from where people are seen; count when they do not."""
        assert self._agreement is not None  # there are no blocks without it
        faces = _newest_at(self._faces, block.stamp_ns) or {}
        if self._agreement.note(block, faces) and self._agreement.problem:
            self.counters[VOICES_ELSEWHERE] += 1

    def _remember(self, stamp_ns: int, activity: dict[int, Activity]) -> None:
        """Keep an activity for the tracks that follow."""
        newest_ns = self._activities[-1][0] if self._activities else stamp_ns - 1
        if stamp_ns > newest_ns:
            self._activities.append((stamp_ns, activity))
        elif seconds(stamp_ns - newest_ns) < -_START_ANEW_S:
            self._activities.clear()
            self._activities.append((stamp_ns, activity))

    def _is_decided(self, pending: _Pending, now_ns: int) -> bool:
        """Whether no later sound can change the status, or the waiting is over."""
        newest_ns = self._newest_track_ns
        if newest_ns is not None:
            if seconds(pending.frame.stamp_ns - newest_ns) > _START_ANEW_S:
                return True  # of the stream before
        if self._joint is None or self._has_all_sound(pending.frame.stamp_ns):
            return True
        waited_s = seconds(now_ns - pending.arrived_ns)  # below 0 the clock was set back
        is_over = not 0 <= waited_s < self._config.audio_wait_s
        if is_over:
            self._has_given_up = True
        return is_over or self._has_given_up

    def _has_all_sound(self, stamp_ns: int) -> bool:
        """Tell whether all blocks that count for a stamp were judged."""
        if self._newest_block_ns is None:
            return False
        # The next block lies one step behind the newest one.
        last_ns = stamp_ns + nanoseconds(self._config.joint.look_ahead_s)
        if self._newest_block_ns + nanoseconds(_STEP_S) < last_ns:
            return False
        return not self._blocks or self._blocks[0].stamp_ns > last_ns

    def _answer(self, pending: _Pending) -> tuple[TrackFrame, SpeakingFrame]:
        """Return the tracks with the newest activity at or before their stamp."""
        frame = pending.frame
        if self._joint is None:
            return frame, pending.vavit
        known = _newest_at(self._activities, frame.stamp_ns)
        if known is None or self._is_deaf(frame.stamp_ns):
            age_s = seconds(frame.stamp_ns - (self._first_track_ns or frame.stamp_ns))
            # The first tracks may well be older than the first sound.
            if age_s > self._config.deaf_after_s:
                self.counters[WITHOUT_SOUND] += 1
            return frame, pending.vavit
        resting = self._config.joint.resting
        statuses = []
        for track in frame.tracks:
            own = known.get(track.id, Activity(track.id, False, resting, frame.stamp_ns))
            status = SpeakingStatus(own.id, own.speaking, own.probability, own.since_ns)
            statuses.append(status)
        return frame, SpeakingFrame(frame.stamp_ns, tuple(statuses))

    def _is_deaf(self, stamp_ns: int) -> bool:
        """Whether the newest activity is too old for a stamp."""
        return seconds(stamp_ns - self._activities[0][0]) > self._config.deaf_after_s


def track_directions(
    frame: TrackFrame, reference_from_array: RigidTransform
) -> dict[int, np.ndarray]:
    """Return where the tracks are for the microphones.

    Parameters
    ----------
    frame
        The tracks; those whose place is not finite have no direction.
    reference_from_array
        Where the array is in the frame of the tracks.

    Returns
    -------
    dict of int to (3,) array
        Unit vector in the array frame by id.
    """
    if not frame.tracks:
        return {}
    places = np.array([track.mean[:3] for track in frame.tracks])
    finite = np.isfinite(places).all(axis=1)
    places[~finite] = 0.0
    offsets = reference_from_array.inverse().apply(places)
    distance = np.linalg.norm(offsets, axis=1)
    known = finite & (distance > _MIN_DISTANCE_M)
    units = offsets / np.where(known, distance, 1.0)[:, None]
    pairs = zip(frame.tracks, units, known.tolist(), strict=True)
    return {track.id: unit for track, unit, is_known in pairs if is_known}


def _newest_at(history: deque[tuple[int, dict]], stamp_ns: int) -> Mapping | None:
    """Return the newest entry at or before a stamp, and drop those before it."""
    while len(history) > 1 and history[1][0] <= stamp_ns:
        history.popleft()
    if not history or history[0][0] > stamp_ns:
        return None
    return history[0][1]
