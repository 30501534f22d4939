# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What of the timeline is text: how to read it, and the figures at its foot."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from av_perception.evaluation.metrics import Metrics
from av_perception.visualization.colors import PALETTE, darken, lighten, unit
from av_perception.visualization.timeline_scene import STRIPES

_SAMPLE = (0.02, 0.17)  # from where to where a sample goes
_LIGHT = unit(lighten(PALETTE[0], 0.6))
_DARK = unit(darken(PALETTE[0], 0.25))


def draw_key(axes: Axes, has_truth: bool = True) -> None:
    """Draw samples of the styles, in one hue, with a word each; without truth those of estimates.

    Parameters
    ----------
    axes
        Where.
    has_truth
        Whether the picture shows a truth.
    """
    axes.set(xlim=(0, 1), ylim=(0, 5))
    axes.axis('off')
    axes.set_title('How to read it', loc='left', fontsize=13, weight='bold')
    entries = [
        (_estimate, 'estimate by id, with 95 % band'),
        (_speech, 'speaking: truth above estimate')
        if has_truth
        else (_estimated_speech, 'speaking'),
        (_probability, 'probability of speaking, 0 to 1'),
    ]
    if has_truth:
        seen = (_truth, "truth, in the camera's view")
        unseen = (_unseen_truth, 'truth, out of view: only sound can tell')
        entries = [seen, unseen, *entries]
    for row, (draw, text) in enumerate(entries):
        draw(axes, 4.5 - row)
        axes.text(0.21, 4.5 - row, text, va='center', fontsize=11)


def _truth(axes: Axes, height: float) -> None:
    axes.plot(_SAMPLE, [height, height], color=_LIGHT, lw=9, solid_capstyle='butt')


def _unseen_truth(axes: Axes, height: float) -> None:
    axes.plot(_SAMPLE, [height, height], color=_LIGHT, lw=9, ls=STRIPES, dash_capstyle='butt')


def _estimate(axes: Axes, height: float) -> None:
    axes.fill_between(_SAMPLE, height - 0.25, height + 0.25, color=_DARK, alpha=0.2, lw=0)
    axes.plot(_SAMPLE, [height, height], color=_DARK, lw=1.6)


def _speech(axes: Axes, height: float) -> None:
    axes.broken_barh([(0.02, 0.15)], (height + 0.05, 0.3), color=_LIGHT, lw=0)
    axes.broken_barh([(0.04, 0.13)], (height - 0.3, 0.3), color=_DARK, lw=0)


def _estimated_speech(axes: Axes, height: float) -> None:
    axes.broken_barh([(0.02, 0.15)], (height - 0.15, 0.3), color=_DARK, lw=0)


def _probability(axes: Axes, height: float) -> None:
    top = height + np.array([-0.25, 0.25, 0.25, -0.25])
    axes.fill_between([0.02, 0.06, 0.14, 0.17], height - 0.25, top, color=_DARK, alpha=0.35, lw=0)


def draw_footer(figure: Figure, metrics: Metrics | None) -> None:
    """Write the figures of merit, name small above value large, in a row at the foot."""
    if metrics is None:
        return
    figure.text(0.062, 0.061, 'Score', fontsize=13, weight='bold', va='top')
    entries = footer_entries(metrics)
    for i, (name, value) in enumerate(entries):
        left = 0.125 + i * (0.865 / len(entries))
        figure.text(left, 0.061, name, fontsize=10, color='0.4', va='top')
        figure.text(left, 0.042, value, fontsize=14.5, weight='bold', va='top')


def footer_entries(metrics: Metrics) -> list[tuple[str, str]]:
    """Choose (name, value with unit) of the headline figures."""
    return [
        ('MOTA', _text(metrics.mota, '{:.1f} %', 100)),
        ('IDF1', _text(metrics.idf1, '{:.1f} %', 100)),
        ('id switches', str(metrics.id_switches)),
        ('position RMSE', _text(metrics.position_rmse_m, '{:.2f} m')),
        ('azimuth error', _text(metrics.azimuth_error_deg, '{:.1f}°')),
        ('… when only heard', _text(metrics.heard_only.azimuth_error_deg, '{:.1f}°')),
        ('OSPA', _text(metrics.ospa_m, '{:.2f} m')),
        ('diarization error', _text(metrics.der, '{:.1f} %', 100)),
    ]


def _text(value: float | None, form: str, factor: float = 1.0) -> str:
    return '—' if value is None else form.format(value * factor)
