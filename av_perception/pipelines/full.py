# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The whole suite offline: a recording in, people and their speech out, with the same stages and pairing as the nodes."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.audio.map_learning import AcousticMapConfig, head_map
from av_perception.diarization.speaking_filter import SpeakingConfig, SpeakingFilter
from av_perception.interfaces import AudioChunk, SpeakingFrame, TrackFrame, VisualFeatures
from av_perception.recording import Recording
from av_perception.recording.timing import image_stamp_ns, sample_stamp_ns
from av_perception.synchronization.frame_assembler import FrameAssembler, FrameAssemblerConfig
from av_perception.tracking.tracker import Tracker, TrackerConfig
from av_perception.vision.front_end import VisualFrontEnd, VisualFrontEndConfig
from av_perception.vision.image_check import BadImage

CHUNK_S = 0.016
START_NS = 1_000_000_000  # stamp of second 0: a stamp of 0 would mean 'never'


@dataclass(frozen=True)
class PipelineConfig:
    """One entry per stage."""

    vision: VisualFrontEndConfig = field(default_factory=VisualFrontEndConfig)
    audio: AudioFrontEndConfig = field(default_factory=AudioFrontEndConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    speaking: SpeakingConfig = field(default_factory=SpeakingConfig)


class OfflinePipeline:
    """Runs a recording through features, tracker and speaking status. `counters`: what was dropped, by stage and reason."""

    def __init__(
        self,
        recording: Recording,
        config: PipelineConfig = PipelineConfig(),
        acoustic_map: AcousticMap | None = None,
    ):
        """acoustic_map: None takes that of the recording's head."""
        head = recording.head
        self._recording = recording
        self._hears = head.can_hear_directions
        self._vision = (
            VisualFrontEnd(config.vision, head.camera)
            if head.camera and recording.num_frames
            else None
        )
        self._audio, self._tracker = self._make_stages(config, acoustic_map)
        period_s = 1.0 / recording.frame_rate
        self._assembler = FrameAssembler(
            FrameAssemblerConfig(
                video_period_s=period_s, audio_wait_s=math.inf if self._hears else 0.0
            )
        )
        self._speaking = SpeakingFilter(config.speaking)
        self._counters: Counter = Counter()
        self._next_sample = 0

    def _make_stages(self, config: PipelineConfig, acoustic_map: AcousticMap | None):
        """What hears (None: nothing does) and what tracks."""
        recording, head = self._recording, self._recording.head
        if not self._hears:
            return None, Tracker(config.tracker, head, None)
        if acoustic_map is None:
            acoustic_map = head_map(head.microphones, AcousticMapConfig(), config.audio)
        return AudioFrontEnd(config.audio, recording.num_channels, recording.sample_rate), Tracker(
            config.tracker, head, acoustic_map
        )

    @property
    def counters(self) -> Counter:
        """Everything dropped or repaired so far."""
        stages = (
            self._counters,
            self._assembler.counters,
            self._tracker.counters,
            self._audio.counters if self._audio else {},
        )
        return sum((Counter(stage) for stage in stages), Counter())

    @property
    def problems(self) -> list[str]:
        """Sentences on what the images say against the head profile."""
        if self._vision is None:
            return []
        found = [*self._vision.calibration_problems, self._vision.disparity_problem]
        return [problem for problem in found if problem]

    def run(self, progress=lambda fraction: None) -> list[tuple[TrackFrame, SpeakingFrame]]:
        """All frames in order; stamps count from START_NS. progress(fraction)."""
        recording, results = self._recording, []
        if self._vision is not None:
            for index, _, left, right in recording.images():
                stamp_ns = START_NS + image_stamp_ns(recording, index)
                self._hear_until(stamp_ns)
                self.see(stamp_ns, left, right)
                results += self.poll(stamp_ns)
                progress((index + 1) / recording.num_frames)
        while (
            self._hears and self._next_sample < recording.num_samples
        ):  # the sound after the last image, or all of it without images
            stamp_ns = (
                START_NS + sample_stamp_ns(recording, self._next_sample) + round(1e9 * CHUNK_S)
            )
            self._hear_until(stamp_ns)
            results += self.poll(stamp_ns)
            progress(min(1.0, self._next_sample / recording.num_samples))
        return results + self.flush()

    def hear(self, chunk: AudioChunk) -> None:
        """Take sound."""
        for features in self._audio.push(chunk) if self._audio is not None else ():
            self.take_audio(features)

    def take_audio(self, features) -> None:
        """Take features of sound that were computed already."""
        self._assembler.push_audio(features, features.stamp_ns)

    def see(self, stamp_ns: int, left, right) -> None:
        """Take an image (H, W, 3) or a pair; right None with one camera. An image that cannot be used is counted."""
        try:
            self.take_visual(self._vision.process(stamp_ns, left, right))
        except BadImage as error:
            self._counters[f'bad images: {error}'] += 1

    def take_visual(self, features: VisualFeatures) -> None:
        """Take faces that were found already."""
        self._assembler.push_visual(features, features.stamp_ns)

    def poll(self, stamp_ns: int) -> list[tuple[TrackFrame, SpeakingFrame]]:
        """The frames that are complete."""
        return self._step(self._assembler.poll(stamp_ns))

    def flush(self) -> list[tuple[TrackFrame, SpeakingFrame]]:
        """What is left at the end."""
        return self._step(self._assembler.flush())

    def _hear_until(self, stamp_ns: int) -> None:
        """Feed the chunks that were complete at a moment."""
        recording = self._recording
        size = max(1, round(CHUNK_S * recording.sample_rate))
        while self._audio is not None and self._next_sample < recording.num_samples:
            if START_NS + sample_stamp_ns(recording, self._next_sample + size) > stamp_ns:
                return
            samples = recording.read_audio(self._next_sample, size)
            chunk = AudioChunk(
                START_NS + sample_stamp_ns(recording, self._next_sample),
                recording.sample_rate,
                self._next_sample,
                samples,
            )
            self._next_sample += len(samples)
            self.hear(chunk)

    def _step(self, frames) -> list[tuple[TrackFrame, SpeakingFrame]]:
        results = []
        for stamp_ns, visual, audio in frames:
            frame = self._tracker.step(stamp_ns, visual, audio)
            results.append((frame, self._speaking.step(frame)))
        return results
