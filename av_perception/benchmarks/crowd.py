# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People who come and go before a head by the hundred, and are seen; for runs that last."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.interfaces import Face, VisualFeatures
from av_perception.robot_head.profile import CameraGeometry

FRAME_S = 0.2  # between images: people need no more, and the run has to end
STAY_S = (4.0, 14.0)  # somebody stays so long
EMPTY_S = (1.0, 5.0)  # and then the place is empty so long
RETURN_SHARE = 0.3  # of those who come have been there before
REMEMBERED = 20  # of those who left last, one comes back
SEATS = np.radians([-21.0, -7.0, 7.0, 21.0])  # azimuths; nobody covers anybody
DISTANCE_M = (1.4, 2.4)
HEIGHT_M = 0.1
SWAY_M = 0.03
SWAY_S = 3.0
FACE_M = 0.16
EMBEDDING_SIZE = 64
EMBEDDING_STD = 0.03
POSITION_STD_M = np.array([0.004, 0.004, 0.02])  # in the camera's frame: range is worst


class _Person:
    """Somebody with a face of their own; place: of the head in the base frame [m]."""

    def __init__(self, number: int, random: np.random.Generator):
        self.number = number
        looks = random.normal(size=EMBEDDING_SIZE)
        self.looks = looks / np.linalg.norm(looks)
        self.place = np.zeros(3)

    def sit_down(self, azimuth: float, random: np.random.Generator) -> None:
        direction = direction_from_angles(azimuth, 0.0)
        self.place = random.uniform(*DISTANCE_M) * direction + np.array([0.0, 0.0, HEIGHT_M])


class Crowd:
    """Makes what is seen, image after image.

    Attributes
    ----------
    num_people : int
        Different people so far.
    num_visits : int
        How often somebody came.
    """

    def __init__(self, camera: CameraGeometry, seed: int = 0):
        """camera: of the head; seed: of who comes, when, and of the noise."""
        self._camera = camera
        self._random = np.random.default_rng(seed)
        self._seated: list[_Person | None] = [None] * len(SEATS)
        self._change_s = list(self._random.uniform(0.0, EMPTY_S[1], len(SEATS)))
        self._gone: list[_Person] = []
        self.num_people = 0
        self.num_visits = 0

    def images(self, num_frames: int, start_ns: int) -> Iterator[VisualFeatures]:
        """Yield what is seen in each image; start_ns: the stamp of the first [ns]."""
        for number in range(num_frames):
            stamp_ns = start_ns + round(1e9 * FRAME_S) * number
            yield VisualFeatures(stamp_ns, self._faces(number * FRAME_S))

    def _faces(self, time_s: float) -> tuple[Face, ...]:
        for seat, change_s in enumerate(self._change_s):
            if time_s >= change_s:
                self._change(seat, time_s)
        return tuple(self._face(one, time_s) for one in self._seated if one is not None)

    def _change(self, seat: int, time_s: float) -> None:
        """Let somebody leave a seat, or come to it."""
        leaving = self._seated[seat]
        if leaving is not None:
            self._gone = [*self._gone, leaving][-REMEMBERED:]
            self._seated[seat] = None
            self._change_s[seat] = time_s + self._random.uniform(*EMPTY_S)
            return
        coming = self._somebody()
        coming.sit_down(SEATS[seat], self._random)
        self._seated[seat] = coming
        self._change_s[seat] = time_s + self._random.uniform(*STAY_S)
        self.num_visits += 1

    def _somebody(self) -> _Person:
        if self._gone and self._random.random() < RETURN_SHARE:
            return self._gone.pop(self._random.integers(len(self._gone)))
        self.num_people += 1
        return _Person(self.num_people, self._random)

    def _face(self, person: _Person, time_s: float) -> Face:
        sway = SWAY_M * np.sin(2 * np.pi * (time_s / SWAY_S + person.number * 0.37))
        place = person.place + np.array([0.0, sway, 0.0])
        position = self._camera.base_from_optical.inverse().apply(place)
        position = position + self._random.normal(0, POSITION_STD_M)
        size = np.array(self._camera.focal) * FACE_M / position[2]
        box = np.append(self._camera.project(position) - size / 2, size)
        embedding = person.looks + self._random.normal(0, EMBEDDING_STD, EMBEDDING_SIZE)
        return Face(
            box,
            0.95,
            np.tile(box[:2] + size / 2, (5, 1)),
            position,
            np.diag(POSITION_STD_M**2),
            embedding / np.linalg.norm(embedding),
        )
