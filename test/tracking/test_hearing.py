# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People who are only heard, noise that is no person, and whose sub-bands are whose."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from streaming_regression import InverseRegression
from tracking_scenes import (
    HEAD,
    START_NS,
    direction_to,
    face_at,
    image,
    sound_from,
    sound_map,
    stamp,
)

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import AudioFeatures, LifeState
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.tracking.association.audio_statistics import AudioStatistics
from av_perception.tracking.association.heard_direction import (
    HeardDirection,
    azimuth_std,
    direction_posterior,
    locate,
)
from av_perception.tracking.association.noise_model import NoiseConfig, NoiseModel
from av_perception.tracking.state_space.cartesian_head import CartesianHead, CartesianHeadConfig
from av_perception.tracking.state_space.image_plane import ImagePlane, ImagePlaneConfig
from av_perception.tracking.track_management.audio_birth import AudioBirth, AudioBirthConfig
from av_perception.tracking.tracker import Tracker, TrackerConfig

SOUND = sound_map()
NO_NOISE_MODEL = dataclasses.replace(TrackerConfig(), noise=NoiseConfig(sources=0))


def place(azimuth_deg, distance_m=1.5, height_m=0.1):
    """A position in the base frame."""
    azimuth = np.radians(azimuth_deg)
    return np.array([distance_m * np.cos(azimuth), distance_m * np.sin(azimuth), height_m])


def listen(tracker, frames, talkers, rng, faces=None, voice_activity=0.9, pose=RigidTransform()):
    """Steps through `frames`; talkers(f) lists positions that sound, one sub-band after the other; faces(f): None for no image."""
    for f in frames:
        sounding = talkers(f)
        audio = (
            sound_from(
                SOUND,
                f,
                [None if p is None else direction_to(p) for p in sounding],
                rng,
                voice_activity,
            )
            if sounding
            else None
        )
        frame = tracker.step(
            stamp(f),
            None if faces is None else image(f, *faces(f)),
            audio,
            SensorPoses.of_head(HEAD, pose),
        )
    return frame


def azimuth_of(track):
    return np.degrees(np.arctan2(track.mean[1], track.mean[0]))


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


@pytest.mark.parametrize('azimuth_deg', [-150, -40, 75, 170])
def test_an_unseen_talker_is_found_within_a_second_and_published_as_a_ray(azimuth_deg):
    rng, tracker = np.random.default_rng(1), Tracker(TrackerConfig(), HEAD, SOUND)
    born = next(
        f for f in range(25) if listen(tracker, [f], lambda f: [place(azimuth_deg)], rng).tracks
    )
    frame = listen(tracker, range(born + 1, born + 50), lambda f: [place(azimuth_deg)], rng)
    (track,) = frame.tracks
    assert (
        abs(azimuth_of(track) - azimuth_deg) < 3
        and track.heard
        and not track.seen
        and track.state == LifeState.ACTIVE
    )
    assert (
        track.last_seen_ns == 0 and track.last_heard_ns == stamp(born + 49) and track.box is None
    )
    ray = track.mean[:3] / np.linalg.norm(track.mean[:3])
    variances, axes = np.linalg.eigh(track.covariance[:3, :3])
    assert abs(axes[:, -1] @ ray) > 0.97 and np.sqrt(variances[-1]) > 1.0
    assert np.sqrt(variances[0]) < 0.25


def test_the_ray_holds_the_truth_at_any_distance_and_with_a_biased_direction():
    """Normalised squared errors of 30 talkers at 0.8 to 4 m, their sound off by 2 degrees (a standing reflection)."""
    errors = []
    for seed in range(30):
        rng, tracker = np.random.default_rng(seed), Tracker(TrackerConfig(), HEAD, SOUND)
        azimuth, bias = rng.uniform(-180, 180), rng.normal(0, 2)
        truth = place(azimuth, rng.uniform(0.8, 4.0))
        frame = listen(tracker, range(20), lambda f: [place(azimuth + bias, 2.0)], rng)
        (track,) = frame.tracks
        error = track.mean[:3] - truth
        errors.append(error @ np.linalg.solve(track.covariance[:3, :3], error))
    assert (
        np.mean(np.array(errors) < 7.81) >= 0.9
    )  # the 95 % quantile of chi-square with three degrees of freedom


def test_an_unseen_walker_keeps_id_direction_and_the_doubt_about_the_range():
    """Half a turn around the head in 9 s; without the range prior put back the turning ray shrinks to a point."""
    rng, tracker = np.random.default_rng(2), Tracker(TrackerConfig(), HEAD, SOUND)
    where = lambda f: place(60 + 0.8 * f)
    listen(tracker, range(20), lambda f: [where(f)], rng)
    for f in range(20, 225):
        (track,) = listen(tracker, [f], lambda f: [where(f)], rng).tracks
        assert track.id == 1 and abs((azimuth_of(track) - 60 - 0.8 * f + 180) % 360 - 180) < 6
        assert (
            1.8 < np.linalg.norm(track.mean[:3] - [0, 0, 0.1]) < 2.2
            and np.linalg.eigvalsh(track.covariance[:3, :3])[-1] > 1.0
        )


def test_scaling_a_ray_keeps_direction_and_angular_rate():
    model, rng = CartesianHead(CartesianHeadConfig(), HEAD), np.random.default_rng(3)
    origin = HEAD.microphones.base_from_array.translation
    mean = np.concatenate([origin + rng.normal(size=(5, 3)), rng.normal(size=(5, 3))], axis=1)
    root = rng.normal(size=(5, 6, 6))
    settled, spread = model.reset_range(
        mean, root @ root.swapaxes(1, 2), SensorPoses.of_head(HEAD)
    )
    before, after = mean[:, :3] - origin, settled[:, :3] - origin
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 2.0)
    np.testing.assert_allclose(after / 2.0, before / np.linalg.norm(before, axis=1, keepdims=True))
    turn = lambda p, v: np.cross(p, v) / (p**2).sum(1, keepdims=True)
    np.testing.assert_allclose(turn(after, settled[:, 3:]), turn(before, mean[:, 3:]))
    assert (np.linalg.eigvalsh(spread)[:, 0] > -1e-9).all()
    again = model.reset_range(settled, spread, SensorPoses.of_head(HEAD))
    np.testing.assert_allclose(again[0], settled, atol=1e-12)


def test_who_is_heard_first_keeps_the_id_when_seen():
    """The talker walks into view at 60 degrees a second and is silent by then; another person stands in view all the time."""
    for seed in range(4):
        rng, tracker = np.random.default_rng(seed), Tracker(TrackerConfig(), HEAD, SOUND)
        where = lambda f: place(max(10.0, 80 - 2.4 * max(0, f - 60)), 1.2)
        other = place(-20, 2.0)
        faces = lambda f: [face_at(other, rng)] + ([face_at(where(f), rng)] if f > 84 else [])
        heard = listen(tracker, range(80), lambda f: [where(f)], rng, faces)
        ray = next(t for t in heard.tracks if t.last_seen_ns == 0)
        seen = listen(tracker, range(80, 110), lambda f: [], rng, faces)
        assert len(seen.tracks) == 2 and all(t.seen for t in seen.tracks)
        track = next(t for t in seen.tracks if t.id == ray.id)
        assert np.linalg.norm(track.mean[:3] - where(109)) < 0.1 and track.last_seen_ns == stamp(
            109
        )


def test_two_unseen_talkers_are_two_people():
    """They speak at once, every second sub-band each, and then in turns of a second."""
    rng, tracker = np.random.default_rng(4), Tracker(TrackerConfig(), HEAD, SOUND)
    pair = [place(100), place(-90)]
    frame = listen(tracker, range(50), lambda f: pair, rng)
    frame = listen(tracker, range(50, 200), lambda f: [pair[f // 25 % 2]], rng)
    assert sorted(round(azimuth_of(t) / 10) for t in frame.tracks) == [-9, 10]


def test_uniform_noise_in_voiced_frames_is_nobody():
    """Regression: features without any direction have a likeliest one too, and its posterior is sharp."""
    rng, tracker = np.random.default_rng(5), Tracker(NO_NOISE_MODEL, HEAD, SOUND)
    for f in range(1000):
        assert not listen(tracker, [f], lambda f: [None], rng).tracks


def test_an_unseen_talker_stays_while_the_head_turns():
    rng, tracker = np.random.default_rng(6), Tracker(TrackerConfig(), HEAD, SOUND)
    truth, azimuths = place(120), []
    for f in range(100):
        pose = RigidTransform.from_xyz_rpy((0, 0, 0), (0, 0, 0.5 * np.sin(0.08 * f)))
        frame = listen(tracker, [f], lambda f: [pose.inverse().apply(truth)], rng, pose=pose)
        azimuths += [azimuth_of(t) for t in frame.tracks]
    assert (
        len(frame.tracks) == 1
        and len(azimuths) > 80
        and np.abs(np.array(azimuths) - 120).max() < 6
    )


def test_learnt_noise_is_no_person_though_the_detector_calls_it_voice():
    """Six seconds of noise from one place, then false alarms of two seconds; the same tracker without noise model falls for them."""
    people = {}
    for name, config in (('learnt', TrackerConfig()), ('not learnt', NO_NOISE_MODEL)):
        rng, tracker = np.random.default_rng(7), Tracker(config, HEAD, SOUND)
        noise = lambda f: [place(40)]
        listen(tracker, range(150), noise, rng, voice_activity=0.1)
        listen(tracker, range(150, 200), noise, rng)
        listen(tracker, range(200, 350), noise, rng, voice_activity=0.1)
        frame = listen(tracker, range(350, 450), noise, rng)
        people[name] = [round(azimuth_of(t) / 10) for t in frame.tracks]
        if name == 'learnt':
            talking = listen(tracker, range(450, 475), lambda f: [place(40), place(-60)], rng)
            assert [round(azimuth_of(t) / 10) for t in talking.tracks] == [-6]
    assert people == {'learnt': [], 'not learnt': [4]}


def test_sounds_of_a_known_person_are_not_learnt_as_noise():
    """Somebody in view rattles for ten seconds without a word and then speaks: the speech is theirs."""
    rng, tracker = np.random.default_rng(8), Tracker(TrackerConfig(), HEAD, SOUND)
    person = place(10, 2.0)
    faces = lambda f: [face_at(person, rng)]
    listen(tracker, range(20), lambda f: [], rng, faces)
    listen(tracker, range(20, 270), lambda f: [person], rng, faces, voice_activity=0.1)
    (track,) = listen(tracker, range(270, 290), lambda f: [person], rng, faces).tracks
    assert track.heard and track.audio_responsibility > 0.8


def test_sound_that_goes_on_between_the_voiced_frames_is_no_voice():
    """False alarms on a new noise, 0.4 s in every second: what sounds all the time does not speak."""
    rng, tracker = np.random.default_rng(9), Tracker(NO_NOISE_MODEL, HEAD, SOUND)
    for f in range(250):
        frame = listen(
            tracker, [f], lambda f: [place(40)], rng, voice_activity=0.9 if f % 25 >= 15 else 0.05
        )
        assert not frame.tracks


class TestNoiseModel:
    """What is learnt of the noise itself."""

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

    def births(self, count, voice=0.9, directions=None, config=AudioBirthConfig()):
        birth = AudioBirth(config)
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


def test_every_sub_band_is_shared_among_the_people():
    """Two talkers in view with every second sub-band; one sub-band is invalid."""
    rng, tracker = np.random.default_rng(17), Tracker(TrackerConfig(), HEAD, SOUND)
    left, right = place(20, 2.0), place(-20, 2.0)
    faces = lambda f: [face_at(left, rng), face_at(right, rng)]
    listen(tracker, range(10), lambda f: [], rng, faces)
    for f in range(10, 30):
        audio = sound_from(SOUND, f, [direction_to(left), direction_to(right)], rng)
        frame = tracker.step(
            stamp(f), image(f, *faces(f)), dataclasses.replace(audio, valid=np.arange(16) != 4)
        )
    by_side = {np.sign(t.mean[1]): t.subband_responsibility for t in frame.tracks}
    assert by_side[1][[0, 2, 6, 8]].min() > 0.9 and by_side[-1][[1, 3, 5, 7]].min() > 0.9
    assert by_side[1][4] == by_side[-1][4] == 0 and (by_side[1] + by_side[-1]).max() <= 1 + 1e-9
    silent = listen(tracker, [30], lambda f: [left], rng, faces, voice_activity=0.1)
    assert all(t.subband_responsibility.shape == (0,) for t in silent.tracks)


def test_broken_sound_gives_no_birth_and_no_noise():
    tracker = Tracker(TrackerConfig(), HEAD, SOUND)
    nothing = AudioFeatures(
        0, 0.9, np.full((16, 48), np.nan), np.ones((16, 48), bool), np.ones(16), np.ones(16, bool)
    )
    for f in range(60):
        frame = tracker.step(
            stamp(f), None, dataclasses.replace(nothing, voice_activity=0.9 if f % 2 else 0.0)
        )
        assert not frame.tracks
    assert tracker.counters['bad_subbands'] == 60 * 16


def test_a_map_without_shared_pieces_is_refused():
    acoustic_map = sound_map()
    acoustic_map.center = acoustic_map.center + 1e-3 * np.arange(16)[:, None, None]
    with pytest.raises(ValueError, match='share'):
        Tracker(TrackerConfig(), HEAD, acoustic_map)


def test_in_the_image_plane_a_voice_before_the_camera_is_a_box_and_one_behind_is_nobody():
    """The publication's own state space: the face then takes the box over with its id."""
    rng, plane = np.random.default_rng(19), ImagePlane(ImagePlaneConfig(), HEAD)
    tracker = Tracker(TrackerConfig(), HEAD, SOUND, plane)
    assert not listen(tracker, range(30), lambda f: [place(170)], rng).tracks
    ahead = place(15, 2.0)
    (track,) = listen(tracker, range(30, 60), lambda f: [ahead], rng).tracks
    expected = HEAD.camera.project(HEAD.camera.base_from_optical.inverse().apply(ahead))
    assert abs(track.mean[0] - expected[0]) < 30 and abs(
        track.mean[0] - expected[0]
    ) < 3 * np.sqrt(track.covariance[0, 0])
    assert np.allclose(track.covariance[(2, 3), (2, 3)], track.mean[2] ** 2)
    (seen,) = listen(
        tracker, range(60, 75), lambda f: [], rng, lambda f: [face_at(ahead, rng)]
    ).tracks
    assert seen.id == track.id and np.linalg.norm(seen.mean[:2] - expected) < 6
