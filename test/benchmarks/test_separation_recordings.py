# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Rendered recordings as scenes to separate: the same sound, and directions by the truth."""

import numpy as np
import pytest

from av_perception.benchmarks.separation_recordings import recorded_scene
from av_perception.errors import UserError
from av_perception.recording import RecordingInfo, RecordingWriter, TruthTable
from av_perception.recording.source_sounds import SourceSounds, write_sources

RATE = 16000


def rendered(folder, rate=RATE, truth_of=(3, 8), sources=True):
    """A second of two people: 3 walks from ahead to the left of a ReSpeaker, 8 stays."""
    random = np.random.default_rng(0)
    images = {key: 0.05 * random.standard_normal((rate, 4)) for key in (3, 8)}
    noise = 1e-3 * random.standard_normal((rate, 4))
    parts = SourceSounds(images, {key: image[:, 0] for key, image in images.items()}, noise)
    times = np.arange(25) / 25
    rows = []
    for time_s in times:
        azimuth = 0.5 * np.pi * time_s
        rows.append((time_s, 3, [2 * np.cos(azimuth), 2 * np.sin(azimuth), 0.0]))
        rows.append((time_s, 8, [0.0, -1.0, 0.5]))
    rows = [row for row in rows if row[1] in truth_of]
    truth = TruthTable(
        time_s=np.array([row[0] for row in rows]),
        id=np.array([row[1] for row in rows], int),
        position=np.array([row[2] for row in rows]),
        speaking=np.ones(len(rows), bool),
        visible=np.ones(len(rows), bool),
    )
    with RecordingWriter(folder, RecordingInfo('respeaker', rate, 0.0)) as writer:
        writer.write_audio(sum(images.values()) + noise)
        writer.write_truth(truth)
        if sources:
            write_sources(folder, parts, rate)
    return parts


def test_a_recording_is_a_scene(tmp_path):
    folder = tmp_path / 'two_people'
    parts = rendered(folder)
    scene = recorded_scene(folder)
    assert scene.label == 'two_people'
    assert scene.images.shape == (RATE, 4, 2) and scene.dry.shape == (RATE, 2)
    np.testing.assert_allclose(scene.images[:, :, 1], parts.images[8], atol=1e-4)
    total = scene.images.sum(axis=2) + scene.noise
    np.testing.assert_allclose(scene.mixture, total, atol=2e-4)
    np.testing.assert_allclose(np.linalg.norm(scene.directions, axis=2), 1.0)
    base = scene.array.base_from_array.rotate(scene.directions[12, 0])
    assert np.degrees(np.arctan2(base[1], base[0])) == pytest.approx(0.48 * 90, abs=2)


def test_what_is_missing_is_named(tmp_path):
    rendered(tmp_path / 'bare', sources=False)
    with pytest.raises(UserError, match='does not hold the sounds of its sources'):
        recorded_scene(tmp_path / 'bare')
    rendered(tmp_path / 'fast', rate=48000)
    with pytest.raises(UserError, match='sound at 16000 Hz'):
        recorded_scene(tmp_path / 'fast')
    rendered(tmp_path / 'one', truth_of=(3,))
    with pytest.raises(UserError, match='person 8, of whom the truth says nothing'):
        recorded_scene(tmp_path / 'one')
