# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The stages of the suite on a head that turns, up to whom it looks at, as the nodes run them."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field, replace

import numpy as np

from av_perception.attention.config import AttentionConfig
from av_perception.attention.policy import AttentionPolicy
from av_perception.audio.bin_stream import BinStream, direction_likelihood
from av_perception.audio.front_end import AudioFrontEnd
from av_perception.audio.map_learning import AcousticMapConfig, head_map
from av_perception.diarization.speaking_estimator import SpeakingEstimator
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import (
    Attention,
    AudioChunk,
    SpeakingFrame,
    TrackFrame,
    VisualFeatures,
)
from av_perception.pipelines.full import PipelineConfig
from av_perception.robot_head import HeadProfile
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.synchronization.block_queue import BlockQueue
from av_perception.synchronization.ego_motion import EgoMotion
from av_perception.synchronization.frame_assembler import (
    Frame,
    FrameAssembler,
    FrameAssemblerConfig,
)
from av_perception.synchronization.own_motors import OwnMotors
from av_perception.synchronization.turning_faces import TurningFaces
from av_perception.tracking.tracker import Tracker
from av_perception.vision.front_end import VisualFrontEnd

MAX_TURN_RATE = 0.3  # [rad/s] as the nodes' parameter max_turn_rate
_MAX_POSES = 500

Result = tuple[TrackFrame, SpeakingFrame, Attention]


@dataclass(frozen=True)
class TurningHeadConfig:
    """One entry per stage."""

    #: up to who speaks
    stages: PipelineConfig = field(default_factory=PipelineConfig)
    #: whom to look at
    attention: AttentionConfig = field(default_factory=AttentionConfig)


class TurningHeadPipeline:
    """People in a frame that does not turn, from a head that does, and whom to look at.

    `counters` counts what was dropped.

    Parameters
    ----------
    head
        Microphones that hear directions, and perhaps a camera.
    config
        See `TurningHeadConfig`.

    Raises
    ------
    UserError
        For a head that hears no directions.
    """

    def __init__(self, head: HeadProfile, config: TurningHeadConfig | None = None):
        config = config or TurningHeadConfig()
        if head.microphones is None or not head.can_hear_directions:
            raise UserError(f'the head {head.name} hears no directions: it needs two microphones')
        self._head = head
        stages = config.stages
        array = head.microphones
        self._vision = VisualFrontEnd(stages.vision, head.camera) if head.camera else None
        self._audio = AudioFrontEnd(stages.audio, len(array.coordinates), array.sample_rate)
        acoustic_map = head_map(array, AcousticMapConfig(), stages.audio)
        self._tracker = Tracker(stages.tracker, head, acoustic_map)
        likelihood = direction_likelihood(array)
        self._bins = BinStream(likelihood, array.sample_rate)
        self._blocks = BlockQueue()
        self._assembler = FrameAssembler(FrameAssemblerConfig(audio_wait_s=math.inf))
        speaking = replace(stages.speaking, audio_wait_s=math.inf)
        self._speaking = SpeakingEstimator(speaking, likelihood)
        self._policy = AttentionPolicy(config.attention)
        self._motion = EgoMotion(MAX_TURN_RATE)
        # One for each stage, as each node has its own.
        self._motors = OwnMotors(self._motion)
        self._motors_of_speech = OwnMotors(self._motion)
        self._turning_faces = TurningFaces()
        self._poses: deque[tuple[int, RigidTransform]] = deque(maxlen=_MAX_POSES)
        self._counters: Counter = Counter()

    @property
    def counters(self) -> Counter:
        """Everything dropped or repaired so far."""
        stages = [self._counters, self._assembler.counters, self._tracker.counters]
        return sum((Counter(stage) for stage in stages), Counter())

    def note_pose(
        self, stamp_ns: int, reference_from_base: RigidTransform, rates: tuple[float, ...] = ()
    ) -> None:
        """Note where the head is at a moment, and how fast its joints turn [rad/s].

        Every image needs the pose at its stamp.
        """
        self._poses.append((stamp_ns, reference_from_base))
        for rate in rates:
            self._motion.note_rate(stamp_ns, rate)

    def hear(self, chunk: AudioChunk) -> None:
        """Take sound."""
        for features in self._audio.push(chunk):
            self._assembler.push_audio(features, 0)  # Nothing is late: time stands still.
        blocks = self._bins.push(chunk)
        self._blocks.push(blocks)
        self._speaking.take_blocks([self._motors_of_speech.removed_from(b) for b in blocks])

    def see(self, stamp_ns: int, left: np.ndarray, right: np.ndarray | None) -> None:
        """Take an image or a pair, (H, W, 3) each."""
        if self._vision is None:
            self._counters['images without a camera in the head profile'] += 1
            return
        self.take_visual(self._vision.process(stamp_ns, left, right))

    def take_visual(self, features: VisualFeatures) -> None:
        """Take faces that were found already."""
        self._assembler.push_visual(features, 0)

    def poll(self, stamp_ns: int) -> list[Result]:
        """Track the frames that are complete at a moment, and decide whom to look at."""
        for frame in self._assembler.poll(stamp_ns):
            self._track(frame)
        results = []
        for tracks, speaking in self._speaking.poll(0):
            origin = self._pose_at(tracks.stamp_ns).translation
            attention = self._policy.step(tracks, speaking, origin=origin)
            if attention is not None:
                results.append((tracks, speaking, attention))
        return results

    def _track(self, frame: Frame) -> None:
        stamp_ns, visual, audio = frame
        poses = SensorPoses.of_head(self._head, self._pose_at(stamp_ns))
        blocks = self._blocks.take(stamp_ns)
        audio, blocks, _ = self._motors.removed_from_frame(stamp_ns, audio, blocks)
        if self._motion.is_ego_noise(stamp_ns):
            self._counters['sounds left out: the head turns'] += 1
        visual = self._turning_faces.take(visual, poses.reference_from_optical)
        tracks = self._tracker.step(stamp_ns, visual, audio, poses, blocks)
        self._speaking.follow(tracks, poses.reference_from_array, stamp_ns)

    def _pose_at(self, stamp_ns: int) -> RigidTransform:
        """Give the newest pose at or before a moment; the first one for what is older."""
        if not self._poses:
            return RigidTransform()
        for known_ns, pose in reversed(self._poses):
            if known_ns <= stamp_ns:
                return pose
        return self._poses[0][1]
