# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Are voices as far aside as the faces they belong to? If not: by which factor.

A wrong focal length f' = k f leaves everything steady: faces are seen at tan a' = tan(a) / k, and
as their distances grow by k too, their widths still fit. But their voices come from a. So pairs of
seen azimuth a' and heard azimuth a tell k, with a turn t of the array beside it:

    a = t + atan(k tan a') + e,

k by least squares over a grid. Places are averaged first, since errors of one place (echoes, the
face above the mouth) are no independent ones: a place of n pairs has the variance
PLACE_DEG^2 + PAIR_DEG^2 / n.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.robot_head import HeadProfile

OFFSETS_DEG = np.arange(-18.0, 18.1, 3.0)  # from a face, where its voice is looked for
LEAST_FIT = 0.5  # mean cosine of a voice that counts
ALIKE = 0.02  # fits that differ by less are of one direction
MOST_OFF_DEG = 15.0  # from the face to its voice
LEAST_FARTHER_DEG = 5.0  # by which every other face is farther from the voice
REMEMBERED = 200  # pairs, 40 s of voice
LEAST_PAIRS = 40
PLACE_WIDTH_DEG = 4.0
LEAST_OF_PLACE = 3  # pairs
LEAST_PLACES = 3  # of two, a turn and a factor explain any errors
PLACE_DEG = 1.5  # standard deviation of what all pairs of a place share
PAIR_DEG = 4.0  # of a pair
LEAST_SPREAD_DEG = 20.0  # between the outermost places
MOST_MISFIT = 3.0  # mean square error over that expected
MOST_FACTOR = 1.7
NUM_FACTORS = 55  # in steps of 2 %, 1 in their middle
TOLD_FACTOR = 1.12
TOLD_GAIN = 8.0  # by which the sum of squares falls; with right profiles by up to 5

_EXPONENTS = np.linspace(-1.0, 1.0, NUM_FACTORS)
_OFFSETS = np.radians(OFFSETS_DEG)


class SeenAngles:
    """Compares where faces are seen with where their voices come from.

    Parameters
    ----------
    optical_from_array
        (3, 3) turns directions of the array's frame into the camera's optical one.
    focal_px
        Of the profile, across.
    """

    def __init__(self, optical_from_array: np.ndarray, focal_px: float):
        self._rotation = np.asarray(optical_from_array, float)
        self._focal_px = focal_px
        self._pairs: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)
        self._factors = MOST_FACTOR**_EXPONENTS  # (K,)
        # About the vertical of the camera, its y axis; positive to its right.
        turns = [RigidTransform.from_xyz_rpy((0, 0, 0), (0, turn, 0)) for turn in _OFFSETS]
        self._turns = np.array([turn.rotation for turn in turns])  # (D, 3, 3)

    @classmethod
    def of_head(cls, head: HeadProfile) -> SeenAngles | None:
        """Make one for a head; None for one that does not see and hear."""
        if head.camera is None or head.microphones is None:
            return None
        optical_from_base = head.camera.base_from_optical.inverse().rotation
        array = head.microphones.base_from_array.rotation
        return cls(optical_from_base @ array, head.camera.focal[0])

    def candidates(self, faces: np.ndarray) -> np.ndarray:
        """Give directions (N D, 3) about faces (N, 3) in the array's frame, where a voice may be.

        D offsets of OFFSETS_DEG for the first face, then for the second.
        """
        optical = faces @ self._rotation.T
        turned = np.einsum('dij,nj->ndi', self._turns, optical)
        return turned.reshape(-1, 3) @ self._rotation

    def look(self, faces: np.ndarray, fits: np.ndarray) -> None:
        """Take a block of one voice.

        Parameters
        ----------
        faces
            (N, 3) unit vectors in the array's frame, of everybody who is seen.
        fits
            (N D,) how well each of the candidates explains the block.
        """
        optical = faces @ self._rotation.T
        if not (optical[:, 2] > 0).all():
            return  # behind the camera: known from elsewhere
        seen = np.arctan2(optical[:, 0], optical[:, 2])
        by_face = fits.reshape(len(faces), -1)
        steps = by_face.argmax(axis=1)
        tops = by_face.max(axis=1)
        is_peak = (steps > 0) & (steps < by_face.shape[1] - 1)
        face = int(np.where(is_peak, tops, -np.inf).argmax())
        # What is at the edge of one face's candidates may lie within another's.
        if not is_peak[face] or tops[face] < max(LEAST_FIT, tops.max() - ALIKE):
            return
        step = int(steps[face])
        heard = seen[face] + _peak(by_face[face, step - 1 : step + 2], step)
        away_deg = np.degrees(np.abs(seen - heard))
        nearest = int(away_deg.argmin())
        others = np.delete(away_deg, nearest)
        is_clear = (others >= away_deg[nearest] + LEAST_FARTHER_DEG).all()
        if is_clear and away_deg[nearest] <= MOST_OFF_DEG:
            self.note(float(seen[nearest]), float(heard))

    def note(self, seen: float, heard: float) -> None:
        """Take the azimuths of a face and of its voice in the camera's frame [rad]."""
        self._pairs.append((seen, heard))

    @property
    def factor(self) -> float:
        """How many times as far aside voices are as their faces (tangents); 1 in any doubt."""
        if len(self._pairs) < LEAST_PAIRS:
            return 1.0
        seen, heard, variance = self._places()
        if len(seen) < LEAST_PLACES or np.ptp(seen) < np.radians(LEAST_SPREAD_DEG):
            return 1.0
        error = heard - np.arctan(self._factors[:, None] * np.tan(seen))  # (K, P)
        turn = (error / variance).sum(axis=1) / (1 / variance).sum()
        squares = ((error - turn[:, None]) ** 2 / variance).sum(axis=1)
        best = int(squares.argmin())
        factor = float(self._factors[best])
        is_large = max(factor, 1 / factor) >= TOLD_FACTOR
        is_inside = 0 < best < NUM_FACTORS - 1
        is_sure = squares[NUM_FACTORS // 2] - squares[best] >= TOLD_GAIN
        fits = squares[best] <= MOST_MISFIT * len(seen)
        return factor if is_large and is_inside and is_sure and fits else 1.0

    @property
    def problem(self) -> str:
        """A sentence when voices are not as far aside as their faces, else ''."""
        factor = self.factor
        if factor == 1.0:
            return ''
        return (
            f'voices come from {factor:.2f} times as far aside as their faces are seen: is the '
            f'focal length of {self._focal_px:.0f} pixels right? {self._focal_px / factor:.0f} '
            'would fit (distances are wrong by as much), or microphones that are '
            f'{factor:.2f} times as far apart as in the head profile'
        )

    def _places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Medians (P,) of seen and heard azimuth of each place, and the variance [rad^2]."""
        pairs = np.array(self._pairs)
        place = np.round(pairs[:, 0] / np.radians(PLACE_WIDTH_DEG)).astype(int)
        medians = []
        for number in np.unique(place):
            own = pairs[place == number]
            if len(own) >= LEAST_OF_PLACE:
                medians.append((*np.median(own, axis=0), len(own)))
        seen, heard, count = np.array(medians).reshape(-1, 3).T
        variance = np.radians(PLACE_DEG) ** 2 + np.radians(PAIR_DEG) ** 2 / count
        return seen, heard, variance


def _peak(fits: np.ndarray, step: int) -> float:
    """Offset [rad] of the top of a parabola through three fits; step: index of the middle one."""
    before, middle, after = fits.tolist()
    curvature = before - 2 * middle + after
    shift = 0.5 * (before - after) / curvature if curvature < 0 else 0.0
    return float(_OFFSETS[step] + shift * (_OFFSETS[1] - _OFFSETS[0]))
