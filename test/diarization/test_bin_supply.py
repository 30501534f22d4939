# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How many bins voices leave: few in noise, as many as anywhere where another source sounds."""

from __future__ import annotations

import pytest

from av_perception.diarization.bin_supply import BinSupply

USUAL = 60.0


def heard(blocks):
    """blocks: number of bins and voice activity of each."""
    supply = BinSupply()
    for num_bins, voice in blocks:
        supply.note(num_bins, voice)
    return supply.share_of(USUAL)


def test_before_any_sound_and_without_a_voice_detector_bins_are_as_usual():
    assert heard([]) == 1
    assert heard([(3, None)] * 500) == 1


def test_voices_in_noise_have_the_share_of_their_bins():
    steady = heard([(12, 1.0)] * 2000)
    # ten blocks of the prior beside the 250 that are remembered
    assert steady == pytest.approx((250 * 12 + 10 * USUAL) / 260 / USUAL, rel=1e-3)
    assert heard([(1, 1.0)] * 2000) == 0.15
    assert heard([(80, 1.0)] * 2000) == 1


def test_blocks_without_voice_that_are_empty_change_nothing():
    alternating = [(12, 1.0)] * 50 + [(0, 0.0)] * 50
    assert heard(alternating * 40) == pytest.approx(heard([(12, 1.0)] * 2000), abs=0.06)


def test_bins_of_dishes_were_taken_for_those_of_voices():
    """What stands out without voice as well is of another source."""
    assert heard(([(30, 1.0)] * 50 + [(25, 0.0)] * 50) * 10) == 1


def test_after_a_long_silence_voices_are_expected_as_usual():
    assert heard([(12, 1.0)] * 500) < 0.3
    assert heard([(12, 1.0)] * 500 + [(0, 0.0)] * 3000) == pytest.approx(1, abs=0.01)


def test_a_usual_number_of_zero_means_everywhere_alike():
    supply = BinSupply()
    for _ in range(100):
        supply.note(5, 1.0)
    assert supply.share_of(0) == 1


def test_a_new_stream_knows_nothing_of_the_last():
    supply = BinSupply()
    for _ in range(100):
        supply.note(5, 1.0)
    supply.reset()
    assert supply.share_of(USUAL) == 1
