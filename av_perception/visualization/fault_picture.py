# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A picture of how long the graph took to recover from each fault."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from av_perception.errors import UserError

LIMIT_S = 2.0
_GOOD = '#3b7a57'
_BAD = '#b3372f'


def draw_recoveries(faults: Sequence[dict[str, Any]], path: str | Path) -> None:
    """Draw a bar for each fault, from the end of its cause until the tracks were right again.

    Parameters
    ----------
    faults
        As the benchmark reports them; those that end the graph are left out.
    path
        File to write (png, svg, pdf).

    Raises
    ------
    UserError
        When it cannot be written.
    """
    from matplotlib.figure import Figure

    drawn = [fault for fault in faults if fault['recovery_s'] is not None]
    figure = Figure(figsize=(8, 1.5 + 0.18 * len(drawn)), layout='constrained')
    axes = figure.subplots()
    axes.barh(
        range(len(drawn)),
        [fault['recovery_s'] for fault in drawn],
        color=[_GOOD if fault['held'] else _BAD for fault in drawn],
    )
    axes.set_yticks(range(len(drawn)), [fault['name'] for fault in drawn], fontsize=7)
    axes.invert_yaxis()
    axes.axvline(LIMIT_S, color='black', linestyle='--', linewidth=1)
    axes.set_xlabel('from the end of the cause until the tracks are right again [s]')
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(f'cannot write {path}: {reason}') from error
