# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Voices on disk: samples lie where their time says, turns are those of the statuses."""

import numpy as np
import pytest
import soundfile

from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk, SpeakingFrame, SpeakingStatus
from av_perception.recording.voice_files import (
    PEAK_STEP_S,
    VoiceFiles,
    turns_of,
    voice_peaks,
    write_rttm,
)

RATE, ORIGIN_NS = 16000, 10**9


def chunk(time_s, first, samples):
    stamp_ns = ORIGIN_NS + round(time_s * 1e9)
    return AudioChunk(stamp_ns, RATE, first, np.asarray(samples, np.float32)[:, None])


def status(time_s, *speaking, silent=()):
    statuses = [SpeakingStatus(i, True, 0.9, 0) for i in speaking]
    statuses += [SpeakingStatus(i, False, 0.1, 0) for i in silent]
    return SpeakingFrame(ORIGIN_NS + round(time_s * 1e9), tuple(statuses))


def test_samples_lie_where_their_time_says(tmp_path):
    files = VoiceFiles(tmp_path, ORIGIN_NS)
    sound = np.linspace(-0.5, 0.5, 1600)
    files.write(3, chunk(0.5, 7000, sound))
    files.write(3, chunk(0.6, 8600, sound))  # goes on
    files.write(3, chunk(0.9, 13400, sound))  # 0.2 s are missing
    files.write(8, chunk(-0.05, 1000, sound))  # the first half lies before second 0
    files.finish([], 'none')
    found, rate = soundfile.read(tmp_path / 'person_3.flac')
    assert rate == RATE and len(found) == 16000
    assert not found[:8000].any() and not found[11200:14400].any()
    for start in (8000, 9600, 14400):
        np.testing.assert_allclose(found[start : start + 1600], sound, atol=1e-4)
    cut, _ = soundfile.read(tmp_path / 'person_8.flac')
    np.testing.assert_allclose(cut, sound[800:], atol=1e-4)


def test_a_full_disk_under_voices_ended_in_a_traceback(monkeypatch, tmp_path):
    def write_nothing(*_):
        raise soundfile.LibsndfileError(2)

    files = VoiceFiles(tmp_path, ORIGIN_NS)
    monkeypatch.setattr(soundfile.SoundFile, 'write', write_nothing)
    with pytest.raises(UserError, match=r'cannot write the sound .*person_3\.flac: .*room'):
        files.write(3, chunk(0.5, 7000, np.zeros(16)))


def test_peaks_of_voices_count_from_second_zero(tmp_path):
    files = VoiceFiles(tmp_path, ORIGIN_NS)
    files.write(3, chunk(0.4, 7000, np.full(1600, -0.25)))
    files.write(12, chunk(0.0, 1000, np.full(100, 0.5)))
    files.finish([], 'none')
    peaks = voice_peaks(tmp_path)
    assert set(peaks) == {3, 12} and PEAK_STEP_S == 0.04
    np.testing.assert_allclose(peaks[3], [0.0] * 10 + [0.25] * 3, atol=1e-4)
    np.testing.assert_allclose(peaks[12], [0.5], atol=1e-4)
    (tmp_path / 'person_4.flac').write_bytes(b'no sound')
    with pytest.raises(UserError, match=r'cannot read the voice .*person_4\.flac'):
        voice_peaks(tmp_path)


def test_turns_end_with_who_denies_them_or_where_nobody_knows():
    statuses = [status(0.04 * k, *([4] if 5 <= k < 10 else []), 6) for k in range(12)]
    statuses += [status(2.0, 4, 6), status(2.04, 4, silent=(6,))]
    turns = turns_of(statuses, ORIGIN_NS)
    expected = [(0.0, 0.44, 6), (0.2, 0.4, 4), (2.0, 2.04, 6), (2.0, 2.08, 4)]
    np.testing.assert_allclose(turns, expected, atol=1e-9)
    assert turns_of([], ORIGIN_NS) == []


def test_turns_are_written_as_table_and_rttm(tmp_path):
    (tmp_path / 'person_1.flac').write_bytes(b'older')
    (tmp_path / 'notes.txt').write_text('mine')
    files = VoiceFiles(tmp_path, ORIGIN_NS)
    files.finish([status(0.04 * k, *([4] if k < 25 else [])) for k in range(30)], 'my talk')
    assert (tmp_path / 'turns.csv').read_text() == 'start,end,id\n0.000,1.000,4\n'
    words = (tmp_path / 'turns.rttm').read_text().split()
    assert words[:5] == ['SPEAKER', 'my_talk', '1', '0.000', '1.000'] and words[7] == 'person_4'
    assert sorted(p.name for p in tmp_path.iterdir()) == ['notes.txt', 'turns.csv', 'turns.rttm']


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='cannot write voices'):
        VoiceFiles(tmp_path / 'file' / 'voices', ORIGIN_NS)


def test_who_spoke_when_is_rttm_without_voices(tmp_path):
    write_rttm(tmp_path / 'turns.rttm', [(0.5, 2.0, 1), (1.25, 1.75, 3)], 'my talk')
    assert (tmp_path / 'turns.rttm').read_text().splitlines() == [
        'SPEAKER my_talk 1 0.500 1.500 <NA> <NA> person_1 <NA> <NA>',
        'SPEAKER my_talk 1 1.250 0.500 <NA> <NA> person_3 <NA> <NA>',
    ]
