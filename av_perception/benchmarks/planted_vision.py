# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Planted vision: features that know so much of the latents of clean speech, and no more.

    v = sqrt(R2) C^-1/2 (z - m) + sqrt(1 - R2) n,   n ~ N(0, I), turned

with m and C the mean and the covariance of the latents of talkers in training: of every latent,
regression on v explains R2 of the variance. Where vision lies, v is that of other speech. The
prior of z given v is learnt from talkers other than those it is tried on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.audio_visual.features import VisualFeatures
from av_perception.audio_visual.visual_prior import LinearVisualPrior
from av_perception.benchmarks.enhancement_clips import RATE, read_sound, split_talkers
from av_perception.dvae.spectra import PRIOR_TRANSFORM
from av_perception.enhancement.prior import SpeechPrior
from av_perception.training.visual_prior import train_visual_prior

_TRAINING_S = 4.0  # of each talker
_TURN_SEED = 3


def clean_latents(prior: SpeechPrior, voice: np.ndarray) -> np.ndarray:
    """(T, L) means that the encoder gives a clean voice (N,), its largest sample made 1."""
    peak = max(float(np.abs(voice).max(initial=0.0)), 1e-9)
    return prior.encode(np.abs(PRIOR_TRANSFORM.forward(voice / peak)) ** 2)[0]


@dataclass(frozen=True)
class PlantedVision:
    """What vision is planted with, and the latents of the talkers it is learnt from.

    mean: (L,) m; whitening: (L, L) `Q C^-1/2`; training: (T, L) of each talker.
    """

    mean: np.ndarray
    whitening: np.ndarray
    training: Sequence[np.ndarray]

    def features(self, latents: np.ndarray, r2: float, random: np.random.Generator) -> np.ndarray:
        """(T, L) features of latents (T, L)."""
        noise = random.standard_normal(latents.shape)
        known = (latents - self.mean) @ self.whitening.T
        return np.sqrt(r2) * known + np.sqrt(1 - r2) * noise

    def prior(self, r2: float, seed: int = 0) -> LinearVisualPrior:
        """Learn the prior of latents given such features."""
        random = np.random.default_rng(seed)
        seen = [
            VisualFeatures(self.features(z, r2, random), np.ones(len(z))) for z in self.training
        ]
        return train_visual_prior(self.training, seen)


def plant_vision(data: Path, prior: SpeechPrior, num_talkers: int = 48) -> PlantedVision:
    """Hear the talkers that vision is learnt from.

    Parameters
    ----------
    data
        Folder of the development data.
    prior
        Of speech.
    num_talkers
        How many; none of them is one for reports or for tuning.

    Returns
    -------
    PlantedVision
        For features of any talker.
    """
    files = split_talkers(data)[2][:num_talkers]
    count = round(_TRAINING_S * RATE)
    training = [clean_latents(prior, read_sound(path)[:count]) for path in files]
    every = np.concatenate(training).astype(float)
    values, vectors = np.linalg.eigh(np.cov(every.T))
    size = len(values)
    turn = np.linalg.qr(np.random.default_rng(_TURN_SEED).standard_normal((size, size)))[0]
    whitening = turn @ (vectors / np.sqrt(np.maximum(values, 1e-6))).T
    return PlantedVision(every.mean(axis=0), whitening, training)


def lying_frames(num_frames: int, share: float = 0.4) -> np.ndarray:
    """(T,) bool: a stretch in the middle, of this share of the frames."""
    place = (np.arange(num_frames) + 0.5) / max(num_frames, 1)
    return np.abs(place - 0.5) < 0.5 * share
