# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What of the timeline is text: how to read it, and the figures at its foot."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from av_perception.evaluation.metrics import Metrics
from av_perception.visualization.colors import PALETTE, darken, lighten, unit


def draw_key(axes: Axes) -> None:
    """Draw samples of the styles, in one hue, with a word each."""
    hue = PALETTE[0]
    light = unit(lighten(hue, 0.6))
    dark = unit(darken(hue, 0.25))
    axes.set(xlim=(0, 1), ylim=(0, 5))
    axes.axis('off')
    axes.set_title('How to read it', loc='left', fontsize=13, weight='bold')
    axes.plot([0.02, 0.17], [4.5, 4.5], color=light, lw=9, solid_capstyle='butt')
    axes.plot(
        [0.02, 0.17], [3.5, 3.5], color=light, lw=9, ls=(0, (0.45, 0.45)), dash_capstyle='butt'
    )
    axes.fill_between([0.02, 0.17], 2.25, 2.75, color=dark, alpha=0.2, lw=0)
    axes.plot([0.02, 0.17], [2.5, 2.5], color=dark, lw=1.6)
    axes.broken_barh([(0.02, 0.15)], (1.55, 0.3), color=light, lw=0)
    axes.broken_barh([(0.04, 0.13)], (1.2, 0.3), color=dark, lw=0)
    axes.fill_between(
        [0.02, 0.06, 0.14, 0.17], 0.25, [0.25, 0.75, 0.75, 0.25], color=dark, alpha=0.35, lw=0
    )
    texts = (
        "truth, in the camera's view",
        'truth, out of view: only sound can tell',
        'estimate, with 95 % band; color = id',
        'speaking: truth above estimate',
        'probability of speaking, 0 to 1',
    )
    for row, text in enumerate(texts):
        axes.text(0.21, 4.5 - row, text, va='center', fontsize=11)


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
