# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A stream of sound for each tracked person, live and without waiting.

Sound goes through masks (`person_masks`) that know where people are (`people_history`) and who
speaks (`diarization/joint_activity`, on the same sound). A stream begins with the person's first
words, or a little before, and goes on, silent in pauses, until the track ends. All streams count
the same samples, and their stamps are capture times. What a stream holds depends on samples and
stamps alone, not on how the sound was cut into chunks.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

from av_perception.audio.bin_stream import BinStream, SharedBinStream, direction_likelihood
from av_perception.audio.direction_bins import BinBlock, DirectionBinsConfig
from av_perception.audio.direction_grid import direction_grid
from av_perception.audio.steering import GeometricSteering, Steering
from av_perception.diarization.joint_activity import Activity, JointActivity
from av_perception.diarization.joint_activity_config import JointActivityConfig
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import nanoseconds, seconds
from av_perception.interfaces import AudioChunk, TrackFrame
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.separation.frame_activity import FrameActivity, FrameActivityConfig
from av_perception.separation.frame_groups import FrameGroup, FrameGroups
from av_perception.separation.people_history import PeopleHistory
from av_perception.separation.person_filters import PersonFilters
from av_perception.separation.person_masks import PersonMasks, PersonMasksConfig
from av_perception.separation.reference_microphones import ReferenceMicrophones
from av_perception.separation.stream_synthesis import StreamSynthesis, VoiceChunk
from av_perception.separation.untracked_voice import (
    UNTRACKED,
    UntrackedVoice,
    UntrackedVoiceConfig,
)

MASK = 'mask'
WIENER = 'wiener'
OUTPUTS = (MASK, WIENER)
LATE_TRACKS = 'sounds that did not wait for late tracks'
GRID_STEP_DEG = 10.0  # directions among which who has no track is searched
GRID_ELEVATION_DEG = 10.0  # where the heads of people are
_SLACK_NS = 1000  # stamps are rounded
_MAX_WAITING = 500  # groups, 8 s: then the oldest go on without tracks


def _of_all_sound() -> JointActivityConfig:
    """Music in a stranger's place is theirs: else it would be left to who is tracked."""
    return JointActivityConfig(voiceless_s=math.inf)


@dataclass(frozen=True)
class PersonStreamsConfig:
    """Masks, activity, and the pairing of sound with tracks."""

    #: Whose each bin is.
    masks: PersonMasksConfig = field(default_factory=PersonMasksConfig)
    #: Who speaks, as it is told.
    activity: JointActivityConfig = field(default_factory=_of_all_sound)
    #: Who speaks, as masks need it: sooner.
    frame_activity: FrameActivityConfig = field(default_factory=FrameActivityConfig)
    #: Who talks without a track.
    untracked: UntrackedVoiceConfig = field(default_factory=UntrackedVoiceConfig)
    #: What makes a voice: mask (most of the others is gone) or wiener (a filter of all
    #: microphones by the masks: smoother, and more of the others is left).
    output: str = MASK
    #: With wiener: time over which filters forget, in seconds.
    filter_memory_s: float = 0.3
    #: Sound goes with tracks that are so much older, seconds; people are taken to have walked on.
    track_delay_s: float = 0.12
    #: How long sound waits for tracks that are later than that, in seconds; once they have come
    #: too late it goes on with those it has, until they are in time again.
    track_wait_s: float = 0.02
    #: How much of the sound before it is known that a person speaks for the first time goes
    #: before the stream, in seconds.
    pre_roll_s: float = 0.3

    def __post_init__(self):
        if self.output not in OUTPUTS:
            raise ValueError(f"output must be one of {', '.join(OUTPUTS)}, not '{self.output}'")
        if not self.filter_memory_s > 0:
            raise ValueError(f'filter_memory_s must be positive, not {self.filter_memory_s}')
        for name in ('track_delay_s', 'track_wait_s', 'pre_roll_s'):
            if not getattr(self, name) >= 0:
                raise ValueError(f'{name} must not be negative, but is {getattr(self, name)}')


@dataclass(frozen=True)
class _Waiting:
    """A group of frames that waits for its tracks, with its arrival."""

    group: FrameGroup
    arrived_ns: int


class PersonStreams:
    """Chunks and tracks in, in any order; sound of each person out.

    Raises UserError for a head with fewer than 2 or more than 16 microphones.

    Parameters
    ----------
    array
        Microphones of the head.
    sample_rate
        Of the chunks to come [Hz].
    config
        See `PersonStreamsConfig`.
    steering
        How sound arrives; None takes the geometry of the head.
    bins
        Bins of direction that others use, too; None makes them here.
    """

    def __init__(
        self,
        array: MicrophoneArray,
        sample_rate: int,
        config: PersonStreamsConfig | None = None,
        steering: Steering | None = None,
        bins: SharedBinStream | None = None,
    ):
        self._config = config or PersonStreamsConfig()
        steering = steering or GeometricSteering(array)
        self._num_channels = len(array.coordinates)
        bins_config = DirectionBinsConfig()
        self._bins: BinStream
        if bins is None:
            likelihood = direction_likelihood(array, bins_config, steering)
            self._bins = BinStream(likelihood, sample_rate, bins_config)
        else:
            self._bins = bins
        stft = bins_config.stft
        half_block_s = 0.5 * bins_config.block_length / stft.sample_rate
        self._half_block_ns = nanoseconds(half_block_s)
        self._joint = JointActivity(self._bins.likelihood, self._config.activity)
        grid = direction_grid(array, GRID_STEP_DEG, (GRID_ELEVATION_DEG,))
        self._untracked = UntrackedVoice(self._bins.likelihood, grid, self._config.untracked)
        self._masks = PersonMasks(steering, self._config.masks)
        self._frame_activity = FrameActivity(
            self._masks.likelihood, self._config.masks.transform.size, self._config.frame_activity
        )
        hop_s = self._config.masks.transform.hop / stft.sample_rate
        self._filters = PersonFilters(hop_s, self._config.filter_memory_s)
        self._references = ReferenceMicrophones(steering)
        self._people = PeopleHistory(self._config.track_delay_s)
        self._late: Counter[str] = Counter()
        self._start(sample_rate)

    def _start(self, sample_rate: int) -> None:
        transform = self._config.masks.transform
        self._groups = FrameGroups(transform, self._num_channels, sample_rate)
        self._synthesis = StreamSynthesis(transform, self._config.pre_roll_s)
        self._forget_sound()
        self._has_given_up = False

    def _forget_sound(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._blocks: deque[BinBlock] = deque()
        self._activity: dict[int, Activity] = {}
        self._directions: dict[int, np.ndarray] = {}
        self._voice_activity: float | None = None
        self._live: tuple[bool, ...] = (True,) * self._num_channels

    def _forget_people(self) -> None:
        """Forget what frames have told."""
        self._masks.reset()
        self._untracked.reset()
        self._frame_activity.reset()
        self._filters.reset()
        self._references.reset()

    @property
    def sample_rate(self) -> int:
        """Of the chunks [Hz]."""
        return self._groups.sample_rate

    @property
    def counters(self) -> Counter[str]:
        """What was wrong with the sound, by reason."""
        return self._bins.counters

    @property
    def track_counters(self) -> Counter[str]:
        """What was wrong with the tracks, by reason."""
        return self._late

    def has_stream(self, key: int) -> bool:
        """Whether the stream of a person has begun and has not ended."""
        return self._synthesis.has_stream(key)

    @property
    def is_waiting(self) -> bool:
        """Whether sound waits for tracks."""
        return bool(self._waiting)

    def change_rate(self, sample_rate: int) -> None:
        """Start afresh with sound of another rate [Hz]; all streams begin anew."""
        self._bins.change_rate(sample_rate)
        self._joint.reset()
        self._forget_people()
        self._start(sample_rate)

    def push(
        self, chunk: AudioChunk, now_ns: int = 0, blocks: list[BinBlock] | None = None
    ) -> list[VoiceChunk]:
        """Take sound.

        Parameters
        ----------
        chunk
            As captured.
        now_ns
            When it came.
        blocks
            What a `BinStream` made of the same chunk, where it runs already; None: it is done
            here.

        Returns
        -------
        list of VoiceChunk
            What has become complete of every stream.

        Raises
        ------
        UserError
            When the chunk has other channels or another rate.
        """
        groups = self._groups.push(chunk)
        self._blocks.extend(self._bins.push(chunk) if blocks is None else blocks)
        self._waiting.extend(_Waiting(group, now_ns) for group in groups)
        return self.poll(now_ns)

    def follow(
        self, frame: TrackFrame, reference_from_array: RigidTransform | None, now_ns: int = 0
    ) -> list[VoiceChunk]:
        """Take tracks, and where the array is in their frame; returns as `push`."""
        self._people.follow(frame, reference_from_array)
        return self.poll(now_ns)

    def poll(self, now_ns: int) -> list[VoiceChunk]:
        """Separate what waits no longer; returns as `push`."""
        pieces: list[VoiceChunk] = []
        while self._waiting and self._is_ready(self._waiting[0], now_ns):
            pieces += self._separate(self._waiting.popleft().group)
        return joined(pieces)

    def flush(self) -> list[VoiceChunk]:
        """End the sound, and all streams with it."""
        groups = [pending.group for pending in self._waiting] + self._groups.flush()
        pieces = [piece for group in groups for piece in self._separate(group)]
        self._forget_sound()
        self._start(self.sample_rate)
        self._joint.reset()
        self._forget_people()
        return joined(pieces)

    def _is_ready(self, pending: _Waiting, now_ns: int) -> bool:
        """Whether no later tracks can change the group, or the waiting is over."""
        if self._people.knows(pending.group.center_ns):
            self._has_given_up = False
            return True
        if self._has_given_up:
            self._late[LATE_TRACKS] += int(self._people.has_tracks)
            return True
        waited_s = seconds(now_ns - pending.arrived_ns)  # below 0 the clock was set back
        is_over = not 0 <= waited_s <= self._config.track_wait_s
        self._has_given_up = is_over or len(self._waiting) > _MAX_WAITING
        # Before the first tracks there is nothing to be late.
        self._late[LATE_TRACKS] += int(self._has_given_up and self._people.has_tracks)
        return self._has_given_up

    def _separate(self, group: FrameGroup) -> list[VoiceChunk]:
        """Give what a group completes."""
        if group.anew:
            self._forget_people()
        self._judge_blocks(group.end_ns)
        directions = self._directions_at(group)
        heard = self._masks.listen(group.spectra, self._with_untracked(directions), self._live)
        active = self._frame_activity.update(group.center_ns, heard, self._voice_activity)
        masks = self._masks.masks_of(heard, active)[: len(directions)]
        references = self._references.update(directions, self._live)
        heard_there = group.spectra[:, :, references].transpose(2, 0, 1)
        if self._config.output == WIENER:
            found = self._filters.update(group.spectra, masks, tuple(directions), references)
            # Filters forget slowly: who is silent is silent by the mask.
            found = (found * np.sqrt(masks)).astype(np.complex64)
        else:
            found = heard_there * masks
        voices = dict(zip(directions, found, strict=True))
        microphones = dict(zip(directions, heard_there, strict=True))
        return self._synthesis.push(group, voices, self._activity, microphones)

    def _directions_at(self, group: FrameGroup) -> dict[int, np.ndarray]:
        """Where people are; they are looked up for every second group: nobody runs as fast."""
        if group.anew or group.number % 2 == 0:
            self._directions = self._people.at(group.center_ns)
        return self._directions

    def _with_untracked(self, directions: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
        """Add, behind the people, who talks without a track."""
        stranger = self._untracked.direction
        if stranger is None or not directions:
            return directions
        return {**directions, UNTRACKED: stranger}

    def _judge_blocks(self, end_ns: int) -> None:
        """Find out who speaks, by all blocks that end by a moment."""
        while self._blocks:
            block = self._blocks[0]
            if block.stamp_ns + self._half_block_ns > end_ns + _SLACK_NS:
                return
            self._blocks.popleft()
            self._judge(block)
            self._voice_activity = block.voice_activity
            self._live = block.live

    def _judge(self, block: BinBlock) -> None:
        """Find out who speaks in a block, and whether that is somebody without a track."""
        people = self._people.at(block.stamp_ns)
        ids = tuple(people)
        ratios = np.zeros((len(block), 0), np.float32)
        if people:
            directions = np.array(list(people.values()), float)
            likelihood = self._bins.likelihood.heard_by(block.live)
            steering = likelihood.whitened_steering(directions, block.bins)
            ratios = likelihood.ratios_of_rows(block, steering)
            self._untracked.update(block, ratios, directions, steering)
            if self._untracked.direction is not None:
                # Who has no track takes part: otherwise somebody who has would seem to speak.
                own = likelihood.ratios_towards(block, self._untracked.direction[None])
                ratios = np.concatenate([ratios, own], axis=1)
                ids = (*ids, UNTRACKED)
        cost = {UNTRACKED: -self._config.untracked.cost}
        activity = self._joint.update_ratios(
            block.stamp_ns, ratios, ids, block.voice_activity, cost, block.is_blank
        )
        self._activity = {a.id: a for a in activity if a.id != UNTRACKED}


def joined(pieces: list[VoiceChunk]) -> list[VoiceChunk]:
    """Join the pieces of each stream that follow each other, in the order of their begin."""
    runs: list[list[VoiceChunk]] = []
    newest: dict[int, list[VoiceChunk]] = {}
    for piece in pieces:
        run = newest.get(piece.id)
        if run is not None and run[-1].is_followed_by(piece):
            run.append(piece)
            continue
        newest[piece.id] = [piece]
        runs.append(newest[piece.id])
    return [VoiceChunk.of_run(run) for run in runs]
