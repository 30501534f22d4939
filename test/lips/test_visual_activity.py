# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Lips are believed when they have proved themselves, and only as long as they do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from planted_mouths import frames_with_mouths, mouth_of, talking_opening
from planted_voices import PERIOD_NS, START_NS

from av_perception.lips.mouth_motion import OPENING, PIXELS, MouthMotion, unexplained_change
from av_perception.lips.visual_activity import VisualActivity, VisualActivityConfig

RATE = 25  # images a second
SOUND = 4.0  # [nat per block] of sound that is sure


def turns(seconds: float, *spans) -> np.ndarray:
    """(T,) bool: speaks in the spans [s]."""
    time = np.arange(round(seconds * RATE)) / RATE
    return np.any([(time >= start) & (time < end) for start, end in spans], axis=0)


def believed_and_evidence(openings: dict, speaks: dict, config=None):
    """Play mouths beside sound that is right: who is believed, and evidence, block by block."""
    lips = VisualActivity(config)
    azimuths = {key: 30.0 * n for n, key in enumerate(openings)}
    believed, evidence = [], []
    for k, (frame, mouths) in enumerate(frames_with_mouths(azimuths, openings)):
        lips.watch(frame, mouths)
        evidence.append(lips.evidence(frame.stamp_ns - PERIOD_NS // 2))
        of_sound = {key: SOUND if own[k] else -SOUND for key, own in speaks.items()}
        lips.learn(frame.stamp_ns - PERIOD_NS // 2, of_sound)
        believed.append(lips.believed)
    return believed, evidence


SPEAKS = turns(24.0, (1, 3), (5, 7), (9, 11), (13, 15), (17, 19), (21, 23))
OTHER = turns(24.0, (3, 5), (7, 9), (11, 13), (15, 17), (19, 21))


@pytest.mark.parametrize('limit, least', [(1.2, 0.6), (VisualActivityConfig().speech_limit, 0.3)])
def test_lips_that_move_with_speech_are_believed_after_two_turns(limit, least):
    believed, evidence = believed_and_evidence(
        {1: talking_opening(SPEAKS)}, {1: SPEAKS}, VisualActivityConfig(speech_limit=limit)
    )
    assert not any(believed[: 7 * RATE]), 'nothing before they have proved themselves'
    assert all(evidence[k] == {} for k in range(7 * RATE))
    assert all(1 in now for now in believed[13 * RATE :])
    later = slice(13 * RATE, None)
    values = np.array([now[1] for now in evidence[later]])
    assert values[SPEAKS[later]].mean() > least and values[~SPEAKS[later]].mean() < -0.3


@pytest.mark.parametrize('seed', range(5))
def test_a_still_picture_changes_nothing_at_all(seed):
    rng = np.random.default_rng(seed)
    still = 0.05 + 0.01 * rng.normal(size=len(SPEAKS))
    _, evidence = believed_and_evidence({1: still}, {1: SPEAKS})
    assert all(now == {} for now in evidence)


def test_a_mouth_that_never_moves_a_hair_changes_nothing_at_all():
    _, evidence = believed_and_evidence({1: np.full(len(SPEAKS), 0.05)}, {1: SPEAKS})
    assert all(now == {} for now in evidence)


def test_a_mouth_that_chews_is_disbelieved_within_seconds():
    speaks = turns(24.0, (1, 3), (5, 7), (9, 11), (13, 15))
    moves = speaks | turns(24.0, (17, 24))
    believed, _ = believed_and_evidence({1: talking_opening(moves)}, {1: speaks})
    assert 1 in believed[16 * RATE + 20]
    assert not any(1 in now for now in believed[19 * RATE :]), 'two seconds after it began'


def test_lips_that_lie_are_disbelieved():
    """They move with another's voice, or with nobody's."""
    openings = {1: talking_opening(OTHER), 2: talking_opening(SPEAKS, seed=1)}
    believed, evidence = believed_and_evidence(openings, {1: SPEAKS, 2: SPEAKS})
    assert not any(1 in now for now in believed) and all(1 not in now for now in evidence)
    assert 2 in believed[-1]


def test_lips_that_begin_to_lie_are_disbelieved_within_seconds():
    half = len(SPEAKS) // 2
    moves = np.concatenate([SPEAKS[:half], OTHER[half:]])
    believed, _ = believed_and_evidence({1: talking_opening(moves)}, {1: SPEAKS})
    assert 1 in believed[half]
    assert not any(1 in now for now in believed[half + 3 * RATE :])


def test_evidence_is_bounded_and_old_images_say_nothing():
    config = VisualActivityConfig(speech_limit=0.5, silence_limit=0.5, weight=1.0)
    lips = VisualActivity(config)
    frames = frames_with_mouths({1: 0.0}, {1: talking_opening(SPEAKS)})
    for k, (frame, mouths) in enumerate(frames):
        lips.watch(frame, mouths)
        lips.learn(frame.stamp_ns, {1: SOUND if SPEAKS[k] else -SOUND})
    last = frames[-1][0].stamp_ns
    assert 0 < abs(lips.evidence(last)[1]) <= 0.5
    assert lips.evidence(last + 3 * PERIOD_NS) == {}


def test_who_is_gone_is_forgotten_and_who_comes_has_to_prove_it():
    frames = frames_with_mouths({1: 0.0}, {1: talking_opening(SPEAKS)})
    strangers = frames_with_mouths({2: 0.0}, {2: talking_opening(SPEAKS)})
    lips = VisualActivity()
    for k, (frame, mouths) in enumerate(frames):
        lips.watch(frame, mouths)
        lips.learn(frame.stamp_ns, {1: SOUND if SPEAKS[k] else -SOUND, 9: SOUND})
    assert lips.believed == (1,)
    lips.watch(*strangers[-1])
    assert lips.believed == () and lips.evidence(strangers[-1][0].stamp_ns) == {}


def test_unreliable_crops_are_not_looked_at():
    from dataclasses import replace

    frames = frames_with_mouths({1: 0.0}, {1: talking_opening(SPEAKS)})
    lips = VisualActivity()
    for k, (frame, mouths) in enumerate(frames):
        poor = replace(mouths, mouths=tuple(replace(m, reliability=0.1) for m in mouths.mouths))
        lips.watch(frame, poor)
        lips.learn(frame.stamp_ns, {1: SOUND if SPEAKS[k] else -SOUND})
    assert lips.believed == ()


def crop_with(mouth, eyes):
    from dataclasses import replace

    return replace(mouth_of(float('nan'), [0, 0, 50, 60]), mouth=mouth, eyes=eyes)


def textures(seed):
    rng = np.random.default_rng(seed)
    return [rng.integers(60, 200, shape).astype(np.uint8) for shape in ((67, 67), (34, 67))]


def test_motion_of_pixels_is_of_the_mouth_beside_the_eyes():
    mouth, eyes = textures(0)
    other_mouth, other_eyes = textures(1)
    moves = {
        'nothing': (mouth, eyes),
        'mouth': (other_mouth, eyes),
        'all': (other_mouth, other_eyes),
    }
    found = {}
    for name, (next_mouth, next_eyes) in moves.items():
        motion = MouthMotion()
        assert motion.update(START_NS, crop_with(mouth, eyes)) is None
        told = motion.update(START_NS + PERIOD_NS, crop_with(next_mouth, next_eyes))
        assert told.kind == PIXELS
        found[name] = told.value
    assert found['mouth'] > found['all'] > found['nothing']


def test_shift_turn_scale_and_light_are_no_motion_and_lips_are():
    rng = np.random.default_rng(2)
    image = cv2.GaussianBlur(rng.normal(size=(40, 40)), (0, 0), 3.0).astype(np.float32)
    image *= 200 / np.ptp(image)
    middle = (19.5, 19.5)
    for angle, scale, shift in (
        (0.0, 1.0, 0.4),
        (1.5, 1.0, 0.0),
        (0.0, 1.02, -0.3),
        (1, 0.99, 0.3),
    ):
        matrix = cv2.getRotationMatrix2D(middle, angle, scale)
        matrix[:, 2] += shift
        moved = cv2.warpAffine(image, matrix, (40, 40), flags=cv2.INTER_CUBIC)
        inner = slice(4, -4)
        part, moved_part = image[inner, inner], 1.1 * moved[inner, inner] + 5.0
        plain = np.abs(moved_part - part).mean()
        assert unexplained_change(part, moved_part) < 0.15 * plain
    opened = image.copy()
    opened[16:24, 10:30] -= 60.0
    assert unexplained_change(image, opened) > 4.0


def test_motion_needs_images_close_together_and_in_order():
    motion = MouthMotion()
    open_wide = mouth_of(0.4, [0, 0, 50, 60])
    shut = mouth_of(0.05, [0, 0, 50, 60])
    assert motion.update(START_NS, shut) is None
    told = motion.update(START_NS + PERIOD_NS, open_wide)
    assert told.kind == OPENING and told.value == pytest.approx(np.log(0.35 + 0.01))
    assert motion.update(START_NS + PERIOD_NS, shut) is None, 'the same image again'
    assert motion.update(START_NS + 10 * PERIOD_NS, shut) is None, 'a gap'
    assert motion.update(START_NS + 11 * PERIOD_NS, shut).value == pytest.approx(np.log(0.01))


def test_configurations_that_make_no_sense_are_refused():
    for wrong in ({'memory_s': 0.0}, {'speech_limit': -1.0}, {'least_turns': 0}):
        with pytest.raises(ValueError, match='must'):
            VisualActivityConfig(**wrong)
