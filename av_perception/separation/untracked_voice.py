# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where somebody talks for whom no track stands: their voice is nobody's who is tracked.

A bin that no tracked direction explains would be divided among those who are tracked all the same,
and a stranger would be heard in the stream of who is nearest. So the bins of every block
(`audio/direction_bins.py`) are compared with a coarse grid of directions. Direction g explains a
bin better than everybody tracked by

    x_g = l_g - max(0, max_n l_n, max_nm l_nm),

l log ratios to diffuse sound; l_nm that of a bin in which two people sound at once, whose scatter
matrix is Gamma + s (d_n d_n^H + d_m d_m^H): such a bin seems to come from between them. Every
direction collects evidence, a sum that forgets and never falls below zero,

    S_g  <-  max(0, k S_g + v sum_r log(1 - w + w exp(x_rg))),

with the share w of the bins that a talker is expected to own and the probability v of voice. The
largest sum above a threshold is a talker. One who is as near to somebody tracked as tracks may be
wrong, or who sounds alike at this array, is that person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.audio.direction_bins import BinBlock, DirectionLikelihood
from av_perception.audio.direction_grid import DirectionGrid
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.geometry.time import seconds

UNTRACKED = -1  # the id of somebody for whom no track stands; tracks count from 0
_THINNED = 6  # every so many frequencies tell whether two directions sound alike
_RING_STEP_DEG = 3.0  # where people may be, to tell once and for all what is near them
_RING_ELEVATION_DEG = 10.0
_MOST = 40.0  # exp of it is still a float32
_START_ANEW_S = 1.0  # a stamp so far back begins another stream


@dataclass(frozen=True)
class UntrackedVoiceConfig:
    """When somebody is taken to talk for whom no track stands."""

    #: Share of the bins of a block that a talker is expected to own, in (0, 1).
    share: float = 0.5
    #: Evidence from which somebody talks [nat].
    threshold: float = 12.0
    #: Evidence counts up to this [nat], at least the threshold.
    limit: float = 40.0
    #: Time over which evidence is forgotten [s], positive.
    memory_s: float = 0.3
    #: A talker is remembered for so long after the last evidence [s].
    hold_s: float = 3.0
    #: Cost in who is told to speak, beside that of a speaker [nat per block], not negative.
    cost: float = 0.4
    #: Whoever is so near to somebody tracked is that person [deg azimuth].
    near_deg: float = 25.0
    #: Directions farther apart that sound as much alike are one, in 0..1 (1: the same at all
    #: frequencies): two microphones cannot tell front from back.
    alike: float = 0.9

    def __post_init__(self):
        if not 0 < self.share < 1:
            raise ValueError(f'share must lie in (0, 1), not {self.share}')
        if not 0 < self.threshold <= self.limit:
            raise ValueError('threshold must be positive, and limit at least as large')
        if not self.memory_s > 0:
            raise ValueError(f'memory_s must be positive, not {self.memory_s}')
        for name in ('hold_s', 'cost', 'near_deg'):
            if not getattr(self, name) >= 0:
                raise ValueError(f'{name} must not be negative, but is {getattr(self, name)}')
        if not 0 <= self.alike <= 1:
            raise ValueError(f'alike must lie in 0..1, not {self.alike}')


class UntrackedVoice:
    """Recursive over blocks.

    Parameters
    ----------
    likelihood
        Of the blocks.
    grid
        D directions among which a talker is searched.
    config
        See `UntrackedVoiceConfig`.

    Attributes
    ----------
    direction
        (3,) unit vector in the array frame of who talks, or did a while ago; None: nobody.
    """

    def __init__(
        self,
        likelihood: DirectionLikelihood,
        grid: DirectionGrid,
        config: UntrackedVoiceConfig | None = None,
    ):
        self.config = config or UntrackedVoiceConfig()
        self._likelihood = likelihood
        self._grid = grid
        azimuth = np.radians(np.arange(0.0, 360.0, _RING_STEP_DEG))
        in_base = direction_from_angles(azimuth, np.radians(_RING_ELEVATION_DEG))
        self._ring = grid.array.base_from_array.inverse().rotate(in_base)
        self._excludes = self._excluded(self._ring)  # (D, P) by a person in each of its directions
        self._steering: dict[tuple[bool, ...], np.ndarray] = {}  # (F, M, D) by live microphones
        self.reset()

    def reset(self) -> None:
        """Forget all sound."""
        self._evidence = np.zeros(len(self._grid))
        self._stamp_ns: int | None = None
        self._heard_ns = 0
        self._best: int | None = None
        self._near: tuple[int, ...] = ()  # where on the ring everybody tracked is
        self._free = np.arange(len(self._grid))  # directions away from them
        self._towards: dict[tuple[bool, ...], np.ndarray] = {}  # steering of those alone

    @property
    def direction(self) -> np.ndarray | None:
        """(3,) unit vector of who talks, or did a while ago; None: nobody."""
        return None if self._best is None else self._grid.directions[self._best]

    def update(
        self, block: BinBlock, ratios: np.ndarray, directions: np.ndarray, people: np.ndarray
    ) -> None:
        """Take a block.

        Parameters
        ----------
        block
            R rows of bins.
        ratios
            (R, J) their log ratio of everybody tracked to diffuse sound.
        directions, people
            (J, 3) unit vectors, and (R, M, J) of `DirectionLikelihood.whitened_steering` at the
            bins of the block.
        """
        elapsed_s = 0.0 if self._stamp_ns is None else seconds(block.stamp_ns - self._stamp_ns)
        if elapsed_s < -_START_ANEW_S:
            self.reset()
        self._stamp_ns = block.stamp_ns
        self._notice(directions)
        before = self._evidence[self._free]
        before *= np.exp(-max(elapsed_s, 0.0) / self.config.memory_s)
        evidence = self._collected(before, block, ratios, people)
        # The best comes down to the limit, and the others stay as far behind.
        excess = max(evidence.max(initial=0.0) - self.config.limit, 0.0)
        self._evidence[:] = 0.0
        self._evidence[self._free] = np.maximum(evidence - excess, 0.0)
        self._decide(block.stamp_ns)

    def _decide(self, stamp_ns: int) -> None:
        """Find who talks, and forget who has not for long, or has a track by now."""
        loudest = int(np.argmax(self._evidence))
        if self._evidence[loudest] >= self.config.threshold:
            self._best = loudest
            self._heard_ns = stamp_ns
        elif self._best is not None:
            is_over = seconds(stamp_ns - self._heard_ns) > self.config.hold_s
            if is_over or self._best not in self._free:
                self._best = None

    def _collected(
        self, before: np.ndarray, block: BinBlock, ratios: np.ndarray, people: np.ndarray
    ) -> np.ndarray:
        """Evidence (D',) of the free directions with that of a block."""
        voiced = 1.0 if block.voice_activity is None else block.voice_activity
        if not len(block) or not len(before) or not voiced:
            return before
        of_grid = self._likelihood.heard_by(block.live).ratios(block, self._steering_of(block))
        explained = ratios.max(axis=1, initial=0.0)
        evidence = before + voiced * self._unexplained(of_grid, explained)
        if ratios.shape[1] > 1 and evidence.max() > 0:
            # What two of them explain lowers evidence, so that none needs no such look.
            explained = np.maximum(explained, pair_ratios(block, people).max(axis=1))
            evidence = before + voiced * self._unexplained(of_grid, explained)
        return evidence

    def _unexplained(self, of_grid: np.ndarray, explained: np.ndarray) -> np.ndarray:
        """Evidence (D',) of bins, beside log ratios (R,) that they are explained by so far."""
        share = self.config.share
        gain = np.exp(np.minimum(of_grid - explained[:, None], _MOST))
        return np.log(1 - share + share * gain).sum(axis=0)

    def _steering_of(self, block: BinBlock) -> np.ndarray:
        """(F, M, D') towards the free directions."""
        live = block.live
        if live not in self._steering:
            likelihood = self._likelihood.heard_by(live)
            self._steering[live] = likelihood.whitened_steering(self._grid.directions)
        if live not in self._towards:
            self._towards[live] = np.ascontiguousarray(self._steering[live][:, :, self._free])
        return self._towards[live]

    def _notice(self, directions: np.ndarray) -> None:
        """Find out which directions nobody tracked is near, when somebody has moved."""
        near = tuple(np.argmax(directions @ self._ring.T, axis=1).tolist())
        if near == self._near:
            return
        self._near = near
        self._free = np.flatnonzero(~self._excludes[:, list(near)].any(axis=1))
        self._towards = {}

    def _excluded(self, people: np.ndarray) -> np.ndarray:
        """(D, P) bool: where in the grid a person in each of the directions (P, 3) is heard."""
        bins = slice(None, None, _THINNED)
        own = _unit(self._likelihood.whitened_steering(people, bins))
        grid = _unit(self._likelihood.whitened_steering(self._grid.directions, bins))
        likeness = np.mean(np.abs(grid.conj().swapaxes(1, 2) @ own) ** 2, axis=0)
        near = self._grid.near(people, self.config.near_deg).T
        # Tracks are as wrong where only their mirror image is in the grid.
        mirrored = (likeness >= self.config.alike) & ~near
        beside = people @ people.T >= np.cos(np.radians(self.config.near_deg)) - 1e-9
        return near | (mirrored @ beside)


def pair_ratios(block: BinBlock, steering: np.ndarray) -> np.ndarray:
    """Log ratio of every two people who sound at once to diffuse sound.

    Parameters
    ----------
    block
        R rows of bins of M microphones.
    steering
        (R, M, J) of `DirectionLikelihood.whitened_steering` at the rows.

    Returns
    -------
    np.ndarray
        (R, P) of the P pairs, mean over the kept frames.
    """
    first, second = np.triu_indices(steering.shape[2], 1)
    # Woodbury: with U = sqrt(s) (g_n, g_m) and C = I + U^H U the ratio is
    # -log |C| - M log(1 - y^H U C^-1 U^H y); steering holds the columns of U* over sqrt(C_nn).
    length = np.sum(steering.real**2 + steering.imag**2, axis=1)  # (R, J)
    own = 1 / np.maximum(1 - length, 1e-6)  # C_nn
    scaled = steering * np.sqrt(own)[:, None]
    between = np.sum(scaled[..., first] * scaled[..., second].conj(), axis=1)[:, None]  # C_nm
    heard = block.unit @ scaled  # (R, T, J)
    power = heard.real**2 + heard.imag**2
    cross = heard[..., first].conj() * heard[..., second]
    own = own[:, None]
    determinant = own[..., first] * own[..., second] - np.abs(between) ** 2
    explained = own[..., second] * power[..., first] + own[..., first] * power[..., second]
    explained -= 2 * (between * cross).real
    misfit = np.log(np.maximum(1 - explained / determinant, 1e-6))
    share = block.kept / block.kept.sum(axis=1, keepdims=True)
    mean = np.einsum('rt,rtp->rp', share.astype(np.float32), misfit)
    return -np.log(determinant[:, 0]) - steering.shape[1] * mean


def _unit(steering: np.ndarray) -> np.ndarray:
    return steering / np.linalg.norm(steering, axis=1, keepdims=True)
