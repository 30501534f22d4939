# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Somebody hides and is silent; then they, or a stranger, are seen near that place.

The tracker gets the faces of people whose looks were taken from rendered images. What is seen of
somebody within a second is one image's description and a little noise; who comes back is described
by another image, at another distance in another light.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from av_perception.benchmarks.appearance_accuracy import DescribedPeople
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import Face, VisualFeatures
from av_perception.robot_head.profile import HeadProfile
from av_perception.tracking.tracker import Tracker
from av_perception.tracking.tracker_config import TrackerConfig

FRAME_S = 0.04
SEEN_S = 2.0
HIDDEN_FRAME_S = 0.1
RETURN_IMAGES = 25
_DESCRIBED_EVERY = 2  # images, as the front end does by default
_LOOKS_NOISE = 0.02  # from image to image in one place
_POSITION_STD_M = 0.01
_WALKED_M = 0.3  # standard deviation on each axis of where they come back
_FACE_M = (0.135, 0.18)
STRANGERS = ('same', 'different', 'alike')


@dataclass(frozen=True)
class ReturnFigures:
    """Shares in [0, 1] of the trials.

    Attributes
    ----------
    hidden_s
        How long they were neither seen nor heard [s].
    trials
        Of each kind.
    same_id
        Who came back had the id of before.
    new_id_different
        A stranger in different clothes had a new one.
    new_id_alike
        A stranger in the same clothes had a new one.
    """

    hidden_s: float
    trials: int
    same_id: float
    new_id_different: float
    new_id_alike: float


def measure_returns(
    looks: DescribedPeople,
    head: HeadProfile,
    config: TrackerConfig,
    hidden_s: float,
    trials: int,
    progress: Callable[[], None] = lambda: None,
) -> ReturnFigures:
    """Play trials of all three kinds.

    Parameters
    ----------
    looks
        Of people that the model of looks was not learned from, several images each.
    head, config
        Of the tracker.
    hidden_s
        How long the person is away [s].
    trials
        Of each kind.
    progress
        Called after each trial.

    Returns
    -------
    ReturnFigures
        Which ids the tracker gave.
    """
    share = {}
    for kind in STRANGERS:
        random = np.random.default_rng(11)
        kept = []
        for _ in range(trials):
            before, after = _draw_pair(looks, kind, random)
            kept.append(_keeps_id(before, after, head, config, hidden_s, random))
            progress()
        share[kind] = float(np.mean(kept))
    return ReturnFigures(
        hidden_s, trials, share['same'], 1 - share['different'], 1 - share['alike']
    )


def _draw_pair(
    looks: DescribedPeople, kind: str, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Two different images' looks (A,): of one person, or of a person and a stranger."""
    shown = np.isfinite(looks.appearance).any(axis=1)
    while True:
        first = int(random.choice(np.flatnonzero(shown)))
        together = shown & (looks.group == looks.group[first])
        own = looks.person == looks.person[first]
        if kind == 'same':
            candidates = shown & own
        elif kind == 'alike':
            candidates = together & ~own & looks.alike[first]
        else:
            candidates = shown & ~own & ~(together & looks.alike)
        candidates[first] = False
        if candidates.any():
            second = int(random.choice(np.flatnonzero(candidates)))
            return looks.appearance[first], looks.appearance[second]


def _keeps_id(
    before: np.ndarray,
    after: np.ndarray,
    head: HeadProfile,
    config: TrackerConfig,
    hidden_s: float,
    random: np.random.Generator,
) -> bool:
    """Whether who is seen after the absence has the id of before."""
    tracker = Tracker(config, head)
    place = np.array([random.uniform(-0.5, 0.5), random.uniform(-0.1, 0.1), 2.0])
    times = np.arange(0.0, SEEN_S, FRAME_S)
    for index, time_s in enumerate(times):
        frame = _step(tracker, time_s, head, index, place, before, random)
    known = {track.id for track in frame.tracks}
    for time_s in np.arange(SEEN_S, SEEN_S + hidden_s, HIDDEN_FRAME_S):
        tracker.step(nanoseconds(time_s + 1.0), VisualFeatures(nanoseconds(time_s + 1.0)), None)
    place = place + random.normal(0, _WALKED_M, 3) * [1, 0.1, 1]
    for index in range(RETURN_IMAGES):
        time_s = SEEN_S + hidden_s + index * FRAME_S
        frame = _step(tracker, time_s, head, index, place, after, random)
    seen = {track.id for track in frame.tracks if track.seen}
    return bool(seen & known)


def _step(
    tracker: Tracker,
    time_s: float,
    head: HeadProfile,
    index: int,
    place: np.ndarray,
    looks: np.ndarray,
    random: np.random.Generator,
):
    camera = head.camera
    assert camera is not None
    position = place + random.normal(0, _POSITION_STD_M, 3)
    size = np.array(camera.focal) * _FACE_M / position[2]
    box = np.append(camera.project(position) - size / 2, size)
    appearance = np.zeros(0)
    if index % _DESCRIBED_EVERY == 0:
        appearance = looks + random.normal(0, _LOOKS_NOISE, len(looks))
    covariance = _POSITION_STD_M**2 * np.eye(3)
    stamp_ns = nanoseconds(time_s + 1.0)
    face = Face(box, 0.9, np.zeros((5, 2)), position, covariance, appearance=appearance)
    return tracker.step(stamp_ns, VisualFeatures(stamp_ns, (face,)), None)
