# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The one palette: a person has the same colour in the timeline, in the overlay and in rviz.

Okabe and Ito's colours, safe for the colour-blind, less the yellow that is lost on white, plus two dark hues of Paul Tol's.
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
    """(red, green, blue) in 0..255 of an id; ids of the same remainder share a colour."""
    return PALETTE[(int(person_id) - 1) % len(PALETTE)]


def bgr_of(person_id: int) -> Color:
    """`color_of` in OpenCV's order."""
    return color_of(person_id)[::-1]


def lighten(color: Color, amount: float) -> Color:
    """Mixed with white: amount 0 keeps the colour, 1 gives white."""
    return tuple(round(c + (255 - c) * amount) for c in color)


def darken(color: Color, amount: float) -> Color:
    """Mixed with black: amount 0 keeps the colour, 1 gives black."""
    return tuple(round(c * (1 - amount)) for c in color)


def unit(color: Color) -> tuple[float, float, float]:
    """The colour in 0..1, as matplotlib and std_msgs/ColorRGBA want it."""
    return tuple(c / 255 for c in color)
