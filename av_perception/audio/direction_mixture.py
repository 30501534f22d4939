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
from dataclasses import dataclass, replace

import numpy as np

from av_perception.audio.direction_bins import BinBlock, DirectionLikelihood
from av_perception.audio.direction_grid import DirectionGrid
from av_perception.audio.direction_mixture_config import DirectionMixtureConfig
from av_perception.audio.directional_noise import DirectionalNoise
from av_perception.audio.held_steering import JoinedSteering
from av_perception.audio.voice_share import VoiceShare, silence

_MAX_RATIO = 60.0  # exp of it is still a float32
_FEW_BINS = 8  # in a block with fewer nobody dominates
_SAME_PLACE = np.cos(np.radians(10.0))  # nobody walks so far around an array in a block
_LARGER_PART = 0.5  # of a block's bins: whoever owns it dominates the block


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
    azimuth: float  # [rad] of the direction in the base frame
    weight: np.ndarray  # (D,), of the peak alone
    near: np.ndarray  # (D,) bool, around it
    since_ns: int
    dominant: bool  # now, or once since it is there


@dataclass(frozen=True)
class _Ownership:
    """Of an E-step by weights (D,): (D,) voiced bins of each, (R,) one over the mixture."""

    weight: np.ndarray
    voiced_mass: np.ndarray
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
        self._steering: dict[tuple[bool, ...], JoinedSteering] = {}  # by live microphones
        self._near = grid.near(grid.directions, self.config.peak_radius_deg)  # (D, D)
        self._sums_near = self._near.astype(float)
        self._apart = ~grid.near(grid.directions, self.config.separation_deg)
        self._noise = DirectionalNoise(self.config.noise, self._near)
        self._voice_share = VoiceShare(self.config.window_s)
        self.reset()

    def reset(self) -> None:
        """Forget all sound."""
        size = self.config.max_bins
        count = len(self._grid)
        # Of every bin under every direction, and from everywhere
        self._density = np.zeros((size, count), np.float32)
        # The same, but nothing where a known person was when the bin was heard
        self._open_density = np.zeros((size, count), np.float32)
        self._diffuse_density = np.ones(size, np.float32)
        self._noise_density = np.zeros(size, np.float32)  # with the weights of a revision
        self._noise_revision = self._noise.revision
        self._voiced = np.zeros(size, np.float32)  # voice activity when it was heard
        self._stamp = np.full(size, -1, np.int64)  # -1: nothing there
        self._block = np.zeros(size, np.int64)  # number of its block, among those remembered
        self._num_blocks = 0  # that had bins
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

    def update(
        self, block: BinBlock, known: Mapping[int, np.ndarray], describe: bool = True
    ) -> list[HeardVoice]:
        """Take a block.

        Parameters
        ----------
        block
            The bins of 40 ms.
        known
            Unit vector (3,) in the array frame by id, of everybody who is tracked.
        describe
            Whether `newest` is wanted; without, it is empty.

        Returns
        -------
        list of HeardVoice
            The voices that none of them explains, the largest share first.
        """
        towards = np.array(list(known.values()), float).reshape(-1, 3)
        self._meet(known, towards)
        taken = np.any(self._grid.near(towards, self.config.known_radius_deg), axis=0)
        allowed = np.logical_not(taken)
        self._remember(block, tuple(known), towards, allowed, describe)
        self._voice_share.note(block.stamp_ns, _voiced(block))
        since_ns = block.stamp_ns - round(self.config.window_s * 1e9)
        recent = (self._stamp[: self._filled] >= since_ns).astype(np.float32)
        self._refresh(allowed)
        own = self._iterate(recent)
        peaks = self._find_peaks(block.stamp_ns, own)
        self._peaks = self._judge_dominance(peaks, recent, own)
        return [
            self._voice(p) for p in self._peaks if self._is_voice(p, block.stamp_ns, recent, own)
        ]

    def _is_voice(self, peak: _Peak, stamp_ns: int, recent: np.ndarray, own: _Ownership) -> bool:
        config = self.config
        if not peak.dominant or stamp_ns - peak.since_ns < config.min_age_s * 1e9:
            return False
        if self._is_noise(peak.direction):
            return False
        filled = self._filled
        silent = silence(self._voiced[:filled]) * recent * own.inverse
        density = self._open_density[:filled] @ (peak.near * own.weight).astype(np.float32)
        voiced_bins = float(peak.near @ own.voiced_mass)
        voice = self._voice_share.of(voiced_bins, float(silent @ density))
        return voice >= config.min_voice

    def _voice(self, peak: _Peak) -> HeardVoice:
        """Mean and spread of the weights of a peak."""
        directions = self._grid.directions
        share = peak.weight.sum()
        mean = peak.weight @ directions / share
        offset = directions - mean
        covariance = (peak.weight[:, None] * offset).T @ offset / share
        step = np.radians(360.0 / max(len(self._grid), 72))
        covariance = covariance / np.linalg.norm(mean) ** 2 + step**2 / 12 * np.eye(3)
        return HeardVoice(peak.direction, covariance, float(share), peak.since_ns)

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

    def _remember(
        self,
        block: BinBlock,
        ids: tuple[int, ...],
        towards: np.ndarray,
        allowed: np.ndarray,
        describe: bool,
    ) -> None:
        """Write the block's bins over the oldest ones."""
        count = len(block)
        self.newest = BlockDensities(np.zeros((0, len(self._grid))), np.zeros((0, len(ids))), 0.0)
        if not count:
            return
        rows = (self._next + np.arange(count)) % self.config.max_bins
        self._filled = min(self._filled + count, self.config.max_bins)
        self._next = (self._next + count) % self.config.max_bins
        ratios = self.config.temper * self._ratios(block, towards)
        peak = np.maximum(ratios.max(axis=1, keepdims=True), 0.0)
        density = ratios - peak
        np.maximum(density, -_MAX_RATIO, out=density)
        np.exp(density, out=density)
        of_grid = density[:, : len(self._grid)]
        self._density[rows] = of_grid
        # Who walks on leaves nobody behind: what was heard near them stays theirs, echoes and all
        self._open_density[rows] = of_grid * allowed.astype(np.float32)
        for column, i in enumerate(ids, start=len(self._grid)):
            self._known[i][rows] = density[:, column]
        self._diffuse_density[rows] = np.exp(np.maximum(-peak[:, 0], -_MAX_RATIO))
        voiced = _voiced(block)
        self._voiced[rows] = voiced
        people = density[:, len(self._grid) :] @ np.array(list(self.shares.values()))
        self._noise.learn(block.stamp_ns, voiced, of_grid, self._diffuse_density[rows], people)
        self._noise_density[rows] = of_grid @ self._noise.weight
        if describe:
            owned = self._owned(rows, density)
            self.newest = BlockDensities(ratios[:, : len(self._grid)], owned, voiced)
        self._stamp[rows] = block.stamp_ns
        self._block[rows] = self._num_blocks % self.config.max_bins
        self._num_blocks += 1

    def _ratios(self, block: BinBlock, towards: np.ndarray) -> np.ndarray:
        """(R, D + N) log ratio of the directions of the grid and of the known people."""
        likelihood = self._likelihood.heard_by(block.live)
        if block.live not in self._steering:
            self._steering[block.live] = JoinedSteering(likelihood, self._grid.directions)
        return likelihood.ratios(block, *self._steering[block.live].with_people(towards))

    def _owned(self, rows: np.ndarray, density: np.ndarray) -> np.ndarray:
        """(R, N) how far the bins (R, D + N) are each known person's, by the weights so far."""
        of_grid = density[:, : len(self._grid)] @ self._weight
        owned = density[:, len(self._grid) :] * np.array(list(self.shares.values()))
        mixture = of_grid + owned.sum(axis=1) + self.diffuse * self._diffuse_density[rows]
        return owned / np.maximum(mixture, 1e-30)[:, None]

    def _iterate(self, recent: np.ndarray) -> _Ownership:
        """EM of the weights. recent: (R,) 1 for the bins of the window, 0 for older ones."""
        filled = self._filled
        density = self._open_density[:filled]
        diffuse_density = self._diffuse_density[:filled]
        known = np.array([column[:filled] for column in self._known.values()], np.float32)
        known = known.reshape(len(self._known), filled)
        voiced = self._voiced[:filled] * recent
        total = float(voiced.sum())
        own = _Ownership(self._weight, np.zeros(len(self._weight)), recent)
        if total < 1:
            return own
        shares = np.array(list(self.shares.values()))
        for _ in range(self.config.iterations):
            # E-step: the mixture's density of every bin
            mixture = density @ self._weight.astype(np.float32)
            noise = np.float32(self._noise.everywhere) * diffuse_density
            noise += self._of_noise()
            mixture += shares.astype(np.float32) @ known
            mixture += self.diffuse * diffuse_density + self.noise_share * noise
            inverse = recent / np.maximum(mixture, 1e-30)
            of_voice = voiced * inverse
            # M-step: each weight is the share of the voiced bins that are its own
            voiced_mass = self._weight * (of_voice @ density)
            own = _Ownership(self._weight, voiced_mass, inverse)
            shares = shares * (known @ of_voice) / total
            self.diffuse = float(self.diffuse * (diffuse_density @ of_voice) / total)
            self.noise_share = float(self.noise_share * (noise @ of_voice) / total)
            self._weight = voiced_mass / total
        self.shares = dict(zip(self.shares, shares.tolist(), strict=True))
        return own

    def _of_noise(self) -> np.ndarray:
        """(R,) density of the bins as noise from the directions that are known of it."""
        if self._noise_revision != self._noise.revision:
            self._noise_revision = self._noise.revision
            density = self._density[: self._filled]
            self._noise_density[: self._filled] = density @ self._noise.weight
        return self._noise_density[: self._filled]

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

    def _find_peaks(self, stamp_ns: int, own: _Ownership) -> list[_Peak]:
        """Take the largest sums of neighboring weights, one after another and well apart."""
        config = self.config
        open_weight = self._weight.copy()
        peaks: list[_Peak] = []
        total = float(own.voiced_mass.sum() / max(self._weight.sum(), 1e-9))
        while True:
            sums = self._sums_near @ open_weight
            best = int(np.argmax(sums))
            if sums[best] < config.min_share or sums[best] * total < config.min_bins:
                return peaks
            near = self._near[best]
            peaks.append(self._peak(near, near * open_weight, stamp_ns))
            open_weight = open_weight * self._apart[best]

    def _judge_dominance(
        self, peaks: list[_Peak], recent: np.ndarray, own: _Ownership
    ) -> list[_Peak]:
        """Tell which of the peaks dominate by now, all of them in one pass over the bins."""
        doubtful = [k for k, peak in enumerate(peaks) if not peak.dominant]
        if not doubtful:
            return peaks
        judged = list(peaks)
        weight = np.array([peaks[k].weight for k in doubtful])
        for k, share in zip(doubtful, self._dominance(weight, recent, own), strict=True):
            judged[k] = replace(peaks[k], dominant=bool(share >= self.config.min_dominance))
        return judged

    def _dominance(self, weight: np.ndarray, recent: np.ndarray, own: _Ownership) -> np.ndarray:
        """(P,) share of a peak's voiced bins that lie in blocks which it owns for the most part.

        weight: (P, D) of the peaks.
        """
        filled = self._filled
        density = weight.astype(np.float32) @ self._open_density[:filled].T
        voiced = self._voiced[:filled] * recent
        block = self._block[:filled]
        of_peaks = density * (voiced * own.inverse)
        bins = np.array([np.bincount(block, of_peak) for of_peak in of_peaks])
        whole = np.bincount(block, voiced)
        owned = (bins > _LARGER_PART * whole) & (whole >= _FEW_BINS)
        return (bins * owned).sum(axis=1) / np.maximum(bins.sum(axis=1), 1e-9)

    def _peak(self, near: np.ndarray, weight: np.ndarray, stamp_ns: int) -> _Peak:
        """Where the weights (D,) of one peak lie, and since when it is there; near: (D,) bool."""
        mean = weight @ self._grid.directions
        direction = mean / np.linalg.norm(mean)
        azimuth = float(self._grid.azimuth_of(direction))
        before = [p for p in self._peaks if self._is_same(p.azimuth, azimuth)]
        return _Peak(
            direction,
            azimuth,
            weight,
            near,
            since_ns=min((p.since_ns for p in before), default=stamp_ns),
            dominant=any(p.dominant for p in before),
        )

    def _is_same(self, first: float, second: float) -> bool:
        difference = (first - second + np.pi) % (2 * np.pi) - np.pi
        return abs(difference) <= np.radians(self.config.peak_radius_deg)


def _voiced(block: BinBlock) -> float:
    """Voice activity of a block; without a voice detector everything is taken for voice."""
    return 1.0 if block.voice_activity is None else block.voice_activity
