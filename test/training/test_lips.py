# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Lips that show the voice pass the gate, photographs do not."""

from __future__ import annotations

import numpy as np
import pytest
from planted_mouths import banded_voice, showing_mouths
from planted_voices import START_NS

from av_perception.dvae.speech_prior import load_prior
from av_perception.errors import UserError
from av_perception.lips.examples import LipExample, Stretch
from av_perception.lips.lip_model import LEAST_GAIN
from av_perception.training.lips import train_lips

LEAD_S = 2.0


def person(seed: int, is_photograph: bool = False, seconds: float = 7.0) -> LipExample:
    """Somebody who rests for LEAD_S, then speaks."""
    voice = banded_voice(seconds - LEAD_S, seed)
    sound = np.concatenate([np.zeros(int(16000 * LEAD_S)), voice])
    mouths = showing_mouths(sound, START_NS, seed, is_photograph)
    first = int(16000 * LEAD_S)
    stretch = Stretch(START_NS + int(LEAD_S * 1e9), sound[first:])
    return LipExample(f'person {seed}', (stretch,), mouths)


@pytest.fixture(scope='module')
def prior():
    return load_prior('vae')


@pytest.fixture(scope='module')
def learnt(prior):
    return train_lips([person(seed) for seed in range(6)], prior)


@pytest.mark.slow
def test_lips_that_show_the_voice_pass_on_people_who_were_left_out(learnt):
    assert learnt.passes and learnt.gain >= LEAST_GAIN
    assert len(learnt.gains) == 6 and min(learnt.gains.values()) > 0


@pytest.mark.slow
def test_photographs_are_refused(prior):
    refused = train_lips([person(seed, is_photograph=True) for seed in range(6)], prior)
    assert not refused.passes and refused.gain < 0.3


@pytest.mark.slow
def test_lips_of_other_voices_are_refused(prior):
    """Everybody's mouth shows the voice of another."""
    people = [person(seed) for seed in range(6)]
    swapped = [
        LipExample(one.name, one.stretches, other.mouths)
        for one, other in zip(people, people[1:] + people[:1])
    ]
    assert not train_lips(swapped, prior).passes


def test_latents_of_a_stranger_are_foretold(learnt, prior):
    from av_perception.audio_visual.features import frame_times
    from av_perception.dvae.spectra import PRIOR_TRANSFORM
    from av_perception.lips.lip_reader import LipReader

    stranger = person(77)
    reader = LipReader(learnt.encoder)
    for stamp_ns, crop in stranger.mouths:
        reader.see(stamp_ns, crop)
    [stretch] = stranger.stretches
    power = np.abs(PRIOR_TRANSFORM.forward(stretch.samples)) ** 2
    latents = prior.encode(power.astype(np.float32))[0]
    seen = reader.features(stretch.start_ns, frame_times(len(latents)))
    late = seen.reliability > 0.9  # the reader keeps two seconds
    assert late.sum() > 50
    mean, _ = learnt.visual.prior(seen)
    error = ((mean - latents)[late] ** 2).mean(axis=0)
    explained = 1 - error / latents[late].var(axis=0)
    assert np.sort(explained)[-2:].min() > 0.4, explained


def test_too_few_people_are_refused(prior):
    with pytest.raises(UserError, match='2 people speak alone, .* 4 are needed'):
        train_lips([person(1), person(2), person(3, seconds=3.5)], prior)
