# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Trackers compared on generated scenes of heads that walk before a camera."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from av_perception.benchmarks.comparison import SPACES, TRACKERS, Space, scene_length
from av_perception.benchmarks.sensors import camera_of
from av_perception.benchmarks.summary import averaged
from av_perception.robot_head.profile import load_head
from av_perception.simulation.box_scenes import BoxScene, BoxSceneConfig, box_scene

HEAD = 'simulated'
SCENES = {
    'calm': BoxSceneConfig(people=3, clutter=0.5),
    'busy': BoxSceneConfig(people=5, clutter=1.0),
}


@dataclass(frozen=True)
class TrackerResult:
    """Figures of one tracker on one scene."""

    #: 'boxes' or 'positions'
    space: str
    #: kind of the scene, of SCENES
    scene: str
    #: of the scene
    seed: int
    #: one of TRACKERS
    tracker: str
    #: id switches per minute
    id_switches_per_minute: float
    #: MOTA, at most 1; None without truth
    mota: float | None
    #: IDF1 in [0, 1]; None without truth
    idf1: float | None
    #: HOTA in [0, 1]; None without truth
    hota: float | None
    #: OSPA [px] of boxes, [m] of positions; None without truth
    ospa: float | None
    #: median time of a step [ms]
    median_ms: float
    #: 99th percentile of the time of a step [ms]
    p99_ms: float


def make_scenes(seeds: int, seconds: float) -> dict[tuple[str, int], BoxScene]:
    """Generate the scenes.

    Parameters
    ----------
    seeds
        Scenes of each kind.
    seconds
        Length of a scene [s].

    Returns
    -------
    dict
        The scenes by kind and seed.
    """
    camera = camera_of(load_head(HEAD))
    return {
        (kind, seed): box_scene(replace(config, duration_s=seconds), camera, seed)
        for kind, config in SCENES.items()
        for seed in range(seeds)
    }


def measure(scenes: dict[tuple[str, int], BoxScene]) -> Iterator[TrackerResult]:
    """Run every tracker on every scene, in both spaces.

    Parameters
    ----------
    scenes
        From `make_scenes`.

    Yields
    ------
    TrackerResult
        One per scene, space and tracker.
    """
    head = load_head(HEAD)
    frame_rate = camera_of(head).frame_rate
    for (kind, seed), scene in scenes.items():
        minutes = scene_length(scene) / frame_rate / 60
        for build in SPACES.values():
            space = build(SCENES[kind], head)
            for name in TRACKERS:
                yield run_tracker(space, name, scene, minutes, kind, seed)


def run_tracker(
    space: Space, name: str, scene: BoxScene, minutes: float, kind: str, seed: int = 0
) -> TrackerResult:
    """Run one tracker on one scene, and score it.

    Parameters
    ----------
    space
        What is tracked.
    name
        One of TRACKERS.
    scene, minutes
        Its detections and truth, and how long it lasts.
    kind, seed
        Which scene it is, for the tables.

    Returns
    -------
    TrackerResult
        Accuracy, and the time of a step.
    """
    tracks, step_s = space.run(name, scene)
    scores = space.score(tracks, scene)
    return TrackerResult(
        space=space.name,
        scene=kind,
        seed=seed,
        tracker=name,
        id_switches_per_minute=scores.id_switches / minutes,
        mota=scores.mota,
        idf1=scores.idf1,
        hota=scores.hota,
        ospa=scores.ospa,
        median_ms=float(np.median(step_s) * 1e3),
        p99_ms=float(np.percentile(step_s, 99) * 1e3),
    )


def summarize(results: list[TrackerResult]) -> list[dict]:
    """Average over the scenes of every space, kind and tracker.

    Parameters
    ----------
    results
        From `measure`.

    Returns
    -------
    list of dict
        Rows with space, scene, tracker and the means of the figures, see `averaged`.
    """
    return averaged(results, ('space', 'scene', 'tracker'), ['seed'])
