# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The two-microphone modes offline: a recording in, people or events and their speech out.

The stages are those of the nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.diarization.speaking_estimator import VAVIT
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
    """What the modes add to the pipeline's stages."""

    #: from sound to time differences
    differences: TimeDifferenceConfig = field(default_factory=TimeDifferenceConfig)
    #: faces that speak (mode 'minimal')
    fusion: FusionConfig = field(default_factory=FusionConfig)
    #: audio-visual events (mode 'events')
    events: EventDetectorConfig = field(default_factory=EventDetectorConfig)
    #: the pair of channels, None for the one that hears best ahead
    channels: tuple[int, int] | None = None


_DEFAULT = TwoMicrophoneConfig()


class TwoMicrophonePipeline(OfflinePipeline):
    """OfflinePipeline with other stages.

    Time differences stand for the audio front end and, by mode, face fusion ('minimal') or events
    ('events') for the tracker.

    Parameters
    ----------
    recording
        Of a head with a camera and at least two microphones.
    mode
        'minimal' or 'events'.
    config
        See `TwoMicrophoneConfig`.

    Raises
    ------
    ValueError
        For another mode.
    UserError
        For a head without a camera or with one microphone.
    """

    HEARS_BINS = False

    def __init__(self, recording: Recording, mode: str, config: TwoMicrophoneConfig = _DEFAULT):
        if mode not in ('minimal', 'events'):
            raise ValueError(f"the mode must be 'minimal' or 'events', not {mode!r}")
        head = recording.head
        if head.camera is None or head.microphones is None or not head.can_hear_directions:
            raise UserError(
                f'mode {mode} needs a camera and two microphones, '
                f"the head '{recording.head_name}' has not both"
            )
        self._mode, self._config = mode, config
        self._camera, self._microphones = head.camera, head.microphones
        # Nothing here tells where the array hears: the shares of the sound say who speaks.
        speaking = replace(config.speaking, method=VAVIT)
        super().__init__(recording, replace(config, speaking=speaking))

    def _make_stages(self, config: PipelineConfig, acoustic_map: AcousticMap | None) -> tuple:
        channels = self._config.channels or frontal_pair(self._microphones)
        pair = MicrophonePair.of_array(self._microphones, channels)
        hearing = TimeDifferenceExtractor(
            self._config.differences,
            channels,
            pair.max_itd,
            self._recording.num_channels,
            self._recording.sample_rate,
        )
        if self._mode == 'minimal':
            return hearing, FaceItdFusion(self._config.fusion, self._camera, pair)
        return hearing, EventDetector(self._config.events, pair, self._camera.base_from_optical)
