# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The two-microphone modes offline: a recording in, people or events and their speech out, with the same stages as the nodes."""

from __future__ import annotations

from dataclasses import dataclass, field

from av_perception.errors import UserError
from av_perception.pipelines.full import OfflinePipeline, PipelineConfig
from av_perception.recording import Recording
from av_perception.two_microphones.event_detector import EventDetector, EventDetectorConfig
from av_perception.two_microphones.face_itd_fusion import FaceItdFusion, FusionConfig
from av_perception.two_microphones.microphone_pair import MicrophonePair, frontal_pair
from av_perception.two_microphones.time_differences import (
    TimeDifferenceConfig,
    TimeDifferenceExtractor,
)


@dataclass(frozen=True)
class TwoMicrophoneConfig(PipelineConfig):
    """What the modes add to the pipeline's stages. channels: the pair, None for the one that hears best ahead."""

    differences: TimeDifferenceConfig = field(default_factory=TimeDifferenceConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    events: EventDetectorConfig = field(default_factory=EventDetectorConfig)
    channels: tuple[int, int] | None = None


class TwoMicrophonePipeline(OfflinePipeline):
    """OfflinePipeline with time differences for the audio front end and, by mode, face fusion ('minimal') or events ('events') for the tracker."""

    def __init__(
        self, recording: Recording, mode: str, config: TwoMicrophoneConfig = TwoMicrophoneConfig()
    ):
        """Raises UserError for a head without a camera or with one microphone."""
        if mode not in ('minimal', 'events'):
            raise ValueError(f"the mode must be 'minimal' or 'events', not {mode!r}")
        if not recording.head.can_hear_directions or recording.head.camera is None:
            raise UserError(
                f"mode {mode} needs a camera and two microphones, the head '{recording.head_name}' has not both"
            )
        self._mode = mode
        super().__init__(recording, config)

    def _make_stages(self, config: TwoMicrophoneConfig, acoustic_map):
        recording, head = self._recording, self._recording.head
        channels = config.channels or frontal_pair(head.microphones)
        pair = MicrophonePair.of_array(head.microphones, channels)
        hearing = TimeDifferenceExtractor(
            config.differences,
            channels,
            pair.max_itd,
            recording.num_channels,
            recording.sample_rate,
        )
        if self._mode == 'minimal':
            return hearing, FaceItdFusion(config.fusion, head.camera, pair)
        return hearing, EventDetector(config.events, pair, head.camera.base_from_optical)
