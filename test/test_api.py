# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The few lines of Python on the front page do what the command does."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import soundfile

import av_perception
from av_perception import localize, track
from av_perception.errors import UserError
from av_perception.recording import TrackTable
from av_perception.simulation.cache import simulated_recording


@pytest.mark.slow
def test_tracks_in_python_are_those_of_the_command(tmp_path):
    from av_perception.cli.main import main

    folder = simulated_recording('short').folder
    people = track(folder)
    assert main(['track', str(folder), '-o', str(tmp_path / 'tracks.csv')]) == 0
    written = TrackTable.read(tmp_path / 'tracks.csv')
    np.testing.assert_array_equal(people.id, written.id)
    np.testing.assert_allclose(people.position, written.position, atol=1e-6)
    np.testing.assert_array_equal(people.speaking, written.speaking)


def test_a_table_gives_its_columns_by_the_names_of_the_file():
    pandas = pytest.importorskip('pandas')
    count = 3
    table = TrackTable(
        np.arange(count),
        np.ones(count),
        np.arange(3.0 * count).reshape(count, 3),
        np.zeros((count, 3)),
        np.zeros((count, 6)),
        ['active'] * count,
        *([np.ones(count, bool)] * 2),
        np.full(count, 0.5),
        np.ones(count, bool),
    )
    frame = pandas.DataFrame(table.columns())
    assert list(frame.columns) == table.header() and len(frame) == count
    np.testing.assert_array_equal(frame['y'], table.position[:, 1])


def test_a_direction_is_found_in_radians(tmp_path):
    """Sound from ahead reaches the four microphones of a ReSpeaker within their spacing."""
    from av_perception.geometry.rigid_transform import direction_from_angles
    from av_perception.robot_head import load_head

    array = load_head('respeaker').microphones
    azimuth = np.radians(60.0)
    toward = array.base_from_array.rotation.T @ direction_from_angles(azimuth, 0.0)
    noise = np.random.default_rng(0).standard_normal(32000)
    frequency = np.fft.rfftfreq(len(noise), 1 / 16000)
    advance_s = array.positions @ toward / 343.0
    spectra = np.fft.rfft(noise) * np.exp(2j * np.pi * frequency * advance_s[:, None])
    sound = 0.1 * np.fft.irfft(spectra, len(noise)).T
    soundfile.write(tmp_path / 'four.wav', sound, 16000, subtype='FLOAT')
    (source,) = localize(tmp_path / 'four.wav', head='respeaker').sources
    assert abs(source.azimuth - azimuth) < np.radians(3.0)


def test_what_cannot_be_opened_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match='add --head'):
        soundfile.write(tmp_path / 'four.wav', np.zeros((100, 4)), 16000)
        localize(tmp_path / 'four.wav')
    with pytest.raises(UserError):
        track(tmp_path / 'nowhere')


def test_importing_the_package_imports_nothing_heavy():
    code = 'import sys, av_perception; print("numpy" in sys.modules)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.strip() == 'False', done.stderr
    with pytest.raises(AttributeError, match='no attribute'):
        av_perception.nothing  # noqa: B018
