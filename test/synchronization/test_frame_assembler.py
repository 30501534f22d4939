# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How images and sound are paired; stamps in milliseconds for readability."""

from __future__ import annotations

import numpy as np
import pytest
from paired_streams import MS, audio, fed, in_ms, visual

from av_perception.synchronization.frame_assembler import FrameAssembler, FrameAssemblerConfig

OFFLINE = FrameAssemblerConfig(audio_wait_s=float('inf'))


def test_an_image_waits_for_its_sound_and_is_emitted_when_it_comes():
    assembler = FrameAssembler()
    assembler.push_visual(visual(100), 0)
    assert assembler.poll(10 * MS) == []
    assembler.push_audio(audio(90), 20 * MS)
    assert in_ms(assembler.poll(20 * MS)) == [(100, True, 90)]


def test_an_image_does_not_wait_longer_than_allowed():
    assembler = FrameAssembler(FrameAssemblerConfig(audio_wait_s=0.06))
    assembler.push_visual(visual(100), 0)
    assert assembler.poll(59 * MS) == []
    assert in_ms(assembler.poll(60 * MS)) == [(100, True, None)]
    assembler.push_audio(audio(100), 70 * MS)
    assembler.push_visual(visual(140), 70 * MS)
    assembler.push_audio(audio(140), 75 * MS)
    assert in_ms(assembler.poll(75 * MS)) == [(140, True, 140)]


def test_sound_farther_than_half_a_period_is_not_paired():
    assembler = FrameAssembler()
    assembler.push_audio(audio(75), 0)
    assembler.push_visual(visual(100), 0)
    assembler.push_audio(audio(125), 0)
    assert in_ms(assembler.poll(0)) == [(100, True, None)]


@pytest.mark.parametrize('sound_first', [True, False])
def test_sound_halfway_between_two_images_belongs_to_the_later_one(sound_first):
    """Regression: the order decided, and the sound of all that followed was one image off."""
    assembler = FrameAssembler(OFFLINE)
    images = [(visual, 40), (visual, 80), (visual, 120)]
    sounds = [(audio, 60), (audio, 100)]
    frames = []
    for make, stamp in sounds + images if sound_first else images + sounds:
        push = assembler.push_audio if make is audio else assembler.push_visual
        push(make(stamp), 0)
        frames += assembler.poll(0)
    assert in_ms(frames) == [(40, True, None), (80, True, 60), (120, True, 100)]


def test_slow_video_takes_the_nearest_sound_each_once():
    assembler = FrameAssembler(FrameAssemblerConfig(video_period_s=0.1))
    emitted = []
    for ms in range(0, 1000, 10):
        if ms % 40 == 10:
            assembler.push_audio(audio(ms), 0)
        if ms % 100 == 0:
            assembler.push_visual(visual(ms), 0)
        emitted += in_ms(assembler.poll(0))
    pairs = {s: a for s, _, a in emitted}
    for s, a in pairs.items():
        assert abs(a - s) <= 20
    assert len(set(pairs.values())) == len(pairs) >= 9


def test_fast_video_uses_each_sound_once():
    assembler = FrameAssembler(FrameAssemblerConfig(video_period_s=0.02))
    for ms in range(0, 400, 10):
        if ms % 40 == 10:
            assembler.push_audio(audio(ms), 0)
        if ms % 20 == 0:
            assembler.push_visual(visual(ms), 0)
    sounds = [a for _, _, a in in_ms(assembler.flush()) if a is not None]
    assert len(sounds) == len(set(sounds)) >= 9


@pytest.mark.parametrize('seed', range(5))
def test_the_pairing_does_not_depend_on_the_order_of_arrival(seed):
    """Offline in stamp order, live with random delays of up to 50 ms per stream.

    The frames are the same.
    """
    rng = np.random.default_rng(seed)
    visuals = np.cumsum(rng.uniform(30, 50, 60)) + 500
    sounds = 500 + 40.0 * np.arange(65) + rng.uniform(0, 40)
    sounds = sounds[rng.random(65) > 0.1]

    def run(config, visual_delay, audio_delay):
        events = sorted(
            [(t + visual_delay(t), 0, t) for t in visuals]
            + [(t + audio_delay(t), 1, t) for t in sounds]
        )
        assembler, frames = FrameAssembler(config), []
        for now, kind, t in events:
            (
                assembler.push_audio(audio(t), round(now * MS))
                if kind
                else assembler.push_visual(visual(t), round(now * MS))
            )
            frames += assembler.poll(round(now * MS))
        return in_ms(frames + assembler.flush())

    offline = run(OFFLINE, lambda t: 0, lambda t: 0)
    jitter = rng.uniform(0, 25, 2)
    live = run(
        FrameAssemblerConfig(audio_wait_s=0.2),
        lambda t: 25 + jitter[0] * np.sin(t),
        lambda t: 25 + jitter[1] * np.cos(t),
    )
    assert offline == live and [s for s, _, _ in offline] == sorted(s for s, _, _ in offline)
    assert [s for s, v, _ in offline if v] == pytest.approx(visuals, abs=1e-5)


def test_sound_alone_when_the_camera_is_silent():
    assembler = FrameAssembler()
    assembler.push_visual(visual(0), 0)
    emitted = []
    for ms in range(0, 440, 40):
        assembler.push_audio(audio(ms), ms * MS)
        emitted += in_ms(assembler.poll(ms * MS))
    assert emitted[0] == (0, True, 0)
    assert emitted[1:] == [(ms, False, ms) for ms in range(40, 440, 40)]
    assembler.push_visual(visual(440), 450 * MS)
    assembler.push_audio(audio(440), 450 * MS)
    assert in_ms(assembler.poll(450 * MS)) == [(440, True, 440)]


def test_sound_alone_without_any_camera_and_nothing_from_nothing():
    assembler = FrameAssembler(OFFLINE)
    assert assembler.poll(10**12) == [] and assembler.flush() == []
    emitted = []
    for ms in range(0, 1000, 40):
        assembler.push_audio(audio(ms), 0)
        emitted += in_ms(assembler.poll(0))
    assert [s for s, _, _ in emitted] == list(range(0, 1000, 40))


def test_late_stamps_are_dropped_and_a_looped_bag_starts_anew():
    assembler = FrameAssembler()
    for ms in (5000, 5040):
        assembler.push_audio(audio(ms), 0)
        assembler.push_visual(visual(ms), 0)
    assert len(assembler.poll(0)) == 2
    assembler.push_visual(visual(5010), 0)
    assembler.push_audio(audio(5010), 0)
    assert (
        assembler.poll(0) == []
        and assembler.counters['late_visual'] == 1
        and assembler.counters['late_audio'] == 1
    )
    assembler.push_visual(visual(0), 0)
    assembler.push_audio(audio(0), 0)
    assert in_ms(assembler.poll(0)) == [(0, True, 0)] and assembler.counters['resets'] == 1
    assert 'went back by' in assembler.reasons['resets']


def test_the_last_words_of_a_round_do_not_end_the_next_one():
    """Regression: at the seam of a looped bag there was a reset each way.

    Faces of the old round came after the new round's sound.
    """
    assembler = FrameAssembler()
    for ms in (7000, 7040):
        assembler.push_audio(audio(ms), 0)
        assembler.push_visual(visual(ms), 0)
    assembler.poll(0)
    assembler.push_audio(audio(0), 0)
    assembler.push_visual(visual(7080), 0)
    assembler.push_visual(visual(0), 0)
    assert in_ms(assembler.poll(0)) == [(0, True, 0)]
    assert (assembler.counters['resets'], assembler.counters['stragglers']) == (1, 1)


def test_a_camera_that_goes_on_in_the_old_time_is_heard_again():
    """Only the sound's clock was set back.

    After a second beyond the old end the images count again.
    """
    assembler = FrameAssembler()
    assembler.push_audio(audio(7000), 0)
    assembler.push_visual(visual(7000), 0)
    assembler.push_audio(audio(0), 0)
    for ms in range(7040, 9000, 40):
        assembler.push_visual(visual(ms), 0)
    assert [s for s, _, _ in in_ms(assembler.flush())][-1] == 8960 and assembler.counters[
        'stragglers'
    ] == 25


@pytest.mark.parametrize(
    'changes', [{'video_period_s': 0.0}, {'audio_wait_s': float('nan')}, {'audio_wait_s': -1.0}]
)
def test_bad_settings_are_refused(changes):
    with pytest.raises(ValueError):
        FrameAssemblerConfig(**changes)


def test_images_that_lag_far_behind_the_sound_are_not_lost_for_good():
    """Regression: vision slower than visual_timeout_s had every image dropped.

    Sound alone had gone past it.
    """
    assembler = FrameAssembler(FrameAssemblerConfig(visual_timeout_s=0.2))
    lag, emitted = 13, []
    for k in range(60):
        now_ns = 40_000_000 * k
        assembler.push_audio(audio(40 * k + 40), now_ns)
        if k >= lag:
            assembler.push_visual(visual(40 * (k - lag) + 40), now_ns)
        emitted += assembler.poll(now_ns)
    with_image = [stamp for stamp, visual, _ in emitted if visual is not None]
    assert len(with_image) >= 60 - 2 * lag - 1, (
        'only what sound alone had passed at the start is lost'
    )
    assert with_image == sorted(with_image)


def played(sound_ms):
    """Push an image each 40 ms and the sound that comes with it; what was emitted [ms]."""
    assembler = FrameAssembler()
    emitted = []
    for k, ms in enumerate(sound_ms):
        now_ns = 40 * MS * k
        assembler.push_audio(audio(ms), now_ns)
        assembler.push_visual(visual(40 * k), now_ns)
        emitted += in_ms(assembler.poll(now_ns))
    return emitted, assembler


def test_sound_whose_clock_jumps_ahead_made_every_image_late():
    ahead = [40 * k + (4000 if 25 <= k < 75 else 0) for k in range(100)]
    emitted, assembler = played(ahead)
    assert [stamp for stamp, has_image, _ in emitted if has_image][:74] == list(range(0, 2960, 40))
    assert assembler.counters['late_visual'] == 0
    assert emitted[-1] == (3960, True, 3960), 'and sound that is right again is paired'


def test_sound_whose_clock_is_ahead_for_good_filled_the_memory():
    _, assembler = played([40 * k + 3_600_000 for k in range(1000)])
    assert assembler.counters['unused_audio'] >= 700
    assert len(assembler.flush()) <= 300


@pytest.mark.parametrize(
    ('early_ms', 'said'),
    [(1000, '1.00 s'), (500, '0.50 s'), (300, '0.30 s'), (200, '0.20 s'), (100, '0.10 s')],
)
def test_it_says_by_how_much_sound_is_behind(early_ms, said):
    """Regression: "without audio" told nobody that the sound's stamps or its delay are wrong."""
    assembler = FrameAssembler(FrameAssemblerConfig(audio_wait_s=0.06))
    for k in range(50):
        now = 40 * k
        assembler.push_audio(audio(2000 + now - early_ms), now * MS)
        assembler.push_visual(visual(2000 + now), now * MS)
        assembler.poll((now + 60) * MS)
    reason = assembler.reasons['without_audio']
    assert f'sound is {said} behind the images: raise audio_wait' in reason
    assert 'latency_ms' in reason


def test_it_says_that_images_are_late():
    assembler = FrameAssembler(FrameAssemblerConfig(audio_wait_s=0.06))
    assembler.push_visual(visual(0), 0)
    for k in range(20):
        assembler.push_audio(audio(40 * k), 0)
        assembler.poll(60 * MS)
    assembler.push_visual(visual(160), 60 * MS)
    assert '0.60 s behind the sound' in assembler.reasons['late_visual']


def test_it_says_that_no_sound_has_come_or_that_it_has_a_gap():
    assembler = FrameAssembler(FrameAssemblerConfig(audio_wait_s=0.06))
    assembler.push_visual(visual(0), 0)
    assembler.poll(60 * MS)
    assert assembler.reasons['without_audio'] == 'no sound has come'
    assembler.push_visual(visual(40), 60 * MS)
    assembler.push_audio(audio(120), 60 * MS)
    assembler.poll(60 * MS)
    assert 'a gap' in assembler.reasons['without_audio']


SINCE_1970 = 1_700_000_000_000  # [ms]


@pytest.mark.parametrize('first', ['images', 'sound'])
@pytest.mark.parametrize('later', ['images', 'sound'])
def test_a_sensor_that_counts_from_the_start_of_its_machine_costs_no_image(first, later):
    """Regression: where sound came first, sound alone passed all images, which were dropped.

    Where images did, sound was kept for ever.
    """
    assembler = FrameAssembler(FrameAssemblerConfig(audio_wait_s=0.06))
    of_images = SINCE_1970 if later == 'images' else 5000
    of_sound = SINCE_1970 if later == 'sound' else 5000
    start = {'images': 0, 'sound': 0, first: -1000}
    images = [(at, of_images + at) for at in range(start['images'], 4000, 40)]
    sounds = [(at, of_sound + at) for at in range(start['sound'] + 10, 4000, 40)]
    emitted = fed(assembler, images, sounds)
    with_image = {stamp for stamp, has_image, _ in emitted if has_image}
    assert len(with_image) >= len(images) - 2, 'every image is used, but who still waits'
    assert all(sound is None for _, has_image, sound in emitted if has_image)
    has_images = [has_image for _, has_image, _ in emitted]
    assert all(has_images[has_images.index(True) :]), 'no other time in between'
    assert 'stamp by different clocks' in assembler.reasons['without_audio']
    assert len(assembler._audio) < 10


def test_sound_of_another_clock_is_heard_alone_when_the_camera_has_ended():
    assembler = FrameAssembler(FrameAssemblerConfig(audio_wait_s=0.06))
    images = [(at, SINCE_1970 + at) for at in range(0, 1000, 40)]
    sounds = [(at, 5000 + at) for at in range(10, 15000, 40)]
    emitted = fed(assembler, images, sounds)
    assert [has_image for _, has_image, _ in emitted[:25]] == [True] * 25
    assert emitted[-1] == (5000 + sounds[-1][0], False, 5000 + sounds[-1][0])


@pytest.mark.parametrize('told_rate', [25.0, 3.0])
def test_a_camera_of_three_images_a_second_loses_none(told_rate):
    """Regression: between two images sound went on alone, and passed the second."""
    config = FrameAssemblerConfig(video_period_s=1 / told_rate, audio_wait_s=0.06)
    images = [(50 + 333 * k, 333 * k) for k in range(30)]
    sounds = [(10 + 40 * k, 40 * k) for k in range(250)]
    assembler = FrameAssembler(config)
    emitted = fed(assembler, images, sounds)
    seen = {stamp for stamp, has_image, _ in emitted if has_image}
    lost = len(images) - len(seen)
    assert lost <= (3 if told_rate == 25.0 else 1), 'until the pace of the camera is known'
    assert assembler.counters['late_visual'] <= 3


def test_sixty_images_a_second_are_not_called_without_sound():
    """Regression: each image between two sounds was counted as one without, with bad advice."""
    assembler = FrameAssembler(FrameAssemblerConfig(video_period_s=1 / 60, audio_wait_s=0.06))
    images = [(1000 * k / 60, 1000 * k / 60) for k in range(120)]
    sounds = [(10 + 40 * k, 40 * k) for k in range(50)]
    emitted = fed(assembler, images, sounds)
    assert len([1 for _, has_image, _ in emitted if has_image]) >= 118
    assert assembler.counters['without_audio'] <= 1
    sounds = [(10 + 40 * k, 40 * k) for k in range(25)]
    assembler = FrameAssembler(FrameAssemblerConfig(video_period_s=1 / 60, audio_wait_s=0.06))
    fed(assembler, images, sounds)
    assert assembler.counters['without_audio'] >= 50, 'sound that has ended is missed'
