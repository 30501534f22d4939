# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Audio-visual events.

The geometry of a pair, both EMs, the number of events, the sliding window, degenerate input.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from clustering_scenes import CHANNELS, HEAD, PAIR
from scipy.integrate import trapezoid
from tracking_scenes import face_at

from av_perception.interfaces import VisualFeatures
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.two_microphones.av_events import (
    EventConfig,
    choose_number,
    fit_supervised,
    fit_visual,
    starts,
)
from av_perception.two_microphones.event_detector import EventDetector, EventDetectorConfig
from av_perception.two_microphones.face_itd_fusion import FusionConfig, fit_fixed_means
from av_perception.two_microphones.itd_mixture import ItdMixture
from av_perception.two_microphones.microphone_pair import (
    MicrophonePair,
    frontal_pair,
    speed_of_sound,
)
from av_perception.two_microphones.time_differences import TimeDifferences

LIMIT, CONFIG = PAIR.max_itd, EventConfig()
EAR = MicrophonePair(np.array([[0.0, 0.06, 0.0], [0.0, -0.06, 0.0]]))
MS = 1_000_000


# ---- geometry


def test_sound_from_the_left_reaches_the_left_microphone_first():
    left, right = np.array([1.0, 0.8, 0.0]), np.array([1.0, -0.8, 0.0])
    assert EAR.itd(left) < 0 < EAR.itd(right) and EAR.itd(
        np.array([2.0, 0.0, 0.3])
    ) == pytest.approx(0.0)
    points = np.random.default_rng(0).normal(size=(500, 3)) * 5
    assert np.abs(EAR.itd(points)).max() <= EAR.max_itd == pytest.approx(0.12 / 343.42)
    assert EAR.itd(np.array([0.0, 9.0, 0.0])) == pytest.approx(-EAR.max_itd)


def test_the_gradient_is_the_derivative():
    points = np.random.default_rng(1).normal(size=(20, 3)) * 2 + [2, 0, 0]
    for k, step in enumerate(1e-6 * np.eye(3)):
        np.testing.assert_allclose(
            EAR.gradient(points)[:, k],
            (EAR.itd(points + step) - EAR.itd(points - step)) / 2e-6,
            atol=1e-10,
        )
    covariance = np.diag([0.01, 0.02, 0.03]) ** 2
    sample = EAR.itd(
        points[0] + np.random.default_rng(2).multivariate_normal(np.zeros(3), covariance, 20000)
    )
    assert EAR.variance(points[:1], covariance[None])[0] == pytest.approx(sample.var(), rel=0.05)


@pytest.mark.parametrize('azimuth_deg', [-70, -30, 0, 15, 60])
def test_the_bearing_of_a_distant_source(azimuth_deg):
    """Beyond 1.5 m the far-field formula is within 2 % of the baseline's ITD."""
    direction = np.array([np.cos(np.radians(azimuth_deg)), np.sin(np.radians(azimuth_deg)), 0.0])
    for distance in (1.5, 3.0, 100.0):
        itd = float(EAR.itd(distance * direction))
        assert itd == pytest.approx(
            -EAR.max_itd * np.sin(np.radians(azimuth_deg)), abs=0.02 * EAR.max_itd
        )
        np.testing.assert_allclose(EAR.bearing(itd), direction, atol=0.02)
    assert np.isfinite(EAR.bearing(1.0)).all() and np.linalg.norm(
        EAR.bearing(1.0)
    ) == pytest.approx(1.0)


def test_microphones_one_behind_the_other_have_a_bearing_too():
    behind = MicrophonePair(np.array([[0.05, 0.0, 0.0], [-0.05, 0.0, 0.0]]))
    assert np.linalg.norm(behind.bearing(0.0)) == pytest.approx(1.0) and behind.bearing(
        -behind.max_itd
    )[0] == pytest.approx(1.0)


def test_the_pair_that_hears_best_ahead_is_chosen():
    assert CHANNELS in ((0, 1), (2, 3)), 'left and right, not front and back nor across'
    assert frontal_pair(MicrophoneArray(((0, 0, 0), (0.1, 0, 0), (0, 0.02, 0)))) == (0, 2)
    assert frontal_pair(
        MicrophoneArray(((0, 0, 0), (0.1, 0, 0)), orientation_rpy_deg=(0, 0, 90))
    ) == (0, 1)
    with pytest.raises(ValueError, match='two microphones'):
        frontal_pair(MicrophoneArray(((0, 0, 0),)))


@pytest.mark.parametrize(
    'positions', [np.zeros((2, 3)), np.zeros((3, 3)), np.array([[0, 0, np.nan], [1, 0, 0]])]
)
def test_two_microphones_at_one_place_are_no_pair(positions):
    with pytest.raises(ValueError):
        MicrophonePair(positions)
    assert speed_of_sound(0.0) == 331.3 and speed_of_sound(20.0) == pytest.approx(343.42)


# ---- the two EMs


def planted(seed, means=(-100e-6, 0.0, 110e-6), count=120, sd=20e-6, outliers=0.0):
    """(N,) ITDs around the means, some uniform."""
    rng = np.random.default_rng(seed)
    values = rng.choice(means, count) + rng.normal(0, sd, count)
    uniform = rng.random(count) < outliers
    return np.where(uniform, rng.uniform(-LIMIT, LIMIT, count), np.clip(values, -LIMIT, LIMIT))


def test_both_likelihoods_never_fall():
    for seed in range(5):
        visual = planted(seed, outliers=0.2)
        audio = planted(seed + 50, count=40, sd=40e-6, outliers=0.3)
        for start in starts(visual, LIMIT, CONFIG):
            mixture, history = fit_visual(
                visual, start, replace(CONFIG, tolerance=0.0, iterations=40)
            )
            assert np.diff(history).min(initial=0.0) > -1e-8
            fit = fit_supervised(
                visual, audio, mixture, replace(CONFIG, tolerance=0.0, iterations=40)
            )
            assert np.diff(fit.log_likelihood).min(initial=0.0) > -1e-8
            np.testing.assert_allclose(fit.audio.sum(1), 1.0)


@pytest.mark.slow
def test_three_planted_events_are_found():
    """Gaps above three standard deviations: at least 95 % right."""
    found = [
        len(choose_number(values, starts(values, LIMIT, CONFIG), CONFIG))
        for values in map(planted, range(60))
    ]
    assert np.mean(np.array(found) == 3) >= 0.95


def test_outliers_do_not_bias_the_means():
    sd, offsets = 25e-6, []
    for seed in range(20):
        audio = planted(seed, (60e-6,), 100, sd, outliers=0.3)
        visual = planted(seed + 100, (60e-6,), 60, sd)
        fit = fit_supervised(
            visual, audio, fit_visual(visual, starts(visual, LIMIT, CONFIG)[1], CONFIG)[0], CONFIG
        )
        offsets.append(fit.mixture.means[0] - 60e-6)
    assert abs(np.mean(offsets)) < 0.25 * sd and np.max(np.abs(offsets)) < 0.5 * sd


def test_without_sound_the_visual_events_stay():
    values = planted(0)
    mixture = choose_number(values, starts(values, LIMIT, CONFIG), CONFIG)
    fit = fit_supervised(values, np.zeros(0), mixture, CONFIG)
    np.testing.assert_allclose(fit.mixture.means, mixture.means, atol=2e-6)
    assert fit.audio.shape == (0, 4) and np.isfinite(fit.log_likelihood).all()


def test_without_visual_points_and_with_fixed_means_it_is_the_face_fusion():
    """Two implementations of one model: no prior on weights, spreads held at one value."""
    means, audio = np.array([-80e-6, 70e-6]), planted(3, (-80e-6, 70e-6), 60, 30e-6, outliers=0.2)
    held = replace(FusionConfig(), concentration=1.0, sd_range=(30e-6, 30e-6), iterations=60)
    fusion = fit_fixed_means(means, audio, LIMIT, held)
    start = ItdMixture(np.full(2, 1 / 3), means, np.full(2, (30e-6) ** 2), 1 / 3, LIMIT)
    events = fit_supervised(
        np.zeros(0), audio, start, replace(CONFIG, iterations=60, tolerance=0.0), freeze_means=True
    )
    np.testing.assert_allclose(events.mixture.weights, fusion.mixture.weights, atol=1e-9)


def test_the_uniform_class_and_the_events_are_a_density():
    mixture = ItdMixture(
        np.array([0.3, 0.4]), np.array([-50e-6, 60e-6]), np.array([20e-6, 30e-6]) ** 2, 0.3, 1e-3
    )
    grid = np.linspace(-1e-3, 1e-3, 20001)
    assert trapezoid(np.exp(mixture.expect(grid)[1]), grid) == pytest.approx(1.0, abs=1e-6)


# ---- the sliding window


def sound(stamp_ns, *groups):
    """ITDs of the last 400 ms: (value, count) pairs."""
    values = np.concatenate([np.full(n, v) for v, n in groups]) if groups else np.zeros(0)
    return TimeDifferences(
        stamp_ns, values, np.linspace(stamp_ns - 350 * MS, stamp_ns, len(values)).astype(np.int64)
    )


def run(detector, images, heard=lambda k: ()):
    """Frames at 25 Hz; images: lists of positions in the head's base frame."""
    frames = []
    for k, people in enumerate(images):
        stamp = 10**9 + 40 * MS * k
        visual = None
        if people is not None:
            faces = tuple(face_at(place, np.random.default_rng(k)) for place in people)
            visual = VisualFeatures(stamp, faces)
        frames.append(detector.step(stamp, visual, sound(stamp, *heard(k))))
    return frames


def detector(**options):
    return EventDetector(EventDetectorConfig(**options), PAIR, HEAD.camera.base_from_optical)


LEFT, MIDDLE, RIGHT = (
    np.array([1.8, 0.8, 0.0]),
    np.array([2.0, 0.0, 0.1]),
    np.array([1.7, -0.7, 0.0]),
)


def test_events_have_places_and_the_one_that_sounds_is_known():
    def from_the_left(k):
        return ((float(PAIR.itd(LEFT)), 15), (0.9 * LIMIT, 2))

    frame = run(detector(), [[LEFT, MIDDLE, RIGHT]] * 20, from_the_left)[-1]
    by_side = sorted(frame.tracks, key=lambda t: -t.mean[1])
    for track, place in zip(by_side, (LEFT, MIDDLE, RIGHT)):
        np.testing.assert_allclose(track.mean[:3], place, atol=0.05)
    assert [t.heard for t in by_side] == [True, False, False] and frame.voice_active
    assert by_side[0].audio_responsibility > 0.8 and len({t.id for t in frame.tracks}) == 3


def test_ids_carry_over_while_people_come_and_go():
    images = [[LEFT, RIGHT]] * 20 + [[LEFT, MIDDLE, RIGHT]] * 20 + [[MIDDLE, RIGHT]] * 25
    frames = run(detector(), images)

    def ids(k):
        return {round(float(t.mean[1]), 0): t.id for t in frames[k].tracks}

    assert set(ids(19).values()) == {1, 2} and len(ids(39)) == 3 and len(frames[-1].tracks) == 2
    assert (
        ids(19)[1.0] == ids(39)[1.0]
        and ids(19)[-1.0] == ids(39)[-1.0] == ids(64)[-1.0]
        and ids(39)[0.0] == ids(64)[0.0]
    )


def test_events_end_with_what_is_seen():
    frames = run(detector(), [[LEFT]] * 15 + [[]] * 15 + [None] * 5, lambda k: ((0.0, 10),))
    assert len(frames[14].tracks) == 1 and not frames[29].tracks and not frames[-1].tracks


def test_a_jump_back_starts_anew_and_late_frames_repeat():
    one = detector()
    frame = run(one, [[LEFT]] * 5)[-1]
    assert (
        one.step(frame.stamp_ns - 40 * MS, None, None) is frame
        and one.counters['late_frames'] == 1
    )
    again = one.step(1, VisualFeatures(1, (face_at(RIGHT),)), None)
    assert (
        one.counters['resets'] == 1 and again.stamp_ns == 1 and [t.id for t in again.tracks] == [2]
    ), 'a looped bag starts anew'


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize(
    'points',
    [
        None,
        np.zeros((0, 3)),
        [[1.0, 0.2, 0.0]],
        [[1.0, 0.2, 0.0]] * 50,
        [[np.nan, 0, 0], [np.inf, 0, 0]],
        [[1e9, 0, 0]],
        PAIR.positions,
        np.column_stack([np.linspace(0.5, 3, 30), np.zeros(30), np.zeros(30)]),
        np.random.default_rng(0).normal(size=(2000, 3)) * 3,
    ],
    ids=lambda p: str(np.shape(p)),
)
@pytest.mark.parametrize(
    'itds',
    [None, [], [0.0], [1e-4] * 20, np.random.default_rng(1).uniform(-LIMIT, LIMIT, 40)],
    ids=lambda i: str(np.shape(i)),
)
def test_degenerate_input_is_answered(points, itds):
    one = EventDetector(EventDetectorConfig(), PAIR)
    for k in range(6):
        stamp = 10**9 + 40 * MS * k
        values = (
            None
            if itds is None
            else TimeDifferences(stamp, np.array(itds, float), np.full(len(itds), stamp, np.int64))
        )
        frame = one.step_points(stamp, points, values)
    assert len(frame.tracks) <= CONFIG.max_events
    for track in frame.tracks:
        assert (
            np.isfinite(track.mean).all()
            and np.linalg.eigvalsh(track.covariance).min() > 0
            and 0 <= track.audio_responsibility <= 1
        )


@pytest.mark.parametrize(
    'kind, options',
    [
        (EventConfig, {'max_events': 0}),
        (EventConfig, {'min_sd': 0.0}),
        (EventConfig, {'min_share': 1.0}),
        (EventDetectorConfig, {'window_s': 0.0}),
        (EventDetectorConfig, {'max_points': 0}),
    ],
)
def test_configurations_that_cannot_be_are_refused(kind, options):
    with pytest.raises(ValueError):
        kind(**options)
