# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What it costs to hear who speaks: `audio_features`, `tracker` and `speaking_status` together.

Faces are found once and kept; each method of `speaking_status` then gets the same faces and sound.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from av_perception.diarization.speaking_estimator import METHODS, SpeakingEstimatorConfig
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AudioChunk, VisualFeatures
from av_perception.pipelines.full import START_NS, OfflinePipeline, PipelineConfig, Result
from av_perception.recording import Recording


class KeepingPipeline(OfflinePipeline):
    """Keeps the faces that it finds, in `faces`."""

    def __init__(self, recording: Recording):
        super().__init__(recording)
        self.faces: list[VisualFeatures] = []

    def take_visual(self, features: VisualFeatures) -> None:
        """Take faces, and keep them."""
        self.faces.append(features)
        super().take_visual(features)


@dataclass(frozen=True)
class HearingCost:
    """Processor time of the three stages per second of sound, by method of `speaking_status`."""

    scene: str
    seconds: float
    joint: float
    vavit: float


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
    cost = {method: _cost(recording, images, sound, method) for method in METHODS}
    duration_s = sum(len(chunk.samples) / chunk.sample_rate for chunk in sound)
    per_second = {method: spent_s / duration_s for method, spent_s in cost.items()}
    return HearingCost(scene, duration_s, **per_second)


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
) -> float:
    """Processor time [s]."""
    config = PipelineConfig(speaking=SpeakingEstimatorConfig(method=method))
    pipeline = OfflinePipeline(recording, config)
    began = time.process_time()
    run_on(pipeline, faces, chunks)
    return time.process_time() - began


def _end_ns(chunk: AudioChunk) -> int:
    return chunk.stamp_ns + nanoseconds(len(chunk.samples) / chunk.sample_rate)
