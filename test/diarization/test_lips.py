# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who speaks by sound and lips: planted mouths beside planted voices at a small array."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from planted_mouths import frames_with_mouths, talking_opening
from planted_voices import PERIOD_NS, RATE, SQUARE, chunks_of, planted_voices

from av_perception.audio.bin_stream import BinStream, direction_likelihood
from av_perception.audio.direction_bins import DirectionBinsConfig
from av_perception.diarization.speaking_estimator import (
    VOICES_APART,
    WITHOUT_MOUTHS,
    SpeakingEstimator,
    SpeakingEstimatorConfig,
)
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.lips.visual_activity import VisualActivityConfig

pytestmark = pytest.mark.slow
BINS = DirectionBinsConfig(voice_activity=False)  # planted voices are no speech to Silero
LIKELIHOOD = direction_likelihood(SQUARE, BINS)
APART, NEAR = (-40.0, 40.0), (-1.0, 1.0)
LEARNT_S, LAST_S = 10.0, 18.0
TURNS = {
    1: [(0.4, 1.6), (3.0, 4.2), (5.6, 6.8), (8.2, 9.4), (10.8, 12.0), (13.4, 14.6), (16.0, 17.2)],
    2: [(1.7, 2.9), (4.3, 5.5), (6.9, 8.1), (9.5, 10.0), (12.1, 13.3), (14.7, 15.9)],
}


@pytest.fixture(scope='module')
def sound():
    """Two who take turns, far apart at first, then side by side, where sound hardly tells."""
    noise = 0
    for person, turns in TURNS.items():
        for seed, (start, end) in enumerate(turns):
            place = (APART if start < LEARNT_S else NEAR)[person - 1]
            noise = noise + planted_voices(
                [place], [(start, end)], LAST_S, seed=31 * person + seed
            )
    return chunks_of(noise)


def truth() -> dict[int, np.ndarray]:
    """(T,) bool for each person: speaks at the image."""
    time = np.arange(round(LAST_S * 25)) * PERIOD_NS * 1e-9
    return {
        key: np.any([(time >= start) & (time < end) for start, end in turns], axis=0)
        for key, turns in TURNS.items()
    }


def frames(openings):
    """Tracks and mouths; both people walk up to each other at LEARNT_S."""
    apart = frames_with_mouths(dict(zip(TURNS, APART)), openings)
    near = frames_with_mouths(dict(zip(TURNS, NEAR)), openings)
    switch = round(LEARNT_S * 25)
    return apart[:switch] + near[switch:]


def said(sound, openings, lips=True, with_mouths=True, visual=None):
    """(T,) bool for each person, probabilities, and the estimator."""
    visual = visual or VisualActivityConfig()
    config = SpeakingEstimatorConfig(audio_wait_s=math.inf, lips=lips, visual=visual)
    estimator = SpeakingEstimator(config, LIKELIHOOD)
    bins = BinStream(LIKELIHOOD, RATE, BINS)
    events = [(chunk.stamp_ns, chunk) for chunk in sound]
    events += [(frame.stamp_ns, (frame, mouths)) for frame, mouths in frames(openings)]
    for _, what in sorted(events, key=lambda event: event[0]):
        if isinstance(what, tuple):
            if with_mouths:
                estimator.take_mouths(what[1])
            estimator.follow(what[0], RigidTransform(), what[0].stamp_ns)
        else:
            estimator.take_blocks(bins.push(what))
    statuses = [status.statuses for _, status in estimator.flush()]
    speaking = {key: np.array([now[key - 1].speaking for now in statuses]) for key in TURNS}
    probability = np.array([[status.probability for status in now] for now in statuses])
    return speaking, probability, estimator


def wrong(speaking):
    """Share of person-images side by side that are wrong."""
    late = slice(round(LEARNT_S * 25), None)
    return np.mean([speaking[key][late] != own[late] for key, own in truth().items()])


@pytest.fixture(scope='module')
def by_sound(sound):
    """What sound alone says."""
    return said(sound, still(), lips=False)


def still():
    rng = np.random.default_rng(4)
    return {key: 0.05 + 0.004 * rng.normal(size=len(own)) for key, own in truth().items()}


def leading(own, images=3):
    """Lips open a little before the voice."""
    return own | np.concatenate([own[images:], np.zeros(images, bool)])


def delays(speaking):
    """Images from the begin of a turn side by side until it is said; 15 where it is not."""
    found = []
    for key, turns in TURNS.items():
        for start, _ in turns:
            first = round(start * 25)
            if start >= LEARNT_S:
                after = np.flatnonzero(speaking[key][first : first + 15])
                found.append(after[0] if len(after) else 15)
    return np.array(found)


@pytest.mark.parametrize(
    'visual, most',
    # Motion that counts as much as rest, and as little as by default: real lips outlast the voice.
    [(VisualActivityConfig(speech_limit=1.2), 0.7), (VisualActivityConfig(), 0.75)],
)
def test_planted_mouths_give_earlier_onsets_and_fewer_confusions(sound, by_sound, visual, most):
    openings = {k: talking_opening(leading(own), seed=k) for k, own in truth().items()}
    speaking, _, estimator = said(sound, openings, visual=visual)
    assert set(estimator.believed_lips) == {1, 2}
    assert wrong(speaking) < most * wrong(by_sound[0]), (wrong(speaking), wrong(by_sound[0]))
    assert delays(speaking).mean() < delays(by_sound[0]).mean()


def test_still_pictures_change_nothing_at_all(sound, by_sound):
    _, probability, estimator = said(sound, still())
    assert np.array_equal(probability, by_sound[1])
    assert estimator.believed_lips == () and not estimator.counters[WITHOUT_MOUTHS]


def test_lips_that_lie_change_nothing_at_all(sound, by_sound):
    """Each mouth moves with the voice of the other."""
    own = truth()
    swapped = {1: talking_opening(own[2]), 2: talking_opening(own[1], seed=1)}
    _, probability, _ = said(sound, swapped)
    assert np.array_equal(probability, by_sound[1])


def test_tracks_without_their_mouths_are_judged_by_sound_and_counted(sound, by_sound):
    _, probability, estimator = said(sound, still(), with_mouths=False)
    assert np.array_equal(probability, by_sound[1])
    assert estimator.counters[WITHOUT_MOUTHS] == len(probability)


@pytest.mark.parametrize('late_s, lips', [(0.4, False), (0.4, True), (-0.4, False)])
def test_sound_that_is_stamped_late_was_told_by_nothing(sound, late_s, lips):
    openings = {k: talking_opening(leading(own), seed=k) for k, own in truth().items()}
    late = [replace(c, stamp_ns=c.stamp_ns + round(1e9 * late_s)) for c in sound]
    estimator = said(late, openings, lips=lips)[2]
    assert ('after' if late_s > 0 else 'before') + ' their lips' in estimator.lag_problem
    assert estimator.counters[VOICES_APART] > 0


def test_sound_that_is_stamped_rightly_is_not_doubted_and_mouths_change_nothing(sound, by_sound):
    """Without `lips`, mouths only tell whether sound and images are apart."""
    openings = {k: talking_opening(leading(own), seed=k) for k, own in truth().items()}
    _, probability, estimator = said(sound, openings, lips=False)
    assert estimator.lag_problem == '' and not estimator.counters[VOICES_APART]
    assert np.array_equal(probability, by_sound[1]) and estimator.believed_lips == ()
