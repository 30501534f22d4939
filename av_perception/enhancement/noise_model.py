# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Variance of a noisy spectrum, and multiplicative rules that never raise its cost.

    x_tf ~ N_c(0, V_tf),   V = g_t v_tf + c_t N_tf + (W H)_ft

with R samples of the variance v of speech, a gain g of each frame (which frees the prior from
loudness), a first guess N of the noise with a gain c of each frame, and K spectra W of noise that
sound as H says. The cost is `sum_r sum_tf |x|^2 / V + log V`, up to a constant the Itakura-Saito
divergence. Every rule multiplies a factor by the root of the ratio of the two parts of its
gradient, which minimizes a majorizing function (Févotte and Idier, Neural Computation 23(9), 2011;
Leglaive, Alameda-Pineda, Girin and Horaud, ICASSP 2020).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from av_perception.spectral.nmf import (
    Factors,
    random_factors,
    update_activations,
    update_dictionary,
)

_COST = 'itakura-saito'
_FIRST_LEVEL = 0.1  # of the spectra to be learnt, in units of the first guess
LEAST_GAIN = 1e-6


@dataclass(frozen=True)
class NoiseModel:
    """What noise is, and how loud speech is.

    Attributes
    ----------
    guess
        (T, F) N.
    guess_gain, speech_gain
        (T,) c and g.
    factors
        W (F, K) and H (K, T).
    """

    guess: np.ndarray
    guess_gain: np.ndarray
    speech_gain: np.ndarray
    factors: Factors

    @property
    def noise(self) -> np.ndarray:
        """(T, F) variance of the noise, `c N + W H`."""
        guess = self.guess_gain[:, None] * self.guess
        return guess + self.factors.model.T if self.factors.dictionary.shape[1] else guess

    def speech(self, variance: np.ndarray) -> np.ndarray:
        """(..., T, F) variance of speech in the recording, `g v`."""
        return self.speech_gain[:, None] * variance

    def total(self, variance: np.ndarray) -> np.ndarray:
        """(..., T, F) `V` for a variance of speech (..., T, F)."""
        return self.speech(variance) + self.noise


def start_noise(guess: np.ndarray, rank: int, random: np.random.Generator) -> NoiseModel:
    """Begin with a first guess of the noise, and quiet spectra at random.

    Parameters
    ----------
    guess
        (T, F) N, positive.
    rank
        K, how many spectra are learnt; 0: noise is the guess, each frame with its gain.
    random
        Source of the spectra.

    Returns
    -------
    NoiseModel
        With gains of one.
    """
    ones = np.ones(len(guess), guess.dtype)
    if rank:
        drawn = random_factors(_FIRST_LEVEL * guess.T, rank, random)
        factors = Factors(
            drawn.dictionary.astype(guess.dtype), drawn.activations.astype(guess.dtype)
        )
    else:
        empty = np.zeros((guess.shape[1], 0), guess.dtype)
        factors = Factors(empty, np.zeros((0, len(guess)), guess.dtype))
    return NoiseModel(guess, ones, ones, factors)


def cost_of(power: np.ndarray, model: NoiseModel, variance: np.ndarray) -> float:
    """Cost of a recording, mean over the samples.

    Parameters
    ----------
    power
        (T, F) of the recording.
    model
        Noise and gains.
    variance
        (R, T, F) samples of the variance of speech.

    Returns
    -------
    float
        `sum_tf |x|^2 / V + log V`.
    """
    total = model.total(variance)
    return float((power / total + np.log(total)).sum(dtype=float) / len(variance))


def maximize(
    power: np.ndarray,
    model: NoiseModel,
    variance: np.ndarray,
    weights: np.ndarray | None = None,
) -> NoiseModel:
    """M-step: one round of all rules, each with what the one before left.

    Parameters
    ----------
    power
        (T, F) of the recording, positive.
    model
        Noise and gains.
    variance
        (R, T, F) samples of the variance of speech.
    weights
        (R, T) how much each sample counts in each frame; None: all alike.

    Returns
    -------
    NoiseModel
        With a cost that is no higher.
    """
    model = update_noise(power, model, model.speech(variance), weights)
    change = gain_change(power, model.total(variance), variance, weights)
    gain = np.maximum(model.speech_gain * change, LEAST_GAIN)
    return replace(model, speech_gain=gain)


def update_noise(
    power: np.ndarray,
    model: NoiseModel,
    speech: np.ndarray,
    weights: np.ndarray | None = None,
) -> NoiseModel:
    """Update what noise is, beside speech that stays; see `maximize`.

    Parameters
    ----------
    power, model, weights
        As for `maximize`.
    speech
        (R, T, F) variance of all speech in the recording, gains and all.

    Returns
    -------
    NoiseModel
        With a cost that is no higher.
    """
    model = _with_factors(power, model, speech, weights)
    change = gain_change(power, speech + model.noise, model.guess, weights)
    gain = np.maximum(model.guess_gain * change, LEAST_GAIN)
    return replace(model, guess_gain=gain)


def _with_factors(
    power: np.ndarray, model: NoiseModel, speech: np.ndarray, weights: np.ndarray | None
) -> NoiseModel:
    """Update W and H, where there are any."""
    if not model.factors.dictionary.shape[1]:
        return model
    rest = speech + model.guess_gain[:, None] * model.guess
    rest = rest.swapaxes(1, 2)
    factors = update_dictionary(power.T, model.factors, _COST, rest, weights)
    factors = update_activations(power.T, factors, _COST, rest, weights).normalized()
    return replace(model, factors=factors)


def gain_change(
    power: np.ndarray,
    total: np.ndarray,
    part: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """(T,) factor of the gain of a part (T, F) or (R, T, F) of V (R, T, F); see `maximize`."""
    share = part / total
    if weights is not None:
        share = weights[..., None] * share
    above = (power * share / total).sum(axis=(0, 2))
    below = share.sum(axis=(0, 2))
    return np.sqrt(above / np.maximum(below, np.finfo(total.dtype).tiny))
