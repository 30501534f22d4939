# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What an array cannot tell apart is said, and does not turn on the last millimeter."""

import numpy as np
import pytest

from av_perception.audio.hearing_limits import hearing_limits
from av_perception.audio.training_examples import AcousticMapConfig
from av_perception.robot_head import load_head
from av_perception.robot_head.profile import MicrophoneArray

SIDEWAYS = [(0.0, y, 0.0) for y in (0.06, 0.02, -0.02, -0.06)]
AHEAD = [(y, 0.0, 0.0) for y in (0.06, 0.02, -0.02, -0.06)]
UPRIGHT = [(0.0, y, z) for y in (0.04, -0.04) for z in (0.04, -0.04)]
LEVEL = [(x, y, 0.0) for x in (0.04, -0.04) for y in (0.04, -0.04)]
SOLID = [(0.04, 0.0, 0.0), (-0.02, 0.03, 0.0), (-0.02, -0.03, 0.0), (0.0, 0.0, 0.05)]


@pytest.mark.parametrize('error_m', [0.0, 0.001])
@pytest.mark.parametrize(
    'coordinates, words, azimuths',
    [
        (SIDEWAYS, 'front and back alike', 90.0),
        (AHEAD, 'left and right alike', 180.0),
        (UPRIGHT, 'upright plane', 90.0),
        (LEVEL, 'above and below', 180.0),
        (SOLID, '', 180.0),
    ],
)
def test_a_line_that_was_measured_by_hand_heard_what_is_behind(
    coordinates, words, azimuths, error_m
):
    """Regression: a millimeter off the line, it was taken to tell front from back."""
    error = error_m * np.random.default_rng(1).uniform(-1, 1, (4, 3))
    array = MicrophoneArray(tuple(map(tuple, np.array(coordinates) + error)))
    assert words in ''.join(hearing_limits(array))
    assert bool(hearing_limits(array)) == bool(words)
    assert AcousticMapConfig().ranges_deg(array)[0] == (-azimuths, azimuths)


@pytest.mark.parametrize(
    'name, front',
    [('respeaker', False), ('nao', False), ('pepper', False), ('ari', True), ('kemar', True)],
)
def test_the_heads_that_ship_hear_where_they_did(name, front):
    azimuths, _ = AcousticMapConfig().ranges_deg(load_head(name).microphones)
    assert azimuths == ((-90.0, 90.0) if front else (-180.0, 180.0))


def test_an_upright_line_gave_azimuths_of_nothing():
    with pytest.raises(ValueError, match='cannot hear from which side'):
        MicrophoneArray(((0.0, 0.0, 0.06), (0.0, 0.001, 0.0), (0.0, 0.0, -0.06)))
    tilted = MicrophoneArray(
        ((0.0, 0.0, 0.06), (0.0, 0.0, -0.06)), orientation_rpy_deg=(90.0, 0.0, 0.0)
    )
    assert 'front and back' in hearing_limits(tilted)[0]
