# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Features of people in files, and whole recordings of several people."""

from __future__ import annotations

import numpy as np
import pytest
from speech_priors import planted_prior

from av_perception.audio_visual.features import VisualFeatures
from av_perception.audio_visual.offline import separate_seen
from av_perception.audio_visual.people_file import SeenPerson, load_people, save_people
from av_perception.audio_visual.visual_prior import LinearVisualPrior
from av_perception.audio_visual.voices import VoicesConfig
from av_perception.dvae.spectra import PRIOR_TRANSFORM, RATE
from av_perception.errors import UserError


def person(shift=0.0, count=20, size=3):
    stamps = shift + np.arange(count) / 25
    features = np.random.default_rng(int(shift * 100)).standard_normal((count, size))
    return SeenPerson(stamps, features, np.linspace(0, 1, count), np.linspace(1, 0, count))


def test_people_come_back_as_they_were(tmp_path):
    path = tmp_path / 'people.npz'
    save_people(path, {7: person(), 2: person(0.5)})
    found = load_people(path)
    assert list(found) == [2, 7]
    np.testing.assert_allclose(found[7].features, person().features, rtol=1e-6)
    np.testing.assert_allclose(found[2].stamps_s, person(0.5).stamps_s)
    np.testing.assert_allclose(found[7].speaking, person().speaking, rtol=1e-6)


def test_reliability_may_be_left_out(tmp_path):
    path = tmp_path / 'people.npz'
    np.savez(path, stamps_4=np.arange(3.0), features_4=np.ones((3, 2)))
    found = load_people(path)[4]
    np.testing.assert_array_equal(found.reliability, 1.0)
    assert found.speaking is None and np.isnan(found.speaking_at(np.arange(3.0))).all()


def test_who_speaks_is_known_at_images_alone():
    found = person().speaking_at(np.array([0.0, 0.38, 5.0]))
    np.testing.assert_allclose(found[:2], [1.0, 0.5], atol=1e-6)
    assert np.isnan(found[2])


@pytest.mark.parametrize(
    ('arrays', 'told'),
    [
        ({}, 'nobody is in it'),
        ({'stamps_1': np.arange(3.0)}, 'features_1'),
        ({'stamps_1': np.arange(3.0), 'features_1': np.ones((4, 2))}, 'differ in length'),
        ({'stamps_x': np.arange(3.0), 'features_x': np.ones((3, 2))}, 'invalid literal'),
    ],
)
def test_other_files_are_told(arrays, told, tmp_path):
    path = tmp_path / 'people.npz'
    np.savez(path, other=np.zeros(1), **arrays)
    with pytest.raises(UserError, match=told):
        load_people(path)


def test_people_of_different_features_are_told(tmp_path):
    path = tmp_path / 'people.npz'
    save_people(path, {1: person(size=3), 2: person(size=4)})
    with pytest.raises(UserError, match='differ in size'):
        load_people(path)


def test_a_long_recording_is_separated_piece_by_piece():
    prior = planted_prior(PRIOR_TRANSFORM.num_bins, 3)
    visual = LinearVisualPrior(np.eye(3), np.zeros(3), np.full(3, 0.2))
    random = np.random.default_rng(0)
    samples = 0.1 * random.standard_normal(17 * RATE)
    asked = []

    def seen(times):
        asked.append((times[0], times[-1]))
        return VisualFeatures(np.zeros((len(times), 3)), np.ones(len(times)))

    config = VoicesConfig(method='amortized', iterations=1, rank=0)
    told = []
    voices = separate_seen(
        samples, prior, visual, [seen, seen], config=config, progress=told.append
    )
    assert voices.shape == (len(samples), 2) and np.isfinite(voices).all()
    np.testing.assert_allclose(voices[:, 0], voices[:, 1], atol=1e-3)
    assert asked[0][1] == pytest.approx(16.0, abs=0.1)
    assert asked[-1][0] == pytest.approx(15.5, abs=0.1)
    assert told[-1] == 1.0


@pytest.mark.parametrize('count', [0, 1, 300])
def test_silence_and_next_to_nothing_are_answered(count):
    prior = planted_prior(PRIOR_TRANSFORM.num_bins, 3)
    visual = LinearVisualPrior(np.eye(3), np.zeros(3), np.full(3, 0.2))

    def seen(times):
        return VisualFeatures(np.zeros((len(times), 3)), np.ones(len(times)))

    voices = separate_seen(np.zeros(count), prior, visual, [seen, seen])
    assert voices.shape == (count, 2) and not voices.any()
