# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Lips learnt from moments of recordings, and the gate that lips have to pass.

Everybody in turn is left out: means, regression and variances are learnt from the others, and
it is measured how much likelier the latents of the one left out are than under a fixed Gaussian of
the others' latents. The mean over people decides; what is kept is learnt from all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.audio_visual.features import VisualFeatures, frame_times, resample
from av_perception.audio_visual.visual_prior import LinearVisualPrior
from av_perception.dvae.spectra import PRIOR_TRANSFORM
from av_perception.dvae.speech_prior import SpeechPrior
from av_perception.errors import UserError
from av_perception.lips.examples import LipExample
from av_perception.lips.lip_looks import LipLooks, Look
from av_perception.lips.lip_model import LEAST_GAIN
from av_perception.lips.lip_reader import LipEncoder, learn_encoder
from av_perception.training.visual_prior import fixed_gaussian, nats_gained, train_visual_prior

LEAST_PEOPLE = 4
LEAST_SECONDS = 2.0  # of a person
_FOLDS = 8  # with more people several are left out at once
_KNOWN = 0.5  # reliability of looks that means are learnt from

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class TrainedLips:
    """encoder, visual: learnt from all; gains: nats per frame by person, each left out once."""

    encoder: LipEncoder
    visual: LinearVisualPrior
    gains: dict[str, float]

    @property
    def gain(self) -> float:
        """Mean over people."""
        return float(np.mean(list(self.gains.values())))

    @property
    def passes(self) -> bool:
        """Whether lips tell enough of people whom they were not learnt from."""
        return self.gain >= LEAST_GAIN


@dataclass(frozen=True)
class _Person:
    """Latents (T, L) of stretches with their times, and looks image by image."""

    name: str
    latents: np.ndarray
    starts: list[tuple[int, int]]  # stamp [ns] and number of frames of each stretch
    looks: list[Look]

    def features(self, encoder: LipEncoder) -> VisualFeatures:
        """Of the frames of all stretches."""
        stamps_ns = np.array([look.stamp_ns for look in self.looks])
        values = encoder.features(self.looks)
        reliability = np.array([look.reliability for look in self.looks])
        parts = []
        for start_ns, count in self.starts:
            stamps_s = (stamps_ns - start_ns) * 1e-9
            parts.append(resample(stamps_s, values, reliability, frame_times(count)))
        return VisualFeatures(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.reliability for part in parts]),
        )


def train_lips(
    examples: Sequence[LipExample],
    prior: SpeechPrior,
    progress: Progress = lambda fraction, text: None,
) -> TrainedLips:
    """Learn lips, and measure what they tell of people who were left out.

    Parameters
    ----------
    examples
        A person each.
    prior
        Of speech, frame-wise: the latents of its encoder are what lips tell.
    progress
        Called with the part that is done and a line of text.

    Raises
    ------
    UserError
        When there are too few people.
    """
    usable = [one for one in examples if one.duration_s >= LEAST_SECONDS and one.mouths]
    if len(usable) < LEAST_PEOPLE:
        raise UserError(
            f'{len(usable)} people speak alone, clear and well seen for {LEAST_SECONDS:.0f} s or '
            f'more, {LEAST_PEOPLE} are needed: record more people'
        )
    people = [_person(example, prior) for example in usable]
    groups = np.array_split(np.arange(len(people)), min(_FOLDS, len(people)))
    gains: dict[str, float] = {}
    for number, left_out in enumerate(groups):
        others = [one for index, one in enumerate(people) if index not in left_out]
        tested = [people[index] for index in left_out]
        gains.update(_gains(others, tested))
        progress((number + 1) / (len(groups) + 1), f'without {tested[0].name}')
    return TrainedLips(*_learnt(people), gains)


def _gains(others: Sequence[_Person], tested: Sequence[_Person]) -> dict[str, float]:
    """Measure what lips learnt from others tell, in nats per frame, by person."""
    encoder, visual = _learnt(others)
    found = nats_gained(
        visual,
        [one.latents for one in tested],
        [one.features(encoder) for one in tested],
        fixed_gaussian([one.latents for one in others]),
    )
    return {one.name: float(gain) for one, gain in zip(tested, found)}


def _learnt(people: Sequence[_Person]) -> tuple[LipEncoder, LinearVisualPrior]:
    """Learn encoder and visual prior from some people."""
    encoder = learn_encoder(
        [look for one in people for look in one.looks if look.reliability >= _KNOWN]
    )
    features = [one.features(encoder) for one in people]
    return encoder, train_visual_prior([one.latents for one in people], features)


def _person(example: LipExample, prior: SpeechPrior) -> _Person:
    follower = LipLooks()
    looks = [follower.update(stamp_ns, crop) for stamp_ns, crop in example.mouths]
    level = max(float(np.abs(one.samples).max()) for one in example.stretches)
    latents = []
    starts = []
    for one in example.stretches:
        power = np.abs(PRIOR_TRANSFORM.forward(one.samples / level)) ** 2
        latents.append(prior.encode(power.astype(np.float32))[0])
        starts.append((one.start_ns, len(power)))
    known = [look for look in looks if look is not None]
    return _Person(example.name, np.concatenate(latents), starts, known)
