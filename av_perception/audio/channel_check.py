# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Are the channels of a sound those of the head? Order and orientation, from a known direction."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from av_perception.audio.channel_faults import ChannelCheckConfig
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
_SILENCE = 1e-12  # mean power of a bin
_ALIKE = 0.2  # of the order's margin: orders that differ by less fit equally well


@dataclass(frozen=True)
class KnownSound:
    """The sound of one source at a known direction: a clap, or somebody who speaks."""

    #: (N, C) in [-1, 1].
    samples: np.ndarray
    #: [Hz].
    sample_rate: int
    #: Direction in the head's base frame [rad].
    azimuth: float
    #: Direction in the head's base frame [rad].
    elevation: float = 0.0


@dataclass(frozen=True)
class OrderCheck:
    """Which channel is which microphone."""

    #: The orders that fit best; order[i] is the channel of microphone i.
    orders: tuple[tuple[int, ...], ...]
    #: Mean cosine between measured and expected phases of the best order, in [-1, 1].
    fit: float
    #: The same of the profile's own order.
    profile_fit: float
    #: Where each sound seems to come from with the profile's order [rad, base frame].
    heard_azimuths: tuple[float, ...]
    #: What is wrong; empty when all is well.
    problem: str


@dataclass(frozen=True)
class _PhaseMatch:
    """How well channels fit microphones, pair by pair.

    cosine: (C, C, I, I) summed cosine of the phase between channels c, d and that expected between
    microphones i, j; most: (C, C) the most that it can be.
    """

    cosine: np.ndarray
    most: np.ndarray

    def fits(self, orders: np.ndarray) -> np.ndarray:
        """Mean cosine (orders,) over all pairs of microphones of (orders, I) channels."""
        first, second = np.triu_indices(orders.shape[1], 1)
        c = orders[:, first]
        d = orders[:, second]
        total = self.cosine[c, d, first, second].sum(axis=1)
        return total / np.maximum(self.most[c, d].sum(axis=1), 1e-12)


def check_order(
    sounds: list[KnownSound],
    array: MicrophoneArray,
    config: ChannelCheckConfig | None = None,
) -> OrderCheck:
    """Which channel is which microphone, and whether the sounds come from where they should.

    Parameters
    ----------
    sounds
        At least one. There may be more channels than microphones.
    array
        The microphones of the head's profile.
    config
        Limits; None: the defaults.

    Returns
    -------
    OrderCheck
        The orders that fit best, those with the fewest exchanges first, and what is wrong.

    Raises
    ------
    UserError
        When there are fewer channels than microphones, or nothing is heard.
    """
    config = config or ChannelCheckConfig()
    match = _total_match(sounds, array, config)
    own = tuple(range(len(array.coordinates)))
    orders, best = _best_orders(own, match, config)
    result = OrderCheck(
        orders=tuple(tuple(int(c) for c in order) for order in orders),
        fit=best,
        profile_fit=float(match.fits(np.array([own]))[0]),
        heard_azimuths=tuple(_heard_azimuth(sound, array, config) for sound in sounds),
        problem='',
    )
    return replace(result, problem=_order_problem(result, sounds, config))


def _total_match(
    sounds: list[KnownSound], array: MicrophoneArray, config: ChannelCheckConfig
) -> _PhaseMatch:
    """How well channels fit microphones by all sounds together."""
    matches = [_phase_match(sound, array, config) for sound in sounds]
    return _PhaseMatch(
        np.sum([m.cosine for m in matches], axis=0), np.sum([m.most for m in matches], axis=0)
    )


def _best_orders(
    own: tuple[int, ...], match: _PhaseMatch, config: ChannelCheckConfig
) -> tuple[np.ndarray, float]:
    """Orders that fit best, those with the fewest exchanges first, and the fit of the best."""
    orders = _orders(own, match)
    fits = match.fits(orders)
    best = float(fits.max())
    alike = orders[fits > best - _ALIKE * config.order_margin]
    exchanges = (alike != own).sum(axis=1)
    return alike[np.argsort(exchanges, kind='stable')], best


def telling_azimuth(array: MicrophoneArray) -> float:
    """Azimuth [rad, base frame] from which no two microphones can be confused.

    That is where sound reaches them at the most different times.
    """
    azimuth = np.radians(np.arange(0.0, 360.0, 5.0))
    directions = array.base_from_array.inverse().rotate(direction_from_angles(azimuth, 0.0))
    arrival = np.sort(directions @ array.positions.T, axis=1)
    least_difference = np.diff(arrival, axis=1).min(axis=1).round(6)
    return float(wrap_angle(azimuth[np.argmax(least_difference)]))


def _order_problem(check: OrderCheck, sounds: list[KnownSound], config: ChannelCheckConfig) -> str:
    """One line: the order, a mirror image, a turn, or no fit at all."""
    if check.fit < config.least_fit:
        return (
            f'the phases fit no order of the channels (fit {check.fit:.2f}): several sources, '
            'strong echoes, or the wrong head or azimuth'
        )
    words = []
    if check.profile_fit <= check.fit - config.order_margin:
        shown = ' or '.join(','.join(map(str, order)) for order in check.orders[:3])
        others = ' or others' if len(check.orders) > 3 else ''
        words.append(
            f'the order of the channels is wrong, microphones 0.. are channels {shown}{others}'
        )
    true = np.array([sound.azimuth for sound in sounds])
    heard = np.array(check.heard_azimuths)
    allowed = np.radians(config.angle_deg)
    if not _are_near(heard, true, allowed):
        where = ', '.join(
            f'{np.degrees(h):.0f} instead of {np.degrees(t):.0f}' for h, t in zip(heard, true)
        )
        words.append(
            f'as the profile has it the sound comes from {where} degrees: '
            f'{_orientation_problem(heard, true, allowed)}'
        )
    return '; or '.join(words)


def _orientation_problem(heard: np.ndarray, true: np.ndarray, allowed: float) -> str:
    """Say what turns the true azimuths [rad] into those that are heard."""
    turn = float(np.angle(np.mean(np.exp(1j * (true - heard)))))
    if _are_near(heard, -true, allowed):
        return 'left and right are exchanged, as in a mirrored geometry'
    if _are_near(heard, np.pi - true, allowed):
        return 'front and back are exchanged'
    if _are_near(heard, true - turn, allowed):
        return f'the array is turned by {np.degrees(turn):.0f} degrees'
    return 'the geometry is another'


def _are_near(heard: np.ndarray, expected: np.ndarray, allowed: float) -> bool:
    """Whether all azimuths [rad] are as expected."""
    return bool((np.abs(wrap_angle(heard - expected)) < allowed).all())


def _cross_phases(sound: KnownSound, config: ChannelCheckConfig) -> tuple[np.ndarray, np.ndarray]:
    """Coherence-weighted cross-phasors of the loud frames.

    Returns (F,) frequencies [Hz] and (F, C, C) phasors. Raises UserError for silence.
    """
    window = 2 * round(0.016 * sound.sample_rate)
    if len(sound.samples) < 2 * window:
        duration_s = len(sound.samples) / sound.sample_rate
        raise UserError(f'{duration_s:.2f} s of sound is too short for a check')
    stft = StftConfig(sound.sample_rate, window, window // 2)
    samples = np.nan_to_num(np.asarray(sound.samples, np.float32), posinf=0.0, neginf=0.0)
    spectra = StreamingStft(stft, samples.shape[1]).push(samples - samples.mean(axis=0))
    highest_hz = min(config.highest_hz, 0.45 * sound.sample_rate)
    band = (stft.frequencies >= config.lowest_hz) & (stft.frequencies <= highest_hz)
    spectra = spectra[:, band]
    power = np.mean(np.abs(spectra) ** 2, axis=(1, 2))
    if power.max() < _SILENCE:
        raise UserError('there is no sound in the recording: clap or speak louder')
    loud = spectra[power > 10 ** (-0.1 * config.loud_db) * power.max()]
    cross = np.einsum('tfc,tfd->fcd', loud, loud.conj(), optimize=True)
    level = np.sqrt(np.einsum('fcc->fc', cross).real + 1e-30)
    return stft.frequencies[band], cross / (level[:, :, None] * level[:, None])


def _phase_match(
    sound: KnownSound, array: MicrophoneArray, config: ChannelCheckConfig
) -> _PhaseMatch:
    """Compare measured phases with those expected from the sound's direction."""
    if sound.samples.ndim != 2 or sound.samples.shape[1] < len(array.coordinates):
        raise UserError(
            f'the sound has the shape {sound.samples.shape}, '
            f'the head has {len(array.coordinates)} microphones'
        )
    frequencies, cross = _cross_phases(sound, config)
    direction = direction_from_angles(sound.azimuth, sound.elevation)
    direction = array.base_from_array.inverse().rotate(direction)
    response = array_response(array, direction[None], frequencies)[0]
    response = response / np.abs(response)
    expected = response[:, :, None] * response[:, None].conj()
    cosine = np.einsum('fcd,fij->cdij', cross, expected.conj(), optimize=True).real
    return _PhaseMatch(cosine, np.abs(cross).sum(axis=0))


def _orders(own: tuple[int, ...], match: _PhaseMatch) -> np.ndarray:
    """(orders, I) assignments of channels to microphones.

    All of them, or what exchanges lead to where they are too many.
    """
    channels = len(match.most)
    microphones = len(own)
    count = np.prod(np.arange(channels - microphones + 1, channels + 1, dtype=float))
    if count > _MOST_ORDERS:
        return _by_exchange(own, match)
    return np.array(list(itertools.permutations(range(channels), microphones)))


def _by_exchange(order: tuple[int, ...], match: _PhaseMatch) -> np.ndarray:
    """(2, I) the given order and the one that no exchange of two channels betters."""
    current = np.array(order + tuple(range(len(order), len(match.most))))
    pairs = list(itertools.combinations(range(len(current)), 2))
    while True:
        trials = np.tile(current, (len(pairs) + 1, 1))
        for row, (i, j) in enumerate(pairs, 1):
            trials[row, [i, j]] = current[[j, i]]
        best = int(match.fits(trials[:, : len(order)]).argmax())
        if best == 0:
            return np.stack([order, current[: len(order)]])
        current = trials[best]


def _heard_azimuth(sound: KnownSound, array: MicrophoneArray, config: ChannelCheckConfig) -> float:
    """Azimuth [rad, base frame] at the sound's elevation that fits best, to 2 degrees.

    The channels are taken in the profile's order.
    """
    frequencies, cross = _cross_phases(sound, config)
    azimuth = np.radians(np.arange(-180.0, 180.0, 2.0))
    directions = direction_from_angles(azimuth, sound.elevation)
    directions = array.base_from_array.inverse().rotate(directions)
    response = array_response(array, directions, frequencies)
    response = response / np.abs(response)
    cross = cross[:, : response.shape[2], : response.shape[2]]
    fit = np.einsum('dfi,fij,dfj->d', response.conj(), cross, response, optimize=True).real
    # To two ears a cone of directions sounds alike: of equals the one nearest to the truth.
    equals = directions[fit > fit.max() - 1e-6 * abs(fit.max())]
    azimuths = angles_from_direction(array.base_from_array.rotate(equals))[0]
    return float(azimuths[np.argmin(np.abs(wrap_angle(azimuths - sound.azimuth)))])
