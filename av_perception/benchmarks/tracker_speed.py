# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Time of a tracker step on made-up input of any size: people, faces, sub-bands."""

from __future__ import annotations

import dataclasses
import gc
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from av_perception.benchmarks.sensors import camera_of
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.interfaces import AudioFeatures, Face, VisualFeatures
from av_perception.robot_head.profile import HeadProfile
from av_perception.tracking.inference.variational_frame import InferenceConfig
from av_perception.tracking.tracker import Tracker, TrackerConfig

LEAST_STEPS = 20
_PERIOD_NS = 40_000_000
_WARM_UP = 15  # steps in which the people are born


@dataclass(frozen=True)
class ProblemSize:
    """Size of the problem."""

    #: people who stand in front of the head; one of them speaks
    people: int = 8
    #: faces; those beyond the people are false
    faces: int = 10
    #: sub-bands of the acoustic map
    subbands: int = 16
    #: components of a sub-band's features
    components: int = 48
    #: affine pieces of the acoustic map
    pieces: int = 32
    #: rounds of the inference
    iterations: int = 4


SWEEPS = {
    'people': [ProblemSize(people=n, faces=max(n, 10)) for n in (1, 2, 4, 8, 16)],
    'faces': [ProblemSize(people=min(n, 8), faces=n) for n in (1, 5, 10, 20)],
    'subbands': [ProblemSize(subbands=n) for n in (4, 8, 16, 32)],
}


@dataclass(frozen=True)
class Timing:
    """Time of a step at one size."""

    #: of the problem
    size: ProblemSize
    #: median time of a step [ms]
    median_ms: float
    #: 99th percentile of the time of a step [ms]
    p99_ms: float
    #: how many people were in fact tracked
    tracks: int


def measure(size: ProblemSize, head: HeadProfile, steps: int) -> Timing:
    """Time steps of the tracker after the people are born.

    Parameters
    ----------
    size
        Of the problem; all rounds of the inference run (no early stop).
    head
        A head with a camera.
    steps
        How many steps are timed.

    Returns
    -------
    Timing
        Median and 99th percentile.
    """
    rng = np.random.default_rng(0)
    inference = InferenceConfig(iterations=size.iterations, tolerance=0.0)
    config = dataclasses.replace(TrackerConfig(), inference=inference)
    acoustic_map = _planted_map(size, rng)
    tracker = Tracker(config, head, acoustic_map)
    places = _places(size.people)
    times = []
    gc.collect()
    for index in range(_WARM_UP + steps):
        stamp_ns = (index + 1) * _PERIOD_NS
        visual = _image(stamp_ns, places, size.faces, head, rng)
        audio = _speech(stamp_ns, places[0], acoustic_map, rng)
        start = time.perf_counter()
        frame = tracker.step(stamp_ns, visual, audio)
        times.append((time.perf_counter() - start) * 1e3)
    timed = times[_WARM_UP:]
    median, p99 = np.percentile(timed, (50, 99))
    return Timing(size, float(median), float(p99), len(frame.tracks))


def _places(people: int) -> np.ndarray:
    """(people, 3) positions [m] in rows of eight, in view."""
    index = np.arange(people)
    depth = 2.0 + 1.5 * (index // 8)
    return np.stack([depth, depth * 0.15 * (index % 8 - 3.5), np.full(people, 0.1)], axis=1)


def _image(
    stamp_ns: int, places: np.ndarray, faces: int, head: HeadProfile, rng: np.random.Generator
) -> VisualFeatures:
    """Show people's faces (at most `faces`) with 2 cm of noise, and false ones for the rest."""
    camera = camera_of(head)
    depth = rng.uniform(1, 5, faces)
    slopes = [rng.uniform(-0.5, 0.5, faces), rng.uniform(-0.3, 0.3, faces)]
    false = np.stack([depth, *(slope * depth for slope in slopes)], axis=1)
    base = np.concatenate([places, false])[:faces] + rng.normal(0, 0.02, (faces, 3))
    optical = camera.base_from_optical.inverse().apply(base)
    landmarks = np.zeros((5, 2))
    covariance = np.eye(3) * 4e-4
    shown = tuple(
        Face(np.array([*corner, 50.0, 50.0]), 0.9, landmarks, position, covariance)
        for corner, position in zip(camera.project(optical), optical)
    )
    return VisualFeatures(stamp_ns, shown)


def _planted_map(size: ProblemSize, rng: np.random.Generator) -> SimpleNamespace:
    """Make an acoustic map of random smooth features; only its shape matters for speed."""
    shape = (size.subbands, size.pieces)
    azimuth = 2 * np.pi * np.arange(size.pieces) / size.pieces
    centers = direction_from_angles(azimuth, np.zeros(size.pieces))
    precision = np.tile(np.eye(3) * 30.0, (*shape, 1, 1))
    return SimpleNamespace(
        log_weight=np.full(shape, -np.log(size.pieces)),
        center=np.tile(centers, (size.subbands, 1, 1)),
        center_precision=precision,
        center_log_det_precision=np.linalg.slogdet(precision)[1],
        slope=rng.normal(0, 2, (*shape, size.components, 3)),
        offset=rng.normal(0, 0.3, (*shape, size.components)),
        variance=np.full((*shape, size.components), 0.05),
        log_range=np.full(size.components, np.log(2.0)),
        num_microphones=2,
    )


def _speech(
    stamp_ns: int, place: np.ndarray, acoustic_map: SimpleNamespace, rng: np.random.Generator
) -> AudioFeatures:
    """Let one talker at `place` be heard in all sub-bands."""
    direction = place / np.linalg.norm(place)
    piece = int(np.argmax(acoustic_map.center[0] @ direction))
    clean = acoustic_map.slope[:, piece] @ direction + acoustic_map.offset[:, piece]
    vectors = clean + rng.normal(0, 0.2, clean.shape)
    heard = np.ones(vectors.shape, bool)
    num_bands = len(vectors)
    return AudioFeatures(
        stamp_ns, 1.0, vectors, heard, np.ones(num_bands), np.ones(num_bands, bool)
    )


def plot_sweeps(sweeps: dict[str, list[Timing]], path: str | Path) -> None:
    """Draw how the time of a step grows.

    Parameters
    ----------
    sweeps
        Timings by the name of what grows, a field of ProblemSize.
    path
        File to write (png, svg, pdf).
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2), layout='constrained')
    row = figure.subplots(1, len(sweeps), sharey=True, squeeze=False)[0]
    for axes, (name, timings) in zip(row, sweeps.items()):
        counts = [getattr(t.size, name) for t in timings]
        axes.plot(counts, [t.median_ms for t in timings], 'o-', label='median')
        axes.plot(counts, [t.p99_ms for t in timings], 's--', label='99th percentile')
        axes.set(xlabel=name, ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.axes[0].set_ylabel('time of a step [ms]')
    figure.savefig(path)
