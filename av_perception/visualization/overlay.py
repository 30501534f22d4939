# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People over the camera image: who, how far, speaking or not, and where the unseen ones are.

A box (a face seen) or an ellipse (a head projected) in the person's color, dashed where it is only
predicted; a label 'id 2  1.8 m'; a bar of the speaking probability; an arrow at the image's edge
for whoever is out of view; an eye on the label of whom the robot looks at. Where it is known how a
head is turned, an arrow goes out of the face, with a ring at its root when the person faces the
robot. A strip along the lower edge shows whose the sound is just now.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from av_perception.visualization.colors import Color, bgr_of

FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.5
MAX_COORDINATE = 16384.0  # OpenCV draws with 16 fractional bits: larger values overflow
BAR_WIDTH = 7  # [px] of the speaking probability's bar, as all lengths here
BAR_LENGTH = 40
WAVES_WIDTH = 22
STRIP_HEIGHT = 6  # of the strip that shows whose the sound is
DARK: Color = (60, 60, 60)
EYE_WIDTH = 22
RING_RADIUS = 9  # around the root of the arrow of who faces the robot
EDGE_STEP = BAR_LENGTH + 8  # between arrows of people on the same side
DASH_PX = 8.0

Corners = tuple[int, int, int, int]  # left, top, right, bottom [px]


@dataclass(frozen=True)
class PersonDrawing:
    """One person in an image. Nothing is drawn of a shape that is not finite.

    Attributes
    ----------
    box
        (x, y, width, height) [px] of a face seen.
    ellipse
        (x, y, half width, half height) [px] of a projected head.
    direction
        (right, down) towards a person out of view (any length), drawn as an arrow at the edge.
    seen, heard, predicted, speaking
        What the tracker says of the person.
    speaking_probability
        In [0, 1].
    sound_share
        Part of the sound that is the person's, in [0, 1].
    range_m
        [m] distance, None when unknown.
    looked_at
        Whether the robot looks at the person.
    gaze
        (from x, from y, to x, to y) [px] of an arrow out of the face, None when not known.
    facing
        Whether the face is turned to the robot.
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
    sound_share: float = 0.0
    range_m: float | None = None
    looked_at: bool = False
    gaze: tuple[float, float, float, float] | None = None
    facing: bool = False


def draw_overlay(image_bgr: np.ndarray, people: list[PersonDrawing]) -> np.ndarray:
    """Copy an image and draw everybody on it.

    Parameters
    ----------
    image_bgr
        (height, width, 3) uint8.
    people
        Whom to draw, the first below the others.

    Raises
    ------
    ValueError
        For another kind of image.
    """
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
    _sound_strip(image, people)
    return image


def _sound_strip(image: np.ndarray, people: list[PersonDrawing]) -> None:
    """Divide a strip among those whose the sound is; what is nobody's stays dark."""
    shares = np.array([person.sound_share for person in people], float)
    shares = np.where(np.isfinite(shares), np.clip(shares, 0.0, 1.0), 0.0)
    if not shares.sum() > 0:
        return
    height, width = image.shape[:2]
    ends = np.cumsum(shares) / max(float(shares.sum()), 1.0)
    columns = np.concatenate([[0], np.round(width * ends).astype(int)])
    top = max(height - STRIP_HEIGHT, 0)
    image[top:] = DARK
    for person, left, right in zip(people, columns[:-1], columns[1:], strict=True):
        image[top:, left:right] = bgr_of(person.id)


def _corners(person: PersonDrawing) -> Corners | None:
    """Corners of the box or the ellipse; None if there is neither or it is not finite."""
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
    left, top, right, bottom = np.clip(np.round(corners), -MAX_COORDINATE, MAX_COORDINATE)
    return int(left), int(top), int(right), int(bottom)


def _touches(corners: Corners, shape: tuple[int, ...]) -> bool:
    """Whether any of the box lies in an image of that shape."""
    left, top, right, bottom = corners
    return right >= 0 and bottom >= 0 and left < shape[1] and top < shape[0]


def _draw_inside(image: np.ndarray, person: PersonDrawing, corners: Corners) -> None:
    left, top, right, bottom = corners
    color = bgr_of(person.id)
    thickness = 3 if person.speaking else 2
    if person.box is None:
        _ellipse(image, corners, color, thickness, person.predicted)
    elif person.predicted:
        _dashed_box(image, corners, color, thickness)
    else:
        cv2.rectangle(image, (left, top), (right, bottom), color, thickness)
    _gaze_arrow(image, person)
    _label(image, person, left, top - 5 if top >= 22 else bottom + 17)
    _speaking_bar(image, person, right + 5, bottom)


def _gaze_arrow(image: np.ndarray, person: PersonDrawing) -> None:
    """Draw where the face is turned to; a ring where it is turned to the robot."""
    if person.gaze is None or not np.isfinite(person.gaze).all():
        return
    ends = np.clip(np.round(person.gaze), -MAX_COORDINATE, MAX_COORDINATE).astype(int).tolist()
    start, end = tuple(ends[:2]), tuple(ends[2:])
    color = bgr_of(person.id)
    cv2.arrowedLine(image, start, end, (255, 255, 255), 5, cv2.LINE_AA, tipLength=0.2)
    cv2.arrowedLine(image, start, end, color, 3, cv2.LINE_AA, tipLength=0.2)
    if person.facing:
        cv2.circle(image, start, RING_RADIUS, (255, 255, 255), 4, cv2.LINE_AA)
        cv2.circle(image, start, RING_RADIUS, color, 2, cv2.LINE_AA)


def _ellipse(
    image: np.ndarray, corners: Corners, color: Color, thickness: int, dashed: bool
) -> None:
    left, top, right, bottom = corners
    center = ((left + right) // 2, (top + bottom) // 2)
    axes = ((right - left) // 2, (bottom - top) // 2)
    arcs = [(start, start + 17) for start in range(0, 360, 30)] if dashed else [(0, 360)]
    for start, end in arcs:
        cv2.ellipse(image, center, axes, 0, start, end, color, thickness, cv2.LINE_AA)


def _dashed_box(image: np.ndarray, corners: Corners, color: Color, thickness: int) -> None:
    height, width = image.shape[:2]
    left, top, right, bottom = corners
    x = np.clip([left, right], -DASH_PX, width + DASH_PX)
    y = np.clip([top, bottom], -DASH_PX, height + DASH_PX)
    for row in (top, bottom):
        _dashes(image, (x[0], row), (x[1], row), color, thickness)
    for column in (left, right):
        _dashes(image, (column, y[0]), (column, y[1]), color, thickness)


def _dashes(image: np.ndarray, start, end, color: Color, thickness: int) -> None:
    """Draw a dashed line between two points (x, y) [px]."""
    origin = np.array(start, float)
    along = np.array(end, float) - origin
    count = max(int(np.linalg.norm(along) / (2 * DASH_PX)), 1)
    share = np.linspace(0, 1, 2 * count)[:, None]
    points = np.round(origin + share * along).astype(np.int32).reshape(count, 2, 2)
    cv2.polylines(image, list(points), False, color, thickness)


def _text(person: PersonDrawing) -> tuple[str, int, int]:
    """Make the label 'id 2  1.8 m', with its width and height [px]."""
    text = f'id {person.id}'
    if person.range_m is not None and np.isfinite(person.range_m):
        text += f'  {person.range_m:.1f} m'
    (width, height), _ = cv2.getTextSize(text, FONT, FONT_SCALE, 1)
    return text, width + (EYE_WIDTH if person.looked_at else 0), height


def _label(image: np.ndarray, person: PersonDrawing, x: int, y: int) -> None:
    """Write the label on a plate of the person's color, moved to lie inside the image.

    x, y: [px] the left end of its base line.
    """
    text, width, height = _text(person)
    x = min(max(x, 2), max(image.shape[1] - width - 6, 2))
    y = min(max(y, height + 4), image.shape[0] - 6)
    color = bgr_of(person.id)
    cv2.rectangle(image, (x - 2, y - height - 4), (x + width + 4, y + 5), color, -1)
    cv2.putText(image, text, (x + 1, y), FONT, FONT_SCALE, _readable_on(color), 1, cv2.LINE_AA)
    if person.looked_at:
        _eye(image, (x + width - EYE_WIDTH // 2 + 3, y - height // 2), _readable_on(color))


def _eye(image: np.ndarray, center: tuple[int, int], color: Color) -> None:
    """Draw an eye around a pixel."""
    cv2.ellipse(image, center, (8, 5), 0, 0, 360, color, 1, cv2.LINE_AA)
    cv2.circle(image, center, 2, color, -1, cv2.LINE_AA)


def _speaking_bar(image: np.ndarray, person: PersonDrawing, x: int, bottom: int) -> None:
    """Draw an upright bar filled to the speaking probability, with sound waves of who speaks."""
    if not np.isfinite(person.speaking_probability):
        return
    x = min(max(x, 2), image.shape[1] - 2 - _width_of_bar(person))
    bottom = min(max(bottom, BAR_LENGTH + 2), image.shape[0] - 3)
    filled = round(BAR_LENGTH * min(max(person.speaking_probability, 0.0), 1.0))
    cv2.rectangle(image, (x, bottom - BAR_LENGTH), (x + BAR_WIDTH, bottom), DARK, -1)
    if filled:
        cv2.rectangle(image, (x, bottom - filled), (x + BAR_WIDTH, bottom), bgr_of(person.id), -1)
    cv2.rectangle(image, (x, bottom - BAR_LENGTH), (x + BAR_WIDTH, bottom), (255, 255, 255), 1)
    if person.speaking:
        _sound_waves(image, (x + BAR_WIDTH + 3, bottom - BAR_LENGTH // 2))


def _width_of_bar(person: PersonDrawing) -> int:
    """[px] of the speaking bar, with the sound waves beside it."""
    return BAR_WIDTH + (WAVES_WIDTH if person.speaking else 0)


def _sound_waves(image: np.ndarray, center: tuple[int, int]) -> None:
    for radius in (5, 10, 15):
        cv2.ellipse(image, center, (radius, radius), 0, -45, 45, (30, 30, 30), 4, cv2.LINE_AA)
        cv2.ellipse(image, center, (radius, radius), 0, -45, 45, (255, 255, 255), 2, cv2.LINE_AA)


def _toward(
    person: PersonDrawing, corners: Corners | None, shape: tuple[int, ...]
) -> np.ndarray | None:
    """(2,) unit vector in the image towards somebody out of view; None if nothing tells where."""
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
    """(2,) [px] the arrow's tip at the border, moved along it while another arrow is there.

    toward: (2,) unit vector; taken: tips of the arrows drawn so far; shape: of the image.
    """
    center = np.array([shape[1], shape[0]]) / 2
    tip = center + toward * np.min((center - 4) / np.maximum(np.abs(toward), 1e-9))
    if abs(toward[0]) > 0.5:  # at the left or right side
        along = np.array([0, 1])
        step = EDGE_STEP
    else:
        along = np.array([1, 0])
        step = 3 * EDGE_STEP
    tip = np.clip(tip, 4 + along * 26, 2 * center - 4 - along * 26)
    for shift in (0, 1, -1, 2, -2, 3, -3):
        place = np.clip(tip + shift * step * along, 4, 2 * center - 4)
        if all(_is_clear(place - other, along, step) for other in taken):
            return place
    return tip


def _is_clear(apart: np.ndarray, along: np.ndarray, step: int) -> bool:
    """Whether two arrows, (2,) px apart, do not cover each other."""
    return bool(np.abs(apart @ along) >= step or np.abs(apart).max() >= 3 * EDGE_STEP)


def _draw_at_edge(
    image: np.ndarray, person: PersonDrawing, toward: np.ndarray, tip: np.ndarray
) -> None:
    """Draw an arrow with its tip at the border, label and speaking bar on its inner side."""
    across = np.array([-toward[1], toward[0]])
    base = tip - 22 * toward
    arrow = np.round([tip, base + 13 * across, base - 13 * across]).astype(np.int32)
    cv2.fillConvexPoly(image, arrow, bgr_of(person.id), cv2.LINE_AA)
    cv2.polylines(image, [arrow], True, (255, 255, 255), 1 if person.predicted else 2, cv2.LINE_AA)
    x, y = np.round(tip - 30 * toward).astype(int).tolist()
    _, width, height = _text(person)
    if toward[0] > 0.5:
        label = x - width - 4
        bar = x - width - 12 - _width_of_bar(person)
    elif toward[0] < -0.5:
        label = x + 2
        bar = x + width + 12
    else:
        label = x - width // 2
        bar = x + width // 2 + 10
        # At the top or bottom the text must clear the arrow's base.
        y += -BAR_LENGTH // 2 if toward[1] > 0 else BAR_LENGTH // 2
    _label(image, person, label, y + height // 2)
    _speaking_bar(image, person, bar, y + BAR_LENGTH // 2)


def _readable_on(color: Color) -> Color:
    """White or black, whichever stands out on a BGR color (luma of ITU-R BT.601)."""
    blue, green, red = color
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return (255, 255, 255) if luma < 140 else (0, 0, 0)
