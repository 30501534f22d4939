# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who speaks in every group of frames: soon, on all frequencies, and nobody in noise."""

import numpy as np
import pytest

from av_perception.audio.steering import GeometricSteering
from av_perception.audio.sub_bands import rising_frames
from av_perception.diarization.subset_evidence import subset_evidence, subset_table
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.separation.frame_activity import FrameActivity, FrameActivityConfig
from av_perception.separation.person_masks import (
    SAMPLE_RATE,
    PersonMasks,
    PersonMasksConfig,
    ratios_of_powers,
)

HALF = 0.023
SQUARE = ((HALF, HALF, 0.0), (-HALF, HALF, 0.0), (-HALF, -HALF, 0.0), (HALF, -HALF, 0.0))
STEERING = GeometricSteering(MicrophoneArray(coordinates=SQUARE))
TRANSFORM = PersonMasksConfig().transform
FREQUENCIES = TRANSFORM.frequencies(SAMPLE_RATE)
GROUP_NS = 16_000_000


def direction(azimuth_deg):
    azimuth = np.radians(azimuth_deg)
    return np.array([np.cos(azimuth), np.sin(azimuth), 0.0])


PEOPLE = {4: direction(40.0), 9: direction(-40.0)}


class Scene:
    """Groups of two frames; a source whose bins rise now and then, over a faint noise."""

    def __init__(self, config=None, people=None):
        self.people = PEOPLE if people is None else people
        self.masks = PersonMasks(STEERING)
        self.activity = FrameActivity(self.masks.likelihood, TRANSFORM.size, config)
        self.random = np.random.default_rng(3)
        self.number = 0

    def complex_normal(self, *shape):
        return self.random.normal(size=(*shape, 2)) @ [1, 1j]

    def hear(self, azimuth_deg=None, loudness=1.0, lowest_hz=0.0, groups=1, voice=None):
        """Probabilities (groups, J) while sound comes from an azimuth; None: noise alone."""
        found = []
        for _ in range(groups):
            spectra = 0.01 * self.complex_normal(2, 257, 4)
            if azimuth_deg is not None:
                source = loudness * self.complex_normal(2, 257) * (FREQUENCIES >= lowest_hz)
                # Bins of voices come and go.
                source *= self.random.random((2, 257)) < 0.4
                vector = STEERING.vectors(direction(azimuth_deg)[None], FREQUENCIES)[0]
                spectra = spectra + source[..., None] * vector
            heard = self.masks.listen(spectra.astype(np.complex64), self.people)
            stamp_ns = 10**9 + self.number * GROUP_NS
            status = self.activity.update(stamp_ns, heard, voice)
            self.number += 1
            found.append([status[i] for i in self.people])
        return np.array(found)


def test_who_speaks_is_known_within_three_groups_and_given_up_as_soon():
    scene = Scene()
    scene.hear(groups=40)
    first = scene.hear(40.0, groups=25)
    assert first[2:, 0].min() > 0.9 and first[4:, 1].max() < 0.2
    second = scene.hear(-40.0, groups=25)
    assert second[2:, 1].min() > 0.9 and second[12:, 0].max() < 0.3
    assert scene.hear(groups=25)[-1].max() < 0.3


def test_two_who_speak_at_once_both_speak():
    scene = Scene(people={1: direction(40.0), 2: direction(-40.0), 3: direction(150.0)})
    scene.hear(groups=40)
    for _ in range(10):
        scene.hear(40.0)
        found = scene.hear(-40.0)[0]
    assert found[:2].min() > 0.8 and found[2] < 0.2


def test_bins_above_the_band_of_blocks_tell_who_speaks():
    """Blocks end at 4.5 kHz, above which people who stand close are told apart best."""
    scene = Scene(people={1: direction(5.0), 2: direction(-5.0)})
    scene.hear(groups=40)
    found = scene.hear(5.0, lowest_hz=5000.0, groups=25)
    assert found[10:, 0].mean() > 0.85 and found[10:, 1].mean() < 0.35


def test_noise_is_nobody_and_the_detector_of_voices_is_heard():
    scene = Scene()
    assert scene.hear(groups=60)[20:].max() < 0.35
    levels = [Scene().hear(groups=30, voice=voice)[5:].mean() for voice in (0.01, None, 0.99)]
    assert levels[0] < levels[1] < levels[2] < 0.5


def test_evidence_is_that_of_the_bins_that_rise():
    """One group against the evidence of its rows written out, through one step of the chain."""
    scene = Scene()
    scene.hear(groups=10)
    spectra = (scene.complex_normal(2, 257, 4)).astype(np.complex64)
    before = scene.masks._before.copy()
    heard = scene.masks.listen(spectra, PEOPLE)
    rising, _ = rising_frames(heard.loudness, before, 1.3, 0.7)
    joint = scene.activity._joint._joint.copy()
    found = scene.activity.update(10**9 + 10 * GROUP_NS, heard, None)

    ratios = ratios_of_powers(heard.likelihood, heard.power, heard.aligned, heard.scaled)
    rows = [
        np.mean([ratios[:, t, k] for t in range(2) if rising[t, k]], axis=0)
        for k in np.flatnonzero(rising.any(axis=0))
    ]
    members = subset_table(2)
    evidence = 0.3 * subset_evidence(np.array(rows), members)[0] - 0.15 * members.sum(axis=1)
    keep = 0.8**0.4
    one = np.array([[1 + keep, 1 - keep], [1 - keep, 1 + keep]]) / 2
    likely = np.exp(np.maximum(evidence - evidence.max(), -4.0))
    posterior = (np.kron(one, one) @ joint) * likely
    expected = posterior @ members / posterior.sum()
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-4)


def test_nobody_tracked_is_no_error_and_a_reset_forgets():
    scene = Scene()
    scene.hear(groups=40)
    scene.hear(40.0, groups=10)
    nobody = scene.masks.listen(np.zeros((2, 257, 4), np.complex64), {})
    assert scene.activity.update(10**9 + 60 * GROUP_NS, nobody, None) == {}
    scene.activity.reset()
    scene.masks.reset()
    again = Scene()
    scene.random = np.random.default_rng(3)
    scene.number = 0
    np.testing.assert_allclose(scene.hear(40.0, groups=5), again.hear(40.0, groups=5))


def test_silence_is_finite():
    scene = Scene()
    heard = scene.masks.listen(np.zeros((2, 257, 4), np.complex64), PEOPLE)
    for group in range(5):
        found = scene.activity.update(10**9 + group * GROUP_NS, heard, 0.0)
        assert max(found.values()) < 0.5


def test_senseless_configurations_are_refused():
    for wrong in ({'noise_groups': 0}, {'untracked_cost': -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            FrameActivityConfig(**wrong)
