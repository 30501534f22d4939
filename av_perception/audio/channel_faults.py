# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Faults of single channels of a sound: dead, clipped, offset, quiet, a copy of another one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

_FULL_SCALE = 0.999
_INTEGERS = 8.0  # a sample beyond this is no overdriven one
_SAME = 1e-6  # of the power: channels that differ by less are copies


@dataclass(frozen=True)
class ChannelCheckConfig:
    """Limits of the check of a sound's channels."""

    #: A channel this far below the loudest one is dead [dB].
    dead_db: float = 50.0
    #: A channel this far below the loudest one is too quiet [dB].
    quiet_db: float = 20.0
    #: A channel clips that has this share of its samples at full scale.
    clipped_share: float = 1e-4
    #: A channel has an offset (DC) whose mean is this many standard deviations.
    constant_ratio: float = 0.5
    #: Lower end of the band whose phases are compared [Hz].
    lowest_hz: float = 300.0
    #: Upper end of the band whose phases are compared [Hz].
    highest_hz: float = 4000.0
    #: Frames this far below the loudest one still count [dB].
    loud_db: float = 25.0
    #: Mean cosine between measured and expected phases that still is one source there.
    least_fit: float = 0.3
    #: An order whose mean cosine is this much better than the profile's is another order.
    order_margin: float = 0.05
    #: How far off the direction may be [deg].
    angle_deg: float = 20.0

    def __post_init__(self):
        if not 0 < self.quiet_db < self.dead_db or self.loud_db <= 0:
            raise ValueError('quiet_db must lie between 0 and dead_db, loud_db must be positive')
        if not 0 < self.lowest_hz < self.highest_hz:
            raise ValueError('lowest_hz must lie between 0 and highest_hz')
        shares = (self.clipped_share, self.constant_ratio, self.least_fit, self.order_margin)
        if min(*shares, self.angle_deg) <= 0:
            raise ValueError(
                'clipped_share, constant_ratio, least_fit, order_margin and angle_deg must be '
                'positive'
            )


@dataclass(frozen=True)
class ChannelFault:
    """What is wrong with a channel; usable: its phases still say where sound comes from."""

    text: str
    usable: bool = False


@dataclass(frozen=True)
class _Channel:
    """Statistics of one channel: mean, clipped share and peak of full scale 1, level in dB."""

    mean: float
    std: float
    level_db: float  # below the loudest channel: not positive
    clipped_share: float
    peak: float
    is_finite: bool


def channel_faults(
    samples: np.ndarray, config: ChannelCheckConfig | None = None
) -> dict[int, ChannelFault]:
    """Find what is wrong with single channels.

    Parameters
    ----------
    samples
        (N, C) of full scale 1; values that are not finite are a fault.
    config
        Limits; None: the defaults.

    Returns
    -------
    dict
        One fault per channel that has one, the gravest.
    """
    config = config or ChannelCheckConfig()
    samples = np.asarray(samples, float)
    finite = np.where(np.isfinite(samples), samples, 0.0)
    faults = {}
    for index, channel in enumerate(_statistics(samples, finite)):
        fault = _fault(channel, config)
        if fault is not None:
            faults[index] = fault
    sound = sorted(set(range(samples.shape[1])) - set(faults))
    for original, copy in _copies(finite, sound):
        faults[copy] = ChannelFault(f'is a copy of channel {original}')
    return faults


def _statistics(samples: np.ndarray, finite: np.ndarray) -> list[_Channel]:
    """Describe the channels of samples (N, C); in `finite` 0 stands for what is no number."""
    std = finite.std(axis=0)
    level_db = 20 * np.log10(np.maximum(std, 1e-12) / max(std.max(), 1e-12))
    columns = zip(
        finite.mean(axis=0).tolist(),
        std.tolist(),
        level_db.tolist(),
        np.mean(np.abs(samples) >= _FULL_SCALE, axis=0).tolist(),
        np.abs(finite).max(axis=0, initial=0.0).tolist(),
        np.isfinite(samples).all(axis=0).tolist(),
    )
    return [_Channel(*column) for column in columns]


def _fault(channel: _Channel, config: ChannelCheckConfig) -> ChannelFault | None:
    """Name the gravest fault that a channel has by itself."""
    if not channel.is_finite:
        return ChannelFault('has samples that are not numbers')
    if channel.std == 0 or channel.level_db < -config.dead_db:
        return ChannelFault('is dead: no sound in it')
    text = ''
    if channel.clipped_share > config.clipped_share and channel.peak > _INTEGERS:
        text = (
            f'reaches {channel.peak:.0f}, where full scale is 1: integers stored as floats? '
            'Divide by 32768 or save it with 16 bits'
        )
    elif channel.clipped_share > config.clipped_share:
        text = (
            f'clips: {channel.clipped_share:.2%} of its samples are at full scale; '
            'turn its gain down'
        )
    elif abs(channel.mean) > config.constant_ratio * channel.std:
        text = f'has a constant offset (DC) of {channel.mean:.3f}: check the card and its coupling'
    elif channel.level_db < -config.quiet_db:
        text = (
            f'is {-channel.level_db:.0f} dB quieter than the loudest: check its gain and whether '
            'it is covered'
        )
    return ChannelFault(text, usable=True) if text else None


def _copies(samples: np.ndarray, channels: list[int]) -> list[tuple[int, int]]:
    """Pairs of channels, the second of which holds the same as the first."""
    power = samples.std(axis=0) ** 2
    return [
        (first, second)
        for first, second in itertools.combinations(channels, 2)
        if np.mean((samples[:, first] - samples[:, second]) ** 2) < _SAME * power[first]
    ]
