# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Accuracy and processor time of every mode on the same faces and the same sound, offline."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from av_perception.benchmarks.rendered_scenes import truth_of
from av_perception.benchmarks.sensors import camera_of
from av_perception.evaluation.metrics import Metrics, evaluate
from av_perception.interfaces import VisualFeatures
from av_perception.pipelines.full import START_NS, OfflinePipeline
from av_perception.pipelines.two_microphones import TwoMicrophonePipeline
from av_perception.recording import Recording
from av_perception.recording.collect import collect_tracks
from av_perception.recording.timing import image_stamp_ns
from av_perception.vision.front_end import VisualFrontEnd, VisualFrontEndConfig

MODES = {
    'full': 'full: variational tracker',
    'minimal': 'minimal: faces and two microphones',
    'events': 'events: clusters on the ITD line',
}
FacesByStamp = dict[int, VisualFeatures]  # by stamp [ns]


@dataclass(frozen=True)
class ModeResult:
    """Figures of one mode on one scene; None where undefined."""

    #: name of the scene
    scene: str
    #: one of MODES
    mode: str
    #: MOTA, at most 1
    mota: float | None
    #: id switches
    id_switches: int
    #: position error, RMS [m]
    position_rmse_m: float | None
    #: azimuth error, mean [deg]
    azimuth_error_deg: float | None
    #: diarization error rate
    der: float | None
    #: processor time of an image, all that follows the faces, mean [ms]
    cpu_ms: float
    #: processor time of a tracking step, 99th percentile [ms]
    tracking_p99_ms: float


def find_faces(recording: Recording, progress: Callable[[float], None]) -> FacesByStamp:
    """Find the faces of all images, for all modes alike.

    Parameters
    ----------
    recording
        With images.
    progress
        Told the fraction in [0, 1] that is done.

    Returns
    -------
    dict
        Faces by stamp [ns], as the pipelines count them.
    """
    front_end = VisualFrontEnd(VisualFrontEndConfig(), camera_of(recording.head))
    features = {}
    for index, _, left, right in recording.images():
        stamp_ns = START_NS + image_stamp_ns(recording, index)
        features[stamp_ns] = front_end.process(stamp_ns, left, right)
        progress((index + 1) / recording.num_frames)
    return features


def measure(
    recording: Recording,
    scene: str,
    mode: str,
    features: FacesByStamp,
    progress: Callable[[float], None] = lambda fraction: None,
) -> ModeResult:
    """Run one mode on one recording.

    Parameters
    ----------
    recording
        With truth.
    scene
        Its name.
    mode
        One of MODES.
    features
        The faces of all images.
    progress
        Told the fraction in [0, 1] that is done.

    Returns
    -------
    ModeResult
        Figures against the truth, and processor time.
    """
    pipeline = _make_pipeline(recording, mode)
    stopwatch = _Stopwatch(pipeline, features)
    frames = pipeline.run(progress)
    metrics = evaluate(collect_tracks(frames, START_NS), truth_of(recording))
    return _result(scene, mode, metrics, stopwatch, len(features))


def _result(
    scene: str, mode: str, metrics: Metrics, stopwatch: _Stopwatch, num_images: int
) -> ModeResult:
    return ModeResult(
        scene=scene,
        mode=mode,
        mota=metrics.mota,
        id_switches=metrics.id_switches,
        position_rmse_m=metrics.position_rmse_m,
        azimuth_error_deg=metrics.azimuth_error_deg,
        der=metrics.der,
        cpu_ms=1e3 * stopwatch.total_s / num_images,
        tracking_p99_ms=1e3 * float(np.percentile(stopwatch.tracking_s, 99)),
    )


def _make_pipeline(recording: Recording, mode: str) -> OfflinePipeline:
    if mode == 'full':
        return OfflinePipeline(recording)
    return TwoMicrophonePipeline(recording, mode)


class _Stopwatch:
    """Processor time of what follows the faces in a pipeline, whose faces are known."""

    def __init__(self, pipeline: OfflinePipeline, features: FacesByStamp):
        self.tracking_s: list[float] = []
        self._other_s: list[float] = []
        _replace(pipeline.see, lambda stamp_ns, *_: pipeline.take_visual(features[stamp_ns]))
        self._time(pipeline._tracker.step, self.tracking_s)
        self._time(pipeline._speaking.follow, self._other_s)
        self._time(pipeline._speaking.take_blocks, self._other_s)
        if pipeline._bins is not None:
            self._time(pipeline._bins.push, self._other_s)
        if pipeline._audio is not None:
            self._time(pipeline._audio.push, self._other_s)

    @property
    def total_s(self) -> float:
        """Processor time so far [s]."""
        return sum(self.tracking_s) + sum(self._other_s)

    def _time(self, method: Callable, spent_s: list[float]) -> None:
        """Let a bound method note the processor time [s] of its calls."""

        def call(*arguments, **options):
            started = time.thread_time()
            result = method(*arguments, **options)
            spent_s.append(time.thread_time() - started)
            return result

        _replace(method, call)


def _replace(method: Any, substitute: Callable) -> None:
    """Put something else in the place of a bound method, on its object alone."""
    setattr(method.__self__, method.__name__, substitute)
