# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""One picture of a run: where everybody was, who spoke, a plan of the room, and the figures.

Thick and light is the truth, thin and dark the estimate. An estimate has the colour of its id (as in the overlay and in rviz), a person
of the truth that of the id which covered them best: a change of id shows as a change of colour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from scipy.optimize import linear_sum_assignment

from av_perception.errors import UserError
from av_perception.evaluation.diarization import assigned_people
from av_perception.evaluation.frames import Frames, align
from av_perception.evaluation.metrics import Metrics
from av_perception.evaluation.tracking_metrics import match
from av_perception.geometry.rigid_transform import angles_from_direction
from av_perception.recording.tables import TrackTable, TruthTable
from av_perception.robot_head import HeadProfile
from av_perception.visualization.colors import NEUTRAL, Color, color_of, darken, lighten, unit
from av_perception.visualization.timeline_text import draw_footer, draw_key

SIZE_PX = (1600, 1100)
HALO = [withStroke(linewidth=3, foreground='white')]
STRIPES = (0, (0.45, 0.45))


@dataclass(frozen=True)
class _Scene:
    """What all panels draw from. people: (M,) truth id each track row stands for, -1 for nobody's; colors: truth id -> its colour."""

    frames: Frames
    people: np.ndarray
    colors: dict[int, Color]


def plot_timeline(
    tracks: TrackTable,
    truth: TruthTable,
    path,
    title: str = 'Who was where, and who spoke',
    metrics: Metrics | None = None,
    head: HeadProfile | None = None,
    match_distance_m: float = 0.5,
) -> None:
    """Write the picture (PNG, 1600 x 1100 pixels) to `path`. With `head`, its camera's field of view is drawn. Raises UserError."""
    scene = _scene(tracks, truth, match_distance_m)
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
    azimuth, speech = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    right = grid[:, 1].subgridspec(2, 1, height_ratios=(2.5, 1), hspace=0.2)
    _draw_azimuth(azimuth, scene, head)
    _draw_speech(speech, scene)
    speech.sharex(azimuth)
    _draw_plan(figure.add_subplot(right[0]), scene, head)
    draw_key(figure.add_subplot(right[1]))
    figure.text(0.062, 0.957, title, fontsize=19, weight='bold')
    draw_footer(figure, metrics)
    try:
        figure.savefig(str(path), format='png')
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror}') from error


def _scene(tracks: TrackTable, truth: TruthTable, match_distance_m: float) -> _Scene:
    frames = align(tracks, truth)
    pairs = match(frames, frames.distances_m, match_distance_m)
    people, person = np.unique(frames.truth.id, return_inverse=True)
    ids, track = np.unique(frames.tracks.id, return_inverse=True)
    together = np.zeros((len(people), len(ids)))
    np.add.at(together, (person[pairs.truth_row], track[pairs.track_row]), 1)
    own_id = {
        int(people[p]): int(ids[t])
        for p, t in zip(*linear_sum_assignment(-together))
        if together[p, t] > 0
    }
    colors = {int(p): color_of(own_id[int(p)]) if int(p) in own_id else NEUTRAL for p in people}
    return _Scene(frames, assigned_people(frames, pairs), colors)


def _runs(frame: np.ndarray, *keys: np.ndarray) -> list[np.ndarray]:
    """Indices of the stretches of consecutive frames with equal keys."""
    if not len(frame):
        return []
    breaks = np.diff(frame) > 1
    for key in keys:
        breaks |= key[1:] != key[:-1]
    return np.split(np.arange(len(frame)), np.flatnonzero(breaks) + 1)


def _unwrapped_deg(azimuth_rad: np.ndarray) -> np.ndarray:
    """Degrees with a break (NaN) where the angle jumps over +-180, so that no line crosses the picture."""
    degrees = np.degrees(azimuth_rad)
    degrees[1:][np.abs(np.diff(degrees)) > 180] = np.nan
    return degrees


def _azimuth_sigma_deg(tracks: TrackTable, rows: np.ndarray) -> np.ndarray:
    """Standard deviation of the azimuth atan2(y, x) to first order: J = (-y, x) / (x^2 + y^2)."""
    x, y = tracks.position[rows, 0], tracks.position[rows, 1]
    xx, xy, yy = tracks.covariance[rows][:, [0, 1, 3]].T
    variance = (y**2 * xx - 2 * x * y * xy + x**2 * yy) / np.maximum(x**2 + y**2, 1e-6) ** 2
    return np.degrees(np.sqrt(np.clip(variance, 0, np.pi**2)))


def _draw_azimuth(axes, scene: _Scene, head: HeadProfile | None) -> None:
    frames = scene.frames
    times, truth, tracks = frames.time_s, frames.truth, frames.tracks
    for person, color in scene.colors.items():
        rows = np.flatnonzero(truth.id == person)
        for run in _runs(frames.truth_frame[rows], truth.visible[rows]):
            part = rows[run]
            degrees = _unwrapped_deg(angles_from_direction(truth.position[part])[0])
            style = '-' if truth.visible[part[0]] else STRIPES
            axes.plot(
                times[frames.truth_frame[part]],
                degrees,
                color=unit(lighten(color, 0.6)),
                lw=9,
                ls=style,
                solid_capstyle='butt',
                dash_capstyle='butt',
                zorder=2,
            )
    for track_id in np.unique(tracks.id):
        _draw_track_azimuth(axes, scene, int(track_id))
    _label_people(axes, scene)
    if head is not None and head.camera is not None:
        low, high = _field_of_view_deg(head)
        axes.axhspan(low, high, color='0.955', zorder=0)
        axes.set_title("grey: in the camera's view", loc='right', fontsize=10, color='0.45')
    axes.set_title('Where: azimuth of each person', loc='left', fontsize=13, weight='bold')
    axes.yaxis.set_major_formatter(lambda value, _: f'{value:+.0f}°' if value else '0°')
    axes.yaxis.set_major_locator(_degree_locator(axes))
    axes.set_ylabel('← right      ahead is 0°      left →', fontsize=10, color='0.35')
    axes.set_xlim(times[0] if len(times) else 0, times[-1] if len(times) > 1 else 1)
    _tidy(axes)


def _draw_track_azimuth(axes, scene: _Scene, track_id: int) -> None:
    frames, tracks = scene.frames, scene.frames.tracks
    rows = np.flatnonzero(tracks.id == track_id)
    color = unit(darken(color_of(track_id), 0.25))
    for run in _runs(frames.track_frame[rows]):
        part = rows[run]
        at, degrees = (
            frames.time_s[frames.track_frame[part]],
            _unwrapped_deg(angles_from_direction(tracks.position[part])[0]),
        )
        spread = 2 * _azimuth_sigma_deg(tracks, part)
        axes.fill_between(
            at, degrees - spread, degrees + spread, color=color, alpha=0.2, lw=0, zorder=3
        )
        axes.plot(at, degrees, color=color, lw=1.6, zorder=4)
    nobody = (scene.people[rows] < 0).all()
    begin = (
        frames.time_s[frames.track_frame[rows[0]]],
        np.degrees(angles_from_direction(tracks.position[rows[0]])[0]),
    )
    axes.annotate(
        f'id {track_id}' + (': nobody there' if nobody else ''),
        begin,
        xytext=(3, 9),
        textcoords='offset points',
        color=color,
        fontsize=10.5,
        weight='bold',
        path_effects=HALO,
        zorder=6,
    )


def _label_people(axes, scene: _Scene) -> None:
    """Names at the right edge, at the height of each person's last azimuth, moved apart where they would overlap."""
    truth, names = scene.frames.truth, []
    for person, color in scene.colors.items():
        last = np.flatnonzero(truth.id == person)[-1]
        names.append(
            [
                float(np.degrees(angles_from_direction(truth.position[last])[0])),
                f'person {person}',
                color,
            ]
        )
    low, high = axes.get_ylim()
    names.sort(key=lambda name: name[0])
    for below, above in zip(names, names[1:]):
        above[0] = max(above[0], below[0] + 0.055 * (high - low))
    for height, text, color in names:
        axes.text(
            1.008,
            height,
            text,
            color=unit(darken(color, 0.15)),
            fontsize=11.5,
            weight='bold',
            va='center',
            transform=axes.get_yaxis_transform(),
        )


def _draw_speech(axes, scene: _Scene) -> None:
    frames, truth, tracks = scene.frames, scene.frames.truth, scene.frames.tracks
    ghosts = bool(((scene.people < 0) & tracks.speaking).any())
    names = []
    for row, person in enumerate(scene.colors):
        own = np.flatnonzero((truth.id == person) & truth.speaking)
        bars = [
            (
                frames.time_s[frames.truth_frame[own[run[0]]]] - frames.period_s / 2,
                len(run) * frames.period_s,
            )
            for run in _runs(frames.truth_frame[own])
        ]
        axes.broken_barh(
            bars, (-row + 0.66, 0.2), color=unit(lighten(scene.colors[person], 0.55)), lw=0
        )
        names.append(f'person {person}')
        _draw_speech_estimate(axes, scene, person, -row)
    if ghosts:
        names.append('nobody')
        _draw_speech_estimate(axes, scene, -1, -len(scene.colors))
    for row in range(len(names)):
        axes.axhline(-row - 0.02, color='0.88', lw=1, zorder=0)
        for height, text in (
            ((0.76, 'truth'), (0.53, 'estimate'), (0.2, 'probability')) if len(names) <= 4 else ()
        ):
            axes.text(
                1.008,
                -row + height,
                text,
                fontsize=9,
                color='0.45',
                va='center',
                transform=axes.get_yaxis_transform(),
            )
    axes.set_yticks([-row + 0.5 for row in range(len(names))], names, fontsize=11.5, weight='bold')
    for label, color in zip(axes.get_yticklabels(), list(scene.colors.values()) + [NEUTRAL]):
        label.set_color(unit(darken(color, 0.15)))
    axes.set_ylim(-max(len(names), 1) + 0.95, 1.0)
    axes.set_title('Who spoke', loc='left', fontsize=13, weight='bold')
    axes.set_xlabel('time [s]', fontsize=11)
    _tidy(axes)
    axes.grid(axis='y', visible=False)
    axes.tick_params(axis='y', length=0)


def _draw_speech_estimate(axes, scene: _Scene, person: int, base: float) -> None:
    """Bars of the speaking estimate and below them the probability as a filled curve, of the tracks that stand for the person."""
    frames, tracks = scene.frames, scene.frames.tracks
    for track_id in np.unique(tracks.id[scene.people == person]):
        rows = np.flatnonzero((tracks.id == track_id) & (scene.people == person))
        at, color = frames.time_s[frames.track_frame[rows]], unit(darken(color_of(track_id), 0.25))
        for run in _runs(frames.track_frame[rows]):
            probability = np.clip(tracks.speaking_probability[rows[run]], 0, 1)
            axes.fill_between(
                at[run], base, base + 0.36 * probability, color=color, alpha=0.35, lw=0
            )
        spoken = np.flatnonzero(tracks.speaking[rows])
        bars = [
            (at[spoken[run[0]]] - frames.period_s / 2, len(run) * frames.period_s)
            for run in _runs(frames.track_frame[rows[spoken]])
        ]
        axes.broken_barh(bars, (base + 0.44, 0.2), color=color, lw=0)


def _draw_plan(axes, scene: _Scene, head: HeadProfile | None) -> None:
    """The room from above, x (ahead) up, y (left) to the left."""
    frames, truth, tracks = scene.frames, scene.frames.truth, scene.frames.tracks
    places = np.concatenate([truth.position[:, :2], tracks.position[:, :2], np.zeros((1, 2))])
    reach = 1.15 * max(np.quantile(np.abs(places), 0.995), 1.0)
    box = axes.get_position()
    height = 2 * reach * (box.height * SIZE_PX[1]) / (box.width * SIZE_PX[0])
    lowest, highest = np.quantile(places[:, 0], (0.005, 0.995))
    if head is not None and head.camera is not None:
        wedge = np.radians(np.linspace(*_field_of_view_deg(head), 40))
        axes.fill(
            np.append(-4 * reach * np.sin(wedge), 0),
            np.append(4 * reach * np.cos(wedge), 0),
            color='0.95',
            lw=0,
            zorder=0,
        )
    for person, color in scene.colors.items():
        rows = np.flatnonzero(truth.id == person)
        for run in _runs(frames.truth_frame[rows], truth.visible[rows]):
            axes.plot(
                -truth.position[rows[run], 1],
                truth.position[rows[run], 0],
                color=unit(lighten(color, 0.6)),
                lw=8,
                zorder=2,
                ls='-' if truth.visible[rows[run[0]]] else STRIPES,
                solid_capstyle='butt',
                dash_capstyle='butt',
            )
        x, y = truth.position[rows[-1], :2]
        axes.plot(-y, x, 'o', ms=11, color=unit(color), mec='white', mew=1.5, zorder=5)
        axes.annotate(
            f'person {person}',
            (-y, x),
            xytext=(0, 11),
            textcoords='offset points',
            ha='center',
            fontsize=11,
            weight='bold',
            color=unit(darken(color, 0.15)),
            path_effects=HALO,
            zorder=6,
        )
    for track_id in np.unique(tracks.id):
        rows = np.flatnonzero(tracks.id == track_id)
        for run in _runs(frames.track_frame[rows]):
            x, y = tracks.position[rows[run], :2].T
            axes.plot(-y, x, color=unit(darken(color_of(track_id), 0.25)), lw=1.2, zorder=3)
    middle = (min(lowest, 0.0) + max(highest, 0.0)) / 2
    axes.set(xlim=(-reach, reach), ylim=(middle - height / 2, middle + height / 2))
    axes.annotate(
        '',
        (0, 0.2 * reach),
        (0, 0),
        arrowprops={'arrowstyle': '-|>', 'color': '0.15', 'lw': 2},
        zorder=6,
    )
    axes.plot(0, 0, 'o', ms=15, color='0.15', zorder=6)
    axes.annotate(
        'head', (0, 0), xytext=(12, -5), textcoords='offset points', fontsize=10.5, color='0.15'
    )
    axes.set_title('The room from above [m]', loc='left', fontsize=13, weight='bold')
    axes.set_title('dot: at the end', loc='right', fontsize=10, color='0.45')
    axes.set_xlabel('← left            right →', fontsize=10, color='0.35')
    axes.xaxis.set_major_formatter(lambda value, _: f'{abs(value):g}')
    _tidy(axes)


def _field_of_view_deg(head: HeadProfile) -> tuple[float, float]:
    """Azimuths of the right and left image edge at mid height, in the base frame."""
    camera = head.camera
    edges = (np.array([camera.width, 0]) - camera.center[0]) / camera.focal[0]
    rays = camera.base_from_optical.rotate(np.stack([edges, np.zeros(2), np.ones(2)], axis=1))
    low, high = np.degrees(angles_from_direction(rays)[0])
    return float(low), float(high if high >= low else high + 360)


def _degree_locator(axes):
    from matplotlib.ticker import MultipleLocator

    low, high = axes.get_ylim()
    return MultipleLocator(
        next((step for step in (5, 10, 15, 30, 45) if (high - low) / step <= 9), 60)
    )


def _tidy(axes) -> None:
    axes.grid(color='0.9', lw=0.8)
    axes.set_axisbelow(True)
    for side in ('top', 'right', 'left', 'bottom'):
        axes.spines[side].set_visible(False)
    axes.tick_params(color='0.7', labelsize=10.5)
