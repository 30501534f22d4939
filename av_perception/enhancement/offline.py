# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Enhancement of a whole recording, however long, in pieces that fade into each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from av_perception.enhancement.engine import EngineConfig, enhance_power
from av_perception.enhancement.lsa import LsaConfig
from av_perception.enhancement.lsa_stream import LsaStream
from av_perception.enhancement.prior import PRIOR_TRANSFORM, RATE, SpeechPrior
from av_perception.spectral.pieces import join_pieces

_PIECE = 16 * RATE  # samples: memory stays bounded, noise may change
_FADE = RATE // 2  # samples of a piece that fade into the next
_LEAST_LEVEL = (
    1e-3  # of the loudest sample: a piece that is quieter is not amplified for the prior
)
_LSA_BLOCK = 10 * RATE

Progress = Callable[[float], None]


def finite_samples(samples: np.ndarray) -> tuple[np.ndarray, int]:
    """Put silence where a sample (N,) is not finite; how many those were."""
    is_bad = ~np.isfinite(samples)
    return np.where(is_bad, 0.0, samples), int(is_bad.sum())


def enhance_by_prior(
    samples: np.ndarray,
    prior: SpeechPrior,
    config: EngineConfig | None = None,
    progress: Progress = lambda fraction: None,
) -> np.ndarray:
    """Enhance a recording with a prior of speech.

    Parameters
    ----------
    samples
        (N,) at 16 kHz, finite.
    prior
        Of speech.
    config
        See `EngineConfig`.
    progress
        Called with the fraction that is done.

    Returns
    -------
    np.ndarray
        (N,) speech; `samples` less it is the noise.
    """
    config = config or EngineConfig()

    def gain_of(piece: Piece, show: Progress) -> np.ndarray:
        return enhance_power(piece.power, prior, config, progress=show).gain

    return enhance_pieces(samples, gain_of, progress)


@dataclass(frozen=True)
class Piece:
    """A piece of a recording, at the level that priors know."""

    #: (T, F) of `PRIOR_TRANSFORM`
    power: np.ndarray
    #: where it begins in the recording [s]
    start_s: float


def enhance_pieces(
    samples: np.ndarray,
    gain_of: Callable[[Piece, Progress], np.ndarray],
    progress: Progress = lambda fraction: None,
) -> np.ndarray:
    """Enhance a recording piece by piece, by gains of speech.

    Parameters
    ----------
    samples, progress
        As for `enhance_by_prior`.
    gain_of
        Gives the gain (T, F) of a piece, and tells the fraction of it that is done.

    Returns
    -------
    np.ndarray
        (N,) speech; `samples` less it is the noise.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if not peak:
        return np.zeros(len(samples), samples.dtype)

    def piece(start: int, end: int) -> np.ndarray:
        # The next piece begins before this one ends.
        done = end if end == len(samples) else end - _FADE

        def show(fraction: float) -> None:
            progress((start + fraction * (done - start)) / len(samples))

        own = samples[start:end]
        level = max(float(np.abs(own).max()), _LEAST_LEVEL * peak)
        spectra = PRIOR_TRANSFORM.forward(own / level)
        gain = gain_of(Piece(np.abs(spectra) ** 2, start / RATE), show)
        voice = level * PRIOR_TRANSFORM.inverse(gain * spectra, len(own))
        return voice.astype(samples.dtype)

    return join_pieces(piece, len(samples), _PIECE, _FADE)


def enhance_by_lsa(
    samples: np.ndarray,
    config: LsaConfig | None = None,
    progress: Progress = lambda fraction: None,
) -> np.ndarray:
    """Enhance a recording with the classic gain; what comes out depends on the past alone.

    Parameters
    ----------
    samples
        (N,) at 16 kHz, finite.
    config
        See `LsaConfig`.
    progress
        Called with the fraction that is done.

    Returns
    -------
    np.ndarray
        (N,) speech.
    """
    config = config or LsaConfig()
    stream = LsaStream(config)
    blocks = [samples[k : k + _LSA_BLOCK] for k in range(0, len(samples), _LSA_BLOCK)]
    found = []
    for index, block in enumerate(blocks):
        found.append(stream.push(block).astype(samples.dtype))
        progress((index + 1) / len(blocks))
    return np.concatenate([*found, stream.finish().astype(samples.dtype)])[: len(samples)]
