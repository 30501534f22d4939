# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A profile that gives every voice to the wrong face is told, an unseen talker is no fault."""

import numpy as np
import pytest
from known_sounds import heard
from planted_voices import RATE, SQUARE, chunks_of, planted_voices

from av_perception.audio.bin_stream import BinStream, direction_likelihood
from av_perception.diarization.sound_agreement import SoundAgreement
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.robot_head.profile import MicrophoneArray

SECONDS = 9.0
FACES_DEG = (12.0, -50.0)
TURNS = ([0.0, 4.5], [4.5, 9.0])  # one after the other


def heard_by(array, azimuths_deg):
    """(N, M) noise from each direction in turn."""
    rng = np.random.default_rng(0)
    parts = [heard(array, azimuth, rng, 4.5).samples for azimuth in azimuths_deg]
    return np.concatenate(parts).astype(np.float32)


class AlwaysVoice:
    """A voice detector for sounds that are all voice."""

    def push(self, samples, chunk):
        """Hear."""

    def reset(self):
        """Forget nothing."""

    def probability(self, start, end):
        """Be sure."""
        return 1.0


def watched(sound, faces_deg=FACES_DEG, head_deg=lambda time_s: 0.0, array=SQUARE):
    """What is said of a sound while faces are seen; head_deg: how the head is turned."""
    likelihood = direction_likelihood(array)
    stream = BinStream(likelihood, RATE, voice=AlwaysVoice())
    agreement = SoundAgreement(likelihood)
    looks = 0
    for chunk in chunks_of(sound):
        turned_deg = head_deg(chunk.first_sample / RATE)
        faces = {
            number: np.stack(
                [
                    direction_from_angles(np.radians(azimuth - turned_deg), 0.0),
                    direction_from_angles(np.radians(azimuth), 0.0),
                ]
            )
            for number, azimuth in enumerate(faces_deg)
        }
        for block in stream.push(chunk):
            looks += agreement.note(block, faces)
    assert looks >= 20
    return agreement.problem


def test_a_right_profile_is_not_doubted():
    assert watched(planted_voices(FACES_DEG, TURNS, SECONDS)) == ''


@pytest.mark.parametrize('order', [(1, 0, 2, 3), (2, 1, 0, 3), (1, 2, 3, 0)])
def test_swapped_channels_gave_every_word_to_the_wrong_person_in_silence(order):
    sound = planted_voices(FACES_DEG, TURNS, SECONDS)
    mixed = np.empty_like(sound)
    mixed[:, order] = sound  # microphone i is in channel order[i]
    assert f'channels {",".join(map(str, order))}' in watched(mixed)


@pytest.mark.parametrize('turn_deg', [90.0, -45.0, 180.0])
def test_a_turned_array_gave_every_word_to_the_wrong_person_in_silence(turn_deg):
    heard_deg = [azimuth - turn_deg for azimuth in FACES_DEG]
    problem = watched(planted_voices(heard_deg, TURNS, SECONDS))
    assert f'the array turned by {turn_deg:.0f} degrees' in problem


def test_one_who_speaks_out_of_view_is_no_fault_of_the_profile():
    """Two who are silent are seen; the voice fits a turned array, for one of them."""
    assert watched(planted_voices([100.0], [[0.0, SECONDS]], SECONDS)) == ''


def test_a_radio_beside_somebody_silent_is_no_fault_where_the_head_turns():
    """Both keep their angle to each other, in whatever direction the head sees and hears them."""
    parts = [planted_voices([100.0 - turn], [[0.0, 4.5]], 4.5) for turn in (0.0, 40.0)]

    def head_deg(time_s):
        return 0.0 if time_s < 4.5 else 40.0

    assert watched(np.concatenate(parts), [12.0], head_deg) == ''


def test_two_ears_that_hear_right_are_not_doubted():
    pair = MicrophoneArray(((0.0, 0.06, 0.0), (0.0, -0.06, 0.0)))
    assert watched(heard_by(pair, FACES_DEG), array=pair) == ''
    assert 'channels 1,0' in watched(heard_by(pair, FACES_DEG)[:, ::-1], array=pair)


def test_a_dead_microphone_is_not_looked_at():
    sound = planted_voices(FACES_DEG, TURNS, SECONDS)
    sound[:, 2] = 0.0
    with pytest.raises(AssertionError):
        watched(sound)
