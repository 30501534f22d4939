# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Do voices come from the faces that are seen? If not: which mistake in the profile explains it.

Channels in another order, an array that is turned or mirrored, a camera that looks elsewhere: all
of them leave tracks and directions as steady as ever, and every word is given to the wrong person.
Only both senses together can tell. For each of these mistakes the phases between the microphones
are compared with those expected from the faces, as the check of the channels does with one known
direction; lesser ones of angles are found by `seen_angles`. A mistake is named when it explains
nearly all voices, much better than the profile does, and of faces in more than one direction: one
voice of somebody who is not seen fits a turned array, too.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from av_perception.audio.direction_bins import BinBlock, DirectionLikelihood
from av_perception.diarization.seen_angles import SeenAngles
from av_perception.geometry.rigid_transform import RigidTransform

LOOK_EVERY = 5  # blocks with voice, 0.2 s
WINDOW = 150  # looks that are remembered, 30 s of voice
LEAST_LOOKS = 20  # 4 s of voice
LEAST_VOICE = 0.5
LEAST_ROWS = 10  # bins of a block that is looked at
MOST_ROWS = 40  # the loudest
BAND_HZ = (500.0, 4000.0)  # below, all directions sound alike
MOST_PEOPLE = 4
LEAST_FIT = 0.5  # mean cosine of what explains the voices
LEAST_EXPLAINED = 0.75  # share of the looks
MARGIN = 0.2  # by which it is better than the profile
ALIKE = 0.02  # mistakes that differ by less explain it equally well
APART_DEG = 15.0  # faces in more than one direction
LEAST_ELSEWHERE = 5  # looks at faces that far from the others
TURN_STEP_DEG = 15
ALL_ORDERS_UP_TO = 4  # microphones: with more of them, exchanges of two channels


@dataclass(frozen=True)
class _Look:
    """A block: for each of H mistakes the fit (H,) and the face (H, 3) that fits best.

    Faces are unit vectors in the frame of the tracks.
    """

    fits: np.ndarray
    directions: np.ndarray


class SoundAgreement:
    """Compares voices with faces; remembers the last WINDOW looks.

    Parameters
    ----------
    likelihood
        Of the head's microphones.
    angles
        Compares how far aside voices and faces are; None for a head without a camera.

    Attributes
    ----------
    problem
        A sentence when a mistake in the profile explains the voices, else ''.
    """

    def __init__(self, likelihood: DirectionLikelihood, angles: SeenAngles | None = None):
        self._angles = angles
        self._steering = likelihood.steering
        self._frequencies = likelihood.frequencies
        self._unwhitening = np.linalg.inv(likelihood.whitening)  # (F, M, M)
        self._names, self._turns = _turns()
        self._orders = _other_orders(likelihood.num_microphones)
        self._names = [*self._names, *map(_order_name, self._orders)]
        self._looks: deque[_Look] = deque(maxlen=WINDOW)
        self._until_look = 0
        self.problem = ''

    def note(self, block: BinBlock, faces: Mapping[int, np.ndarray]) -> bool:
        """Take a block of sound.

        Parameters
        ----------
        block
            Its bins.
        faces
            (2, 3) by id, of everybody who is seen: the unit vector in the array frame, and the
            same in the frame of the tracks. The latter tells faces in several places from one
            that a turning head sees in several directions.

        Returns
        -------
        bool
            Whether it was looked at.
        """
        if not faces or not all(block.live) or (block.voice_activity or 0.0) < LEAST_VOICE:
            return False
        self._until_look -= 1
        rows = self._rows(block)
        if self._until_look > 0 or len(rows) < LEAST_ROWS:
            return False
        self._until_look = LOOK_EVERY
        directions = np.array([faces[key] for key in sorted(faces)[:MOST_PEOPLE]])
        bins = block.bins[rows]
        phases = self._phases(block, rows, bins)
        self._looks.append(self._look(bins, phases, directions[:, 0], directions[:, 1]))
        self.problem = self._find_problem()
        if self._angles is not None and len(faces) <= MOST_PEOPLE:
            candidates = self._angles.candidates(directions[:, 0])
            self._angles.look(directions[:, 0], _fits(self._expected(candidates, bins), phases))
            self.problem = self.problem or self._angles.problem
        return True

    def _find_problem(self) -> str:
        """Compare the profile with the mistake that explains the voices best."""
        if len(self._looks) < LEAST_LOOKS:
            return ''
        fits = np.array([look.fits for look in self._looks])  # (L, H)
        mean = fits.mean(axis=0)
        best = int(mean.argmax())
        if mean[best] < LEAST_FIT or mean[best] - mean[0] < MARGIN:
            return ''
        explained = fits[:, best] > LEAST_FIT
        directions = np.array([look.directions[best] for look in self._looks])[explained]
        if explained.mean() < LEAST_EXPLAINED or not _are_spread(directions):
            return ''
        alike = np.flatnonzero(mean > mean[best] - ALIKE)
        causes = ', or '.join(self._names[index] for index in alike[:3])
        return (
            f'voices do not come from the faces that are seen (fit {mean[0]:.2f}), but would '
            f'(fit {mean[best]:.2f}) with {causes}: check with '
            'av-perception doctor --head HEAD --azimuth DEG'
        )

    def _rows(self, block: BinBlock) -> np.ndarray:
        """Rows of the block that tell directions, the loudest of them."""
        frequency = self._frequencies[block.bins]
        rows = np.flatnonzero((frequency >= BAND_HZ[0]) & (frequency <= BAND_HZ[1]))
        if len(rows) > MOST_ROWS:
            rows = np.sort(rows[np.argsort(block.power[rows])[-MOST_ROWS:]])
        return rows

    def _look(
        self, bins: np.ndarray, phases: np.ndarray, directions: np.ndarray, places: np.ndarray
    ) -> _Look:
        turned = np.einsum('hij,nj->hni', self._turns, directions)
        count = len(directions)
        expected = self._expected(turned.reshape(-1, 3), bins)
        of_turns = _fits(expected, phases).reshape(-1, count)
        own = expected[:count]  # the first turn is none
        of_orders = [_fits(own, phases[:, order][:, :, order]) for order in self._orders]
        fits = np.concatenate([of_turns, np.array(of_orders).reshape(-1, count)])
        return _Look(fits.max(axis=1), places[fits.argmax(axis=1)])

    def _expected(self, directions: np.ndarray, bins: np.ndarray) -> np.ndarray:
        """(N, R, M) phasors of the microphones for sound from directions (N, 3)."""
        expected = self._steering.vectors(directions, self._frequencies[bins])
        return (expected / np.abs(expected)).astype(np.complex64)

    def _phases(self, block: BinBlock, rows: np.ndarray, bins: np.ndarray) -> np.ndarray:
        """(R, M, M) mean phasors between microphones, 0 on the diagonal."""
        heard = block.unit[rows] @ self._unwhitening[bins].swapaxes(1, 2)  # (R, T, M)
        heard = heard / np.maximum(np.abs(heard), np.finfo(np.float32).tiny)
        heard = heard * block.kept[rows][..., None]
        phases = heard.swapaxes(1, 2) @ heard.conj()
        phases /= np.maximum(block.kept[rows].sum(axis=1), 1)[:, None, None]
        diagonal = np.arange(phases.shape[1])
        phases[:, diagonal, diagonal] = 0.0
        return phases


def _fits(expected: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """(N,) mean cosine of phases (R, M, M) with those of expected responses (N, R, M)."""
    towards = phases @ expected[..., None]  # (N, R, M, 1)
    agreement = np.sum(expected.conj() * towards[..., 0], axis=(1, 2)).real
    return agreement / max(float(np.abs(phases).sum()), 1e-12)


def _turns() -> tuple[list[str], np.ndarray]:
    """Names and matrices (H, 3, 3) that take a face to where a wrong profile hears its voice.

    The first is the profile as it is.
    """
    names = ['the profile']
    matrices = [np.eye(3)]
    for degrees in range(TURN_STEP_DEG, 360, TURN_STEP_DEG):
        signed = degrees if degrees <= 180 else degrees - 360
        names.append(f'the array turned by {signed} degrees')
        turn = RigidTransform.from_xyz_rpy((0, 0, 0), (0, 0, np.radians(-signed)))
        matrices.append(turn.rotation)
    names += ['left and right exchanged', 'front and back exchanged']
    matrices += [np.diag([1.0, -1.0, 1.0]), np.diag([-1.0, 1.0, 1.0])]
    return names, np.array(matrices)


def _other_orders(count: int) -> list[tuple[int, ...]]:
    """Orders of channels but the profile's; of many channels, exchanges and the reverse."""
    own = tuple(range(count))
    if count <= ALL_ORDERS_UP_TO:
        return [order for order in itertools.permutations(own) if order != own]
    orders = {own[::-1]}
    for first, second in itertools.combinations(own, 2):
        order = list(own)
        order[first] = second
        order[second] = first
        orders.add(tuple(order))
    return sorted(orders)


def _order_name(order: tuple[int, ...]) -> str:
    return f'microphones 0.. being channels {",".join(map(str, order))}'


def _are_spread(directions: np.ndarray) -> bool:
    """Whether unit vectors (N, 3) are those of faces in more than one direction."""
    apart = directions @ directions.T < np.cos(np.radians(APART_DEG))
    elsewhere = apart.sum(axis=1)
    near = len(directions) - elsewhere
    return bool(np.any((elsewhere >= LEAST_ELSEWHERE) & (near >= LEAST_ELSEWHERE)))
