# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How far the middles of detectors' boxes lie from the faces that were drawn, by size.

People whom no scene of the simulation shows are drawn with faces of known widths (`far_faces`),
and looked at as whole images and in crops. Of the errors, the two parts of `BoxNoise` are learnt
by maximum likelihood. What was drawn is itself where the detector saw the face in the large
picture; how far that lies from the middle of the person's face is told by a mesh of the face.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from av_perception.benchmarks.far_faces import Stream, StreamKind, faces_in
from av_perception.geometry.boxes import box_overlap, centers
from av_perception.head_pose.face_mesh import FaceMesh, FaceSquare
from av_perception.vision.box_noise import BoxNoise
from av_perception.vision.face_decoding import FaceDetections

Look = Callable[[np.ndarray, np.ndarray], FaceDetections]

IMAGES = (0, 7)  # of each stream
LEAST_PX = 10.0
LARGEST_PX = 70.0  # people with wider faces cover each other
EDGES = (0.0, 10.0, 12.0, 14.0, 20.0, 30.0, 45.0, np.inf)  # of groups [px of the network's input]
_SAME = 0.25  # intersection over union of a face with the drawn one
_ANOTHERS = 0.4  # of the width: what is farther away is somebody else's box
_JITTER = (0.05, 0.08)  # of where a face was: of the place in widths, and of the size, relative
_BROWS = (105, 334)  # points of the mesh
_UPRIGHT = np.radians(10.0)  # faces that are tilted less


@dataclass
class BoxErrors:
    """Errors of the boxes of one way of looking.

    Attributes
    ----------
    widths
        (N,) of the boxes [px of the image].
    scales
        (N,) pixels of the image per pixel of the network's input.
    errors
        (N, 2) of the middles, across and down [px of the image].
    """

    widths: list[float] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    errors: list[np.ndarray] = field(default_factory=list)

    def add(self, found: FaceDetections, truth: np.ndarray) -> None:
        """Take the faces of an image that are one of the drawn ones (N, 4)."""
        overlap = box_overlap(truth, found.boxes)
        for person in np.flatnonzero(overlap.max(axis=1, initial=0.0) >= _SAME):
            face = int(overlap[person].argmax())
            error = centers(found.boxes[face]) - centers(truth[person])
            if np.abs(error).max() > _ANOTHERS * truth[person, 2]:
                continue
            self.widths.append(float(found.boxes[face, 2]))
            self.scales.append(float(found.input_scales[face]))
            self.errors.append(error)


@dataclass(frozen=True)
class GroupOfSizes:
    """Errors of faces of about one width in the network's input."""

    #: lowest and highest width [px of the network's input]
    widths: tuple[float, float]
    #: how many faces
    count: int
    #: root mean square across and down [px of the network's input]
    rms: tuple[float, float]
    #: mean of the squared errors over the squares of what is stated, across and down: 1 is right
    normalized: tuple[float, float]


def measure_boxes(
    kind: StreamKind,
    streams: int,
    looks: Mapping[str, Look],
    errors: Mapping[str, BoxErrors],
) -> None:
    """Look at faces of one width.

    Parameters
    ----------
    kind
        What is drawn.
    streams
        How many groups of people are drawn, two images each.
    looks
        Ways of looking by name: an image and the boxes (N, 4) of the image before to faces.
    errors
        By the same names: takes the errors.
    """
    random = np.random.default_rng([11, round(10 * kind.face_px)])
    for _ in range(streams):
        stream = Stream(kind, random)
        for index in IMAGES:
            image, boxes, _ = stream.draw(index)
            before = _jittered(boxes, random)
            for name, look in looks.items():
                errors[name].add(look(image, before), boxes)


def _jittered(boxes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw where the faces (N, 4) were in the image before."""
    moved = boxes.copy()
    moved[:, :2] += _JITTER[0] * boxes[:, 2:3] * random.normal(size=(len(boxes), 2))
    moved[:, 2:] *= np.exp(_JITTER[1] * random.normal(size=(len(boxes), 1)))
    return moved


def fit_noise(errors: BoxErrors, small_px: float) -> BoxNoise:
    """Learn the spread and the noise of the grid from errors.

    Parameters
    ----------
    errors
        Of one way of looking, or of several of one network.
    small_px
        Of BoxNoise.

    Returns
    -------
    BoxNoise
        Of the greatest likelihood, were the errors Gaussian.
    """
    widths = np.array(errors.widths)
    scales = np.array(errors.scales)
    grid = (scales * np.maximum(1.0, small_px * scales / widths)) ** 2
    parts = np.column_stack([widths**2, grid])
    fits = [_fit_variances(parts, squares) for squares in np.array(errors.errors).T ** 2]
    (spread_x, grid_x), (spread_y, grid_y) = fits
    return BoxNoise((spread_x, spread_y), (grid_x, grid_y), small_px)


def _fit_variances(parts: np.ndarray, squares: np.ndarray) -> tuple[float, float]:
    """Find standard deviations that weigh parts (N, 2) of the variances of squares (N,)."""

    def loss(logarithms: np.ndarray) -> float:
        variances = parts @ np.exp(2 * logarithms)
        return float(np.sum(squares / variances + np.log(variances)))

    first, second = np.exp(minimize(loss, np.log([0.03, 0.4]), method='Nelder-Mead').x)
    return float(first), float(second)


def groups_of_sizes(errors: BoxErrors, noise: BoxNoise) -> list[GroupOfSizes]:
    """Compare errors with what is stated of them, by the width in the network's input."""
    widths = np.array(errors.widths)
    scales = np.array(errors.scales)
    found = np.array(errors.errors).reshape(-1, 2)
    apart = np.zeros((len(widths), 4))  # each face alone: nobody is beside it
    apart[:, 0] = 1e6 * np.arange(len(widths))
    apart[:, 2:] = widths[:, None]
    stated = noise.center_stds(apart, scales)
    groups = []
    for low, high in zip(EDGES[:-1], EDGES[1:]):
        chosen = (widths / scales >= low) & (widths / scales < high)
        if chosen.any():
            rms = np.sqrt(np.mean((found[chosen] / scales[chosen, None]) ** 2, axis=0))
            normalized = np.mean((found[chosen] / stated[chosen]) ** 2, axis=0)
            pair = (float(rms[0]), float(rms[1])), (float(normalized[0]), float(normalized[1]))
            groups.append(GroupOfSizes((low, high), int(chosen.sum()), *pair))
    return groups


def spread_between_people(paths: Sequence[Path]) -> tuple[float, float]:
    """Measure how far boxes in large pictures lie from the middles of the people's faces.

    The middle is that of the face mesh from its one side to the other, and from brows to chin;
    down of faces that are upright alone. What all boxes share is no spread.

    Parameters
    ----------
    paths
        Clips, photographs, or folders of them.

    Returns
    -------
    across, down : float
        Standard deviations, as fractions of the width of the mesh.
    """
    mesh = FaceMesh()
    offsets = []
    is_upright = []
    for image, box, _ in faces_in(paths):
        square = FaceSquare.of_box(box)
        for _ in range(3):
            points = mesh.points(image, square)
            square = FaceSquare.of_points(points)
        low = np.append(points[:, 0].min(), points[list(_BROWS), 1].min())
        high = points[:, :2].max(axis=0)
        offsets.append((centers(box) - (low + high) / 2) / (high[0] - low[0]))
        is_upright.append(abs(square.tilt) < _UPRIGHT)
    across, down = np.transpose(offsets)
    return float(np.std(across)), float(np.std(down[np.array(is_upright)]))
