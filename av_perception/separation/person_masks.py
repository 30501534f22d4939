# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whose each time-frequency bin is: masks for the people whose directions are known.

Every bin has a likelihood for the direction of each person (`audio/direction_bins.py`), here of
its powers smoothed over a few frames. Diffuse sound is left out: what reverberates is somebody's,
too. Whose a bin is follows a hidden Markov chain over the frames, for reverberation stays with
whom it comes from: with the activity a_n of each person, log ratios l_n of their directions to
diffuse sound, the probability e that a bin changes hands and a weight c (frames overlap),

    r_n  ~  exp(c l_n) ((1 - e) r_n' + e b_n / sum_m b_m),    b_n = a_n s_n,
    mask_n = a_n (2 - a_n) (f + (1 - f) r_n),

r' that of the frame before, s_n how strong the person's voice is at the frequency
(`voice_spectra`). Bins that rise carry direct sound: there directions count for more, and owners
change sooner than where reverberation decays. A floor f leaves a little of everything while
somebody speaks: what is cut out entirely is missed by the ear. Who probably does not speak, but is
as clearly in the direction of a bin, is given more of it than a_n alone: a_n (2 - a_n) is near the
best factor that was measured. Bins of all frequencies are judged: where the directions are known,
those above the array's aliasing frequency tell them apart as well. Somebody for whom no track
stands (`untracked_voice`) takes part with less than a tracked person's weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from av_perception.audio.direction_bins import DirectionLikelihood
from av_perception.audio.held_steering import HeldSteering
from av_perception.audio.steering import Steering
from av_perception.audio.sub_bands import rising_frames
from av_perception.separation.untracked_voice import UNTRACKED
from av_perception.separation.voice_spectra import VoiceSpectra
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
    #: A bin rises where its power exceeds this share of what it was before, at least 0.
    onset_ratio: float = 1.3
    #: What it was before fades by this factor a frame, 0..1.
    onset_fade: float = 0.7
    #: Log ratios of a bin that rises count by this positive factor.
    evidence_weight: float = 1.2
    #: Log ratios of a bin that decays count by this positive factor: it reverberates.
    decay_weight: float = 0.3
    #: Probability that a bin that rises changes hands from one frame to the next, in (0, 1].
    change: float = 0.4
    #: Probability that a bin that decays changes hands, in (0, 1].
    decay_change: float = 0.12
    #: Time of speech over which the spectra of voices are learnt [s], positive.
    voice_memory_s: float = 2.0
    #: Exponent of the voices' spectra where they tell whose a bin is, not negative.
    voice_weight: float = 0.7
    #: Least activity of a person, 0..1: what is left of who counts as silent.
    activity_floor: float = 0.1
    #: Weight of somebody for whom no track stands, over that of who is tracked, in (0, 1].
    untracked_weight: float = 0.5
    #: Floor of the shares while a person speaks, 0..1: less sounds torn, more lets others in.
    floor: float = 0.05
    #: Below this frequency bins do not tell directions [Hz].
    lowest_hz: float = 100.0

    def __post_init__(self):
        if not self.smoothing_s >= 0:
            raise ValueError(f'smoothing_s must not be negative, but is {self.smoothing_s}')
        for name in ('evidence_weight', 'decay_weight', 'voice_memory_s'):
            if not getattr(self, name) > 0:
                raise ValueError(f'{name} must be positive, not {getattr(self, name)}')
        for name in ('change', 'decay_change', 'untracked_weight'):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f'{name} must lie in (0, 1], not {getattr(self, name)}')
        for name in ('onset_fade', 'activity_floor', 'floor'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} must lie in 0..1, not {getattr(self, name)}')
        for name in ('onset_ratio', 'voice_weight'):
            if not getattr(self, name) >= 0:
                raise ValueError(f'{name} must not be negative, but is {getattr(self, name)}')
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
    loudness, rising
        (T, K) mean power at the microphones, and whether it rises.
    power, aligned
        (T, K) and (J, T, K) of `directed_powers`.
    likelihood, scaled
        That they are made with, and its steering towards the people.
    """

    ids: tuple[int, ...]
    loudness: np.ndarray
    rising: np.ndarray
    power: np.ndarray
    aligned: np.ndarray
    likelihood: DirectionLikelihood
    scaled: np.ndarray

    def mean_ratios(self, counts: np.ndarray) -> np.ndarray:
        """Log ratio of every direction to diffuse sound, mean over the frames that count.

        Parameters
        ----------
        counts
            (T, K) bool.

        Returns
        -------
        np.ndarray
            (R, J) of the R frequencies at which some frame counts.
        """
        number = counts.sum(axis=0)
        rows = np.flatnonzero(number)
        ratios = ratios_of_powers(
            self.likelihood,
            self.power[:, rows],
            self.aligned[:, :, rows],
            self.scaled[rows],
        )
        return ((ratios * counts[:, rows]).sum(axis=1) / number[rows]).T


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
        hops = self.config.voice_memory_s * SAMPLE_RATE / self.config.transform.hop
        self._voices = VoiceSpectra(hops, self.config.voice_weight)
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._steering = HeldSteering()
        self._power: np.ndarray | None = None  # (K,) whitened
        self._before = np.zeros(len(self._used))  # (K,) the fading peak of the loudness
        # By id, (K,) each: power towards the person, share of the bin.
        self._towards: dict[int, np.ndarray] = {}
        self._shares: dict[int, np.ndarray] = {}
        self._voices.reset()

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
            Unit vector (3,) in the array frame of everybody tracked, by id; under `UNTRACKED`
            that of somebody for whom no track stands.
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
        if live is not None and not all(live):
            heard = heard[:, :, np.flatnonzero(live)]
        if not ids:
            nothing = np.zeros((0, *heard.shape[:2]), np.float32)
            silence = nothing.sum(axis=0)
            none = np.zeros((*heard.shape[1:], 0), np.complex64)
            return HeardFrames(ids, silence, silence > 0, silence, nothing, likelihood, none)
        scaled = self._steering.towards(likelihood, np.array(list(directions.values()), float))
        power, aligned = directed_powers(likelihood, heard, scaled)
        loudness = total_power(heard.transpose(2, 0, 1)) / heard.shape[2]
        rising, self._before = rising_frames(
            loudness, self._before, self.config.onset_ratio, self.config.onset_fade
        )
        return HeardFrames(ids, loudness, rising, power, aligned, likelihood, scaled)

    def masks_of(self, heard: HeardFrames, activity: Mapping[int, float]) -> np.ndarray:
        """Do the second half of `update`, of the next frames that were listened to."""
        ids = heard.ids
        num_bins = self.config.transform.num_bins
        masks = np.zeros((len(ids), len(heard.power), num_bins), np.float32)
        if not ids:
            self.reset()
            return masks
        active = np.array([activity.get(i, 0.0) for i in ids], np.float32)
        share = self._shared(heard, active)
        masks[:, :, self._used] = self.config.floor + (1 - self.config.floor) * share
        self._fill_below(masks)
        gain = np.maximum(active * (2 - active), self.config.activity_floor)
        masks *= gain[:, None, None]
        return masks

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

    def _shared(self, heard: HeardFrames, active: np.ndarray) -> np.ndarray:
        """(J, T, K) shares of the people in every bin, who speak with probability (J,)."""
        config = self.config
        ratios = self._smoothed_ratios(heard)
        weight = np.where(heard.rising, config.evidence_weight, config.decay_weight)
        evidence = np.exp(weight.astype(np.float32) * (ratios - ratios.max(axis=0)))
        change = np.where(heard.rising, config.change, config.decay_change).astype(np.float32)
        entering = self._entering(heard, active)
        nothing = np.zeros(ratios.shape[2], np.float32)
        share = np.stack([self._shares.get(i, nothing) for i in heard.ids])
        if not share.any():
            share = entering
        result = np.empty_like(ratios)
        for frame in range(ratios.shape[1]):
            prior = share + change[frame] * (entering - share)
            joint = evidence[:, frame] * prior
            share = joint / np.maximum(joint.sum(axis=0), 1e-30)
            result[:, frame] = share
        self._shares = dict(zip(heard.ids, share, strict=True))
        self._voices.learn(np.mean(result * heard.loudness, axis=1), active)
        return result

    def _entering(self, heard: HeardFrames, active: np.ndarray) -> np.ndarray:
        """(J, K) whose a bin is that changes hands, before its direction is looked at."""
        voices = self._voices.favor(heard.ids, heard.loudness.mean(axis=0), len(heard.loudness))
        floor = max(self.config.activity_floor, 1e-6)
        weight = np.maximum(active, floor)
        if UNTRACKED in heard.ids:
            stranger = heard.ids.index(UNTRACKED)
            speaks = max(float(active[stranger]), 1e-3)  # and no floor
            weight[stranger] = self.config.untracked_weight * speaks
        entering = voices * weight[:, None]
        return entering / entering.sum(axis=0)


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
    power = total_power(white.swapaxes(0, 1))  # (K, T)
    product = scaled.swapaxes(1, 2) @ white  # (K, J, T)
    aligned = product.real**2 + product.imag**2
    return np.ascontiguousarray(power.T), np.ascontiguousarray(aligned.transpose(1, 2, 0))


def total_power(spectra: np.ndarray) -> np.ndarray:
    """Sum of the powers of complex spectra (M, ...) over the microphones.

    Faster than the sum over an axis as short as that of the microphones.
    """
    power = np.zeros(spectra.shape[1:], spectra.real.dtype)
    for one in spectra:
        power += one.real**2
        power += one.imag**2
    return power


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
