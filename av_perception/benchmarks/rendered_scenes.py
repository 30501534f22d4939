# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Ids, places and speech of the whole suite on rendered scenes, offline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.evaluation.metrics import Metrics, evaluate
from av_perception.pipelines.full import START_NS, OfflinePipeline
from av_perception.recording import Recording, TruthTable
from av_perception.recording.collect import collect_tracks
from av_perception.simulation.cache import scene_recording, simulated_recording
from av_perception.simulation.crossing_scenes import crossing_scene
from av_perception.simulation.crossings import CROSSINGS

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
    frames = OfflinePipeline(recording).run(lambda fraction: report(fraction, f'track {name}'))
    tracks = collect_tracks(frames, START_NS)
    truth = truth_of(recording)
    metrics = evaluate(tracks, truth)
    if timelines:
        from av_perception.visualization.timeline import plot_timeline

        suffix = '' if seed is None else f'_{seed}'
        path = timelines / f'{name}{suffix}.png'
        plot_timeline(tracks, truth, path, title=name, metrics=metrics, head=recording.head)
    ids = len(np.unique(tracks.id[tracks.status == 'active']))
    return _result(name, seed, recording, metrics, ids)


def _recording(scene: str, seed: int | None, report: Report) -> Recording:
    """Render a scene; of a crossing the seed draws the walks and who walks as well."""
    if scene not in CROSSINGS:
        return simulated_recording(scene, seed, report)
    return scene_recording(crossing_scene(scene, seed or 0), scene, None, report)


def _result(
    name: str, seed: int | None, recording: Recording, metrics: Metrics, ids: int
) -> SceneResult:
    return SceneResult(
        scene=name,
        seed=seed,
        minutes=recording.duration_s / 60,
        people=len(metrics.people),
        ids=ids,
        id_switches=metrics.by_direction['all'].id_switches,
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
