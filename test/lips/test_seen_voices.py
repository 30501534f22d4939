# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Voices of people whose lips are read: whose eyes count in whose voice, and when."""

from __future__ import annotations

import numpy as np
import pytest
from planted_mouths import banded_voice, frames_with_mouths, showing_mouths
from planted_voices import START_NS

from av_perception.audio_visual.seen_stream import CVAE, SWVAE
from av_perception.audio_visual.visual_prior import LinearVisualPrior
from av_perception.enhancement.person_enhancers import PersonEnhancers
from av_perception.enhancement.stream import LSA, VAE
from av_perception.interfaces import AudioChunk, MouthFrame
from av_perception.lips.lip_looks import LipLooks
from av_perception.lips.lip_model import GAIN, SPEECH_PRIOR, LipModel
from av_perception.lips.lip_reader import learn_encoder
from av_perception.lips.seen_voices import SeenVoices

VOICES = {1: banded_voice(2.0, 1), 2: banded_voice(2.0, 2)}
CHUNK = 256


@pytest.fixture(scope='module')
def model():
    looks = LipLooks()
    mouths = showing_mouths(VOICES[1], START_NS, 1)
    encoder = learn_encoder([looks.update(*row) for row in mouths])
    rng = np.random.default_rng(0)
    weight = 0.1 * rng.normal(size=(16, encoder.num_features)).astype(np.float32)
    visual = LinearVisualPrior(weight, np.zeros(16), np.full(16, 0.5))
    return LipModel(encoder, visual, {SPEECH_PRIOR: 'vae', GAIN: 2.0})


def images(seen=(1, 2)):
    """Tracks of both people, image by image, and the mouths of those who are seen."""
    shown = {key: showing_mouths(VOICES[key], START_NS, key) for key in VOICES}
    flat = {key: np.full(50, 0.1) for key in VOICES}
    found = []
    for k, (frame, mouths) in enumerate(frames_with_mouths({1: -20.0, 2: 20.0}, flat)):
        from dataclasses import replace

        crops = [
            replace(shown[key][k][1], box=crop.box)
            for key, crop in zip(VOICES, mouths.mouths)
            if key in seen
        ]
        found.append((frame, MouthFrame(frame.stamp_ns, tuple(crops))))
    return found


def heard(enhancers, seen, frames, delay_images=2):
    """(N,) of each person; images come later than the sound of their time."""
    parts = {key: [] for key in VOICES}
    shown = 0
    for first in range(0, len(VOICES[1]), CHUNK):
        stamp_ns = START_NS + first * 62500
        for key, voice in VOICES.items():
            samples = voice[first : first + CHUNK, None].astype(np.float32)
            chunk = AudioChunk(stamp_ns, 16000, first, samples)
            parts[key] += [c.samples[:, 0] for c in enhancers.push(key, chunk)]
        while shown < len(frames) - delay_images:
            if frames[shown + delay_images][0].stamp_ns > stamp_ns:
                break
            seen.see(*frames[shown])
            shown += 1
    return {key: np.concatenate(own) for key, own in parts.items()}


@pytest.mark.slow
def test_each_voice_is_that_of_its_own_lips(model):
    found = {}
    for name, who in (('both', (1, 2)), ('one', (1,)), ('nobody', ())):
        seen = SeenVoices(model, CVAE)
        found[name] = heard(PersonEnhancers(VAE, seen.makers), seen, images(who))
    plain = heard(PersonEnhancers(VAE), SeenVoices(model, CVAE), images())
    for key in VOICES:
        np.testing.assert_allclose(found['nobody'][key], plain[key], atol=1e-5)
        assert np.abs(found['both'][key] - plain[key]).max() > 1e-3, 'eyes count'
    np.testing.assert_array_equal(found['one'][1], found['both'][1])
    np.testing.assert_array_equal(found['one'][2], found['nobody'][2])


def test_beliefs_are_told_by_person_and_end_with_the_voice(model):
    seen = SeenVoices(model, SWVAE)
    enhancers = PersonEnhancers(VAE, seen.makers)
    heard(enhancers, seen, images((1,)))
    assert set(seen.beliefs) == {1, 2}
    assert all(0 <= belief <= 1 for belief in seen.beliefs.values())
    for key in VOICES:
        last = AudioChunk(START_NS + 2 * 10**9, 16000, 32000, np.zeros((CHUNK, 1), np.float32))
        enhancers.push(key, last, ended=True)
    assert seen.beliefs == {}


def test_other_modes_are_as_they_were(model):
    seen = SeenVoices(model, CVAE)
    with_eyes = heard(PersonEnhancers(LSA, seen.makers), seen, images())
    without = heard(PersonEnhancers(LSA), seen, images())
    for key in VOICES:
        np.testing.assert_array_equal(with_eyes[key], without[key])


def test_a_voice_that_is_switched_while_it_runs_sees_the_right_moment(model):
    """What `vae` makes after a switch is what it makes from the beginning."""
    from av_perception.enhancement.stream import OFF

    seen = SeenVoices(model, CVAE)
    enhancers = PersonEnhancers(OFF, seen.makers)
    first_ns: list[int] = []
    make = seen.makers

    def noting(key, start_ns):
        makers = make(key, start_ns)

        def made(start):
            first_ns.append(start_ns + start * 62500)
            return makers[VAE](start)

        return {VAE: made}

    enhancers = PersonEnhancers(OFF, noting)
    for index in range(80):
        stamp_ns = START_NS + index * CHUNK * 62500
        samples = VOICES[1][index * CHUNK : (index + 1) * CHUNK, None].astype(np.float32)
        enhancers.push(1, AudioChunk(stamp_ns, 16000, index * CHUNK, samples))
        if index == 60:
            enhancers.switch(VAE)
    [begun] = first_ns
    assert begun == START_NS + (61 * CHUNK - 8000) * 62500, 'where its warm-up begins'
