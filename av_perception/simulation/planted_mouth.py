# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A mouth drawn over that of a photograph, which shows what the voice does.

How far it is open, how wide it is, and how bright teeth, tongue and lips are follow the levels of
five bands of the dry voice. It is no model of a mouth: what can be learnt from it is known, which
is what it is for.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from av_perception.simulation.cutout import PIXELS_PER_METER, Cutout

BANDS_HZ = (
    (100.0, 600.0),
    (600.0, 1300.0),
    (1300.0, 2300.0),
    (2300.0, 4000.0),
    (4000.0, 7500.0),
)
_WINDOW_S = 0.064
_STEP_S = 0.01
_RANGE_DB = 45.0  # from a mouth at rest to one wide open
_BELOW = 0.52  # of the mouth below the middle of the face, in half heights of the face
_LIPS_BGR = (80.0, 70.0, 160.0)
_INSIDE_BGR = (25.0, 15.0, 35.0)
_FRACTION_BITS = 4  # of a pixel, in OpenCV's drawing


class PlantedMouth:
    """Of one talker.

    Parameters
    ----------
    samples
        (N,) dry voice.
    sample_rate
        [Hz]
    """

    def __init__(self, samples: np.ndarray, sample_rate: int):
        self._levels = band_levels(samples, sample_rate)

    def on(self, view: Cutout, time_s: float) -> Cutout:
        """Draw the mouth of a time [s] over that of a view."""
        row = min(max(int(round(time_s / _STEP_S)), 0), len(self._levels) - 1)
        opening, width, tongue, teeth, lips = self._levels[row].tolist()
        texture = view.texture.copy()
        place = view.center + [0.0, _BELOW * view.face_radii_m[1] * PIXELS_PER_METER]
        unit = float(view.face_radii_m[0] * PIXELS_PER_METER)  # half a face's width in pixels
        half = np.array([0.28 + 0.16 * width, 0.12 + 0.26 * opening]) * unit
        inner = half - 0.08 * unit
        shade = 0.4 + 1.1 * lips
        _ellipse(texture, place, half, tuple(shade * part for part in _LIPS_BGR))
        _ellipse(texture, place, inner, _INSIDE_BGR)
        bright = 30.0 + 220.0 * teeth
        _ellipse(texture, place - [0.0, 0.45 * inner[1]], inner * [0.75, 0.45], (bright,) * 3)
        red = 20.0 + 200.0 * tongue
        color = (0.5 * red, 0.4 * red, red)
        _ellipse(texture, place + [0.0, 0.5 * inner[1]], inner * [0.65, 0.4], color)
        return replace(view, texture=texture, _levels={})


def band_levels(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Levels of BANDS_HZ every 10 ms: (T, 5) in 0..1, 1 the loudest moment of each band."""
    step = int(round(_STEP_S * sample_rate))
    size = int(round(_WINDOW_S * sample_rate))
    padded = np.pad(np.asarray(samples, float), (size // 2, size))
    count = max(1, len(samples) // step)
    starts = step * np.arange(count)
    window = np.hanning(size)
    frequency = np.fft.rfftfreq(size, 1 / sample_rate)
    bands = [(frequency >= low) & (frequency < high) for low, high in BANDS_HZ]
    power = np.empty((count, len(bands)))
    for first in range(0, count, 1000):  # memory stays bounded
        rows = padded[starts[first : first + 1000, None] + np.arange(size)] * window
        spectrum = np.abs(np.fft.rfft(rows, axis=1)) ** 2
        power[first : first + 1000] = np.stack([spectrum[:, b].sum(axis=1) for b in bands], 1)
    level = 10 * np.log10(power + 1e-12)
    return np.clip(1 + (level - level.max(axis=0)) / _RANGE_DB, 0.0, 1.0)


def _ellipse(image: np.ndarray, middle: np.ndarray, half: np.ndarray, bgr: tuple) -> None:
    """Fill an ellipse of half axes (2,) [px] into a premultiplied BGRA image."""
    scale = 1 << _FRACTION_BITS
    center = (int(round(middle[0] * scale)), int(round(middle[1] * scale)))
    axes = (max(1, int(round(half[0] * scale))), max(1, int(round(half[1] * scale))))
    color = (*(float(c) for c in bgr), 255.0)
    cv2.ellipse(image, center, axes, 0, 0, 360, color, -1, cv2.LINE_AA, _FRACTION_BITS)
