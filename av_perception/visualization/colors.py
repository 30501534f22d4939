# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The one palette: a person has the same color in the timeline, in the overlay and in rviz.

Okabe and Ito's colors, safe for the color-blind, less the yellow that is lost on white, plus two
dark hues of Paul Tol's.
"""

from __future__ import annotations

Color = tuple[int, int, int]

PALETTE: tuple[Color, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
    (51, 34, 136),
    (136, 34, 85),
)
NEUTRAL: Color = (110, 110, 110)


def color_of(person_id: int) -> Color:
    """Look up (red, green, blue) in 0..255 of an id; ids of the same remainder share a color."""
    return PALETTE[(int(person_id) - 1) % len(PALETTE)]


def bgr_of(person_id: int) -> Color:
    """Look up `color_of` in OpenCV's order."""
    red, green, blue = color_of(person_id)
    return blue, green, red


def lighten(color: Color, amount: float) -> Color:
    """Mix with white: amount 0 keeps the color, 1 gives white."""
    red, green, blue = (round(c + (255 - c) * amount) for c in color)
    return red, green, blue


def darken(color: Color, amount: float) -> Color:
    """Mix with black: amount 0 keeps the color, 1 gives black."""
    red, green, blue = (round(c * (1 - amount)) for c in color)
    return red, green, blue


def unit(color: Color) -> tuple[float, float, float]:
    """Scale the color to 0..1, as matplotlib and std_msgs/ColorRGBA want it."""
    red, green, blue = color
    return red / 255, green / 255, blue / 255
