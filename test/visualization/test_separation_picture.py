# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the picture of separated voices shows, read from its panels."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

from av_perception.errors import UserError
from av_perception.visualization.separation_picture import RATE, draw_voices


@pytest.fixture
def drawn(monkeypatch):
    """Figures that were saved; nothing is rendered."""
    figures = []
    monkeypatch.setattr(Figure, 'savefig', lambda self, path, **options: figures.append(self))
    return figures


def tone(frequency, count, level=0.1):
    return level * np.sin(2 * np.pi * frequency * np.arange(count) / RATE)


def images_of(figure):
    return [panel.images[0] for panel in figure.axes]


def test_every_voice_has_a_panel_with_its_own_tone_on_the_scale_of_the_mixture(drawn, tmp_path):
    voices = np.column_stack([tone(1000, RATE), tone(3000, RATE, 0.01)])
    draw_voices(voices.sum(axis=1), voices, ['ann', 'bob'], tmp_path / 'p.png')
    (figure,) = drawn
    titles = [panel.get_title(loc='left') for panel in figure.axes]
    assert titles == ['mixture', 'ann', 'bob']
    mixture, ann, bob = images_of(figure)
    top = mixture.get_array().max()
    for image in (mixture, ann, bob):
        assert image.get_clim() == pytest.approx((top - 60, top))
        assert image.get_extent() == pytest.approx((0, 1, 0, 8)), 'seconds and kHz'
    for image, frequency in ((ann, 1000), (bob, 3000)):
        level = image.get_array().mean(axis=1)
        assert np.argmax(level) * 8000 / 256 == pytest.approx(frequency)
    # The second tone is a tenth of the first.
    assert ann.get_array().max() - bob.get_array().max() == pytest.approx(20, abs=0.5)


def test_time_runs_to_the_right(drawn, tmp_path):
    sound = tone(500, RATE)
    sound[: RATE // 2] = 0
    draw_voices(sound, np.zeros((RATE, 0)), [], tmp_path / 'p.png')
    (mixture,) = images_of(drawn[0])
    power = mixture.get_array().max(axis=0)
    loud = np.flatnonzero(power > power.max() - 20)
    assert loud[0] / len(power) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize('seconds', [31, 40, 200])
def test_a_long_recording_is_drawn_with_a_bounded_number_of_columns(drawn, tmp_path, seconds):
    count = seconds * RATE
    sound = np.zeros(count, np.float32)
    place = int(0.75 * count)
    sound[place : place + RATE] = tone(500, RATE)
    draw_voices(sound, np.zeros((count, 0), np.float32), [], tmp_path / 'p.png')
    (image,) = images_of(drawn[0])
    values = image.get_array()
    assert 1500 < values.shape[1] <= 4010
    loud = np.flatnonzero(values.max(axis=0) > -20)
    assert loud[0] / values.shape[1] == pytest.approx(0.75, abs=0.01)
    assert image.get_extent()[1] == pytest.approx(seconds)


@pytest.mark.parametrize('count', [1, 100])
def test_silence_is_drawn_without_complaint(tmp_path, count):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        draw_voices(np.zeros(count), np.zeros((count, 1)), ['ann'], tmp_path / 'p.png')
    assert (tmp_path / 'p.png').read_bytes().startswith(b'\x89PNG')


def test_a_recording_without_samples_is_drawn_without_complaint(tmp_path):
    """Regression: its axis of time had no length, of which there was a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        draw_voices(np.zeros(0), np.zeros((0, 1)), ['ann'], tmp_path / 'p.png')
    assert (tmp_path / 'p.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize('name', ['absent/p.png', 'p.words', 'file/p.png'])
def test_a_picture_that_cannot_be_written_is_one_line_that_names_it(tmp_path, name):
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='cannot write') as caught:
        draw_voices(np.zeros(1000), np.zeros((1000, 1)), ['ann'], tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and '\n' not in str(caught.value)
