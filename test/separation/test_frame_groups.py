# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound in, spectra of two windows at a time out: whatever the chunks, whatever is missing."""

import numpy as np
import pytest
from planted_voices import RATE, START_NS, chunks_of

from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk
from av_perception.separation.frame_groups import FADE, FrameGroups
from av_perception.separation.person_masks import PersonMasksConfig
from av_perception.spectral.transform import overlap_add

TRANSFORM = PersonMasksConfig().transform


def noise(seconds, seed=0):
    random = np.random.default_rng(seed)
    return (0.1 * random.normal(size=(int(seconds * RATE), 2))).astype(np.float32)


def all_groups(chunks):
    groups = FrameGroups(TRANSFORM, 2, RATE)
    found = [group for chunk in chunks for group in groups.push(chunk)]
    return found + groups.flush()


def put_together(found, length):
    """(length,) the first channel by overlap-add, where each group says that it belongs."""
    result = np.zeros(length)
    tail = np.zeros(TRANSFORM.size - TRANSFORM.hop)
    for group in found:
        added = overlap_add(group.spectra[:, :, 0], TRANSFORM.synthesis_window, TRANSFORM.hop)
        added[: len(tail)] += tail
        tail = added[len(group.spectra) * TRANSFORM.hop :]
        samples = added[group.skip : group.skip + len(group.gain)] * group.gain
        result[group.first_sample : group.first_sample + len(samples)] = samples
    return result


@pytest.mark.parametrize('size', [1, 100, 256, 640, 5000])
def test_groups_do_not_depend_on_the_chunks(size):
    sound = noise(0.3)
    found, expected = all_groups(chunks_of(sound, size)), all_groups(chunks_of(sound, 333))
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert np.array_equal(one.spectra, other.spectra)
        assert (one.first_sample, one.skip) == (other.first_sample, other.skip)
        assert abs(one.stamp_ns - other.stamp_ns) <= 1 and abs(one.end_ns - other.end_ns) <= 1


def test_the_sound_comes_back_but_for_the_fade_at_its_end():
    sound = noise(0.5)
    back = put_together(all_groups(chunks_of(sound)), len(sound))
    np.testing.assert_allclose(back[:-FADE], sound[:-FADE, 0], atol=1e-6)
    assert abs(back[-1]) < 0.01 * np.abs(sound).max()


def test_stamps_are_capture_times():
    found = all_groups(chunks_of(noise(0.4)))
    for group in found:
        if len(group.gain):
            assert abs(group.stamp_ns - START_NS - group.first_sample * 62500) <= 1
            covered = (group.skip + 320 - 256) if group.skip else 320
            assert group.stamp_ns <= group.end_ns - 1e9 * (covered - 1) / RATE


def with_gap(sound, start, missing):
    """Chunks of the sound without those samples."""
    chunks = chunks_of(sound, 200)
    return [c for c in chunks if not start <= c.first_sample < start + missing]


def test_a_short_gap_becomes_silence_between_fades():
    sound = noise(0.6)
    found = all_groups(with_gap(sound, 4000, 1600))
    back = put_together(found, len(sound))
    assert [group.silence for group in found if group.silence] == [1600]
    np.testing.assert_allclose(back[: 4000 - FADE], sound[: 4000 - FADE, 0], atol=1e-6)
    assert not back[4000:5600].any()
    np.testing.assert_allclose(back[5600 + FADE : -FADE], sound[5600 + FADE : -FADE, 0], atol=1e-6)
    assert np.abs(back[3990:4000]).max() < 0.1 * 0.4 and np.abs(back[5600:5610]).max() < 0.04
    assert not any(group.anew for group in found[1:])
    after = next(group for group in found if group.first_sample >= 5600 and len(group.gain))
    assert abs(after.stamp_ns - START_NS - after.first_sample * 62500) <= 2


def test_after_a_long_gap_the_stream_begins_anew():
    sound = noise(2.0)
    found = all_groups(with_gap(sound, 4000, 16000))
    assert [group.anew for group in found].count(True) == 2
    back = put_together(found, len(sound))
    np.testing.assert_allclose(
        back[20000 + FADE : -FADE], sound[20000 + FADE : -FADE, 0], atol=1e-6
    )
    assert not any(group.silence for group in found)


def test_a_stamp_that_runs_back_begins_anew_and_never_goes_back_in_the_index():
    sound = noise(0.2)
    chunks = chunks_of(sound)
    found = all_groups([*chunks, *chunks])
    firsts = [group.first_sample for group in found if len(group.gain)]
    assert firsts == sorted(set(firsts))


def test_nothing_finite_is_lost_by_chunks_that_are_not():
    sound = noise(0.3)
    chunks = chunks_of(sound, 200)
    spoilt = chunks[10].samples.copy()
    spoilt[7] = np.nan
    chunks[10] = AudioChunk(chunks[10].stamp_ns, RATE, 2000, spoilt)
    back = put_together(all_groups(chunks), len(sound))
    assert np.isfinite(back).all()
    np.testing.assert_allclose(back[2200 + FADE : -FADE], sound[2200 + FADE : -FADE, 0], atol=1e-6)


def test_other_channels_are_refused():
    with pytest.raises(UserError, match='channel'):
        FrameGroups(TRANSFORM, 3, RATE).push(chunks_of(noise(0.1))[0])
