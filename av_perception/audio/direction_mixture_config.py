# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What `direction_mixture` remembers, and what it takes for a voice."""

from __future__ import annotations

from dataclasses import dataclass, field

from av_perception.audio.directional_noise import DirectionalNoiseConfig


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
