# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The priors of speech that ship, on talkers whom no training has seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.dvae.objective import bound
from av_perception.dvae.spectra import PRIOR_TRANSFORM, RATE, log_powers
from av_perception.dvae.speech_prior import SpeechPrior
from av_perception.networks.weights import find_weights
from av_perception.training.resynthesis import measure
from av_perception.training.speech_data import read_talkers, split_talkers

#: Talkers of the check and of the test, and the seed of the deal, of the weights that ship.
CHECK, TEST, SEED = 12, 25, 1


@dataclass(frozen=True)
class PriorRow:
    """One prior: its size, and how unseen talkers sound after it.

    mean_si_sdr_db, mean_estoi: over the talkers. true_past_db: SI-SDR where the past data are the
    recording's, NaN where there are none. misfit, divergence: the two parts of the bound [nats per
    frame], the less the better.
    encode_cpu, decode_cpu: processor time per second of sound.
    """

    name: str
    latents: int
    parameters: int
    file_bytes: int
    mean_si_sdr_db: float
    mean_estoi: float
    true_past_db: float
    misfit: float
    divergence: float
    encode_cpu: float
    decode_cpu: float


def unseen_talkers(folder: Path, count: int = TEST) -> list[np.ndarray]:
    """Sounds (N,) of talkers of the test, none of whom has a part in the weights that ship."""
    talkers = split_talkers(folder, CHECK, TEST, SEED)
    return read_talkers(talkers.test[:count])


def compare(
    priors: dict[str, SpeechPrior],
    sounds: Sequence[np.ndarray],
    progress: Callable[[float], None] = lambda fraction: None,
) -> list[PriorRow]:
    """Resynthesize all sounds by all priors.

    Parameters
    ----------
    priors
        By name.
    sounds
        (N,) each, at 16 kHz, their largest sample 1.
    progress
        Called with the part that is done.
    """
    rows = []
    for number, (name, prior) in enumerate(priors.items()):
        found = measure(prior.model, sounds, prior.floor)
        true_past = float('nan')
        if prior.model.is_autoregressive:
            given = measure(prior.model, sounds, prior.floor, own_past=False, with_estoi=False)
            true_past = float(given.si_sdr_db.mean())
        rows.append(
            PriorRow(
                name,
                prior.num_latents,
                sum(values.size for values in prior.model.parameters.values()),
                find_weights(f'speech_{name}').stat().st_size,
                float(found.si_sdr_db.mean()),
                float(found.estoi.mean()),
                true_past,
                *_bound(prior, sounds),
                *_cost(prior, sounds[0]),
            )
        )
        progress((number + 1) / len(priors))
    return rows


def _bound(prior: SpeechPrior, sounds: Sequence[np.ndarray]) -> tuple[float, float]:
    """Misfit and divergence per frame, along one sample of the latents."""
    rng = np.random.default_rng(0)
    parts = []
    for sound in sounds:
        x = log_powers(np.abs(PRIOR_TRANSFORM.forward(sound)) ** 2, prior.floor)
        noise = rng.standard_normal((len(x), prior.num_latents)).astype(np.float32)
        found = bound(prior.model, x, noise)
        parts.append(np.stack([found.misfit, found.divergence], axis=1))
    misfit, divergence = np.concatenate(parts).mean(axis=0)
    return float(misfit), float(divergence)


def _cost(prior: SpeechPrior, sound: np.ndarray) -> tuple[float, float]:
    """Processor time of encoding and of decoding per second of sound."""
    power = np.abs(PRIOR_TRANSFORM.forward(sound)) ** 2
    started = time.process_time()
    mean, _ = prior.encode(power)
    encoded = time.process_time()
    prior.decode(mean)
    decoded = time.process_time()
    duration_s = len(sound) / RATE
    return (encoded - started) / duration_s, (decoded - encoded) / duration_s
