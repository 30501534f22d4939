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
from av_perception.geometry.time import seconds

UNTRACKED = -1  # the id of somebody for whom no track stands; tracks count from 0
_THINNED = 6  # every so many frequencies tell whether two directions sound alike
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
    #: Whoever sounds as much alike as this is that person, in 0..1 (1: the same at all
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
        self._steering: dict[tuple[bool, ...], np.ndarray] = {}  # (F, M, D) by live microphones
        self.reset()

    def reset(self) -> None:
        """Forget all sound."""
        self._evidence = np.zeros(len(self._grid))
        self._stamp_ns: int | None = None
        self._heard_ns = 0
        self._people: np.ndarray | None = None  # steering of whom `_free` is about
        self._free = np.ones(len(self._grid), bool)
        self._best: int | None = None

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
            (J, 3) unit vectors, and (F, M, J) of `DirectionLikelihood.whitened_steering`.
        """
        elapsed_s = 0.0 if self._stamp_ns is None else seconds(block.stamp_ns - self._stamp_ns)
        if elapsed_s < -_START_ANEW_S:
            self.reset()
        self._stamp_ns = block.stamp_ns
        self._notice(block.live, directions, people)
        evidence = self._evidence * np.exp(-max(elapsed_s, 0.0) / self.config.memory_s)
        if len(block):
            voiced = 1.0 if block.voice_activity is None else block.voice_activity
            evidence = evidence + voiced * self._unexplained(block, ratios, people)
        evidence *= self._free
        # The best comes down to the limit, and the others stay as far behind.
        excess = max(evidence.max() - self.config.limit, 0.0)
        self._evidence = np.maximum(evidence - excess, 0.0)
        self._decide(block.stamp_ns)

    def _decide(self, stamp_ns: int) -> None:
        """Find who talks, and forget who has not for long, or has a track by now."""
        loudest = int(np.argmax(self._evidence))
        if self._evidence[loudest] >= self.config.threshold:
            self._best = loudest
            self._heard_ns = stamp_ns
        elif self._best is not None:
            is_over = seconds(stamp_ns - self._heard_ns) > self.config.hold_s
            if is_over or not self._free[self._best]:
                self._best = None

    def _unexplained(self, block: BinBlock, ratios: np.ndarray, people: np.ndarray) -> np.ndarray:
        """(D,) evidence of the block for a talker in each direction, beside those tracked."""
        likelihood = self._likelihood.heard_by(block.live)
        of_grid = likelihood.ratios(block, self._steering_of(block.live))
        explained = ratios.max(axis=1, initial=0.0)
        if people.shape[2] > 1:
            of_pairs = pair_ratios(block, people[block.bins])
            explained = np.maximum(explained, of_pairs.max(axis=1))
        share = self.config.share
        return np.log1p(share * np.expm1(of_grid - explained[:, None])).sum(axis=0)

    def _steering_of(self, live: tuple[bool, ...]) -> np.ndarray:
        if live not in self._steering:
            likelihood = self._likelihood.heard_by(live)
            self._steering[live] = likelihood.whitened_steering(self._grid.directions)
        return self._steering[live]

    def _notice(self, live: tuple[bool, ...], directions: np.ndarray, people: np.ndarray) -> None:
        """Find out which directions nobody tracked stands near, when somebody has moved."""
        if people is self._people:
            return
        self._people = people
        near = self._grid.near(directions, self.config.near_deg).any(axis=0)
        own = _unit(people[::_THINNED])
        grid = _unit(self._steering_of(live)[::_THINNED])
        likeness = np.mean(np.abs(grid.conj().swapaxes(1, 2) @ own) ** 2, axis=0)  # (D, J)
        self._free = ~near & (likeness.max(axis=1, initial=0.0) < self.config.alike)


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
