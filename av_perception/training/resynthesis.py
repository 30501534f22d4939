# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How well a prior knows speech: encode unseen talkers, decode, and listen.

The decoded variance gives magnitudes, the recording its phases. Likelihood is no judge of a prior:
half the divergence can come with worse speech, where a model learns the noise floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.dvae.model import DynamicalVae
from av_perception.dvae.spectra import PRIOR_TRANSFORM, RATE, log_powers, variances


@dataclass(frozen=True)
class Resynthesis:
    """One entry per recording. si_sdr_db; estoi, NaN where its package is not installed."""

    si_sdr_db: np.ndarray
    estoi: np.ndarray


def resynthesize(
    model: DynamicalVae, sound: np.ndarray, floor: float, own_past: bool = True
) -> np.ndarray:
    """(N,) the sound as the model sees it, with the phases of the sound (N,), maximum 1.

    own_past: an autoregressive model remembers what it decoded, not the recording.
    """
    spectra = PRIOR_TRANSFORM.forward(sound)
    x = log_powers(np.abs(spectra) ** 2, floor)
    z = model.encode(x).sample
    decoded = model.decode(z, None if own_past else x)
    magnitudes = np.sqrt(variances(decoded, floor).astype(float))
    phases = spectra / np.maximum(np.abs(spectra), 1e-12)
    return PRIOR_TRANSFORM.inverse(magnitudes * phases, len(sound))


def measure(
    model: DynamicalVae,
    sounds: Sequence[np.ndarray],
    floor: float,
    own_past: bool = True,
    with_estoi: bool = True,
) -> Resynthesis:
    """Resynthesize recordings and compare.

    Parameters
    ----------
    model
        A model of NumPy arrays.
    sounds
        (N,) each, at 16 kHz, their largest sample 1.
    floor
        Of the model's data.
    own_past
        See `resynthesize`.
    with_estoi
        Whether intelligibility is measured, too, which takes longer.
    """
    ratios = []
    scores = []
    for sound in sounds:
        again = resynthesize(model, sound, floor, own_past)
        ratios.append(si_sdr(again, sound))
        scores.append(_estoi(sound, again) if with_estoi else float('nan'))
    return Resynthesis(np.array(ratios), np.array(scores))


def si_sdr(estimate: np.ndarray, reference: np.ndarray) -> float:
    """[dB] scale-invariant signal-to-distortion ratio of (N,) and (N,).

    Le Roux, Wisdom, Erdogan and Hershey, "SDR - half-baked or well done?", ICASSP 2019.
    """
    tiny = np.finfo(float).tiny
    target = (estimate @ reference) / (reference @ reference + tiny) * reference
    error = estimate - target
    return float(10 * np.log10((target @ target + tiny) / (error @ error + tiny)))


def _estoi(reference: np.ndarray, sound: np.ndarray) -> float:
    try:
        from pystoi import stoi
    except ImportError:
        return float('nan')
    return float(stoi(reference, sound, RATE, extended=True))
