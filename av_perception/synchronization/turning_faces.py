# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Faces that a head sees while it turns: less sure of their place, and too blurred to be known.

A stamp that is 10 ms off is nothing to a head that stands. At 4 rad/s it moves everybody by two
degrees, all at once: a person would be given a speed, and coast away with it once out of view.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import seconds
from av_perception.geometry.transform_tree import turn_rate
from av_perception.interfaces import Face, VisualFeatures

STAMP_ERROR_S = 0.01  # of images against poses: exposure, transport, a driver's own clock
BLUR_RATE = 1.0  # [rad/s] from which looks and embeddings say nothing: half a degree in 10 ms
_LEAST_RATE = 0.02  # [rad/s] a head that turns more slowly stands
_LONGEST_S = 0.5  # a gap between images after which the rate is not known


class TurningFaces:
    """Widens the covariances of faces by how fast the camera turns from image to image."""

    def __init__(self) -> None:
        self._last: tuple[int, RigidTransform] | None = None

    def take(
        self, visual: VisualFeatures | None, reference_from_optical: RigidTransform | None
    ) -> VisualFeatures | None:
        """Take the faces of one image.

        Parameters
        ----------
        visual
            As detected; None for no image.
        reference_from_optical
            Pose of the camera then, in a frame that does not turn; None for a head without one.

        Returns
        -------
        VisualFeatures
            The same for a camera that stands.
        """
        if visual is None or reference_from_optical is None:
            return visual
        rate = self._rate(visual.stamp_ns, reference_from_optical)
        if rate < _LEAST_RATE or not visual.faces:
            return visual
        faces = tuple(_seen_turning(face, rate) for face in visual.faces)
        return dataclasses.replace(visual, faces=faces)

    def _rate(self, stamp_ns: int, pose: RigidTransform) -> float:
        """Turn rate since the last image [rad/s], 0 where it is not known."""
        last = self._last
        self._last = stamp_ns, pose
        if last is None or not 0 < seconds(stamp_ns - last[0]) <= _LONGEST_S:
            return 0.0
        return turn_rate(last[1], pose, seconds(stamp_ns - last[0]))


def _seen_turning(face: Face, rate: float) -> Face:
    """Return a face as it is known of a camera at a turn rate [rad/s]."""
    place = np.asarray(face.position, float)
    if place.shape != (3,) or np.shape(face.covariance) != (3, 3):
        return face  # the tracker drops and counts it
    # Of a rotation about any axis across the ray; the distance stays known.
    error_m2 = (rate * STAMP_ERROR_S) ** 2 * (place @ place * np.eye(3) - np.outer(place, place))
    wider = dataclasses.replace(face, covariance=face.covariance + error_m2)
    if rate < BLUR_RATE:
        return wider
    nothing = np.zeros(0, np.float32)
    return dataclasses.replace(wider, embedding=nothing, appearance=nothing)
