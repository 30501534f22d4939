# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where voices come from, by sound alone and live: a mixture over a grid of directions.

The bins of the last seconds come from the grid's directions, known people, or everywhere. The
weights follow by EM, an iteration a block, from where the last block left them; their peaks are
the voices that nobody known explains (after Li, Girin, Badeig and Horaud 2019; here on
instantaneous bins and over a sliding window).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from av_perception.audio.direction_bins import BinBlock, DirectionLikelihood
from av_perception.audio.direction_grid import DirectionGrid
from av_perception.audio.directional_noise import DirectionalNoise, DirectionalNoiseConfig
from av_perception.audio.voice_share import VoiceShare, silence

_MAX_RATIO = 60.0  # exp of it is still a float32
_FEW_BINS = 8  # in a block with fewer nobody dominates
_SAME_PLACE = np.cos(np.radians(10.0))  # nobody walks so far around an array in a block
_LARGER_PART = 0.5  # of a block's bins: whoever owns it dominates the block


@dataclass(frozen=True)
class DirectionMixtureConfig:
    """Memory, EM, and what counts as a voice."""

    #: The bins of this time are explained together [s].
    window_s: float = 3.0
    #: At most so many of them, the newest; at least 256.
    max_bins: int = 3072
    #: Log ratios count by this positive factor.
    temper: float = 1.5
    #: EM iterations per block, at least 1.
    iterations: int = 1
    #: Share of the weights spread over the grid before each block, in (0, 1): new voices rise.
    refresh: float = 0.02
    #: A known person explains what comes from so near [deg azimuth].
    known_radius_deg: float = 20.0
    #: Weights so near to a peak are the peak's [deg azimuth].
    peak_radius_deg: float = 12.0
    #: Two peaks are at least so far apart [deg azimuth].
    separation_deg: float = 25.0
    #: A voice owns this share of the voiced bins, in (0, 1).
    min_share: float = 0.1
    #: A voice owns so many of the voiced bins.
    min_bins: float = 60.0
    #: A voice stayed so long [s].
    min_age_s: float = 0.2
    #: Share of a voice's bins in blocks that it owned for the most part, at one time, in 0..1: a
    #: reflection never does.
    min_dominance: float = 0.15
    #: So much of what comes from there is voiced, in 0..1, of all bins and of the bins in equal
    #: times with and without voice: what sounds between the words as well is no voice.
    min_voice: float = 0.6
    #: What sounds while nobody speaks.
    noise: DirectionalNoiseConfig = field(default_factory=DirectionalNoiseConfig)

    def __post_init__(self):
        if self.window_s <= 0 or self.max_bins < 256 or self.iterations < 1 or self.temper <= 0:
            raise ValueError(
                'window_s and temper must be positive, max_bins at least 256, '
                'iterations at least 1'
            )
        if not (
            0 < self.refresh < 1
            and 0 < self.min_share < 1
            and 0 <= self.min_voice <= 1
            and 0 <= self.min_dominance < 1
        ):
            raise ValueError(
                'refresh and min_share must lie in (0, 1), min_voice in 0..1, '
                'min_dominance in 0..1'
            )
        if not 0 < self.peak_radius_deg <= self.separation_deg < 180:
            raise ValueError('0 < peak_radius_deg <= separation_deg < 180 must hold')
        if min(self.known_radius_deg, self.min_bins, self.min_age_s) < 0:
            raise ValueError('known_radius_deg, min_bins and min_age_s must not be negative')


@dataclass(frozen=True)
class HeardVoice:
    """A voice from a direction that no known person explains.

    direction: (3,) unit vector in the array frame; covariance: (3, 3) of it; share: of the voiced
    bins of the window; since_ns: stamp of the block since which it is heard.
    """

    direction: np.ndarray
    covariance: np.ndarray
    share: float
    since_ns: int


@dataclass(frozen=True)
class BlockDensities:
    """What the newest block says, R bins, D directions of the grid, N known people.

    ratios: (R, D) tempered log ratio of every direction to diffuse sound; owned: (R, N) how far a
    bin is each known person's, by the weights so far; voiced: voice activity of the block.
    """

    ratios: np.ndarray
    owned: np.ndarray
    voiced: float


@dataclass(frozen=True)
class _Peak:
    direction: np.ndarray
    covariance: np.ndarray
    share: float
    voice: float
    since_ns: int
    dominant: bool  # now, or once since it is there


@dataclass(frozen=True)
class _Ownership:
    """Of an E-step: (D,) bins of each direction with and without voice; (R,) one over mixture."""

    voiced_mass: np.ndarray
    silent_mass: np.ndarray
    inverse: np.ndarray


class DirectionMixture:
    """Recursive. `shares`: weights of known people, `diffuse`: of sound from everywhere."""

    def __init__(
        self,
        likelihood: DirectionLikelihood,
        grid: DirectionGrid,
        config: DirectionMixtureConfig | None = None,
    ):
        self.config = config or DirectionMixtureConfig()
        self._likelihood = likelihood
        self._grid = grid
        self._scaled: dict[tuple[bool, ...], np.ndarray] = {}  # of the grid, by live microphones
        self._near = grid.near(grid.directions, self.config.peak_radius_deg)  # (D, D)
        self._apart = ~grid.near(grid.directions, self.config.separation_deg)
        self._noise = DirectionalNoise(self.config.noise, self._near)
        self._voice_share = VoiceShare(self.config.window_s)
        self.reset()

    def reset(self) -> None:
        """Forget all sound."""
        size = self.config.max_bins
        count = len(self._grid)
        self._density = np.zeros(
            (size, count), np.float32
        )  # of every bin under every direction ...
        self._diffuse_density = np.ones(size, np.float32)  # ... and from everywhere
        self._voiced = np.zeros(size, np.float32)  # voice activity when it was heard
        self._stamp = np.full(size, -1, np.int64)  # -1: nothing there
        self._known: dict[int, np.ndarray] = {}  # (size,) density under each known person
        self._towards: dict[int, np.ndarray] = {}  # (3,) where each of them was last
        self._next = self._filled = 0
        self._weight = np.full(count, 0.5 / count)
        self.newest = BlockDensities(np.zeros((0, count)), np.zeros((0, 0)), 0.0)
        self.shares: dict[int, float] = {}
        self.diffuse = 0.5
        self.noise_share = 0.0
        self._noise.reset()
        self._voice_share.reset()
        self._peaks: list[_Peak] = []

    def update(self, block: BinBlock, known: Mapping[int, np.ndarray]) -> list[HeardVoice]:
        """Take a block.

        Parameters
        ----------
        block
            The bins of 40 ms.
        known
            Unit vector (3,) in the array frame by id, of everybody who is tracked.

        Returns
        -------
        list of HeardVoice
            The voices that none of them explains, the largest share first.
        """
        towards = np.array(list(known.values()), float).reshape(-1, 3)
        self._meet(known, towards)
        self._remember(block, tuple(known), towards)
        self._voice_share.note(block.stamp_ns, _voiced(block))
        taken = np.any(self._grid.near(towards, self.config.known_radius_deg), axis=0)
        allowed = np.logical_not(taken)
        since_ns = block.stamp_ns - round(self.config.window_s * 1e9)
        recent = (self._stamp[: self._filled] >= since_ns).astype(np.float32)
        self._refresh(allowed)
        self._peaks = self._find_peaks(block.stamp_ns, recent, self._iterate(recent))
        return [
            HeardVoice(p.direction, p.covariance, p.share, p.since_ns)
            for p in self._peaks
            if self._is_voice(p, block.stamp_ns)
        ]

    def _is_voice(self, peak: _Peak, stamp_ns: int) -> bool:
        config = self.config
        old = stamp_ns - peak.since_ns >= config.min_age_s * 1e9
        is_voice = old and peak.voice >= config.min_voice and peak.dominant
        return is_voice and not self._is_noise(peak.direction)

    def _is_noise(self, direction: np.ndarray) -> bool:
        """Whether a known noise comes from there, or from so near that they are one peak."""
        around = self._grid.near(direction, self.config.peak_radius_deg)[0]
        return bool((around & self._noise.sources()).any())

    def _meet(self, known: Mapping[int, np.ndarray], towards: np.ndarray) -> None:
        """Keep the columns of who is known; a newcomer's past is that of the nearest direction.

        Who jumps was in either place before: walked on in silence, or was taken to be elsewhere.
        """
        columns = {}
        for i, direction in zip(known, towards, strict=True):
            if i in self._known and self._towards[i] @ direction > _SAME_PLACE:
                columns[i] = self._known[i]
                continue
            nearest = int(np.argmax(self._grid.directions @ direction))
            columns[i] = self._density[:, nearest].copy()
            if i in self._known:
                np.maximum(columns[i], self._known[i], out=columns[i])
        self._known = columns
        self._towards = dict(zip(known, towards, strict=True))
        self.shares = {i: self.shares.get(i, 0.0) for i in known}

    def _remember(self, block: BinBlock, ids: tuple[int, ...], towards: np.ndarray) -> None:
        """Write the block's bins over the oldest ones."""
        count = len(block)
        self.newest = BlockDensities(np.zeros((0, len(self._grid))), np.zeros((0, len(ids))), 0.0)
        if not count:
            return
        rows = (self._next + np.arange(count)) % self.config.max_bins
        self._filled = min(self._filled + count, self.config.max_bins)
        self._next = (self._next + count) % self.config.max_bins
        likelihood = self._likelihood.heard_by(block.live)
        if block.live not in self._scaled:
            self._scaled[block.live] = likelihood.whitened_steering(self._grid.directions)
        ratios = likelihood.ratios(block, self._scaled[block.live])
        if ids:
            own = likelihood.ratios_towards(block, towards)
            ratios = np.concatenate([ratios, own], axis=1)
        ratios = self.config.temper * ratios
        peak = np.maximum(ratios.max(axis=1, keepdims=True), 0.0)
        density = np.exp(np.maximum(ratios - peak, -_MAX_RATIO))
        self._density[rows] = density[:, : len(self._grid)]
        for column, i in enumerate(ids, start=len(self._grid)):
            self._known[i][rows] = density[:, column]
        self._diffuse_density[rows] = np.exp(np.maximum(-peak[:, 0], -_MAX_RATIO))
        voiced = _voiced(block)
        self._voiced[rows] = voiced
        people = density[:, len(self._grid) :] @ np.array(list(self.shares.values()))
        of_grid = self._density[rows]
        self._noise.learn(block.stamp_ns, voiced, of_grid, self._diffuse_density[rows], people)
        self.newest = BlockDensities(
            ratios[:, : len(self._grid)], self._owned(rows, density), voiced
        )
        self._stamp[rows] = block.stamp_ns

    def _owned(self, rows: np.ndarray, density: np.ndarray) -> np.ndarray:
        """(R, N) how far the bins (R, D + N) are each known person's, by the weights so far."""
        of_grid = density[:, : len(self._grid)] @ self._weight
        owned = density[:, len(self._grid) :] * np.array(list(self.shares.values()))
        mixture = of_grid + owned.sum(axis=1) + self.diffuse * self._diffuse_density[rows]
        return owned / np.maximum(mixture, 1e-30)[:, None]

    def _iterate(self, recent: np.ndarray) -> _Ownership:
        """EM of the weights. recent: (R,) 1 for the bins of the window, 0 for older ones."""
        filled = self._filled
        density = self._density[:filled]
        diffuse_density = self._diffuse_density[:filled]
        known = np.array([column[:filled] for column in self._known.values()], np.float32)
        known = known.reshape(len(self._known), filled)
        voiced = self._voiced[:filled] * recent
        silent = silence(self._voiced[:filled]) * recent
        total = float(voiced.sum())
        own = _Ownership(np.zeros(len(self._weight)), np.zeros(len(self._weight)), recent)
        if total < 1:
            return own
        shares = np.array(list(self.shares.values()))
        for _ in range(self.config.iterations):
            # E-step: the mixture's density of every bin
            weights = np.stack([self._weight.astype(np.float32), self._noise.weight])
            mixture, noise = weights @ density.T
            noise += np.float32(self._noise.everywhere) * diffuse_density
            mixture += shares.astype(np.float32) @ known
            mixture += self.diffuse * diffuse_density + self.noise_share * noise
            inverse = recent / np.maximum(mixture, 1e-30)
            both = np.stack([voiced * inverse, silent * inverse])
            # M-step: each weight is the share of the voiced bins that are its own
            voiced_mass, silent_mass = (self._weight * (both @ density)).astype(float)
            own = _Ownership(voiced_mass, silent_mass, inverse)
            shares = shares * (known @ both[0]) / total
            self.diffuse = float(self.diffuse * (diffuse_density @ both[0]) / total)
            self.noise_share = float(self.noise_share * (noise @ both[0]) / total)
            self._weight = voiced_mass / total
        self.shares = dict(zip(self.shares, shares.tolist(), strict=True))
        return own

    def _refresh(self, allowed: np.ndarray) -> None:
        """Let every component rise again; what is near a known person is that person's."""
        share = self.config.refresh
        weight = np.where(allowed, self._weight, 0.0)
        weight = (1 - share) * weight + share * allowed / max(allowed.sum(), 1)
        shares = {i: max(value, share) for i, value in self.shares.items()}
        diffuse = max(self.diffuse, share)
        noise = max(self.noise_share, share)
        total = weight.sum() + sum(shares.values()) + diffuse + noise
        self._weight = weight / total
        self.diffuse = diffuse / total
        self.noise_share = noise / total
        self.shares = {i: value / total for i, value in shares.items()}

    def _find_peaks(self, stamp_ns: int, recent: np.ndarray, own: _Ownership) -> list[_Peak]:
        """Take the largest sums of neighboring weights, one after another and well apart."""
        config = self.config
        open_weight = self._weight.copy()
        weights = []
        near = []
        total = float(own.voiced_mass.sum() / max(self._weight.sum(), 1e-9))
        while True:
            sums = self._near @ open_weight
            best = int(np.argmax(sums))
            if sums[best] < config.min_share or sums[best] * total < config.min_bins:
                break
            near.append(self._near[best])
            weights.append(near[-1] * open_weight)
            open_weight = open_weight * self._apart[best]
        dominance = self._dominance(weights, recent, own)
        voice = [self._voice_share.of(n @ own.voiced_mass, n @ own.silent_mass) for n in near]
        return [
            self._peak(w, v, d, stamp_ns)
            for w, v, d in zip(weights, voice, dominance, strict=True)
        ]

    def _dominance(
        self, weights: list[np.ndarray], recent: np.ndarray, own: _Ownership
    ) -> list[float]:
        """Share of each peak's voiced bins that lie in blocks which it owns for the most part."""
        if not weights:
            return []
        filled = self._filled
        density = self._density[:filled] @ np.array(weights, np.float32).T  # (R, P)
        voiced = self._voiced[:filled] * recent
        _, block = np.unique(self._stamp[:filled], return_inverse=True)
        mine = voiced[:, None] * own.inverse[:, None] * density
        bins = np.stack([np.bincount(block, column) for column in mine.T])  # (P, B)
        whole = np.bincount(block, voiced)
        owned = (bins > _LARGER_PART * whole) & (whole >= _FEW_BINS)
        share = (bins * owned).sum(axis=1) / np.maximum(bins.sum(axis=1), 1e-9)
        return share.tolist()

    def _peak(self, own: np.ndarray, voice: float, dominance: float, stamp_ns: int) -> _Peak:
        """Mean and spread of the weights (D,) of one peak, and since when it is there."""
        directions = self._grid.directions
        mean = own @ directions / own.sum()
        offset = directions - mean
        covariance = (own[:, None] * offset).T @ offset / own.sum()
        length = np.linalg.norm(mean)
        direction = mean / length
        step = np.radians(360.0 / max(len(self._grid), 72))
        covariance = covariance / length**2 + step**2 / 12 * np.eye(3)
        before = [p for p in self._peaks if self._is_same(p.direction, direction)]
        since_ns = min((p.since_ns for p in before), default=stamp_ns)
        dominant = any(p.dominant for p in before) or dominance >= self.config.min_dominance
        return _Peak(direction, covariance, float(own.sum()), voice, since_ns, dominant)

    def _is_same(self, first: np.ndarray, second: np.ndarray) -> bool:
        azimuth = self._grid.azimuth_of(np.stack([first, second]))
        difference = (azimuth[0] - azimuth[1] + np.pi) % (2 * np.pi) - np.pi
        return abs(difference) <= np.radians(self.config.peak_radius_deg)


def _voiced(block: BinBlock) -> float:
    """Voice activity of a block; without a voice detector everything is taken for voice."""
    return 1.0 if block.voice_activity is None else block.voice_activity
