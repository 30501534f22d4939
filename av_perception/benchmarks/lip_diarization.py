# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who speaks with lips and without, on the same tracks and sound: planted openings, and images.

A planted opening follows the truth: it moves like syllables from 0.12 s before somebody speaks to
0.08 s after, and trembles a little at rest.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from av_perception.benchmarks.diarization import (
    METHODS,
    Answers,
    Figures,
    Mouths,
    Scene,
    judge,
    measure,
)
from av_perception.benchmarks.rendered_scenes import truth_of
from av_perception.diarization.speaking_estimator import SpeakingEstimatorConfig
from av_perception.geometry.time import seconds
from av_perception.interfaces import MouthCrop, MouthFrame, TrackFrame

WITHOUT = 'joint'
PLANTED = 'joint, planted lips'
OWN = 'joint, lips of the images'
_LEAD, _LAG = 3, 2  # images
_MATCH_M = 0.5
_BLANK = (np.full((67, 67), 100, np.uint8), np.full((34, 67), 100, np.uint8))


def compare(name: str, scene: Scene, own: Mouths) -> list[Figures]:
    """Judge a scene without lips, with planted ones and with those of its images."""
    found = []
    for method, mouths in ((WITHOUT, None), (PLANTED, planted(scene)), (OWN, own)):
        METHODS[method] = partial(answers, mouths=mouths)
        found.append(measure(name, scene, method))
    return found


def answers(scene: Scene, mouths: Mouths | None) -> Answers:
    """Run the method `joint`, with lips where there are mouths."""
    config = SpeakingEstimatorConfig(audio_wait_s=math.inf, lips=mouths is not None)
    return judge(scene, config, mouths)


def planted(scene: Scene) -> Mouths:
    """Mouths whose opening follows who really speaks, by stamp of the image."""
    truth = truth_of(scene.recording)
    times_s = np.unique(truth.time_s)
    ids = np.unique(truth.id)
    random = np.random.default_rng(0)
    opening = {}
    for key in ids:
        speaks = truth.speaking[truth.id == key]
        opening[int(key)] = _opening(speaks, random)
    found = {}
    for frame in scene.frames:
        index = int(np.abs(times_s - seconds(frame.stamp_ns - scene.start_ns)).argmin())
        rows = np.flatnonzero(truth.time_s == times_s[index])
        found[frame.stamp_ns] = _mouths(frame, truth, rows, index, opening)
    return found


def _opening(speaks: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(T,) of somebody who speaks or not, image by image."""
    moves = np.convolve(speaks, np.ones(_LEAD + _LAG + 1), 'full')[_LEAD:][: len(speaks)] > 0
    phase = 2 * np.pi * 0.17 * np.arange(len(speaks)) + random.uniform(0, 2 * np.pi)
    syllables = 0.25 + 0.2 * np.sin(phase) + 0.08 * random.normal(size=len(speaks))
    return np.where(moves, np.abs(syllables), 0.05) + 0.02 * random.normal(size=len(speaks))


def _mouths(frame: TrackFrame, truth, rows: np.ndarray, index: int, opening: dict) -> MouthFrame:
    """Give the mouths of those tracks that are people."""
    found = []
    for track in frame.tracks:
        if track.box is None:
            continue
        distance = np.linalg.norm(truth.position[rows] - track.mean[:3], axis=1)
        if distance.min() < _MATCH_M:
            key = int(truth.id[rows[distance.argmin()]])
            crop = MouthCrop(track.box, *_BLANK, reliability=1.0)
            found.append(replace(crop, opening=float(opening[key][index])))
    return MouthFrame(frame.stamp_ns, tuple(found))
