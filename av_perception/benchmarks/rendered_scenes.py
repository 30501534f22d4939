# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Ids, places and speech of the whole suite on rendered scenes, offline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.benchmarks.hearing_cost import KeepingPipeline
from av_perception.evaluation.metrics import Metrics, evaluate
from av_perception.geometry.time import seconds
from av_perception.interfaces import VisualFeatures
from av_perception.pipelines.full import START_NS
from av_perception.recording import Recording, TruthTable
from av_perception.recording.collect import collect_tracks
from av_perception.simulation.cache import scene_recording, simulated_recording
from av_perception.simulation.crossing_scenes import crossing_scene
from av_perception.simulation.crossings import CROSSINGS

_SAME_S = 1e-3  # stamps closer than this are of one image
FOUND_M = 0.5  # a face that is farther off is not of that person
SCENES = ('three_talkers', 'crossing', 'partial_view')
Report = Callable[[float, str], None]  # fraction in [0, 1], what is going on


@dataclass(frozen=True)
class SceneResult:
    """Figures of one scene and seed, as `evaluate` defines them.

    Places are compared by position where people were seen, by direction where they were only
    heard.
    """

    #: name of the scene
    scene: str
    #: of turns and noise; None: the scene's own
    seed: int | None
    #: length [min]
    minutes: float
    #: people in truth
    people: int
    #: different ids given to active tracks
    ids: int
    #: id switches by direction, of people seen or heard
    id_switches: int
    #: share of the images of people in view that their face was found in; who is not found is
    #: missed, or guessed by the tracker
    faces_found: float | None
    #: MOTA of people seen
    mota_seen: float | None
    #: IDF1 of people seen
    idf1_seen: float | None
    #: [s] that the oldest track of nobody was shown
    oldest_ghost_s: float
    #: position error of people seen, RMS [m]
    position_rmse_seen_m: float | None
    #: azimuth error of people only heard [deg]
    azimuth_error_heard_deg: float | None
    #: diarization error rate
    der: float | None


def truth_of(recording: Recording) -> TruthTable:
    """Look up the truth of a rendered recording, which has it always."""
    assert recording.truth is not None
    return recording.truth


def measure(
    scene: str, seed: int | None, report: Report, timelines: Path | None = None
) -> SceneResult:
    """Render, track and compare one scene.

    Parameters
    ----------
    scene
        Name or file, or one of CROSSINGS.
    seed
        Of turns and noise; None: the scene's own.
    report
        Told of the progress.
    timelines
        Folder for a picture of who was where and who spoke.

    Returns
    -------
    SceneResult
        Figures against the truth.
    """
    name = Path(scene).stem
    recording = _recording(scene, seed, lambda fraction, _: report(fraction, f'render {name}'))
    pipeline = KeepingPipeline(recording)
    frames = pipeline.run(lambda fraction: report(fraction, f'track {name}'))
    tracks = collect_tracks(frames, START_NS)
    truth = truth_of(recording)
    metrics = evaluate(tracks, truth)
    if timelines:
        from av_perception.visualization.timeline import plot_timeline

        suffix = '' if seed is None else f'_{seed}'
        path = timelines / f'{name}{suffix}.png'
        plot_timeline(tracks, truth, path, title=name, metrics=metrics, head=recording.head)
    ids = len(np.unique(tracks.id[tracks.status == 'active']))
    found = found_share(pipeline.faces, truth, recording)
    return _result(name, seed, recording, metrics, ids, found)


def found_share(
    images: list[VisualFeatures], truth: TruthTable, recording: Recording
) -> float | None:
    """Tell in how many of the images of people in view their face was found.

    Parameters
    ----------
    images
        Faces that were found; stamps count from START_NS.
    truth, recording
        Who was in view, and of which head.

    Returns
    -------
    float or None
        Share of the rows of truth in view with a face within FOUND_M; None without such rows.
    """
    camera = recording.head.camera
    if camera is None or not truth.visible.any():
        return None
    found = []
    for image in images:
        now = truth.visible & (abs(truth.time_s - seconds(image.stamp_ns - START_NS)) < _SAME_S)
        optical = np.array([face.position for face in image.faces]).reshape(-1, 3)
        base = camera.base_from_optical.apply(optical)
        distance = np.linalg.norm(truth.position[now][:, None] - base, axis=-1)
        found.append((distance < FOUND_M).any(axis=1))
    return float(np.concatenate(found).sum() / truth.visible.sum()) if found else 0.0


def _recording(scene: str, seed: int | None, report: Report) -> Recording:
    """Render a scene; of a crossing the seed draws the walks and who walks as well."""
    if scene not in CROSSINGS:
        return simulated_recording(scene, seed, report)
    return scene_recording(crossing_scene(scene, seed or 0), scene, None, report)


def _result(
    name: str,
    seed: int | None,
    recording: Recording,
    metrics: Metrics,
    ids: int,
    faces_found: float | None,
) -> SceneResult:
    return SceneResult(
        scene=name,
        seed=seed,
        minutes=recording.duration_s / 60,
        people=len(metrics.people),
        ids=ids,
        id_switches=metrics.by_direction['all'].id_switches,
        faces_found=faces_found,
        mota_seen=metrics.seen.mota,
        idf1_seen=metrics.seen.idf1,
        oldest_ghost_s=metrics.oldest_ghost_s,
        position_rmse_seen_m=metrics.seen.position_rmse_m,
        azimuth_error_heard_deg=metrics.by_direction['heard_only'].azimuth_error_deg,
        der=metrics.der,
    )


def switches_per_minute(results: list[SceneResult]) -> float:
    """Divide the id switches of all scenes by their length [1/min]."""
    return sum(r.id_switches for r in results) / sum(r.minutes for r in results)
