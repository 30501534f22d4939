# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""When the demo says that it worked, and when not."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest

from av_perception.cli.demo import (
    _latency,
    _lost_images,
    _problems,
    count_images,
    losses,
    told_lateness,
)
from av_perception.cli.main import main
from av_perception.ros.bringup.machine_load import LoadSample, MachineLoad

GOOD = {
    'mota': 0.98,
    'der': 0.2,
    'truth_rows': 2250,
    'false_positives': 0,
    'ids_kept': {'1': True, '2': True},
    'exit_statuses': {'tracker': 0},
}


@pytest.mark.parametrize(
    'change, word',
    [
        ({}, None),
        ({'mota': 0.8}, 'MOTA 80.0 % is below 85.0 %'),
        ({'mota': None}, 'MOTA'),
        ({'der': 0.3}, 'DER 30.0 % is above 25.0 %'),
        ({'der': None}, None),
        ({'mota': None, 'truth_rows': 0}, None),
        ({'mota': None, 'truth_rows': 0, 'false_positives': 3}, '3 rows of ghosts'),
        ({'ids_kept': {'1': True, '2': False}}, 'ids of 2'),
        ({'exit_statuses': {'tracker': -9}}, 'tracker (exit status -9)'),
    ],
)
def test_what_keeps_the_demo_from_having_worked(change, word):
    problems = _problems(GOOD | change)
    assert (not problems) if word is None else (len(problems) == 1 and word in problems[0])


def test_images_are_counted_not_frames_of_sound_alone():
    """Regression: 751 of 750 images were tracked when sound went on after the last image."""
    recording = SimpleNamespace(num_frames=3, video_start_s=0.1, frame_rate=25.0)
    # Image 2 is at 5.18 s: missed; the last two are sound alone.
    stamps = [5_100_000_000, 5_140_000_000, 5_220_000_000, 5_400_000_000]
    frames = [(SimpleNamespace(stamp_ns=stamp), None) for stamp in stamps]
    assert count_images(recording, frames, 5_000_000_000) == 2


def test_it_is_told_when_in_the_run_images_were_late():
    """750 images, sixty of which waited from 3.0 s on while something else had the processor."""
    latency_ms = {10**12 + k * 40_000_000: 380.0 if 75 <= k < 135 else 40.0 for k in range(750)}
    figures = _latency(latency_ms, 10**12)
    text = told_lateness(figures)
    assert 'median 40 ms, 99 % within 380 ms' in text
    assert '60 images took over 100 ms, most of them in bursts (3.0 to 5.4 s)' in text
    assert 'bursts' not in told_lateness(_latency(dict.fromkeys(latency_ms, 40.0), 10**12))
    assert _latency({}, 0)['latency_p99_ms'] is None


def test_it_is_told_who_had_the_processors_in_a_burst():
    """Late images at the end looked like sound that ended early; another program was at work."""
    latency_ms = {10**12 + k * 40_000_000: 250.0 if k >= 715 else 35.0 for k in range(750)}
    # From 28 s on others keep 1.5 processors busy, and the host takes 0.25.
    samples = [
        LoadSample(
            10**12 + k * 10**8,
            busy_s=0.05 * k + 0.15 * max(0, k - 280),
            stolen_s=0.025 * max(0, k - 280),
            own_s=0.05 * k,
        )
        for k in range(310)
    ]
    figures = _latency(latency_ms, 10**12, MachineLoad(samples))
    assert figures['late_bursts_load'] == [
        pytest.approx({'own': 0.5, 'others': 1.5, 'stolen': 0.25})
    ]
    text = told_lateness(figures)
    assert 'the suite used 0.5 processors, others 1.5' in text
    assert "the machine's host 0.2" in text
    alone = _latency(latency_ms, 10**12, MachineLoad(samples[:250]))  # it knows nothing of then
    assert alone['late_bursts_load'] == [None] and 'processors' not in told_lateness(alone)


def test_what_was_lost_is_told_by_node():
    diagnostics = {
        'visual_features': {'image pairs dropped: too slow': '7', 'message': 'running'},
        'tracker': {'messages left out from /audio': '2', 'rate of /audio [Hz]': '31.2'},
        'visualizer': {'last reason of messages dropped': 'this node is too slow'},
    }
    assert losses(diagnostics) == (
        'tracker messages left out from /audio (2), '
        'visual_features image pairs dropped: too slow (7)'
    )
    assert 'too slow or busy' in losses({})


@pytest.mark.parametrize('absent', ['trackeval', 'pyannote.metrics'])
def test_what_is_missing_is_said_before_minutes_of_rendering(
    absent, monkeypatch, tmp_path, capsys
):
    """Regression: without the checkout the demo rendered, played, and then could not score."""
    monkeypatch.chdir(tmp_path)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: None if name == absent else find_spec(name)
    )
    monkeypatch.setattr('av_perception.cli.demo._prepare', lambda *_: pytest.fail('it began'))
    monkeypatch.setattr(
        'av_perception.ros.bringup.environment.prepare_environment', lambda *_, **__: {}
    )
    assert main(['demo']) == 2
    assert f'needs the package {absent}: pip install' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    'event', ['pairing: late visual', 'image pairs refused', 'left images missing']
)
def test_whatever_an_image_was_lost_to_is_said(event):
    assert (
        losses({'tracker': {event: '3', 'pairing: without audio': '9'}}) == f'tracker {event} (3)'
    )
    assert 'no node has counted a loss' in losses({'tracker': {event: '0'}})


def test_many_lost_images_are_named_as_a_cause_of_bad_figures():
    (told,) = _lost_images({'images': 750, 'images_tracked': 695})
    assert '55 of 750 images were lost' in told and 'too busy' in told
    assert _lost_images({'images': 750, 'images_tracked': 745}) == []
