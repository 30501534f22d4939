# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How images and sound are paired around pauses of 12 s, which are not clocks that differ."""

from __future__ import annotations

import pytest
from paired_streams import MS, audio, fed, in_ms, visual

from av_perception.synchronization.frame_assembler import FrameAssembler, FrameAssemblerConfig

AGAIN = 17_000  # [ms] when what stopped at 5 s goes on
END = 20_000
WAIT = FrameAssemblerConfig(audio_wait_s=0.06)


def images(first, last):
    """Images of a regular camera: when they arrive, and their stamps [ms]."""
    return [(ms + 30, ms) for ms in range(first, last, 40)]


def sounds(first, last):
    """The same of the sound."""
    return [(ms + 10, ms) for ms in range(first, last, 40)]


def alone(emitted):
    """Stamps of what was emitted without an image."""
    return [stamp for stamp, has_image, _ in emitted if not has_image]


def test_sound_that_comes_back_as_the_camera_ends_waited_for_ten_seconds():
    """Regression: a pause of the sound was a clock of its own until the next image."""
    assembler = FrameAssembler(WAIT)
    emitted = fed(assembler, images(0, AGAIN), sounds(0, 5000) + sounds(AGAIN, END))
    assert alone(emitted) == list(range(AGAIN, END, 40))
    assert assembler.counters['unused_audio'] == 0


def test_after_a_pause_of_the_sound_images_have_sound_at_once():
    assembler = FrameAssembler(WAIT)
    emitted = fed(assembler, images(0, END), sounds(0, 5000) + sounds(AGAIN, END))
    with_sound = [stamp for stamp, _, sound in emitted if sound == stamp]
    assert with_sound == [*range(0, 5000, 40), *range(AGAIN, END, 40)]


def test_a_pause_of_both_that_images_end_was_a_clock_of_its_own():
    """Regression: the camera showed one image and stopped again; sound waited and was lost."""
    assembler = FrameAssembler(WAIT)
    seen = images(0, 5000) + [(AGAIN + 5, AGAIN)]
    emitted = fed(assembler, seen, sounds(0, 5000) + sounds(AGAIN, END))
    assert alone(emitted) == list(range(AGAIN + 40, END, 40))
    assert emitted[-1 - len(alone(emitted))] == (AGAIN, True, AGAIN)


def test_a_pause_of_both_that_sound_ends_was_a_clock_of_its_own():
    """Regression: where the camera did not come back, sound waited and was lost."""
    emitted = fed(FrameAssembler(WAIT), images(0, 5000), sounds(0, 5000) + sounds(AGAIN, END))
    assert alone(emitted) == list(range(AGAIN, END, 40))


def test_a_pause_after_the_first_image_was_the_pace_of_the_camera():
    """Regression: sound waited for two such pauses, or ten seconds, before it went on alone."""
    emitted = fed(FrameAssembler(WAIT), images(0, 40) + images(12_000, 12_040), sounds(0, END))
    assert len(emitted) == END // 40
    assert emitted[-1] == (END - 40, False, END - 40)


@pytest.mark.parametrize('pause_s', [2, 5, 9, 12, 30])
def test_sound_that_has_ended_was_told_to_be_late_or_of_another_clock(pause_s):
    """Regression: for ten seconds audio_wait was to be raised, and then clocks to be set."""
    assembler = FrameAssembler(WAIT)
    fed(assembler, images(0, 5000 + 1000 * pause_s), sounds(0, 5000))
    assert assembler.reasons['without_audio'] == f'no sound has come for {pause_s} s'


def test_sound_of_a_recording_that_ends_early_was_told_to_be_of_another_clock():
    """Regression: offline, where time stands still, the order alone tells that it has ended."""
    assembler = FrameAssembler()
    for _, ms in sounds(0, 5000):
        assembler.push_audio(audio(ms), 0)
    for _, ms in images(0, 5000 + 12_000):
        assembler.push_visual(visual(ms), 0)
    frames = in_ms(assembler.flush())
    assert len(frames) == 17_000 // 40
    assert assembler.reasons['without_audio'] == 'no sound has come for 12 s'


def test_sound_that_comes_back_with_another_clock_is_of_another_clock():
    assembler = FrameAssembler(WAIT)
    of_boot = [(at, stamp - AGAIN + 5000) for at, stamp in sounds(AGAIN, END)]
    emitted = fed(assembler, images(0, END), sounds(0, 5000) + of_boot)
    assert alone(emitted) == []
    assert 'different clocks' in assembler.reasons['without_audio']
    of_1970 = [(at, stamp + 1_700_000_000_000) for at, stamp in sounds(AGAIN, END)]
    assembler = FrameAssembler(WAIT)
    emitted = fed(assembler, images(0, END), sounds(0, 5000) + of_1970)
    assert alone(emitted) == []
    assert 'different clocks' in assembler.reasons['without_audio']


def test_sound_that_waited_when_the_camera_came_back_was_cleared():
    """Regression: both were away, and an image came before the sound did."""
    assembler = FrameAssembler(WAIT)
    assembler.push_visual(visual(0), 0)
    assembler.push_audio(audio(0), 0)
    assembler.poll(0)
    assembler.push_audio(audio(40), 40 * MS)
    assembler.push_visual(visual(12_040), 12_040 * MS)
    assert assembler.counters['unused_audio'] == 0
    assert assembler.is_waiting
    assembler.push_audio(audio(12_040), 12_050 * MS)
    assert in_ms(assembler.poll(12_050 * MS)) == [(12_040, True, 12_040)]
