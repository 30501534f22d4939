# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How much a figure of a crossing is worth: the same walks with every face moved a little.

A single run of a crossing is a coin: a pixel decides whether a half-hidden face is believed. The
spread over such pixels says what a change of the figure means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from av_perception.benchmarks.comparison import OURS
from av_perception.benchmarks.crossing_faces import CrossingResult, staged
from av_perception.interfaces import Face
from av_perception.robot_head.profile import CameraGeometry
from av_perception.simulation.crossing_faces import FaceScene

PIXEL_SD = 1.0  # [px] that a face is moved by


@dataclass(frozen=True)
class Spread:
    """Figures of our tracker over all disturbances of the scenes of one kind."""

    #: kind of the scenes, of CROSSINGS
    kind: str
    #: scenes, and runs of each, the undisturbed one among them
    scenes: int
    runs: int
    #: standard deviation of MOTA over the runs of a scene, mean over the scenes
    mota_sd: float
    #: the worst runs of all: MOTA, IDF1, and the oldest ghost [s]
    worst_mota: float
    worst_idf1: float
    oldest_ghost_s: float
    #: share of the runs in which everybody kept one id of their own
    right_ids: float


def disturbed(scene: FaceScene, camera: CameraGeometry, seed: int) -> FaceScene:
    """Move every face of a scene, box and place, by about a pixel.

    Parameters
    ----------
    scene, camera
        What was detected, in whose left image.
    seed
        Of the disturbance, not negative; 0: none.
    """
    if not seed:
        return scene
    random = np.random.default_rng([seed, 3])
    images = []
    for image in scene.images:
        faces = tuple(
            _moved(face, PIXEL_SD * random.normal(size=2), camera) for face in image.faces
        )
        images.append(replace(image, faces=faces))
    return replace(scene, images=tuple(images))


def _moved(face: Face, pixels: np.ndarray, camera: CameraGeometry) -> Face:
    """Move a face by (2,) pixels, at the same depth."""
    box = face.box + np.append(pixels, [0.0, 0.0])
    across = pixels / camera.focal * face.position[2]
    return replace(face, box=box, position=face.position + np.append(across, 0.0))


def measure_disturbed(
    kinds: Sequence[str], seeds: Sequence[int], disturbances: int, looks: bool = True
) -> Iterator[list[CrossingResult]]:
    """Run our tracker on every scene undisturbed, and with so many disturbances.

    Parameters
    ----------
    kinds, seeds, looks
        As of `crossing_faces.measure`.
    disturbances
        Of each scene.

    Yields
    ------
    list of CrossingResult
        One per scene: of all its runs.
    """
    for kind in kinds:
        for seed in seeds:
            case = staged(kind, seed, looks)
            results = []
            for disturbance in range(disturbances + 1):
                other = replace(case, scene=disturbed(case.scene, case.camera, disturbance))
                results.append(other.run(OURS))
            yield results


def spreads(scenes: Sequence[Sequence[CrossingResult]]) -> list[Spread]:
    """Sum up the runs of each kind, in the order of the kinds.

    Parameters
    ----------
    scenes
        From `measure_disturbed`.
    """
    kinds: dict[str, list[Sequence[CrossingResult]]] = {}
    for runs in scenes:
        kinds.setdefault(runs[0].kind, []).append(runs)
    return [_spread(kind, group) for kind, group in kinds.items()]


def _spread(kind: str, scenes: list[Sequence[CrossingResult]]) -> Spread:
    runs = [run for scene in scenes for run in scene]
    return Spread(
        kind=kind,
        scenes=len(scenes),
        runs=len(scenes[0]),
        mota_sd=float(np.mean([np.std([run.mota for run in scene]) for scene in scenes])),
        worst_mota=min(run.mota for run in runs),
        worst_idf1=min(run.idf1 for run in runs),
        oldest_ghost_s=max(run.oldest_ghost_s for run in runs),
        right_ids=float(np.mean([run.right_ids for run in runs])),
    )
