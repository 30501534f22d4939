# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""One picture of a run: where everybody was, who spoke, a plan of the room, and the figures.

Thick and light is the truth, thin and dark the estimate. An estimate has the color of its id (as
in the overlay and in rviz), a person of the truth color and name of the id which covered them
best: a change of id shows as a change of color.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from av_perception.errors import UserError
from av_perception.evaluation.metrics import Metrics
from av_perception.recording.tables import TrackTable, TruthTable
from av_perception.robot_head import HeadProfile
from av_perception.visualization.timeline_azimuth import draw_azimuth
from av_perception.visualization.timeline_plan import draw_plan
from av_perception.visualization.timeline_scene import SIZE_PX, TimelineScene, make_scene
from av_perception.visualization.timeline_speech import draw_speech
from av_perception.visualization.timeline_text import draw_footer, draw_key


def plot_timeline(
    tracks: TrackTable,
    truth: TruthTable | None,
    path,
    title: str = 'Who was where, and who spoke',
    metrics: Metrics | None = None,
    head: HeadProfile | None = None,
    match_distance_m: float = 0.5,
    answered_s: np.ndarray | None = None,
    voices: Mapping[int, np.ndarray] | None = None,
) -> None:
    """Write the picture, a PNG of 1600 x 1100 pixels.

    Parameters
    ----------
    tracks, truth
        What was said, and what was so; None where nobody knows.
    path, title
        The file, and its headline.
    metrics, head
        Figures to print at the foot; whose camera's field of view is drawn.
    match_distance_m
        [m] farther than this an estimate is not of that person.
    answered_s
        [s] times of the images of which something was said, see `align`; others are marked.
    voices
        Of `voice_peaks`, by id of the track; drawn in place of the probability of speaking.

    Raises
    ------
    UserError
        When the file cannot be written, or the truth cannot be scored.
    """
    scene = make_scene(tracks, truth, match_distance_m, answered_s)
    figure = _draw(scene, title, metrics, head, voices or {})
    try:
        figure.savefig(str(path))
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror}') from error


def _draw(
    scene: TimelineScene,
    title: str,
    metrics: Metrics | None,
    head: HeadProfile | None,
    voices: Mapping[int, np.ndarray],
) -> Figure:
    """Lay out the panels and draw them."""
    camera = None if head is None else head.camera
    figure = Figure(figsize=(SIZE_PX[0] / 100, SIZE_PX[1] / 100), dpi=100, facecolor='white')
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        2,
        2,
        width_ratios=(2.05, 1),
        height_ratios=(1.15, 1),
        left=0.062,
        right=0.985,
        top=0.915,
        bottom=0.108,
        hspace=0.17,
        wspace=0.21,
    )
    azimuth = figure.add_subplot(grid[0, 0])
    speech = figure.add_subplot(grid[1, 0])
    right = grid[:, 1].subgridspec(2, 1, height_ratios=(2.5, 1), hspace=0.2)
    draw_azimuth(azimuth, scene, camera)
    draw_speech(speech, scene, voices)
    speech.sharex(azimuth)
    draw_plan(figure.add_subplot(right[0]), scene, camera)
    draw_key(figure.add_subplot(right[1]), scene.has_truth)
    figure.text(0.062, 0.957, title, fontsize=19, weight='bold')
    draw_footer(figure, metrics)
    return figure
