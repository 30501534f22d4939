# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What sounds between the words as well is no voice."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.audio.voice_share import VoiceShare, silence

STEP_NS = 40_000_000


def heard(activity, window_s=3.0):
    share = VoiceShare(window_s)
    for index, voiced in enumerate(activity):
        share.note(index * STEP_NS, voiced)
    return share


def test_a_voice_has_all_of_its_bins_where_the_detector_hears_voice():
    assert heard([1.0] * 30 + [0.0] * 30).of(300.0, 0.0) == pytest.approx(1.0)


def test_a_noise_beside_a_long_speech_is_half_voice():
    """Ten bins a block all the time, nine tenths of it with voice: 0.9 of its bins are voiced."""
    share = heard([1.0] * 450 + [0.0] * 50, window_s=60.0)
    assert share.of(4500.0, 500.0) == pytest.approx(0.5, abs=0.03)


def test_at_the_begin_of_a_noise_the_share_of_its_bins_decides():
    """One block with voice after long silence full of noise: the rate alone would be one half."""
    assert heard([0.0] * 60 + [1.0] * 2).of(20.0, 600.0) < 0.05


def test_blocks_older_than_the_window_do_not_count():
    young = heard([1.0] * 75)
    old = heard([0.0] * 200 + [1.0] * 76)
    assert old.of(100.0, 50.0) == pytest.approx(young.of(100.0, 50.0), abs=0.01)


def test_a_detector_that_is_not_quite_sure_is_not_silent():
    np.testing.assert_allclose(silence(np.array([0.0, 0.25, 0.5, 0.95])), [1.0, 0.5, 0.0, 0.0])


def test_without_anything_heard_there_is_no_voice():
    assert heard([]).of(0.0, 0.0) == 0.0
    share = heard([1.0] * 10)
    share.reset()
    assert share.of(0.0, 0.0) == 0.0
