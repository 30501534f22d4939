# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who speaks: the HMM against brute force, the hysteresis as a story."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import beta
from tracking_scenes import stamp

from av_perception.diarization.speaking_filter import SpeakingConfig, SpeakingFilter
from av_perception.interfaces import LifeState, TrackEstimate, TrackFrame


def frame_of(index, shares, voice_active=True):
    """People 1, 2, ... with the given shares of the sub-bands."""
    tracks = tuple(
        TrackEstimate(
            i + 1, LifeState.ACTIVE, np.zeros(6), np.eye(6), True, True, False, 0, 0, float(a)
        )
        for i, a in enumerate(shares)
    )
    return TrackFrame(stamp(index), tracks, voice_active)


def log_ratio(share):
    share = np.clip(share, 1e-3, 1 - 1e-3)
    return np.clip(beta.logpdf(share, 3, 1.5) - beta.logpdf(share, 1, 8), -5, 5)


def test_probability_equals_the_sum_over_all_state_sequences():
    """Brute-force forward recursion.

    8 frames, 2^9 sequences of hidden states (the start is stationary).
    """
    shares = np.random.default_rng(0).uniform(0, 1, 8)
    speaking_filter = SpeakingFilter(SpeakingConfig())
    probability = [
        speaking_filter.step(frame_of(f, [a])).statuses[0].probability
        for f, a in enumerate(shares)
    ][-1]
    weights = np.zeros(2)
    for states in itertools.product((0, 1), repeat=8):
        weight = 0.5 * np.prod([0.95 if a == b else 0.05 for a, b in zip(states, states[1:])])
        weights[states[-1]] += weight * np.exp(
            sum(log_ratio(a) for a, s in zip(shares, states) if s)
        )
    assert probability == pytest.approx(weights[1] / weights.sum(), abs=1e-12)


def test_independent_filters_give_the_exhaustive_map_over_four_people():
    rng = np.random.default_rng(1)
    speaking_filter = SpeakingFilter(SpeakingConfig())
    joint = np.full((2,) * 4, 1 / 16)
    flip = np.array([[0.95, 0.05], [0.05, 0.95]])
    for f in range(12):
        shares = rng.dirichlet(np.ones(5))[:4]
        statuses = speaking_filter.step(frame_of(f, shares)).statuses
        for axis, share in enumerate(shares):
            joint = np.moveaxis(np.tensordot(flip, joint, axes=(1, axis)), 0, axis) if f else joint
            joint = joint * np.exp(np.array([0.0, log_ratio(share)])).reshape(
                [-1 if i == axis else 1 for i in range(4)]
            )
        joint /= joint.sum()
        best = np.unravel_index(joint.argmax(), joint.shape)
        assert best == tuple(int(s.probability > 0.5) for s in statuses)


def test_silence_pulls_down_and_the_prior_is_the_same_for_split_steps():
    """Half steps without evidence equal one whole step.

    The chain's memory scales with time.
    """
    config = SpeakingConfig(silence_evidence=0.0)
    halves, whole = SpeakingFilter(config), SpeakingFilter(config)
    for speaking_filter in (halves, whole):
        speaking_filter.step(frame_of(0, [1.0]))
    halves.step(TrackFrame(stamp(0) + 20_000_000, frame_of(0, [0.0]).tracks, False))
    a, b = (
        f.step(frame_of(1, [0.0], voice_active=False)).statuses[0].probability
        for f in (halves, whole)
    )
    assert a == pytest.approx(b, abs=1e-12)
    quiet = SpeakingFilter(SpeakingConfig())
    quiet.step(frame_of(0, [1.0]))
    first, second = (
        quiet.step(frame_of(f, [0.0], voice_active=False)).statuses[0].probability for f in (1, 2)
    )
    assert second < first
    assert logit(first) == pytest.approx(
        logit(0.5 + 0.9 * (expit(5.0) - 0.5)) + SpeakingConfig().silence_evidence
    )


def test_hysteresis_delays_and_dates_the_change():
    speaking_filter = SpeakingFilter(SpeakingConfig(on_delay_s=0.08, off_delay_s=0.2))
    story = [0.0] * 5 + [0.9] * 20 + [0.0] * 20
    statuses = [speaking_filter.step(frame_of(f, [a])).statuses[0] for f, a in enumerate(story)]
    speaking = [s.speaking for s in statuses]
    start, stop = speaking.index(True), 45 - speaking[::-1].index(True)
    assert 7 <= start <= 9 and 29 <= stop <= 33 and all(speaking[start:stop])
    assert (
        stamp(5) <= statuses[start].since_ns <= stamp(6)
        and statuses[start].since_ns == statuses[stop - 1].since_ns
    )
    assert stamp(25) <= statuses[-1].since_ns <= stamp(28)


def test_a_single_loud_frame_is_no_speech():
    speaking_filter = SpeakingFilter(SpeakingConfig(on_delay_s=0.12))
    story = [0.0] * 10 + [0.9] + [0.0] * 10
    assert not any(
        speaking_filter.step(frame_of(f, [a])).statuses[0].speaking for f, a in enumerate(story)
    )


def test_stamps_that_stand_still_or_jump_back():
    speaking_filter = SpeakingFilter()
    for f in range(10, 40):
        last = speaking_filter.step(frame_of(f, [0.9]))
    assert last.statuses[0].speaking
    assert speaking_filter.step(frame_of(39, [0.0])).statuses == last.statuses
    assert speaking_filter.step(frame_of(35, [0.0])).statuses == last.statuses
    assert not speaking_filter.step(frame_of(0, [0.0])).statuses[0].speaking


def test_people_come_and_go():
    speaking_filter = SpeakingFilter()
    assert speaking_filter.step(TrackFrame(stamp(0), (), False)).statuses == ()
    assert [s.id for s in speaking_filter.step(frame_of(1, [0.5, 0.1])).statuses] == [1, 2]
    assert [s.id for s in speaking_filter.step(frame_of(2, [0.5])).statuses] == [1]


@pytest.mark.parametrize(
    'changes',
    [
        {'stay_speaking': 1.0},
        {'on': 0.3, 'off': 0.5},
        {'silent_beta': (0.0, 1.0)},
        {'on_delay_s': -1.0},
    ],
)
def test_bad_settings_are_refused(changes):
    with pytest.raises(ValueError):
        SpeakingConfig(**changes)
