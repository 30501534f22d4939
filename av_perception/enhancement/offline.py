# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Enhancement of a whole recording, however long, in pieces that fade into each other."""

from __future__ import annotations

from collections.abc import Callable

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
    return enhance_pieces(samples, lambda start, end: prior, config, progress)


def enhance_pieces(
    samples: np.ndarray,
    prior_of: Callable[[int, int], SpeechPrior],
    config: EngineConfig | None = None,
    progress: Progress = lambda fraction: None,
) -> np.ndarray:
    """Enhance a recording whose prior of speech may know more of some pieces than of others.

    Parameters
    ----------
    samples, config, progress
        As for `enhance_by_prior`.
    prior_of
        Gives the prior of the samples from `start` to `end`: of the frames that
        `PRIOR_TRANSFORM.forward` makes of them.

    Returns
    -------
    np.ndarray
        (N,) speech; `samples` less it is the noise.
    """
    config = config or EngineConfig()
    peak = float(np.abs(samples).max(initial=0.0))
    if not peak:
        return np.zeros(len(samples), samples.dtype)

    def piece(start: int, end: int) -> np.ndarray:
        # The next piece begins before this one ends.
        done = end if end == len(samples) else end - _FADE

        def show(fraction: float) -> None:
            progress((start + fraction * (done - start)) / len(samples))

        made = _enhanced(samples[start:end], peak, prior_of(start, end), config, show)
        return made.astype(samples.dtype)

    return join_pieces(piece, len(samples), _PIECE, _FADE)


def _enhanced(
    samples: np.ndarray, peak: float, prior: SpeechPrior, config: EngineConfig, progress: Progress
) -> np.ndarray:
    """(N,) of a piece, at the level that priors know."""
    level = max(float(np.abs(samples).max()), _LEAST_LEVEL * peak)
    spectra = PRIOR_TRANSFORM.forward(samples / level)
    found = enhance_power(np.abs(spectra) ** 2, prior, config, progress=progress)
    return level * PRIOR_TRANSFORM.inverse(found.gain * spectra, len(samples))


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
