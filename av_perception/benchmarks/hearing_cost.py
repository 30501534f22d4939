# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What it costs to hear who speaks: `audio_features`, `tracker` and `speaking_status` together.

Faces are found once and kept; each method of `speaking_status` then gets the same faces and sound.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from av_perception.diarization.speaking_estimator import JOINT, METHODS, SpeakingEstimatorConfig
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AudioChunk, VisualFeatures
from av_perception.pipelines.full import START_NS, OfflinePipeline, PipelineConfig, Result
from av_perception.recording import Recording

#: Stages of the pipeline by the node that has them, or by what nodes share.
STAGES = {
    'audio_features': '_audio',
    'bins of direction': '_bins',
    'tracker': '_tracker',
    'speaking_status': '_speaking',
}


class KeepingPipeline(OfflinePipeline):
    """Keeps the faces that it finds, in `faces`."""

    def __init__(self, recording: Recording):
        super().__init__(recording)
        self.faces: list[VisualFeatures] = []

    def take_visual(self, features: VisualFeatures) -> None:
        """Take faces, and keep them."""
        self.faces.append(features)
        super().take_visual(features)


class _Timed:
    """A stage of a pipeline; what its methods take is added to an entry of `spent_s`."""

    def __init__(self, stage: Any, name: str, spent_s: Counter[str]):
        self._stage = stage
        self._name = name
        self._spent_s = spent_s

    def __getattr__(self, name: str) -> Any:
        """Give the stage's attribute; a method is timed."""
        attribute = getattr(self._stage, name)
        if not callable(attribute):
            return attribute

        def timed(*args, **kwargs):
            began = time.process_time()
            try:
                return attribute(*args, **kwargs)
            finally:
                self._spent_s[self._name] += time.process_time() - began

        return timed


class TimedPipeline(OfflinePipeline):
    """Tells in `spent_s` the processor time of its stages [s]."""

    def __init__(self, recording: Recording, config: PipelineConfig):
        super().__init__(recording, config)
        self.spent_s: Counter[str] = Counter()
        for stage, attribute in STAGES.items():
            timed = _Timed(getattr(self, attribute), stage, self.spent_s)
            setattr(self, attribute, timed)


@dataclass(frozen=True)
class HearingCost:
    """Processor time of the three nodes per second of sound, by method of `speaking_status`.

    stages: what each part takes with method `joint`; the bins of direction are those of `tracker`
    and `speaking_status`, computed once.
    """

    scene: str
    seconds: float
    joint: float
    vavit: float
    stages: dict[str, float]


def hearing_cost(
    scene: str,
    recording: Recording,
    faces: Sequence[VisualFeatures],
    chunks: Sequence[AudioChunk],
    seconds: float,
) -> HearingCost:
    """Measure all methods on the beginning of a recording.

    Parameters
    ----------
    scene
        Its name, for the result.
    recording
        Tells the head.
    faces
        Of the images, by stamp.
    chunks
        Its sound, by stamp.
    seconds
        How much of it, at most.
    """
    end_ns = START_NS + nanoseconds(min(seconds, recording.duration_s))
    images = [features for features in faces if features.stamp_ns < end_ns]
    sound = [chunk for chunk in chunks if chunk.stamp_ns < end_ns]
    duration_s = sum(len(chunk.samples) / chunk.sample_rate for chunk in sound)
    per_second = {}
    stages = {}
    for method in METHODS:
        whole_s, spent_s = _cost(recording, images, sound, method)
        per_second[method] = whole_s / duration_s
        stages[method] = {stage: spent_s[stage] / duration_s for stage in STAGES}
    return HearingCost(scene, duration_s, **per_second, stages=stages[JOINT])


def run_on(
    pipeline: OfflinePipeline, faces: Sequence[VisualFeatures], chunks: Sequence[AudioChunk]
) -> list[Result]:
    """Run a pipeline on faces and sound that are at hand.

    Parameters
    ----------
    pipeline
        Nothing was given to it so far.
    faces
        Of the images, by stamp.
    chunks
        Of the sound, by stamp; those that end before an image come before it.

    Returns
    -------
    list of (TrackFrame, SpeakingFrame)
        All frames in order.
    """
    heard = 0
    results: list[Result] = []
    for features in faces:
        while heard < len(chunks) and _end_ns(chunks[heard]) <= features.stamp_ns:
            pipeline.hear(chunks[heard])
            heard += 1
        pipeline.take_visual(features)
        results += pipeline.poll(features.stamp_ns)
    for chunk in chunks[heard:]:
        pipeline.hear(chunk)
        results += pipeline.poll(_end_ns(chunk))
    return results + pipeline.flush()


def _cost(
    recording: Recording,
    faces: Sequence[VisualFeatures],
    chunks: Sequence[AudioChunk],
    method: str,
) -> tuple[float, Counter[str]]:
    """Processor time [s], of all and by stage."""
    config = PipelineConfig(speaking=SpeakingEstimatorConfig(method=method))
    pipeline = TimedPipeline(recording, config)
    began = time.process_time()
    run_on(pipeline, faces, chunks)
    return time.process_time() - began, pipeline.spent_s


def _end_ns(chunk: AudioChunk) -> int:
    return chunk.stamp_ns + nanoseconds(len(chunk.samples) / chunk.sample_rate)
