# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Voices of several talkers out of one channel by planted vision, beside methods with an array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np

from av_perception.audio_visual.features import VisualFeatures
from av_perception.audio_visual.seen_prior import seen_prior
from av_perception.audio_visual.voices import VoicesConfig, separate_power
from av_perception.benchmarks.enhancement_clips import RATE, read_sound, split_talkers, stretch
from av_perception.benchmarks.planted_vision import clean_latents, plant_vision
from av_perception.benchmarks.separation_methods import METHODS, Trial
from av_perception.benchmarks.separation_scenes import SceneKind, SeparationScene, make_scene
from av_perception.benchmarks.separation_scores import si_sdr
from av_perception.dvae.spectra import PRIOR_TRANSFORM
from av_perception.enhancement.prior import SpeechPrior

AV_VAE = 'av-vae'
_LEVEL = 0.05
#: Rooms for the array: talkers apart, and behind each other.
ROOMS = (SceneKind(), SceneKind(apart_deg=3.0))


@dataclass(frozen=True)
class TalkerMixture:
    """A mixture (N,) of one channel, and the voices (N, J) in it."""

    name: str
    mixture: np.ndarray
    voices: np.ndarray


@dataclass(frozen=True)
class VoicesRow:
    """One method on one mixture.

    r2: planted, NaN where nothing was seen; gain_db: SI-SDR over that of the mixture, mean over
    the talkers; is_right: whether no other order of the voices is nearer to the talkers.
    """

    mixture: str
    method: str
    r2: float
    gain_db: float
    is_right: bool


def equal_voices(
    data: Path, talkers: int, duration_s: float, seed: int, reported: bool = True
) -> TalkerMixture:
    """Mix talkers at 0 dB, none of whom any prior was trained on."""
    reporting, tuning, _ = split_talkers(data)
    files = reporting if reported else tuning
    random = np.random.default_rng((talkers, seed))
    chosen = random.choice(len(files), talkers, replace=False)
    count = round(duration_s * RATE)
    voices = np.stack([stretch(read_sound(files[k]), count, random) for k in chosen], axis=1)
    voices *= _LEVEL / np.maximum(voices.std(axis=0), 1e-9)
    return TalkerMixture(f'{talkers} talkers, one channel', voices.sum(axis=1), voices)


def in_a_room(kind: SceneKind, data: Path, duration_s: float, seed: int) -> SeparationScene:
    """Render a room with talkers none of whom any prior was trained on."""
    return make_scene(kind, duration_s, data, seed, files=split_talkers(data)[0])


class VoicesBenchmark:
    """Separation by planted vision.

    Parameters
    ----------
    data
        Folder of the development data.
    prior
        Of speech, frame-wise.
    config
        Of the separation.
    """

    def __init__(self, data: Path, prior: SpeechPrior, config: VoicesConfig | None = None):
        self._prior = prior
        self._config = config or VoicesConfig()
        self._planted = plant_vision(data, prior)

    def separated(
        self, mixture: TalkerMixture, r2: float, seed: int, order: Sequence[int] | None = None
    ) -> np.ndarray:
        """(N, J) voices, by planted vision of the talkers, in this order if one is given."""
        random = np.random.default_rng(seed)
        visual = self._planted.prior(r2)
        seen = []
        for voice in mixture.voices.T:
            latents = clean_latents(self._prior, voice)
            values = self._planted.features(latents, r2, random)
            features = VisualFeatures(values, np.ones(len(values)))
            seen.append(seen_prior(self._prior, visual, features))
        level = max(float(np.abs(mixture.mixture).max()), 1e-9)
        spectra = PRIOR_TRANSFORM.forward(mixture.mixture / level)
        order = range(len(seen)) if order is None else order
        priors = [seen[k] for k in order]
        gains = separate_power(np.abs(spectra) ** 2, priors, self._config).gains
        count = len(mixture.mixture)
        return level * np.stack(
            [PRIOR_TRANSFORM.inverse(gain * spectra, count) for gain in gains], axis=1
        )

    def row(self, mixture: TalkerMixture, r2: float, seed: int) -> VoicesRow:
        """Measure one mixture."""
        return scored(mixture, AV_VAE, r2, self.separated(mixture, r2, seed))


def array_rows(scene: SeparationScene, methods: Sequence[str]) -> list[VoicesRow]:
    """Measure methods that hear all microphones, and are told where talkers are."""
    mixture = first_channel(scene)
    trial = Trial(scene)
    return [
        scored(mixture, name, float('nan'), trial.result(name))
        for name in methods
        if name in METHODS
    ]


def first_channel(scene: SeparationScene) -> TalkerMixture:
    """Take what the first microphone of a room heard."""
    return TalkerMixture(scene.label, scene.mixture[:, 0], scene.references)


def scored(mixture: TalkerMixture, method: str, r2: float, found: np.ndarray) -> VoicesRow:
    """Compare voices (N, J) with the talkers."""
    count = mixture.voices.shape[1]
    ratios = np.array([si_sdr(found[:, [k] * count], mixture.voices) for k in range(count)])
    before = si_sdr(np.tile(mixture.mixture[:, None], count), mixture.voices)
    totals = {
        order: sum(ratios[k, order[k]] for k in range(count))
        for order in permutations(range(count))
    }
    is_right = max(totals, key=lambda order: totals[order]) == tuple(range(count))
    gain = float(np.mean(np.diag(ratios) - before))
    return VoicesRow(mixture.name, method, r2, gain, is_right)


def voices_table(rows: Sequence[VoicesRow]) -> list[tuple[str, str, float, float, float, int]]:
    """Mixture, method, R2, mean gain [dB], share of right orders, how many; in order."""
    keys = dict.fromkeys((row.mixture, row.method, str(row.r2)) for row in rows)
    found = []
    for key in keys:
        own = [row for row in rows if (row.mixture, row.method, str(row.r2)) == key]
        gain = float(np.mean([row.gain_db for row in own]))
        right = float(np.mean([row.is_right for row in own]))
        found.append((key[0], key[1], own[0].r2, gain, right, len(own)))
    return found
