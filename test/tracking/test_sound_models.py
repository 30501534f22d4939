# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the tracker learns and infers of sound alone: directions, noise, sequences of voice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from streaming_regression import InverseRegression
from tracking_scenes import START_NS, direction_to, place, sound_from, sound_map

from av_perception.tracking.association.audio_statistics import AudioStatistics
from av_perception.tracking.association.heard_direction import (
    HeardDirection,
    azimuth_std,
    direction_posterior,
    locate,
)
from av_perception.tracking.association.noise_model import NoiseConfig, NoiseModel
from av_perception.tracking.track_management.audio_birth import AudioBirth, AudioBirthConfig

SOUND = sound_map()


def test_the_direction_of_a_frame_is_the_inverse_regression_of_the_map():
    rng, acoustic_map = np.random.default_rng(0), sound_map(subbands=5, pieces=12, features=10)
    acoustic_map.num_subbands, acoustic_map.feature_size = 5, 10
    features = sound_from(
        acoustic_map, 0, [direction_to(place(70)), direction_to(place(-120))], rng
    )
    weight, present = rng.uniform(0, 1, 5), rng.random((5, 10)) < 0.7
    regression = InverseRegression(acoustic_map, tempering=0.3)
    regression.add(features.vectors, present, weight)
    expected = regression.posterior()
    evidence = AudioStatistics(acoustic_map, 0.3).evidence(
        dataclasses.replace(features, present=present)
    )
    posterior = direction_posterior(evidence, weight)
    for name in ('log_weight', 'mean', 'covariance', 'log_evidence'):
        np.testing.assert_allclose(
            getattr(posterior, name), getattr(expected, name), atol=1e-8, err_msg=name
        )


class TestNoiseModel:
    """What is learned of the noise itself."""

    def model(self, **changes):
        return NoiseModel(NoiseConfig(**changes), SOUND, 1.0)

    def hear(self, model, azimuth_deg, count, rng):
        for f in range(count):
            model.learn(sound_from(SOUND, f, [direction_to(place(azimuth_deg))], rng))

    def test_it_learns_the_statistics_of_every_sub_band(self):
        rng, model = np.random.default_rng(10), self.model(memory_frames=10**9)
        frames = [sound_from(SOUND, f, [direction_to(place(40))], rng) for f in range(200)]
        for features in frames:
            model.learn(features)
        vectors = np.stack([f.vectors for f in frames])
        mean, variance = vectors.mean(0), np.maximum(vectors.var(0), 0.05) * (1 + 1 / 200)
        expected = -0.5 * (
            (frames[0].vectors - mean) ** 2 / variance + np.log(2 * np.pi * variance)
        ).sum(1)
        np.testing.assert_allclose(model.log_density(frames[0]), expected, rtol=1e-5)

    def test_noises_in_turn_are_told_apart(self):
        rng, model = np.random.default_rng(11), self.model()
        for _ in range(10):
            self.hear(model, 40, 3, rng)
            self.hear(model, -100, 2, rng)
        assert sorted(np.round(model.frames_heard).tolist()) == [0, 0, 20, 30]

    def test_a_noise_heard_briefly_explains_nothing(self):
        rng, model = np.random.default_rng(12), self.model(mature_frames=12)
        self.hear(model, 40, 11, rng)
        features = sound_from(SOUND, 0, [direction_to(place(40))], rng)
        assert np.isneginf(model.log_density(features)).all()
        self.hear(model, 40, 3, rng)
        uniform = -(features.present @ SOUND.log_range)
        assert (model.log_density(features) > uniform).all()
        other = sound_from(SOUND, 0, [direction_to(place(-100))], rng)
        assert (model.log_density(other) < uniform).all()

    def test_unheard_sub_bands_stay_uniform(self):
        rng, model = np.random.default_rng(13), self.model()
        for f in range(20):
            features = sound_from(SOUND, f, [direction_to(place(40))], rng)
            model.learn(dataclasses.replace(features, valid=np.arange(16) < 8))
        density = model.log_density(features) + features.present @ SOUND.log_range
        assert (density[:8] > 1).all() and np.abs(density[8:]).max() < 1e-9

    def test_old_noise_makes_room(self):
        rng, model = np.random.default_rng(14), self.model(sources=2, memory_frames=30)
        self.hear(model, 40, 20, rng)
        self.hear(model, -100, 100, rng)
        self.hear(model, 150, 20, rng)
        assert model.frames_heard.max() < 35
        heard = [
            model.log_density(sound_from(SOUND, 0, [direction_to(place(a))], rng)).sum()
            for a in (40, -100, 150)
        ]
        assert heard[0] < heard[1] and heard[0] < heard[2]


class TestSoundBirth:
    """The test of a sequence of directions."""

    HEARD = HeardDirection(np.array([1.0, 0.0, 0.0]), np.eye(3) * 1e-3, 1.0, 5.0)

    def births(self, count, voice=0.9, directions=None):
        birth = AudioBirth(AudioBirthConfig())
        heard = directions or [self.HEARD] * count
        return [
            f
            for f, h in enumerate(heard)
            if h is not None and birth.step(START_NS + f * 40_000_000, h, voice)
        ]

    def test_the_number_of_observations_decides(self):
        assert self.births(5) == [] and self.births(6) == [5]

    def test_weak_voice_is_none(self):
        assert self.births(40, voice=0.5) == []

    def test_directions_all_over_the_place_are_none(self):
        rng = np.random.default_rng(15)
        anywhere = rng.normal(size=(400, 3))
        anywhere /= np.linalg.norm(anywhere, axis=1, keepdims=True)
        assert (
            self.births(
                0, directions=[HeardDirection(u, np.eye(3) * 1e-3, 1.0, 5.0) for u in anywhere]
            )
            == []
        )

    def test_observations_too_rare_are_none(self):
        assert (
            self.births(0, directions=[self.HEARD if f % 6 == 0 else None for f in range(100)])
            == []
        )
        assert (
            self.births(0, directions=[self.HEARD if f % 4 == 0 else None for f in range(100)])
            != []
        )

    @pytest.mark.parametrize(
        'changes',
        [
            {'min_weight': 0.0},
            {'window_s': 0.0},
            {'window_s': 4.0},
            {'min_observations': 1},
            {'speed_deg': -1.0},
        ],
    )
    def test_senseless_configurations_are_refused(self, changes):
        with pytest.raises(ValueError):
            AudioBirthConfig(**changes)


def test_the_likeliest_piece_and_its_neighbors_are_one_source():
    """Two sources at once: the louder one is given, and its weight says that there is another."""
    rng, tables = np.random.default_rng(16), AudioStatistics(SOUND, 0.01)
    talkers = [direction_to(place(30))] * 9 + [direction_to(place(-150))] * 7
    heard = locate(tables.evidence(sound_from(SOUND, 0, talkers, rng)), np.ones(16))
    assert np.degrees(np.arccos(heard.mean @ talkers[0])) < 10 and 0.5 < heard.weight < 1.0


def test_the_log_ratio_to_clutter_is_that_of_the_integral_over_directions():
    """Against a sum over a fine grid of directions in the plane, for one piece that spans it."""
    rng, acoustic_map = np.random.default_rng(18), sound_map(subbands=3, pieces=1, features=6)
    acoustic_map.center_precision[:] = np.diag([1.0, 1.0, 1e8])
    acoustic_map.center_log_det_precision = np.linalg.slogdet(acoustic_map.center_precision)[1]
    acoustic_map.center[:] = 0.0
    features = sound_from(acoustic_map, 0, [direction_to(place(20))], rng)
    axis = np.linspace(-5, 5, 801)
    u = np.stack([*np.meshgrid(axis, axis), np.zeros((801, 801))], axis=-1).reshape(-1, 3)
    log_likelihood = -0.5 * (u**2).sum(1) - np.log(2 * np.pi)
    for k in range(3):
        error = features.vectors[k] - u @ acoustic_map.slope[k, 0].T - acoustic_map.offset[k, 0]
        log_likelihood += -0.5 * (error**2 / 0.05 + np.log(2 * np.pi * 0.05)).sum(1)
    integral = np.logaddexp.reduce(log_likelihood) + 2 * np.log(axis[1] - axis[0])
    heard = locate(AudioStatistics(acoustic_map, 1.0).evidence(features), np.ones(3))
    assert np.isclose(heard.log_ratio, (integral + 3 * 6 * np.log(2)) / 3, atol=1e-3)


def test_azimuth_std_of_a_planted_covariance():
    direction = np.array([0.0, 0.8, 0.6])
    assert np.isclose(azimuth_std(direction, np.diag([0.01, 0.5, 0.5])), 0.1 / 0.8)
    assert azimuth_std(np.array([0.0, 0.0, 1.0]), np.eye(3)) == np.inf
