# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where the head pointed over time, against who spoke."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from av_perception.errors import UserError
from av_perception.evaluation.attention import (
    SAME_PERSON_DEG,
    LookHistory,
    LookScores,
    angles_deg,
    find_onsets,
    flat_unit,
)
from av_perception.geometry.rigid_transform import angles_from_direction
from av_perception.visualization.colors import color_of, lighten, unit
from av_perception.visualization.timeline_scene import HALO, tidy

SIZE_PX = (1600, 900)


def plot_attention(
    history: LookHistory,
    people: Sequence[int],
    half_view_deg: float,
    path,
    title: str = 'Where the head looks, and who speaks',
    scores: LookScores | None = None,
) -> None:
    """Write the picture, a PNG of 1600 x 900 pixels.

    Parameters
    ----------
    history
        What happened.
    people
        Ids of the people of the truth, as the history has them.
    half_view_deg
        [deg] how far the camera sees to either side.
    path
        The file.
    title
        Headline.
    scores
        Figures to print at the foot.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    figure, azimuth, looks = _panels()
    _draw_azimuth(azimuth, history, people, half_view_deg)
    _draw_looks(looks, history, people)
    figure.text(0.07, 0.945, title, fontsize=19, weight='bold')
    if scores is not None:
        figure.text(0.07, 0.025, _footer(scores), fontsize=12, color='0.25')
    try:
        figure.savefig(str(path))
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror}') from error


def _panels() -> tuple[Figure, Axes, Axes]:
    """Make the figure with its upper and its lower panel."""
    figure = Figure(figsize=(SIZE_PX[0] / 100, SIZE_PX[1] / 100), dpi=100, facecolor='white')
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        2, 1, height_ratios=(5, 1), left=0.07, right=0.9, top=0.9, bottom=0.11, hspace=0.1
    )
    azimuth = figure.add_subplot(grid[0])
    return figure, azimuth, figure.add_subplot(grid[1], sharex=azimuth)


def _draw_azimuth(
    axes: Axes, history: LookHistory, people: Sequence[int], half_view_deg: float
) -> None:
    """Draw everybody's azimuth, thick while they speak, and the head's with its view."""
    time_s = history.time_s
    head = _azimuth_deg(history.head_axis)
    axes.fill_between(
        time_s, head - half_view_deg, head + half_view_deg, color='0.93', lw=0, zorder=1
    )
    places = [_azimuth_deg(history.positions[:, index]) for index in range(len(people))]
    for index, person in enumerate(people):
        _draw_person(axes, time_s, places[index], history.speaking[:, index], person)
    axes.plot(time_s, head, color='black', lw=2, zorder=5)
    for onset in find_onsets(history):
        _mark_onset(axes, history, onset)
    axes.set_title('black: where the head points; gray: what the camera sees', loc='left')
    axes.set_title('thick: speaks', loc='right')
    axes.set_ylabel('azimuth, ← right      left →')
    axes.yaxis.set_major_formatter(lambda value, _: f'{value:+.0f}°' if value else '0°')
    everything = np.concatenate([head, *places])
    axes.set_ylim(everything.min() - 25, everything.max() + 25)
    axes.set_xlim(time_s[0], time_s[-1])
    axes.tick_params(labelbottom=False)
    tidy(axes)


def _draw_person(
    axes: Axes, time_s: np.ndarray, place: np.ndarray, speaking: np.ndarray, person: int
) -> None:
    """Draw the azimuth (T,) [deg] of a person, thick while they speak, with their name."""
    color = unit(color_of(person))
    spoken = np.where(speaking, place, np.nan)
    axes.plot(time_s, place, color=unit(lighten(color_of(person), 0.5)), lw=1.5, zorder=2)
    axes.plot(time_s, spoken, color=color, lw=9, solid_capstyle='butt', alpha=0.6, zorder=3)
    axes.text(
        1.008,
        place[-1],
        f'person {person}',
        color=color,
        fontsize=12,
        weight='bold',
        va='center',
        transform=axes.get_yaxis_transform(),
    )


def _mark_onset(axes: Axes, history: LookHistory, onset) -> None:
    """Write how long it took to face the speaker where the head had to turn."""
    if onset.delay_s == 0:
        return
    place = _azimuth_deg(history.positions[:, onset.person])
    height = place[np.searchsorted(history.time_s, onset.time_s)]
    text = f'{onset.delay_s:.2f} s' if np.isfinite(onset.delay_s) else 'never'
    axes.annotate(
        text,
        (onset.time_s, height),
        xytext=(2, 12),
        textcoords='offset points',
        fontsize=11,
        path_effects=HALO,
        zorder=6,
    )


def _draw_looks(axes: Axes, history: LookHistory, people: Sequence[int]) -> None:
    """Draw a band of whom to look at, in the color of the person who is there."""
    time_s = history.time_s
    colors = np.ones((1, len(time_s), 3))
    looks = history.look_id >= 0
    colors[0, looks] = 0.6  # where nobody is
    for index, person in enumerate(people):
        place = flat_unit(history.positions[:, index])
        beside = angles_deg(flat_unit(history.look_point), place)
        colors[0, looks & (beside <= SAME_PERSON_DEG)] = unit(color_of(person))
    axes.imshow(colors, aspect='auto', extent=(time_s[0], time_s[-1], 0, 1), interpolation='none')
    axes.set_yticks([])
    axes.set_ylabel('looks at')
    axes.set_xlabel('time [s]')


def _azimuth_deg(vectors: np.ndarray) -> np.ndarray:
    """(T,) azimuths [deg] of (T, 3) without jumps from one side to the other."""
    return np.degrees(np.unwrap(angles_from_direction(vectors)[0]))


def _footer(scores: LookScores) -> str:
    def seconds(value: float | None) -> str:
        return 'never' if value is None else f'{value:.2f} s'

    share = scores.speech_looked_at
    looked = 'no speech' if share is None else f'{100 * share:.0f} % of the speech looked at'
    return (
        f'{scores.out_of_view} of {scores.onsets} turns of speech began out of view: faced within '
        f'10° after {seconds(scores.delay_out_of_view_median_s)} in the median; {looked}; '
        f'{scores.false_turns} false turns of {scores.looks}; {scores.ids_changed} ids changed'
    )
