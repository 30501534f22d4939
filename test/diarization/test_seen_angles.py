# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A wrong focal length is told by the voices, which come from elsewhere than faces are seen."""

from __future__ import annotations

import numpy as np
import pytest
from known_sounds import heard
from planted_voices import RATE, SQUARE, chunks_of

from av_perception.audio.bin_stream import BinStream, direction_likelihood
from av_perception.diarization.seen_angles import OFFSETS_DEG, SeenAngles
from av_perception.diarization.sound_agreement import SoundAgreement
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.robot_head import load_head

TRUE_DEG = (-26.0, -4.0, 21.0)  # where people are
PART_S = 9.0  # that each of them speaks
#: The optical frame of a camera that looks along x, with z up.
AHEAD = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


class AlwaysVoice:
    """A voice detector for sounds that are all voice."""

    def push(self, samples, chunk):
        """Hear."""

    def reset(self):
        """Forget nothing."""

    def probability(self, start, end):
        """Be sure."""
        return 1.0


@pytest.fixture(scope='module')
def blocks():
    """Noise from each of the people in turn."""
    rng = np.random.default_rng(0)
    parts = [heard(SQUARE, azimuth, rng, PART_S).samples for azimuth in TRUE_DEG]
    sound = np.concatenate(parts).astype(np.float32)
    stream = BinStream(direction_likelihood(SQUARE), RATE, voice=AlwaysVoice())
    return [block for chunk in chunks_of(sound) for block in stream.push(chunk)]


def seen_with(factor, azimuth_deg):
    """The azimuth [rad] at which a focal length that is `factor` times the right one shows it."""
    return np.arctan(np.tan(np.radians(azimuth_deg)) / factor)


def told(blocks, factor):
    """What is said with such a focal length, look after look."""
    agreement = SoundAgreement(direction_likelihood(SQUARE), SeenAngles(AHEAD, 450.0 * factor))
    directions = [direction_from_angles(seen_with(factor, a), 0.1) for a in TRUE_DEG]
    faces = {number: np.stack([one, one]) for number, one in enumerate(directions)}
    return [agreement.problem for block in blocks if agreement.note(block, faces)]


@pytest.mark.parametrize('factor', [0.75, 0.8, 1.25, 1.35])
def test_a_wrong_focal_length_was_told_by_nothing(blocks, factor):
    problem = told(blocks, factor)[-1]
    assert f'focal length of {450 * factor:.0f} pixels' in problem
    (suggested,) = [int(word) for word in problem.split('? ')[1].split() if word.isdigit()]
    assert suggested == pytest.approx(450, rel=0.06)


@pytest.mark.parametrize('factor', [0.95, 1.0, 1.05])
def test_a_right_focal_length_is_not_doubted(blocks, factor):
    assert not any(told(blocks, factor))


def test_people_in_one_place_tell_nothing(blocks):
    """A voice beside one face may be of an array that is turned by so little."""
    third = len(blocks) // 3
    assert not any(told(blocks[:third], 1.3))


def planted_pairs(angles, factor, turn_deg, noise_deg, places_deg=TRUE_DEG):
    rng = np.random.default_rng(2)
    for place in places_deg:
        for _ in range(30):
            noise = np.radians(noise_deg * rng.normal())
            angles.note(seen_with(factor, place), np.radians(place + turn_deg) + noise)
    return angles.factor


@pytest.mark.parametrize('factor', [0.7, 0.82, 1.2, 1.5])
@pytest.mark.parametrize('turn_deg', [-5.0, 0.0, 5.0])
def test_the_factor_is_found_beside_a_turn_of_the_array(factor, turn_deg):
    angles = SeenAngles(AHEAD, 450.0)
    assert planted_pairs(angles, factor, turn_deg, 2.0) == pytest.approx(factor, rel=0.04)


def test_a_turn_alone_is_no_focal_length():
    assert planted_pairs(SeenAngles(AHEAD, 450.0), 1.0, 8.0, 4.0) == 1.0


def test_two_places_tell_nothing_as_a_turn_and_a_factor_explain_both():
    """Echoes of a hard room may draw two voices apart by some degrees."""
    assert planted_pairs(SeenAngles(AHEAD, 450.0), 1.4, 0.0, 1.0, (-25.0, 20.0)) == 1.0


def test_voices_that_no_factor_explains_are_not_blamed_on_the_camera():
    angles = SeenAngles(AHEAD, 450.0)
    for place, off in zip((-30.0, -15.0, 0.0, 15.0, 30.0), (14.0, -14.0, 14.0, -14.0, 0.0)):
        for _ in range(30):
            angles.note(np.radians(place), np.radians(place + off))
    assert angles.factor == 1.0


def test_candidates_lie_beside_each_face_at_its_elevation():
    head = load_head('simulated')
    angles = SeenAngles.of_head(head)
    assert angles is not None
    faces = np.stack([direction_from_angles(0.3, 0.2), direction_from_angles(-0.2, 0.0)])
    found = angles.candidates(faces).reshape(2, len(OFFSETS_DEG), 3)
    np.testing.assert_allclose(found[:, len(OFFSETS_DEG) // 2], faces, atol=1e-12)
    azimuth_deg = np.degrees(np.arctan2(found[..., 1], found[..., 0]))
    # The camera's right is the robot's right: to the left, azimuths grow.
    expected = np.degrees([0.3, -0.2])[:, None] - OFFSETS_DEG
    np.testing.assert_allclose(azimuth_deg, expected, atol=1e-9)
    np.testing.assert_allclose(found[..., 2], faces[:, 2:] * np.ones(len(OFFSETS_DEG)))
