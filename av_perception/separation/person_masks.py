# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whose each time-frequency bin is: masks for the people whose directions are known.

Every bin has a likelihood for the direction of each person (`audio/direction_bins.py`), here of
its powers smoothed over a few frames. Diffuse sound is left out: what reverberates is somebody's,
too. Whose a bin is follows a hidden Markov chain over the frames, for reverberation stays with
whom it comes from: with the activity a_n of each person, log ratios l_n of their directions to
diffuse sound, the probability e that a bin changes hands and a weight c (frames overlap),

    r_n  ~  exp(c l_n) ((1 - e) r_n' + e a_n / sum_m a_m),
    mask_n = a_n (f + (1 - f) r_n),

r' that of the frame before. A floor f leaves a little of everything while somebody speaks: what
is cut out entirely is missed by the ear. Bins of all frequencies are judged: where the directions
are known, those above the array's aliasing frequency tell them apart as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from av_perception.audio.direction_bins import DirectionLikelihood
from av_perception.audio.steering import Steering
from av_perception.spectral.transform import ShortTimeFourier

SAMPLE_RATE = 16000  # [Hz] of the sound that is separated
OWN_NOISE = 0.02  # power of the microphones' own noise over that of what is diffuse


@dataclass(frozen=True)
class PersonMasksConfig:
    """How sharp, how smooth, and how much is left of who is silent."""

    #: Windows of 32 ms every 8 ms: shorter ones blur voices, longer ones delay.
    transform: ShortTimeFourier = field(
        default_factory=lambda: ShortTimeFourier(size=512, hop=128, shape='hann')
    )
    #: Time over which the powers of a bin are smoothed [s], not negative.
    smoothing_s: float = 0.016
    #: Log ratios of a frame count by this positive factor: frames overlap.
    evidence_weight: float = 0.5
    #: Probability that a bin changes hands from one frame to the next, in (0, 1].
    change: float = 0.2
    #: Least activity of a person, 0..1: what is left of who counts as silent.
    activity_floor: float = 0.1
    #: Floor of the shares while a person speaks, 0..1: less sounds torn, more lets others in.
    floor: float = 0.1
    #: Below this frequency bins do not tell directions [Hz].
    lowest_hz: float = 100.0

    def __post_init__(self):
        if not self.smoothing_s >= 0:
            raise ValueError(f'smoothing_s must not be negative, but is {self.smoothing_s}')
        if not self.evidence_weight > 0:
            raise ValueError(f'evidence_weight must be positive, not {self.evidence_weight}')
        if not 0 < self.change <= 1:
            raise ValueError(f'change must lie in (0, 1], not {self.change}')
        if not 0 <= self.activity_floor <= 1:
            raise ValueError(f'activity_floor must lie in 0..1, not {self.activity_floor}')
        if not 0 <= self.floor <= 1:
            raise ValueError(f'floor must lie in 0..1, not {self.floor}')
        if not 0 < self.lowest_hz < 0.25 * SAMPLE_RATE:
            raise ValueError(f'lowest_hz must lie in 0..4000 Hz, not {self.lowest_hz}')

    @property
    def keep(self) -> float:
        """What smoothed powers keep of those of the frame before."""
        hop_s = self.transform.hop / SAMPLE_RATE
        return float(np.exp(-hop_s / self.smoothing_s)) if self.smoothing_s > 0 else 0.0

    @property
    def used(self) -> np.ndarray:
        """(K,) indices of the bins that tell directions."""
        return np.flatnonzero(self.transform.frequencies(SAMPLE_RATE) >= self.lowest_hz)


@dataclass(frozen=True)
class HeardFrames:
    """T frames of the K frequencies that tell directions, towards J people.

    Attributes
    ----------
    ids
        (J,) of the people.
    loudness
        (T, K) mean power at the microphones.
    power, aligned
        (T, K) and (J, T, K) of `directed_powers`.
    likelihood, scaled
        That they are made with, and its steering towards the people.
    """

    ids: tuple[int, ...]
    loudness: np.ndarray
    power: np.ndarray
    aligned: np.ndarray
    likelihood: DirectionLikelihood
    scaled: np.ndarray

    @property
    def ratios(self) -> np.ndarray:
        """(J, T, K) log ratio of every direction to diffuse sound, frame by frame."""
        return ratios_of_powers(self.likelihood, self.power, self.aligned, self.scaled)


class PersonMasks:
    """Recursive over the frames of one array.

    Raises UserError for a head with fewer than 2 or more than 16 microphones.

    Parameters
    ----------
    steering
        How sound arrives at the microphones.
    config
        See `PersonMasksConfig`.
    """

    def __init__(self, steering: Steering, config: PersonMasksConfig | None = None):
        self.config = config or PersonMasksConfig()
        self._used = self.config.used
        frequencies = self.config.transform.frequencies(SAMPLE_RATE)[self._used]
        self.likelihood = DirectionLikelihood(steering, frequencies, own_noise=OWN_NOISE)
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._directions: Mapping[int, np.ndarray] | None = None  # those of `_scaled`
        self._scaled = np.zeros((0, 0, 0), np.complex64)
        self._scaled_for: DirectionLikelihood | None = None
        self._power: np.ndarray | None = None  # (K,) whitened
        # By id, (K,) each: power towards the person, share of the bin.
        self._towards: dict[int, np.ndarray] = {}
        self._shares: dict[int, np.ndarray] = {}

    def update(
        self,
        spectra: np.ndarray,
        directions: Mapping[int, np.ndarray],
        activity: Mapping[int, float],
        live: tuple[bool, ...] | None = None,
    ) -> np.ndarray:
        """Take the next frames, during which people hardly move.

        Parameters
        ----------
        spectra
            (T, F, M) of all bins of `config.transform`.
        directions
            Unit vector (3,) in the array frame of everybody tracked, by id; not to be changed.
        activity
            Probability of speaking, by id; whoever is not in it is silent.
        live
            (M,) which microphones are not dead; None: all.

        Returns
        -------
        np.ndarray
            (J, T, F) float32 masks of the people in the order of `directions`.
        """
        return self.masks_of(self.listen(spectra, directions, live), activity)

    def listen(
        self,
        spectra: np.ndarray,
        directions: Mapping[int, np.ndarray],
        live: tuple[bool, ...] | None = None,
    ) -> HeardFrames:
        """Do the first half of `update`: how much of each bin comes from whom."""
        ids = tuple(directions)
        likelihood = self.likelihood.heard_by(live or (True,) * spectra.shape[2])
        heard = spectra[:, self._used]
        if live is not None:
            heard = heard[:, :, np.flatnonzero(live)]
        if not ids:
            nothing = np.zeros((0, *heard.shape[:2]), np.float32)
            none = np.zeros((*heard.shape[1:], 0), np.complex64)
            return HeardFrames(
                ids, nothing.sum(axis=0), nothing.sum(axis=0), nothing, likelihood, none
            )
        scaled = self._steering_towards(likelihood, directions)
        power, aligned = directed_powers(likelihood, heard, scaled)
        loudness = np.mean(heard.real**2 + heard.imag**2, axis=2)
        return HeardFrames(ids, loudness, power, aligned, likelihood, scaled)

    def masks_of(self, heard: HeardFrames, activity: Mapping[int, float]) -> np.ndarray:
        """Do the second half of `update`, of the next frames that were listened to."""
        ids = heard.ids
        num_bins = self.config.transform.num_bins
        masks = np.zeros((len(ids), len(heard.power), num_bins), np.float32)
        if not ids:
            self.reset()
            return masks
        active = np.array([activity.get(i, 0.0) for i in ids], np.float32)
        masks[:, :, self._used] = self._shared(ids, self._smoothed_ratios(heard), active)
        self._fill_below(masks)
        gain = np.maximum(active, self.config.activity_floor)
        return masks * gain[:, None, None]

    def _fill_below(self, masks: np.ndarray) -> None:
        """Give the bins that tell no direction what those above them have in the mean."""
        first = self._used[0]
        masks[:, :, :first] = masks[:, :, first : 2 * first].mean(axis=2, keepdims=True)

    def _smoothed_ratios(self, heard: HeardFrames) -> np.ndarray:
        """(J, T, K) log ratios to diffuse sound, of smoothed powers."""
        keep = self.config.keep
        power_before = heard.power[0] if self._power is None else self._power
        # Who is new has been heard from everywhere alike.
        mean = 1.0 / heard.likelihood.num_microphones
        before = np.stack([self._towards.get(i, mean * power_before) for i in heard.ids])
        power = np.empty_like(heard.power)
        aligned = np.empty_like(heard.aligned)
        for frame in range(len(power)):
            power_before = keep * power_before + (1 - keep) * heard.power[frame]
            before = keep * before + (1 - keep) * heard.aligned[:, frame]
            power[frame] = power_before
            aligned[:, frame] = before
        self._power = power_before
        self._towards = dict(zip(heard.ids, before, strict=True))
        return ratios_of_powers(heard.likelihood, power, aligned, heard.scaled)

    def _steering_towards(
        self, likelihood: DirectionLikelihood, directions: Mapping[int, np.ndarray]
    ) -> np.ndarray:
        """(K, M, J) of `whitened_steering`, made anew when there are other directions."""
        if directions is not self._directions or likelihood is not self._scaled_for:
            towards = np.array(list(directions.values()), float)
            self._scaled = likelihood.whitened_steering(towards)
            self._directions = directions
            self._scaled_for = likelihood
        return self._scaled

    def _shared(self, ids: tuple[int, ...], ratios: np.ndarray, active: np.ndarray) -> np.ndarray:
        """(J, T, K) shares of the people in every bin, not below the floor."""
        config = self.config
        evidence = np.exp(config.evidence_weight * (ratios - ratios.max(axis=0)))
        active = np.maximum(active, max(config.activity_floor, 1e-6))
        entering = (active / active.sum())[:, None]
        nothing = np.zeros(ratios.shape[2], np.float32)
        share = np.stack([self._shares.get(i, nothing) for i in ids])
        if not share.any():
            share = np.broadcast_to(entering, share.shape)
        result = np.empty_like(ratios)
        for frame in range(ratios.shape[1]):
            joint = evidence[:, frame] * ((1 - config.change) * share + config.change * entering)
            share = joint / np.maximum(joint.sum(axis=0), 1e-30)
            result[:, frame] = share
        self._shares = dict(zip(ids, share, strict=True))
        return config.floor + (1 - config.floor) * result


def directed_powers(
    likelihood: DirectionLikelihood, spectra: np.ndarray, scaled: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Power of whitened bins, and the part of it that comes from each direction.

    Parameters
    ----------
    likelihood
        For the K frequencies of the spectra.
    spectra
        (T, K, M).
    scaled
        (K, M, J) of `whitened_steering`.

    Returns
    -------
    power
        (T, K) float32.
    aligned
        (J, T, K) float32, at most `power`.
    """
    white = likelihood.whitening @ spectra.transpose(1, 2, 0).astype(np.complex64)  # (K, M, T)
    square = white.real**2 + white.imag**2
    # (faster than the sum over an axis as short as this)
    power = sum(square[:, m] for m in range(1, square.shape[1])) + square[:, 0]  # (K, T)
    product = scaled.swapaxes(1, 2) @ white  # (K, J, T)
    aligned = product.real**2 + product.imag**2
    return np.ascontiguousarray(power.T), np.ascontiguousarray(aligned.transpose(1, 2, 0))


def ratios_of_powers(
    likelihood: DirectionLikelihood, power: np.ndarray, aligned: np.ndarray, scaled: np.ndarray
) -> np.ndarray:
    """Log ratio of every direction to diffuse sound.

    Parameters
    ----------
    likelihood, scaled
        As in `directed_powers`.
    power, aligned
        (T, K) and (J, T, K) of it, as they are or smoothed.

    Returns
    -------
    np.ndarray
        (J, T, K) float32; 0 where there is no power.
    """
    length = np.sum(scaled.real**2 + scaled.imag**2, axis=1).T  # (J, K)
    # (1e-6: float32 cannot tell a perfectly aligned bin from none of it left)
    constant = np.log(np.maximum(1 - length, 1e-6))[:, None]
    is_silent = power <= np.finfo(np.float32).tiny
    misfit = np.log(np.maximum(1 - aligned / np.where(is_silent, 1.0, power), 1e-6))
    return np.where(is_silent, 0.0, constant - likelihood.num_microphones * misfit)
