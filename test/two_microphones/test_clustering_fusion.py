# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The two-microphone mode.

Weights of fixed places, faces with ids, shared sound, sound of no face, who speaks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from clustering_scenes import HEAD, PAIR
from tracking_scenes import face_at

from av_perception.diarization.speaking_filter import SpeakingFilter
from av_perception.interfaces import Face, LifeState, VisualFeatures
from av_perception.two_microphones.face_itd_fusion import (
    FaceItdFusion,
    FusionConfig,
    fit_fixed_means,
)
from av_perception.two_microphones.face_list import FaceListConfig
from av_perception.two_microphones.time_differences import TimeDifferences

CONFIG, LIMIT, MS = FusionConfig(), PAIR.max_itd, 1_000_000
LEFT, RIGHT = np.array([1.8, 0.8, 0.0]), np.array([1.7, -0.7, 0.0])
RNG = np.random.default_rng


# ---- the mixture


def drawn(rng, means, weights, count, sd=30e-6):
    """(count,) ITDs of components at the means in exact proportion to the weights.

    The last weight is that of the uniform class.
    """
    which = np.repeat(np.arange(len(weights)), np.round(count * np.array(weights)).astype(int))
    values = np.append(means, 0.0)[which] + rng.normal(0, sd, count)
    return np.where(which == len(means), rng.uniform(-LIMIT, LIMIT, count), values)


def test_planted_weights_are_recovered():
    means, weights = np.array([-120e-6, 0.0, 130e-6]), [0.5, 0.1, 0.3, 0.1]
    for seed in range(10):
        fit = fit_fixed_means(
            means, drawn(RNG(seed), means, weights, 500), LIMIT, replace(CONFIG, iterations=40)
        )
        np.testing.assert_allclose(
            [*fit.mixture.weights, fit.mixture.outlier_weight], weights, atol=0.05
        )


def log_posterior(mixture, itds, config):
    """What `fit_fixed_means` climbs, up to a constant."""
    weights = np.append(mixture.weights, mixture.outlier_weight)
    dirichlet = (config.concentration - 1) * np.log(weights).sum()
    ratio = config.typical_sd**2 / mixture.variances
    spreads = -0.5 * config.prior_count * (np.log(mixture.variances) + ratio).sum()
    return float(mixture.expect(itds)[1].sum() + dirichlet + spreads)


def test_the_posterior_never_falls():
    for seed in range(20):
        rng = RNG(seed)
        means = rng.uniform(-LIMIT, LIMIT, rng.integers(0, 6))
        itds = rng.uniform(-LIMIT, LIMIT, rng.integers(0, 40))
        config = replace(CONFIG, concentration=rng.uniform(1, 2), prior_count=rng.uniform(0, 8))
        history = [
            log_posterior(
                fit_fixed_means(means, itds, LIMIT, replace(config, iterations=n)).mixture,
                itds,
                config,
            )
            for n in range(1, 25)
        ]
        assert np.diff(history).min() > -1e-9


def test_without_faces_everything_belongs_to_nobody():
    fit = fit_fixed_means(np.zeros(0), np.full(10, 50e-6), LIMIT, CONFIG)
    assert (
        fit.mixture.outlier_weight == 1.0
        and fit.responsibilities[:, -1].min() == 1.0
        and fit.counts.shape == (0,)
    )


def test_without_sound_the_weights_are_the_priors():
    fit = fit_fixed_means(np.array([0.0, 1e-4]), np.zeros(0), LIMIT, CONFIG)
    np.testing.assert_allclose([*fit.mixture.weights, fit.mixture.outlier_weight], 1 / 3)
    np.testing.assert_allclose(np.sqrt(fit.mixture.variances), CONFIG.typical_sd)
    flat = fit_fixed_means(
        np.array([0.0]), np.zeros(0), LIMIT, replace(CONFIG, concentration=1.0, prior_count=0.0)
    )
    assert np.isfinite(flat.mixture.weights).all() and np.isfinite(flat.mixture.variances).all()


def test_a_place_that_is_badly_known_takes_sound_from_farther():
    means, itds = np.array([0.0]), np.full(12, 70e-6)
    sharp, wide = (
        fit_fixed_means(means, itds, LIMIT, replace(CONFIG, iterations=3), np.array([sd**2]))
        for sd in (0.0, 60e-6)
    )
    assert (
        wide.mixture.variances[0] > sharp.mixture.variances[0] and wide.counts[0] > sharp.counts[0]
    )


# ---- the stream


def sound(stamp_ns, *groups, rng=None):
    """Twenty ITDs a second of the last 400 ms, interleaved: (value, count) pairs."""
    values = np.concatenate([np.full(n, v) for v, n in groups]) if groups else np.zeros(0)
    values = RNG(0).permutation(values) + (0 if rng is None else rng.normal(0, 20e-6, len(values)))
    return TimeDifferences(
        stamp_ns, values, np.linspace(stamp_ns - 390 * MS, stamp_ns, len(values)).astype(np.int64)
    )


def run(fusion, images, heard=lambda k: (), start=10**9):
    frames = []
    for k, people in enumerate(images):
        stamp = start + 40 * MS * k
        visual = None
        if people is not None:
            visual = VisualFeatures(stamp, tuple(face_at(place, RNG(k)) for place in people))
        frames.append(fusion.step(stamp, visual, sound(stamp, *heard(k), rng=RNG(k + 1000))))
    return frames


def fusion(**options):
    return FaceItdFusion(replace(CONFIG, **options), HEAD.camera, PAIR)


def from_left(k):
    return ((float(PAIR.itd(LEFT)), 18), (0.95 * LIMIT, 2))


def test_the_talker_is_heard_and_speaks():
    one, speaking = fusion(), SpeakingFilter()
    statuses = [speaking.step(frame) for frame in run(one, [[LEFT, RIGHT]] * 30, from_left)]
    frame = one.step(
        10**9 + 1200 * MS,
        VisualFeatures(1, (face_at(LEFT), face_at(RIGHT))),
        sound(10**9 + 1200 * MS, *from_left(0)),
    )
    left, right = frame.tracks
    np.testing.assert_allclose(left.mean[:3], LEFT, atol=0.03)
    assert (
        left.heard
        and not right.heard
        and left.audio_responsibility > 0.7 > 0.3 > right.audio_responsibility
    )
    assert [s.speaking for s in statuses[-1].statuses] == [True, False]
    assert one.unseen_sound is None and not one.ambiguous


def test_nobody_speaks_in_silence():
    one, speaking = fusion(), SpeakingFilter()
    statuses = [speaking.step(frame) for frame in run(one, [[LEFT, RIGHT]] * 20)]
    assert (
        not any(s.speaking for s in statuses[-1].statuses)
        and not run(fusion(), [[LEFT]] * 3)[-1].voice_active
    )


def test_the_share_follows_the_newest_sound():
    """A talker who stops is not held by the rest of the window."""
    one, stamp = fusion(), 10**9
    run(one, [[LEFT, RIGHT]] * 5, from_left)
    stamps = np.linspace(stamp + 200 * MS - 390 * MS, stamp + 200 * MS, 20).astype(np.int64)
    values = np.where(np.arange(20) < 15, PAIR.itd(LEFT), PAIR.itd(RIGHT))
    frame = one.step(stamp + 200 * MS, None, TimeDifferences(stamp + 200 * MS, values, stamps))
    assert (
        frame.tracks[1].audio_responsibility > 0.9 and frame.tracks[0].audio_responsibility < 0.1
    )


def test_a_sound_of_nobody_has_a_direction():
    unseen = np.array([2.0, -1.2, 0.0])
    one = fusion()
    run(one, [[LEFT]] * 5, lambda k: ((float(PAIR.itd(unseen)), 12), (float(PAIR.itd(LEFT)), 6)))
    azimuth = np.degrees(np.arctan2(one.unseen_sound[1], one.unseen_sound[0]))
    assert azimuth == pytest.approx(np.degrees(np.arctan2(unseen[1], unseen[0])), abs=3.0)
    run(one, [[LEFT]] * 5, from_left, start=2 * 10**9)
    assert one.unseen_sound is None
    scattered = TimeDifferences(
        0, RNG(3).uniform(-LIMIT, LIMIT, 20), np.full(20, 3 * 10**9, np.int64)
    )
    one.step(3 * 10**9, None, scattered)
    assert one.unseen_sound is None, 'reverberation is no source'


def test_faces_that_sound_alike_share():
    behind = 1.4 * LEFT
    one = fusion()
    frame = run(one, [[LEFT, behind, RIGHT]] * 6, from_left)[-1]
    near, far, right = frame.tracks
    assert one.ambiguous == {near.id, far.id} and one.counters['ambiguous_frames'] == 6
    assert (
        near.audio_responsibility == pytest.approx(far.audio_responsibility)
        and near.heard
        and far.heard
        and not right.heard
    )


# ---- faces


def test_ids_stay_with_people_who_move_and_are_missed_for_a_while():
    def at(k):
        return [LEFT + [0.0, -0.01 * k, 0.0], RIGHT]

    images = [at(k) for k in range(20)] + [[]] * 15 + [at(20), at(21)]
    frames = run(fusion(), images)
    assert [t.id for t in frames[-1].tracks] == [1, 2] and all(
        t.state == LifeState.ACTIVE for t in frames[-1].tracks
    )
    missed = frames[30].tracks[0]
    assert (
        not missed.seen
        and missed.predicted
        and missed.box is None
        and missed.covariance[0, 0] > frames[19].tracks[0].covariance[0, 0]
    )


def test_people_leave_and_new_ones_get_new_ids():
    frames = run(fusion(), [[LEFT]] * 5 + [[]] * 30 + [[LEFT]] * 5)
    assert (
        len(frames[20].tracks) == 1
        and not frames[34].tracks
        and [t.id for t in frames[-1].tracks] == [2]
    )


def test_one_false_face_is_never_a_person():
    frames = run(fusion(), [[LEFT], [LEFT, RIGHT], [LEFT], [LEFT], [LEFT]])
    assert not any(
        t.state == LifeState.ACTIVE and t.mean[1] < 0 for frame in frames for t in frame.tracks
    )
    assert [t.state for t in frames[-1].tracks] == [LifeState.ACTIVE]


# ---- what goes wrong


def test_stamps_that_go_back():
    one = fusion()
    frame = run(one, [[LEFT]] * 40)[-1]
    assert one.step(frame.stamp_ns, None, None) is frame and one.counters['late_frames'] == 1
    assert not one.step(5, None, None).tracks and one.counters['resets'] == 1, (
        'a looped bag starts anew'
    )


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize(
    'faces',
    [
        None,
        [],
        [LEFT] * 4,
        [[np.nan, 0, 2]],
        [[2.0, 0.0, 0.0], [4.0, 0.0, 0.0]],
        [PAIR.positions[0] + [0.3, 0, 0]],
    ],
    ids=['no image', 'no faces', 'identical', 'nan', 'collinear', 'at a microphone'],
)
@pytest.mark.parametrize(
    'itds',
    [None, [], [0.0], [1e-4] * 30, [-1.0, 1.0], np.linspace(-LIMIT, LIMIT, 30)],
    ids=lambda i: str(np.shape(i)),
)
def test_degenerate_input_is_answered(faces, itds):
    one = fusion()
    for k in range(5):
        stamp = 10**9 + 40 * MS * k
        visual = (
            None
            if faces is None
            else VisualFeatures(
                stamp,
                tuple(
                    face_at(p)
                    if np.isfinite(p).all()
                    else Face(np.zeros(4), 1.0, np.zeros((5, 2)), np.array(p, float), np.eye(3))
                    for p in faces
                ),
            )
        )
        frame = one.step(
            stamp,
            visual,
            None
            if itds is None
            else TimeDifferences(
                stamp, np.array(itds, float), np.full(len(itds), stamp, np.int64)
            ),
        )
    for track in frame.tracks:
        assert (
            np.isfinite(track.mean).all()
            and np.linalg.eigvalsh(track.covariance).min() > 0
            and 0 <= track.audio_responsibility <= 1
        )
    assert one.unseen_sound is None or np.linalg.norm(one.unseen_sound) == pytest.approx(1.0)


@pytest.mark.parametrize(
    'options',
    [
        {'concentration': 0.5},
        {'sd_range': (50e-6, 20e-6)},
        {'recent_s': 1.0},
        {'recent_s': 0.0},
        {'min_weight': 0.0},
        {'min_count': 0.0},
    ],
)
def test_configurations_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError):
        FusionConfig(**options)
    with pytest.raises(ValueError):
        FaceListConfig(gate_m=0.0)
