# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The yaw of a turning head over time: the truth, single images, and the filter with a gap."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from av_perception.benchmarks.head_pose import EVERY, INTERVAL, Contest, TalkerData, gap_mask
from av_perception.head_pose.learning import STEP_S

GAP_S = 0.5


def plot_turning_head(everybody: list[TalkerData], held_out: int, path: str | Path) -> None:
    """Draw one held-out talker.

    Parameters
    ----------
    everybody
        All talkers.
    held_out
        Whose head is drawn; the model comes from the others.
    path
        Picture to write (png, svg, pdf).
    """
    from matplotlib.figure import Figure

    contest = Contest([one for k, one in enumerate(everybody) if k != held_out])
    views = everybody[held_out].turning
    count = len(views.truth)
    hidden = gap_mask(count, GAP_S)
    seen = (np.arange(count) % EVERY == 0) & ~hidden
    alone, _ = contest.methods['mesh, each image alone'](views, np.ones(count, bool))
    kalman, _ = contest.methods['Kalman filter'](views, seen)
    ours, covariances = contest.methods['PLDS filter'](views, seen)
    times = STEP_S * np.arange(count)
    half = INTERVAL * np.degrees(np.sqrt(covariances[:, 0, 0]))
    middle = np.degrees(ours[:, 0])
    figure = Figure(figsize=(9, 3.6), layout='constrained')
    axes = figure.add_subplot()
    axes.fill_between(times, middle - half, middle + half, alpha=0.2, label='95 %, PLDS')
    axes.plot(times, np.degrees(views.truth[:, 0]), 'k', lw=2.5, label='truth')
    axes.plot(times[seen], np.degrees(alone[seen, 0]), '.', ms=4, label='mesh, single images')
    axes.plot(times, np.degrees(kalman[:, 0]), '--', lw=1, label='Kalman filter')
    axes.plot(times, middle, lw=1.5, label='PLDS filter')
    for index in np.flatnonzero(np.diff(hidden.astype(int)) == 1):
        start = times[index + 1]
        axes.axvspan(start, start + GAP_S, color='0.88', zorder=0)
    axes.set(xlabel='time [s]; nothing is seen in the gray gaps', ylabel='yaw [°]')
    axes.set_xlim(0, times[-1])
    # Above the axes: the interval is wide where nothing is seen.
    figure.legend(ncols=5, fontsize=8, loc='outside upper center', frameon=False)
    figure.savefig(path, dpi=110)
