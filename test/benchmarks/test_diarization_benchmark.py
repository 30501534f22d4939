# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who speaks, compared: both methods and SRP-PHAT on a short scene."""

from __future__ import annotations

import json

import numpy as np
import pytest
from offline_runs import offline_run
from planted_voices import RATE, SQUARE, planted_voices

from av_perception.benchmarks.diarization import (
    METHODS,
    Scene,
    _num_turns,
    _srp_grid,
    by_joint,
    by_vavit,
    measure,
    sound_chunks,
    srp_power,
)
from av_perception.benchmarks.hearing_cost import KeepingPipeline, run_on
from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.pipelines.full import START_NS, OfflinePipeline
from av_perception.simulation.cache import simulated_recording

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def answers():
    """What the whole suite says of seven seconds of two talkers."""
    recording = simulated_recording('short')
    return recording, offline_run('short').results


@pytest.fixture(scope='module')
def scene(answers):
    recording, said = answers
    return Scene(recording, [frame for frame, _ in said], START_NS)


def test_the_pipeline_says_what_the_benchmark_calls_joint(answers, scene):
    """Sound and tracks come in another order, and in chunks that end elsewhere."""
    for (_, one), (_, other) in zip(answers[1], by_joint(scene), strict=True):
        assert one.stamp_ns == other.stamp_ns
        for a, b in zip(one.statuses, other.statuses, strict=True):
            assert (a.id, a.speaking, a.since_ns) == (b.id, b.speaking, b.since_ns)
            assert a.probability == pytest.approx(b.probability, abs=1e-6)


def test_joint_activity_is_ahead_of_the_trackers_shares_and_of_srp_phat(scene):
    joint, shares, srp = (
        measure('short', scene, method) for method in ('joint', 'vavit', 'SRP-PHAT, nearest track')
    )
    assert joint.der < shares.der and joint.der < srp.der
    assert joint.der_collar <= 0.08 and joint.turns <= 1.5
    assert joint.der == pytest.approx(joint.missed + joint.false_alarm + joint.confusion)
    assert srp.turns > joint.turns


def test_every_method_answers_every_frame_for_every_track(scene):
    for method in METHODS.values():
        answers = method(scene)
        assert [frame for frame, _ in answers] == list(scene.frames)
        for frame, status in answers:
            assert [s.id for s in status.statuses] == [t.id for t in frame.tracks]


def test_shares_are_judged_by_the_published_filter_alone(scene):
    assert by_vavit(scene) == by_vavit(Scene(scene.recording, scene.frames, 0))


def test_srp_phat_peaks_where_the_voice_is():
    for azimuth in (-100, 35):
        sound = planted_voices((azimuth,), ((0.1, 0.9),), seconds=1.0)
        power = srp_power(sound, RATE, SQUARE.positions)
        assert len(power) == (RATE - 512) // 128 + 1
        x, y, _ = _srp_grid()[power.sum(axis=0).argmax()]
        assert abs(np.degrees(np.arctan2(y, x)) - azimuth) <= 5


def test_turns_are_counted_for_each_person():
    ids = np.array([1, 2, 1, 2, 1, 2])
    assert _num_turns(ids, np.array([True, False, False, True, True, True])) == 3


def test_the_verb_measures_a_recording_and_writes_its_figures(scene, tmp_path):
    figures = tmp_path / 'diarization.json'
    arguments = ['benchmark', 'diarization', '--methods', 'joint', 'vavit', '--json', str(figures)]
    assert main([*arguments, '--scenes', str(scene.recording.folder)]) == 0
    written = json.loads(figures.read_text())
    joint, shares = written['results']
    assert (joint['method'], shares['method']) == ('joint', 'vavit')
    assert joint['der'] == pytest.approx(measure('', scene, 'joint').der)
    assert joint['cpu'] > 0
    (cost,) = written['costs']
    assert cost['seconds'] == pytest.approx(6.0, abs=0.02) and cost['vavit'] > 0
    assert 1 / 3 < cost['joint'] / cost['vavit'] < 3, 'even beside busy processes'
    stages = cost['stages']
    assert list(stages) == ['audio_features', 'bins of direction', 'tracker', 'speaking_status']
    assert min(stages.values()) > 0 and sum(stages.values()) <= cost['joint']


def test_what_is_timed_is_what_the_suite_does(answers):
    """Faces that were kept, and sound in chunks, give the tracks and statuses of the run."""
    recording, said = answers
    watched = KeepingPipeline(recording)
    watched.run()
    chunks = list(sound_chunks(recording, START_NS))
    timed = OfflinePipeline(recording)
    again = run_on(timed, watched.faces, chunks)
    assert len(again) == len(said)
    for (frame, status), (expected_frame, expected) in zip(again, said, strict=True):
        assert frame.stamp_ns == expected_frame.stamp_ns
        for track, expected_track in zip(frame.tracks, expected_frame.tracks, strict=True):
            assert track.id == expected_track.id
            np.testing.assert_allclose(track.mean, expected_track.mean, atol=1e-9)
        assert [s.speaking for s in status.statuses] == [s.speaking for s in expected.statuses]


def test_a_seed_that_is_no_number_is_told(tmp_path):
    from av_perception.cli.benchmarks.diarization import _recording

    with pytest.raises(UserError, match='NAME:SEED'):
        _recording('short:one', lambda fraction, text: None)
