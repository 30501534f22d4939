# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What looking at the whole image less often does to people, and what it saves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from av_perception.evaluation.metrics import evaluate
from av_perception.interfaces import VisualFeatures
from av_perception.pipelines.full import START_NS, OfflinePipeline, PipelineConfig
from av_perception.recording import Recording
from av_perception.recording.collect import answered_times, collect_tracks
from av_perception.vision.face_search import FaceSearchConfig
from av_perception.vision.front_end import VisualFrontEnd, VisualFrontEndConfig

MS = 1e3


@dataclass(frozen=True)
class SearchResult:
    """One recording with one setting of the search."""

    #: images from one look at the whole image to the next
    every: int
    #: how many images there were
    images: int
    #: how many were looked at as a whole
    whole_images: int
    #: processor time of the visual features of an image pair, mean [ms]
    pair_ms: float
    #: the same, 99th percentile [ms]
    pair_p99_ms: float
    #: MOTA, IDF1
    mota: float
    idf1: float
    #: how often an id changed
    id_switches: int
    #: position error of all people (RMS) [m]
    position_rmse_m: float
    #: depth error of all faces (RMS) [m]
    depth_rmse_m: float


class _TimedEyes:
    """A front end that notes what it costs, and the faces that it finds."""

    def __init__(self, front_end: VisualFrontEnd):
        self._process = front_end.process
        self.spent_s: list[float] = []
        self.places: list[tuple[int, np.ndarray]] = []  # stamp [ns], (3,) in the camera's frame

    def process(
        self,
        stamp_ns: int,
        left_bgr: np.ndarray,
        right_bgr: np.ndarray | None,
        hurry: bool = False,
    ) -> VisualFeatures:
        """Process an image pair."""
        started = time.process_time()
        features = self._process(stamp_ns, left_bgr, right_bgr, hurry)
        self.spent_s.append(time.process_time() - started)
        self.places += [(stamp_ns, face.position) for face in features.faces]
        return features


def search_result(
    recording: Recording, every: int, progress: Callable[[float], None] = lambda fraction: None
) -> SearchResult:
    """Track a recording that has truth.

    Parameters
    ----------
    recording
        With images and truth.
    every
        Images from one look at the whole image to the next.
    progress
        Called with the fraction done.
    """
    vision = VisualFrontEndConfig(search=FaceSearchConfig(every))
    pipeline = OfflinePipeline(recording, PipelineConfig(vision=vision))
    front_end = pipeline.vision
    assert front_end is not None and recording.truth is not None
    eyes = _TimedEyes(front_end)
    front_end.process = eyes.process  # type: ignore[method-assign]
    frames = pipeline.run(progress)
    metrics = evaluate(
        collect_tracks(frames, START_NS),
        recording.truth,
        answered_s=answered_times(frames, START_NS),
    )
    return SearchResult(
        every,
        recording.num_frames,
        front_end.whole_images,
        MS * float(np.sum(eyes.spent_s)) / recording.num_frames,
        MS * float(np.percentile(eyes.spent_s, 99)),
        _number(metrics.mota),
        _number(metrics.idf1),
        metrics.id_switches,
        _number(metrics.position_rmse_m),
        _depth_rmse_m(recording, eyes.places),
    )


def _number(value: float | None) -> float:
    """Give a figure, not a number where there is none."""
    return float('nan') if value is None else value


def _depth_rmse_m(recording: Recording, places: list[tuple[int, np.ndarray]]) -> float:
    """RMS of the depth of each face against that of the person it is nearest to in the image."""
    truth = recording.truth
    camera = recording.head.camera
    assert truth is not None and camera is not None
    optical_from_base = camera.base_from_optical.inverse()
    heads = optical_from_base.apply(truth.position)
    errors = []
    for stamp_ns, place in places:
        now = np.abs(truth.time_s - 1e-9 * (stamp_ns - START_NS)) < 0.5 / recording.frame_rate
        there = heads[now & (heads[:, 2] > 0)]
        if len(there):
            offset = np.linalg.norm(there[:, :2] / there[:, 2:] - place[:2] / place[2], axis=1)
            errors.append(place[2] - there[offset.argmin(), 2])
    return float(np.sqrt(np.mean(np.square(errors)))) if errors else float('nan')
