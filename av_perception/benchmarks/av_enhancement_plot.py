# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A picture of what seeing is worth: gain over audio alone by how much is planted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from av_perception.benchmarks.av_enhancement import (
    ALWAYS,
    HONEST,
    LIES,
    SWITCH,
    SeenSummary,
)
from av_perception.errors import UserError

_LINES = (
    (HONEST, ALWAYS, '#1b6ca8', '-'),
    (HONEST, SWITCH, '#1b6ca8', '--'),
    (LIES, ALWAYS, '#c0392b', '-'),
    (LIES, SWITCH, '#c0392b', '--'),
)


def draw_gains(found: Sequence[SeenSummary], path: Path) -> None:
    """Draw medians of the gains in SI-SDR and in ESTOI.

    Parameters
    ----------
    found
        As `av_enhancement.summaries` gives them.
    path
        File to write (png, svg, pdf).

    Raises
    ------
    UserError
        When it cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout='constrained')
    left, right = figure.subplots(1, 2)
    for vision, believed, color, style in _LINES:
        own = [one for one in found if (one.vision, one.believed) == (vision, believed)]
        if not own:
            continue
        places = [one.r2 for one in own]
        label = f'{vision}, {"always believed" if believed == ALWAYS else "switch"}'
        look = {'color': color, 'linestyle': style, 'marker': 'o', 'label': label}
        left.plot(places, [one.gain_db for one in own], **look)
        right.plot(places, [one.estoi_gain for one in own], **look)
    left.set_ylabel('SI-SDR over audio alone [dB]')
    right.set_ylabel('ESTOI over audio alone')
    for panel in (left, right):
        panel.axhline(0.0, color='0.6', linewidth=0.8)
        panel.set_xlabel('part of the latents that vision explains ($R^2$)')
    left.legend(fontsize=8)
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(f'cannot write {path}: {reason}') from error
