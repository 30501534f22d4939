# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What seeing is worth to enhancement: planted vision on the clips of its benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.audio_visual.features import VisualFeatures
from av_perception.audio_visual.seen_prior import seen_prior
from av_perception.audio_visual.switch import see_by_switch
from av_perception.benchmarks.enhancement_clips import NoisyClip, make_clips
from av_perception.benchmarks.enhancement_scores import estoi
from av_perception.benchmarks.live_vision import hear_live, see_live
from av_perception.benchmarks.planted_vision import (
    PlantedVision,
    clean_latents,
    lying_frames,
    plant_vision,
)
from av_perception.benchmarks.separation_scores import si_sdr
from av_perception.dvae.spectra import PRIOR_TRANSFORM
from av_perception.enhancement.engine import EngineConfig, enhance_power
from av_perception.enhancement.prior import SpeechPrior

AUDIO = 'audio alone'
HONEST = 'honest'
LIES = 'lies'
NOISE = 'noise'
VISIONS = (HONEST, LIES, NOISE)
ALWAYS = 'always'
SWITCH = 'switch'
LIVE = 'live'
BELIEFS = (ALWAYS, SWITCH, LIVE)
R2 = (0.0, 0.25, 0.5, 0.8)
_PAUSE = 1e-3  # of the loudest frame, in power


@dataclass(frozen=True)
class SeenRow:
    """One clip with one kind of vision.

    vision: AUDIO, or one of VISIONS: honest, that of another talker for 40 % of the time, or
    noise; r2: planted; believed: ALWAYS, as far as the SWITCH says, or as the one of LIVE streams
    does (there audio alone is live, too); kind, snr_db: of the noise;
    seen_lying, seen_honest: mean belief of the switch where vision lies, and elsewhere, over the
    frames in which somebody speaks; all_lying, all_honest: the same with all pauses.
    """

    vision: str
    r2: float
    believed: str
    kind: str
    snr_db: float
    si_sdr_db: float
    estoi: float
    seen_lying: float = float('nan')
    seen_honest: float = float('nan')
    all_lying: float = float('nan')
    all_honest: float = float('nan')


@dataclass(frozen=True)
class SeenTrial:
    """A clip, the latents of its voice, and those of another talker."""

    clip: NoisyClip
    latents: np.ndarray
    others: np.ndarray

    def features(
        self, planted: PlantedVision, vision: str, r2: float, random: np.random.Generator
    ) -> VisualFeatures:
        """(T, L) features: honest, lying for a while, or noise."""
        shown = self.latents
        if vision == LIES:
            lies = lying_frames(len(shown))
            shown = np.where(lies[:, None], self.others, shown)
        if vision == NOISE:
            values = random.standard_normal(shown.shape)
        else:
            values = planted.features(shown, r2, random)
        return VisualFeatures(values, np.ones(len(values)))


def make_trials(
    data: Path, prior: SpeechPrior, count: int, duration_s: float, reported: bool = True
) -> list[SeenTrial]:
    """Make clips; the other talker of each is the next one's.

    Parameters
    ----------
    data
        Folder of the development data.
    prior
        Of speech, whose latents are planted.
    count, duration_s
        As for `enhancement_clips.make_clips`.
    reported
        Whether with the talkers for reports, or with others.
    """
    clips = make_clips(data, count, duration_s, reported=reported)
    latents = [clean_latents(prior, clip.voice) for clip in clips]
    others = latents[1:] + latents[:1]
    if count == 1:
        others = [latents[0][::-1]]
    return [SeenTrial(*both) for both in zip(clips, latents, others)]


def speaking_frames(voice: np.ndarray) -> np.ndarray:
    """(T,) bool: frames of a clean voice (N,) that are no pauses."""
    power = (np.abs(PRIOR_TRANSFORM.forward(voice)) ** 2).sum(axis=1)
    return power > _PAUSE * power.max(initial=0.0)


class SeenBenchmark:
    """All methods on a trial.

    Parameters
    ----------
    data
        Folder of the development data.
    prior
        Of speech, frame-wise.
    r2
        How much is planted.
    visions
        Of VISIONS; noise is shown to the prior of the largest R2 alone.
    beliefs
        Of BELIEFS.
    """

    def __init__(
        self,
        data: Path,
        prior: SpeechPrior,
        r2: Sequence[float] = R2,
        visions: Sequence[str] = VISIONS,
        beliefs: Sequence[str] = BELIEFS,
    ):
        self._prior = prior
        self._planted = plant_vision(data, prior)
        self._visual = {one: self._planted.prior(one) for one in r2}
        self._visions = visions
        self._beliefs = beliefs

    @property
    def num_rows(self) -> int:
        """Of a trial."""
        live = LIVE in self._beliefs
        return 1 + live + len(self._beliefs) * len(self._conditions())

    def _conditions(self) -> list[tuple[str, float]]:
        """Vision and R2; where R2 is 0, nothing can lie."""
        largest = max(self._visual)
        return [
            (vision, r2)
            for vision in self._visions
            for r2 in self._visual
            if (vision != NOISE or r2 == largest) and (vision == HONEST or r2 > 0)
        ]

    def rows(self, trial: SeenTrial, seed: int) -> Iterator[SeenRow]:
        """Measure a trial, row by row; the seed draws what vision does not know."""
        clip = trial.clip
        level = max(float(np.abs(clip.mixture).max()), 1e-9)
        spectra = PRIOR_TRANSFORM.forward(clip.mixture / level)
        power = np.abs(spectra) ** 2

        def row(vision: str, r2: float, believed: str, gain: np.ndarray, *seen) -> SeenRow:
            voice = level * PRIOR_TRANSFORM.inverse(gain * spectra, len(clip.mixture))
            return _scored(clip, vision, r2, believed, voice, *seen)

        alone = enhance_power(power, self._prior, EngineConfig())
        yield row(AUDIO, 0.0, ALWAYS, alone.gain)
        if LIVE in self._beliefs:
            yield _scored(clip, AUDIO, 0.0, LIVE, hear_live(clip.mixture, self._prior))
        for vision, r2 in self._conditions():
            random = np.random.default_rng(seed)
            features = trial.features(self._planted, vision, r2, random)
            if ALWAYS in self._beliefs:
                seen = seen_prior(self._prior, self._visual[r2], features)
                yield row(vision, r2, ALWAYS, enhance_power(power, seen, EngineConfig()).gain)
            if SWITCH in self._beliefs:
                found = see_by_switch(power, self._prior, self._visual[r2], features)
                yield row(vision, r2, SWITCH, found.gain, *_shares(clip, found.modes[:, -1]))
            if LIVE in self._beliefs:
                live = see_live(clip.mixture, self._prior, self._visual[r2], features)
                shares = _shares(clip, live.belief)
                yield _scored(clip, vision, r2, LIVE, live.samples, *shares)


def _scored(
    clip: NoisyClip, vision: str, r2: float, believed: str, voice: np.ndarray, *seen: float
) -> SeenRow:
    """Score a voice (N,)."""
    ratio = float(si_sdr(voice[:, None], clip.voice[:, None])[0])
    heard = estoi(clip.voice, voice)
    return SeenRow(vision, r2, believed, clip.kind, clip.snr_db, ratio, heard, *seen)


def _shares(clip: NoisyClip, believed: np.ndarray) -> list[float]:
    """Means of a belief (T,), see `SeenRow`."""
    lies = lying_frames(len(believed))
    speaks = speaking_frames(clip.voice)
    chosen = (lies & speaks, ~lies & speaks, lies, ~lies)
    return [float(believed[frames].mean()) for frames in chosen]


@dataclass(frozen=True)
class SeenSummary:
    """Medians over the clips of one condition.

    gain_db, estoi_gain: of the differences to audio alone on the same clip, live to live;
    least_gain_db: of the clip that loses most; beliefs: of `SeenRow`, (median, mean) of each.
    """

    vision: str
    r2: float
    believed: str
    si_sdr_db: float
    estoi: float
    gain_db: float
    estoi_gain: float
    least_gain_db: float
    seen_lying: tuple[float, float]
    seen_honest: tuple[float, float]
    all_lying: tuple[float, float]
    all_honest: tuple[float, float]


def summaries(rows: Sequence[SeenRow]) -> list[SeenSummary]:
    """Summarize all conditions in the order in which they come."""
    found = []
    for key in dict.fromkeys((row.vision, row.r2, row.believed) for row in rows):
        own = [row for row in rows if (row.vision, row.r2, row.believed) == key]
        is_live = key[-1] == LIVE
        alone = [r for r in rows if r.vision == AUDIO and (r.believed == LIVE) == is_live]
        pairs = list(zip(own, alone))
        gains = [one.si_sdr_db - other.si_sdr_db for one, other in pairs]
        heard = [one.estoi - other.estoi for one, other in pairs]
        summary = SeenSummary(
            *key,
            si_sdr_db=float(np.median([row.si_sdr_db for row in own])),
            estoi=float(np.median([row.estoi for row in own])),
            gain_db=float(np.median(gains)),
            estoi_gain=float(np.median(heard)),
            least_gain_db=float(np.min(gains)),
            seen_lying=_middles([row.seen_lying for row in own]),
            seen_honest=_middles([row.seen_honest for row in own]),
            all_lying=_middles([row.all_lying for row in own]),
            all_honest=_middles([row.all_honest for row in own]),
        )
        found.append(summary)
    return found


def _middles(values: list[float]) -> tuple[float, float]:
    """Median and mean."""
    return float(np.median(values)), float(np.mean(values))
