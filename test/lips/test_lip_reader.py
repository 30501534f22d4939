# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From crops to features: causal, the same live as in training, and without the person's looks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted_mouths import banded_voice, showing_mouths
from planted_voices import PERIOD_NS, START_NS

from av_perception.audio_visual.features import resample
from av_perception.audio_visual.visual_prior import LinearVisualPrior
from av_perception.errors import UserError
from av_perception.lips.lip_looks import LipLooks
from av_perception.lips.lip_model import GAIN, SPEECH_PRIOR, load_lips, save_lips
from av_perception.lips.lip_reader import LipReader, PersonScale, learn_encoder

SOUND = np.concatenate([np.zeros(16000), banded_voice(2.0, 1)])  # at rest for a second first
MOUTHS = showing_mouths(SOUND, START_NS, 1)


def looks_of(mouths):
    follower = LipLooks()
    return [follower.update(stamp_ns, crop) for stamp_ns, crop in mouths]


@pytest.fixture(scope='module')
def encoder():
    return learn_encoder(looks_of(MOUTHS))


def test_live_features_are_those_of_training(encoder):
    looks = looks_of(MOUTHS)
    stamps_ns = np.array([look.stamp_ns for look in looks])
    values = encoder.features(looks)
    reader = LipReader(encoder)
    for stamp_ns, crop in MOUTHS:
        reader.see(stamp_ns, crop)
    times_s = np.linspace(1.5, 2.9, 40)
    reliability = np.array([look.reliability for look in looks])
    expected = resample((stamps_ns - START_NS) * 1e-9, values, reliability, times_s)
    found = reader.features(START_NS, times_s)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-4)
    np.testing.assert_allclose(found.reliability, expected.reliability, atol=1e-6)
    assert found.reliability.min() == 1.0


def test_a_mouth_that_rests_shows_nothing_whatever_it_looks_like():
    still = [(stamp_ns, MOUTHS[0][1]) for stamp_ns, _ in MOUTHS]
    assert np.abs(looks_of(still)[-1].values).max() < 1e-3
    moving = np.stack([look.values for look in looks_of(MOUTHS)])
    assert moving.std() > 0.1


def test_light_hardly_matters_once_a_person_has_moved_the_lips(encoder):
    mouths = showing_mouths(np.concatenate([np.zeros(16000), banded_voice(6.0, 1)]), START_NS, 1)
    darker = [
        (stamp_ns, replace(crop, mouth=(0.7 * crop.mouth + 10).astype(np.uint8)))
        for stamp_ns, crop in mouths
    ]
    size = len(encoder.mean)
    bright, dark = (encoder.features(looks_of(m))[-25:, :size] for m in (mouths, darker))
    assert bright.std() > 0.7
    assert np.abs(bright - dark).mean() < 0.3, 'standard deviations, of 30 % less light'


def test_numbers_of_a_person_count_about_their_own_mean(encoder):
    """Another mean and another spread are gone after some seconds of motion, not of rest."""
    random = np.random.default_rng(0)
    usual = random.standard_normal((400, len(encoder.mean)))
    own = encoder.mean + (0.7 + 1.6 * usual) / encoder.scale
    moving = PersonScale(encoder)
    found = np.array([moving.update(row, 0.04) for row in own])[-100:, : len(encoder.mean)]
    np.testing.assert_allclose(found.mean(axis=0), usual[-100:].mean(axis=0), atol=0.25)
    np.testing.assert_allclose(found.std(axis=0), usual[-100:].std(axis=0), rtol=0.2)
    resting = PersonScale(encoder)
    still = np.array([resting.update(row, 0.0) for row in own])[-100:, : len(encoder.mean)]
    assert still.mean() == pytest.approx(0.7, abs=0.15)


def test_reliability_grows_while_the_mouth_is_seen_at_rest():
    reliability = np.array([look.reliability for look in looks_of(MOUTHS)])
    assert reliability[0] == 0.0 and (np.diff(reliability[:24]) >= 0).all()
    assert (reliability[24:] == 1.0).all(), 'after a second of rest'


def test_after_a_gap_nothing_came_before_and_old_images_say_nothing(encoder):
    reader = LipReader(encoder)
    reader.see(*MOUTHS[0])
    reader.see(MOUTHS[0][0] + 30 * PERIOD_NS, MOUTHS[5][1])
    last_s = 30 * 0.04
    found = reader.features(START_NS, np.array([last_s, last_s + 0.09, last_s + 0.11, 0.6]))
    size = encoder.num_features // 2
    assert np.array_equal(found.values[0, size:], found.values[0, :size]), 'nothing before the gap'
    assert list(found.reliability > 0) == [True, True, False, False]


def test_an_image_that_comes_twice_counts_once():
    follower = LipLooks()
    assert follower.update(*MOUTHS[0]) is not None
    assert follower.update(*MOUTHS[0]) is None


def saved(path, encoder, gain=2.0):
    size = encoder.num_features
    visual = LinearVisualPrior(np.ones((16, size), np.float32), np.zeros(16), np.ones(16))
    save_lips(path, encoder, visual, {SPEECH_PRIOR: 'vae', GAIN: gain})
    return path


def test_lips_come_back_from_their_file(tmp_path, encoder):
    model = load_lips(saved(tmp_path / 'lips.npz', encoder))
    assert np.array_equal(model.encoder.scale, encoder.scale)
    assert model.speech_prior == 'vae' and model.visual.num_latents == 16


def test_lips_that_are_absent_damaged_or_did_not_pass_are_refused(tmp_path, encoder):
    with pytest.raises(UserError, match='none ship'):
        load_lips(tmp_path / 'nobody.npz')
    with pytest.raises(UserError, match='0.40 nat a frame .* 1 is needed'):
        load_lips(saved(tmp_path / 'poor.npz', encoder, 0.4))
    path = saved(tmp_path / 'cut.npz', encoder)
    arrays = dict(np.load(path))
    arrays.pop('lips.mean')
    np.savez(path, **arrays)
    with pytest.raises(UserError, match='holds no lips'):
        load_lips(path)
    arrays = dict(np.load(saved(path, encoder)))
    arrays['lips.scale'] = np.full_like(arrays['lips.scale'], np.nan)
    np.savez(path, **arrays)
    with pytest.raises(UserError, match='damaged'):
        load_lips(path)
