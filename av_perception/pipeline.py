"""The whole suite offline: a recording in, people and their speech out, with the same stages and pairing as the nodes."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.frontend import AudioFrontEnd, AudioFrontEndConfig
from av_perception.audio.learning import AcousticMapConfig, head_map
from av_perception.data import AudioChunk, SpeakingFrame, TrackFrame
from av_perception.recording import Recording
from av_perception.recording.timing import image_stamp_ns, sample_stamp_ns
from av_perception.tracking.diarisation import SpeakingConfig, SpeakingFilter
from av_perception.tracking.frame_assembler import FrameAssembler, FrameAssemblerConfig
from av_perception.tracking.tracker import Tracker, TrackerConfig
from av_perception.vision.frontend import VisualFrontEnd, VisualFrontEndConfig
from av_perception.vision.image_check import BadImage

CHUNK_S = 0.016
START_NS = 1_000_000_000   # stamp of second 0: a stamp of 0 would mean 'never'


@dataclass(frozen=True)
class PipelineConfig:
    """One entry per stage."""

    vision: VisualFrontEndConfig = field(default_factory=VisualFrontEndConfig)
    audio: AudioFrontEndConfig = field(default_factory=AudioFrontEndConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    speaking: SpeakingConfig = field(default_factory=SpeakingConfig)


class OfflinePipeline:
    """Runs a recording through features, tracker and speaking status. `counters`: what was dropped, by stage and reason."""

    def __init__(self, recording: Recording, config: PipelineConfig = PipelineConfig(), acoustic_map: AcousticMap | None = None):
        """acoustic_map: None takes that of the recording's head."""
        head = recording.head
        self._recording = recording
        self._hears = head.can_hear_directions
        if self._hears and acoustic_map is None:
            acoustic_map = head_map(head.microphones, AcousticMapConfig(), config.audio)
        self._vision = VisualFrontEnd(config.vision, head.camera) if head.camera and recording.num_frames else None
        self._audio = AudioFrontEnd(config.audio, recording.num_channels, recording.sample_rate) if self._hears else None
        period_s = 1.0 / recording.frame_rate
        self._assembler = FrameAssembler(FrameAssemblerConfig(video_period_s=period_s, audio_wait_s=math.inf if self._hears else 0.0))
        self._tracker = Tracker(config.tracker, head, acoustic_map if self._hears else None)
        self._speaking = SpeakingFilter(config.speaking)
        self._counters: Counter = Counter()
        self._next_sample = 0

    @property
    def counters(self) -> Counter:
        """Everything dropped or repaired so far."""
        stages = (self._counters, self._assembler.counters, self._tracker.counters, self._audio.counters if self._audio else {})
        return sum((Counter(stage) for stage in stages), Counter())

    def run(self, progress=lambda fraction: None) -> list[tuple[TrackFrame, SpeakingFrame]]:
        """All frames in order; stamps count from START_NS. progress(fraction)."""
        recording, results = self._recording, []
        if self._vision is not None:
            for index, _, left, right in recording.images():
                stamp_ns = START_NS + image_stamp_ns(recording, index)
                self._hear_until(stamp_ns)
                self._see(stamp_ns, left, right)
                results += self._step(self._assembler.poll(stamp_ns))
                progress((index + 1) / recording.num_frames)
        results += self._finish(progress)
        return results

    def _finish(self, progress) -> list:
        """The sound after the last image, or all of it when there are no images."""
        recording, results = self._recording, []
        while self._hears and self._next_sample < recording.num_samples:
            stamp_ns = START_NS + sample_stamp_ns(recording, self._next_sample) + round(1e9 * CHUNK_S)
            self._hear_until(stamp_ns)
            results += self._step(self._assembler.poll(stamp_ns))
            progress(min(1.0, self._next_sample / recording.num_samples))
        return results + self._step(self._assembler.flush())

    def _hear_until(self, stamp_ns: int) -> None:
        """Feed the chunks that were complete at a moment."""
        recording = self._recording
        size = max(1, round(CHUNK_S * recording.sample_rate))
        while self._audio is not None and self._next_sample < recording.num_samples:
            if START_NS + sample_stamp_ns(recording, self._next_sample + size) > stamp_ns:
                return
            samples = recording.read_audio(self._next_sample, size)
            chunk = AudioChunk(START_NS + sample_stamp_ns(recording, self._next_sample), recording.sample_rate, self._next_sample, samples)
            self._next_sample += len(samples)
            for features in self._audio.push(chunk):
                self._assembler.push_audio(features, stamp_ns)

    def _see(self, stamp_ns: int, left, right) -> None:
        try:
            self._assembler.push_visual(self._vision.process(stamp_ns, left, right), stamp_ns)
        except BadImage as error:
            self._counters[f'bad images: {error}'] += 1

    def _step(self, frames) -> list[tuple[TrackFrame, SpeakingFrame]]:
        results = []
        for stamp_ns, visual, audio in frames:
            frame = self._tracker.step(stamp_ns, visual, audio)
            results.append((frame, self._speaking.step(frame)))
        return results
