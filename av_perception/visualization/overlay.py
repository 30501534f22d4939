# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People drawn over the camera image: who, how far, speaking or not, and where those are whom the camera does not see.

A box (a face seen) or an ellipse (a head projected) in the person's colour, dashed where it is only predicted; a label 'id 2  1.8 m';
a bar of the speaking probability; an arrow at the image's edge for whoever is out of view.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from av_perception.visualization.colors import bgr_of

FONT, FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.5
MAX_COORDINATE = 16384.0  # OpenCV draws with 16 fractional bits: larger values overflow
BAR_WIDTH, BAR_LENGTH, WAVES_WIDTH = 7, 40, 22
EDGE_STEP = BAR_LENGTH + 8  # between arrows of people on the same side
DASH_PX = 8.0


@dataclass(frozen=True)
class PersonDrawing:
    """One person in an image.

    box: (x, y, width, height) [px] of a face seen; ellipse: (x, y, half width, half height) [px] of a projected head. Nothing is drawn of a
    shape that is not finite. direction: (right, down) towards a person out of view (any length), drawn as an arrow at the edge.
    speaking_probability in [0, 1]; range_m: distance [m], None when unknown.
    """

    id: int
    box: tuple[float, float, float, float] | None = None
    ellipse: tuple[float, float, float, float] | None = None
    direction: tuple[float, float] | None = None
    seen: bool = False
    heard: bool = False
    predicted: bool = False
    speaking: bool = False
    speaking_probability: float = 0.0
    range_m: float | None = None


def draw_overlay(image_bgr: np.ndarray, people: list[PersonDrawing]) -> np.ndarray:
    """A copy of the (height, width, 3) uint8 image with everybody drawn on it. Raises ValueError for another kind of image."""
    if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
        raise ValueError(
            f'the image must be (height, width, 3) uint8, not {image_bgr.shape} {image_bgr.dtype}'
        )
    image = np.ascontiguousarray(image_bgr).copy()
    taken: list[np.ndarray] = []
    for person in people:
        corners = _corners(person)
        if corners is not None and _touches(corners, image.shape):
            _draw_inside(image, person, corners)
            continue
        toward = _toward(person, corners, image.shape)
        if toward is not None:
            taken.append(_free_place(toward, taken, image.shape))
            _draw_at_edge(image, person, toward, taken[-1])
    return image


def _corners(person: PersonDrawing) -> tuple[int, int, int, int] | None:
    """left, top, right, bottom [px] of the box or the ellipse; None if there is neither or it is not finite."""
    if person.box is not None:
        x, y, width, height = person.box
        corners = np.array([x, y, x + width, y + height], float)
    elif person.ellipse is not None:
        x, y, half_width, half_height = person.ellipse
        corners = np.array(
            [x - half_width, y - half_height, x + half_width, y + half_height], float
        )
    else:
        return None
    if not np.isfinite(corners).all() or corners[2] < corners[0] or corners[3] < corners[1]:
        return None
    return tuple(np.clip(np.round(corners), -MAX_COORDINATE, MAX_COORDINATE).astype(int).tolist())


def _touches(corners: tuple[int, int, int, int], shape: tuple[int, ...]) -> bool:
    left, top, right, bottom = corners
    return right >= 0 and bottom >= 0 and left < shape[1] and top < shape[0]


def _draw_inside(
    image: np.ndarray, person: PersonDrawing, corners: tuple[int, int, int, int]
) -> None:
    left, top, right, bottom = corners
    color, thickness = bgr_of(person.id), 3 if person.speaking else 2
    if person.box is None:
        _ellipse(image, corners, color, thickness, person.predicted)
    elif person.predicted:
        _dashed_box(image, corners, color, thickness)
    else:
        cv2.rectangle(image, (left, top), (right, bottom), color, thickness)
    _label(image, person, left, top - 5 if top >= 22 else bottom + 17)
    _speaking_bar(image, person, right + 5, bottom)


def _ellipse(
    image: np.ndarray, corners: tuple[int, int, int, int], color, thickness: int, dashed: bool
) -> None:
    left, top, right, bottom = corners
    center, axes = (
        ((left + right) // 2, (top + bottom) // 2),
        ((right - left) // 2, (bottom - top) // 2),
    )
    for start in range(0, 360, 30) if dashed else (0,):
        cv2.ellipse(
            image,
            center,
            axes,
            0,
            start,
            start + (17 if dashed else 360),
            color,
            thickness,
            cv2.LINE_AA,
        )


def _dashed_box(
    image: np.ndarray, corners: tuple[int, int, int, int], color, thickness: int
) -> None:
    height, width = image.shape[:2]
    left, top, right, bottom = corners
    x, y = (
        np.clip([left, right], -DASH_PX, width + DASH_PX),
        np.clip([top, bottom], -DASH_PX, height + DASH_PX),
    )
    for row in (top, bottom):
        _dashes(image, (x[0], row), (x[1], row), color, thickness)
    for column in (left, right):
        _dashes(image, (column, y[0]), (column, y[1]), color, thickness)


def _dashes(image: np.ndarray, start, end, color, thickness: int) -> None:
    start, end = np.array(start, float), np.array(end, float)
    count = max(int(np.linalg.norm(end - start) / (2 * DASH_PX)), 1)
    at = np.linspace(0, 1, 2 * count)[:, None]
    points = np.round(start + at * (end - start)).astype(np.int32).reshape(count, 2, 2)
    cv2.polylines(image, list(points), False, color, thickness)


def _text(person: PersonDrawing) -> tuple[str, int, int]:
    """The label 'id 2  1.8 m' with its width and height [px]."""
    known = person.range_m is not None and np.isfinite(person.range_m)
    text = f'id {person.id}' + (f'  {person.range_m:.1f} m' if known else '')
    (width, height), _ = cv2.getTextSize(text, FONT, FONT_SCALE, 1)
    return text, width, height


def _label(image: np.ndarray, person: PersonDrawing, x: int, y: int) -> None:
    """Write the label on a plate of the person's colour, from (x, base line y), moved to lie inside the image."""
    text, width, height = _text(person)
    x = min(max(x, 2), max(image.shape[1] - width - 6, 2))
    y = min(max(y, height + 4), image.shape[0] - 6)
    color = bgr_of(person.id)
    cv2.rectangle(image, (x - 2, y - height - 4), (x + width + 4, y + 5), color, -1)
    cv2.putText(image, text, (x + 1, y), FONT, FONT_SCALE, _readable_on(color), 1, cv2.LINE_AA)


def _speaking_bar(image: np.ndarray, person: PersonDrawing, x: int, bottom: int) -> None:
    """An upright bar filled to the speaking probability, with sound waves beside it while the person speaks."""
    if not np.isfinite(person.speaking_probability):
        return
    x = min(max(x, 2), image.shape[1] - BAR_WIDTH - 2 - (WAVES_WIDTH if person.speaking else 0))
    bottom = min(max(bottom, BAR_LENGTH + 2), image.shape[0] - 3)
    filled = round(BAR_LENGTH * min(max(person.speaking_probability, 0.0), 1.0))
    cv2.rectangle(image, (x, bottom - BAR_LENGTH), (x + BAR_WIDTH, bottom), (60, 60, 60), -1)
    if filled:
        cv2.rectangle(image, (x, bottom - filled), (x + BAR_WIDTH, bottom), bgr_of(person.id), -1)
    cv2.rectangle(image, (x, bottom - BAR_LENGTH), (x + BAR_WIDTH, bottom), (255, 255, 255), 1)
    if person.speaking:
        _sound_waves(image, (x + BAR_WIDTH + 3, bottom - BAR_LENGTH // 2))


def _sound_waves(image: np.ndarray, center: tuple[int, int]) -> None:
    for radius in (5, 10, 15):
        cv2.ellipse(image, center, (radius, radius), 0, -45, 45, (30, 30, 30), 4, cv2.LINE_AA)
        cv2.ellipse(image, center, (radius, radius), 0, -45, 45, (255, 255, 255), 2, cv2.LINE_AA)


def _toward(
    person: PersonDrawing, corners: tuple[int, int, int, int] | None, shape: tuple[int, ...]
) -> np.ndarray | None:
    """(2,) unit vector in the image towards somebody out of view; None when nothing tells where."""
    direction = person.direction
    if direction is None and corners is not None:
        direction = (
            (corners[0] + corners[2] - shape[1]) / 2,
            (corners[1] + corners[3] - shape[0]) / 2,
        )
    if direction is None or not np.isfinite(direction).all() or not np.any(direction):
        return None
    return np.array(direction, float) / np.linalg.norm(direction)


def _free_place(toward: np.ndarray, taken: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """(2,) the arrow's tip at the border, moved along the side while another arrow is there."""
    center = np.array([shape[1], shape[0]]) / 2
    tip = center + toward * np.min((center - 4) / np.maximum(np.abs(toward), 1e-9))
    along, step = (
        (np.array([0, 1]), EDGE_STEP)
        if abs(toward[0]) > 0.5
        else (np.array([1, 0]), 3 * EDGE_STEP)
    )
    tip = np.clip(tip, 4 + along * 26, 2 * center - 4 - along * 26)
    for shift in (0, 1, -1, 2, -2, 3, -3):
        place = np.clip(tip + shift * step * along, 4, 2 * center - 4)
        if all(
            np.abs((place - other) @ along) >= step or np.abs(place - other).max() >= 3 * EDGE_STEP
            for other in taken
        ):
            return place
    return tip


def _draw_at_edge(
    image: np.ndarray, person: PersonDrawing, toward: np.ndarray, tip: np.ndarray
) -> None:
    """An arrow with its tip at the border, the label and the speaking bar on its inner side."""
    across, base = np.array([-toward[1], toward[0]]), tip - 22 * toward
    arrow = np.round([tip, base + 13 * across, base - 13 * across]).astype(np.int32)
    cv2.fillConvexPoly(image, arrow, bgr_of(person.id), cv2.LINE_AA)
    cv2.polylines(image, [arrow], True, (255, 255, 255), 1 if person.predicted else 2, cv2.LINE_AA)
    x, y = np.round(tip - 30 * toward).astype(int).tolist()
    _, width, height = _text(person)
    if toward[0] > 0.5:
        label, bar = (
            x - width - 4,
            x - width - 12 - BAR_WIDTH - (WAVES_WIDTH if person.speaking else 0),
        )
    elif toward[0] < -0.5:
        label, bar = x + 2, x + width + 12
    else:
        label, bar = x - width // 2, x + width // 2 + 10
    if abs(toward[0]) <= 0.5:  # at the top or bottom the text must clear the arrow's base
        y += -BAR_LENGTH // 2 if toward[1] > 0 else BAR_LENGTH // 2
    _label(image, person, label, y + height // 2)
    _speaking_bar(image, person, bar, y + BAR_LENGTH // 2)


def _readable_on(color) -> tuple[int, int, int]:
    """White or black, whichever stands out on a BGR colour (luma of ITU-R BT.601)."""
    blue, green, red = color
    return (255, 255, 255) if 0.299 * red + 0.587 * green + 0.114 * blue < 140 else (0, 0, 0)
