# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Are the channels of a sound those of the head? From a clap or a voice at a known direction: faults, order and orientation."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from av_perception.audio.propagation import array_response
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import (
    angles_from_direction,
    direction_from_angles,
    wrap_angle,
)
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.spectral.stft import StftConfig, StreamingStft

_MOST_ORDERS = 50000  # tried one by one; beyond, exchanges of two channels
_INTEGERS = 8.0  # a sample beyond this is no overdriven one


@dataclass(frozen=True)
class ChannelCheckConfig:
    """dead_db, quiet_db: below the loudest channel; clipped_share: of the samples at full scale; constant_ratio: mean to deviation (DC).

    lowest_hz, highest_hz: band of the phases; loud_db: frames this far below the loudest still count. least_fit: mean cosine between measured
    and expected phases that still is one source there; order_margin: an order this much better than the profile's is another order.
    angle_deg: the direction may be this far off.
    """

    dead_db: float = 50.0
    quiet_db: float = 20.0
    clipped_share: float = 1e-4
    constant_ratio: float = 0.5
    lowest_hz: float = 300.0
    highest_hz: float = 4000.0
    loud_db: float = 25.0
    least_fit: float = 0.3
    order_margin: float = 0.05
    angle_deg: float = 20.0

    def __post_init__(self):
        if not 0 < self.quiet_db < self.dead_db or self.loud_db <= 0:
            raise ValueError('quiet_db must lie between 0 and dead_db, loud_db must be positive')
        if not 0 < self.lowest_hz < self.highest_hz:
            raise ValueError('lowest_hz must lie between 0 and highest_hz')
        if (
            min(
                self.clipped_share,
                self.constant_ratio,
                self.least_fit,
                self.order_margin,
                self.angle_deg,
            )
            <= 0
        ):
            raise ValueError(
                'clipped_share, constant_ratio, least_fit, order_margin and angle_deg must be positive'
            )


@dataclass(frozen=True)
class KnownSound:
    """samples (N, C) in [-1, 1] at sample_rate [Hz] of one source at a direction in the head's base frame [rad]."""

    samples: np.ndarray
    sample_rate: int
    azimuth: float
    elevation: float = 0.0


@dataclass(frozen=True)
class OrderCheck:
    """orders: those that fit best, order[i] = channel of microphone i; fit, profile_fit: mean cosine of the best and of the profile's own.

    heard_azimuths: where each sound seems to come from with the profile's order [rad]. problem: what is wrong, empty when all is well.
    """

    orders: tuple[tuple[int, ...], ...]
    fit: float
    profile_fit: float
    heard_azimuths: tuple[float, ...]
    problem: str


@dataclass(frozen=True)
class ChannelFault:
    """What is wrong with a channel; usable: its phases still say where sound comes from."""

    text: str
    usable: bool = False


def channel_faults(
    samples: np.ndarray, config: ChannelCheckConfig = ChannelCheckConfig()
) -> dict[int, ChannelFault]:
    """What is wrong with single channels of samples (N, C), by channel."""
    samples = np.asarray(samples, float)
    finite = np.where(np.isfinite(samples), samples, 0.0)
    mean, deviation = finite.mean(axis=0), finite.std(axis=0)
    level = 20 * np.log10(np.maximum(deviation, 1e-12) / max(deviation.max(), 1e-12))
    clipped = np.mean(np.abs(samples) >= 0.999, axis=0)
    peak = np.abs(finite).max(axis=0, initial=0.0)
    faults = {}
    for channel in range(samples.shape[1]):
        if not np.isfinite(samples[:, channel]).all():
            faults[channel] = ChannelFault('has samples that are not numbers')
        elif deviation[channel] == 0 or level[channel] < -config.dead_db:
            faults[channel] = ChannelFault('is dead: no sound in it')
        elif clipped[channel] > config.clipped_share and peak[channel] > _INTEGERS:
            faults[channel] = ChannelFault(
                f'reaches {peak[channel]:.0f}, where full scale is 1: integers stored as floats? '
                'Divide by 32768 or save it with 16 bits',
                True,
            )
        elif clipped[channel] > config.clipped_share:
            faults[channel] = ChannelFault(
                f'clips: {clipped[channel]:.1%} of its samples are at full scale; turn its gain down',
                True,
            )
        elif abs(mean[channel]) > config.constant_ratio * deviation[channel]:
            faults[channel] = ChannelFault(
                f'has a constant offset (DC) of {mean[channel]:.3f}: check the card and its coupling',
                True,
            )
        elif level[channel] < -config.quiet_db:
            faults[channel] = ChannelFault(
                f'is {-level[channel]:.0f} dB quieter than the loudest: check its gain and whether it is covered',
                True,
            )
    for first, second in itertools.combinations(set(range(samples.shape[1])) - set(faults), 2):
        if np.mean((finite[:, first] - finite[:, second]) ** 2) < 1e-6 * deviation[first] ** 2:
            faults[second] = ChannelFault(f'is a copy of channel {first}')
    return faults


def check_order(
    sounds: list[KnownSound],
    array: MicrophoneArray,
    config: ChannelCheckConfig = ChannelCheckConfig(),
) -> OrderCheck:
    """Which channel is which microphone, and whether the sounds come from where they should.

    There may be more channels than microphones. Raises UserError when there are fewer, or nothing is heard.
    """
    tables = [_pair_table(sound, array, config) for sound in sounds]
    table, norm = sum(t for t, _ in tables), sum(n for _, n in tables)
    own = tuple(range(len(array.coordinates)))
    orders = _orders(own, table, norm)
    fits = _fits(orders, table, norm)
    best, profile_fit = float(fits.max()), float(_fits(np.array([own]), table, norm)[0])
    alike = orders[fits > best - 0.2 * config.order_margin]
    alike = alike[
        np.argsort((alike != own).sum(axis=1), kind='stable')
    ]  # the fewest exchanges first
    heard = tuple(_heard_azimuth(sound, array, config) for sound in sounds)
    found = OrderCheck(
        tuple(tuple(int(c) for c in order) for order in alike), best, profile_fit, heard, ''
    )
    return replace(found, problem=_problem(found, sounds, config))


def telling_azimuth(array: MicrophoneArray) -> float:
    """The azimuth [rad, base frame] from which sound reaches the microphones at the most different times, so that none can be confused."""
    azimuth = np.radians(np.arange(0.0, 360.0, 5.0))
    directions = array.base_from_array.inverse().rotate(direction_from_angles(azimuth, 0.0))
    arrival = np.sort(directions @ array.positions.T, axis=1)
    return float(wrap_angle(azimuth[np.argmax(np.diff(arrival, axis=1).min(axis=1).round(6))]))


def _problem(found: OrderCheck, sounds: list[KnownSound], config: ChannelCheckConfig) -> str:
    """One line: the order, a mirror image, a turn, or no fit at all."""
    true = np.array([s.azimuth for s in sounds])
    heard, allowed = np.array(found.heard_azimuths), np.radians(config.angle_deg)

    def near(expected) -> bool:
        return bool((np.abs(wrap_angle(heard - expected)) < allowed).all())

    if found.fit < config.least_fit:
        return f'the phases fit no order of the channels (fit {found.fit:.2f}): several sources, strong echoes, or the wrong head or azimuth'
    if near(true) and found.profile_fit > found.fit - config.order_margin:
        return ''
    words = []
    if found.profile_fit <= found.fit - config.order_margin:
        shown = ' or '.join(','.join(map(str, order)) for order in found.orders[:3]) + (
            ' or others' if len(found.orders) > 3 else ''
        )
        words.append(f'the order of the channels is wrong, microphones 0.. are channels {shown}')
    turn = float(np.angle(np.mean(np.exp(1j * (true - heard)))))
    if not near(true):
        where = ', '.join(
            f'{np.degrees(h):.0f} instead of {np.degrees(t):.0f}' for h, t in zip(heard, true)
        )
        kind = (
            'left and right are exchanged, as in a mirrored geometry'
            if near(-true)
            else 'front and back are exchanged'
            if near(np.pi - true)
            else f'the array is turned by {np.degrees(turn):.0f} degrees'
            if near(true - turn)
            else 'the geometry is another'
        )
        words.append(f'as the profile has it the sound comes from {where} degrees: {kind}')
    return '; or '.join(words)


def _cross_phases(sound: KnownSound, config: ChannelCheckConfig) -> tuple[np.ndarray, np.ndarray]:
    """(F,) frequencies and (F, C, C) coherence-weighted cross-phasors of the loud frames. Raises UserError for silence."""
    window = 2 * round(0.016 * sound.sample_rate)
    if len(sound.samples) < 2 * window:
        raise UserError(
            f'{len(sound.samples) / sound.sample_rate:.2f} s of sound is too short for a check'
        )
    stft = StftConfig(sound.sample_rate, window, window // 2)
    samples = np.nan_to_num(np.asarray(sound.samples, np.float32), posinf=0.0, neginf=0.0)
    spectra = StreamingStft(stft, samples.shape[1]).push(samples - samples.mean(axis=0))
    band = (stft.frequencies >= config.lowest_hz) & (
        stft.frequencies <= min(config.highest_hz, 0.45 * sound.sample_rate)
    )
    spectra = spectra[:, band]
    power = np.mean(np.abs(spectra) ** 2, axis=(1, 2))
    if power.max() < 1e-12:
        raise UserError('there is no sound in the recording: clap or speak louder')
    loud = spectra[power > 10 ** (-0.1 * config.loud_db) * power.max()]
    cross = np.einsum('tfc,tfd->fcd', loud, loud.conj(), optimize=True)
    level = np.sqrt(np.einsum('fcc->fc', cross).real + 1e-30)
    return stft.frequencies[band], cross / (level[:, :, None] * level[:, None])


def _pair_table(
    sound: KnownSound, array: MicrophoneArray, config: ChannelCheckConfig
) -> tuple[np.ndarray, np.ndarray]:
    """(C, C, I, I) summed cosine of the phase between channels c, d and that expected between microphones i, j; (C, C) the most it can be."""
    if sound.samples.ndim != 2 or sound.samples.shape[1] < len(array.coordinates):
        raise UserError(
            f'the sound has the shape {sound.samples.shape}, the head has {len(array.coordinates)} microphones'
        )
    frequencies, cross = _cross_phases(sound, config)
    direction = array.base_from_array.inverse().rotate(
        direction_from_angles(sound.azimuth, sound.elevation)
    )
    response = array_response(array, direction[None], frequencies)[0]
    response = response / np.abs(response)
    expected = response[:, :, None] * response[:, None].conj()
    return np.einsum('fcd,fij->cdij', cross, expected.conj(), optimize=True).real, np.abs(
        cross
    ).sum(axis=0)


def _orders(own: tuple[int, ...], table: np.ndarray, norm: np.ndarray) -> np.ndarray:
    """(orders, I) all injective assignments of channels to microphones, or what exchanges lead to where they are too many."""
    channels, microphones = len(table), len(own)
    count = np.prod(np.arange(channels - microphones + 1, channels + 1, dtype=float))
    if count > _MOST_ORDERS:
        return _by_exchange(own, table, norm)
    return np.array(list(itertools.permutations(range(channels), microphones)))


def _fits(orders: np.ndarray, table: np.ndarray, norm: np.ndarray) -> np.ndarray:
    """(orders,) mean cosine over all pairs of microphones."""
    first, second = np.triu_indices(orders.shape[1], 1)
    c, d = orders[:, first], orders[:, second]
    return table[c, d, first, second].sum(axis=1) / np.maximum(norm[c, d].sum(axis=1), 1e-12)


def _by_exchange(order: tuple[int, ...], table: np.ndarray, norm: np.ndarray) -> np.ndarray:
    """(2, I) the given order and the one that no exchange of two channels betters."""
    current = np.array(order + tuple(range(len(order), table.shape[0])))
    pairs = list(itertools.combinations(range(len(current)), 2))
    while True:
        trials = np.tile(current, (len(pairs) + 1, 1))
        for row, (i, j) in enumerate(pairs, 1):
            trials[row, [i, j]] = current[[j, i]]
        best = int(_fits(trials[:, : len(order)], table, norm).argmax())
        if best == 0:
            return np.stack([order, current[: len(order)]])
        current = trials[best]


def _heard_azimuth(sound: KnownSound, array: MicrophoneArray, config: ChannelCheckConfig) -> float:
    """Azimuth [rad] at the sound's elevation that fits the first channels in the profile's order best, to 2 degrees."""
    frequencies, cross = _cross_phases(sound, config)
    azimuth = np.radians(np.arange(-180.0, 180.0, 2.0))
    directions = array.base_from_array.inverse().rotate(
        direction_from_angles(azimuth, sound.elevation)
    )
    response = array_response(array, directions, frequencies)
    response = response / np.abs(response)
    cross = cross[:, : response.shape[2], : response.shape[2]]
    fit = np.einsum('dfi,fij,dfj->d', response.conj(), cross, response, optimize=True).real
    found = array.base_from_array.rotate(directions[fit > fit.max() - 1e-6 * abs(fit.max())])
    azimuths = angles_from_direction(found)[0]
    return float(
        azimuths[np.argmin(np.abs(wrap_angle(azimuths - sound.azimuth)))]
    )  # a cone of directions sounds alike to two ears
