# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A picture of separated voices: spectrograms one below the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from av_perception.errors import UserError
from av_perception.spectral.transform import ShortTimeFourier

RATE = 16000
_RANGE_DB = 60.0  # below the loudest bin of the mixture
_MAX_FRAMES = 4000  # a longer recording is drawn with gaps


def draw_voices(mixture: np.ndarray, voices: np.ndarray, names: list[str], path: Path) -> None:
    """Draw the mixture and every voice on one scale.

    Parameters
    ----------
    mixture
        (N,) one microphone at 16 kHz.
    voices
        (N, J).
    names
        Of the J voices.
    path
        File to write (png, svg, pdf).

    Raises
    ------
    UserError
        When it cannot be written.
    """
    from matplotlib.figure import Figure

    sounds = np.column_stack([mixture, voices])
    power = np.abs(_spectra(sounds)) ** 2  # (L, F, 1 + J)
    level = 10 * np.log10(power + 1e-12)
    top = level[..., 0].max(initial=-120.0)
    figure = Figure(figsize=(9, 1.8 * sounds.shape[1]), layout='constrained')
    panels = figure.subplots(sounds.shape[1], 1, sharex=True, squeeze=False)[:, 0]
    duration_s = max(len(mixture), 1) / RATE
    for panel, values, name in zip(panels, np.moveaxis(level, -1, 0), ['mixture', *names]):
        _draw_panel(panel, values, (top - _RANGE_DB, top), duration_s)
        panel.set_title(name, loc='left', fontsize=9)
    panels[-1].set_xlabel('time [s]')
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(f'cannot write {path}: {reason}') from error


def _draw_panel(panel, level: np.ndarray, limits: tuple[float, float], duration_s: float) -> None:
    """Draw one spectrogram (L, F) [dB]."""
    panel.imshow(
        level.T,
        origin='lower',
        aspect='auto',
        extent=(0.0, duration_s, 0.0, RATE / 2000),
        vmin=limits[0],
        vmax=limits[1],
        cmap='magma',
    )
    panel.set_ylabel('kHz')


def _spectra(sounds: np.ndarray) -> np.ndarray:
    """(L, F, 1 + J), with every so-and-so-manyth window of a long sound."""
    hop = max(128, -(-len(sounds) // _MAX_FRAMES))
    return ShortTimeFourier(512, min(hop, 512)).forward(sounds)[:: max(1, -(-hop // 512))]
