# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of forecasts: windows by hand, simple methods exact, and the command whole."""

from __future__ import annotations

import json

import numpy as np
import pytest

from av_perception.benchmarks.motion_paths import LINE, METHODS, OURS, live_cpu_s, measure_paths
from av_perception.benchmarks.motion_skeletons import BASELINES, Forecast, rows_of
from av_perception.benchmarks.motion_walks import (
    HORIZONS_S,
    Windows,
    file_walks,
    joined,
    walks_of,
    windows_of,
)
from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.simulation.walk_tracks import WalkTracks


def straight(rate=25.0, seconds=6.0, people=2):
    times = np.arange(0, seconds, 1 / rate)
    velocity = np.array([[1.0, 0.0, 0.0], [0.0, -0.5, 0.0]])[:people]
    truth = times[:, None, None] * velocity + 1.0
    covariances = np.broadcast_to(4e-4 * np.eye(3), (*truth.shape, 3))
    return WalkTracks(times, truth, covariances, truth)


@pytest.mark.parametrize('rate', [7.0, 10.0, 25.0])
def test_windows_hold_past_and_future_at_any_rate(rate):
    cut = windows_of(straight(rate))
    assert len(cut) > 4
    ages = cut.histories.ages
    np.testing.assert_allclose(ages[:, -1], 0.0, atol=1e-9)
    assert (np.diff(ages, axis=1) < 0).all() and ages.max() < 1.7
    ahead = cut.truth - cut.histories.positions[:, -1:]
    speed = np.linalg.norm(ahead, axis=2) / HORIZONS_S
    np.testing.assert_allclose(speed[::2], 1.0, atol=1e-9)
    np.testing.assert_allclose(speed[1::2], 0.5, atol=1e-9)


def test_rounded_times_give_the_same_grid():
    """Scenes of one rate but other lengths once had 14 or 21 places in a history."""
    shapes = {
        windows_of(straight(25.0, seconds)).histories.ages.shape[1] for seconds in (5, 8, 30)
    }
    exact = straight(25.0, 8.0)
    noisy = WalkTracks(
        exact.times_s * (1 + 1e-12) + 1e3, exact.positions, exact.covariances, exact.truth
    )
    assert shapes | {windows_of(noisy).histories.ages.shape[1]} == {21}


def test_who_leaves_within_two_seconds_is_no_window():
    walks = straight()
    walks.truth[100:, 1] = np.nan
    assert len(windows_of(walks)) < len(windows_of(straight()))
    assert np.isfinite(windows_of(walks).truth).all()


def test_lines_are_exact_on_lines_and_standing_still_is_not():
    rows = {row.method: row for row in measure_paths('straight', windows_of(straight()))}
    assert set(rows) == set(METHODS)
    for method in ('last step', LINE, 'least squares, on the line'):
        assert rows[method].ade_m < 1e-9
    mean_speed = np.array([1.0, 0.5]).mean()
    assert rows['zero velocity'].fde_m == pytest.approx(2 * mean_speed)
    assert rows['zero velocity'].ade_m == pytest.approx(1.1 * mean_speed)
    assert rows['zero velocity'].held_68 == ()
    assert len(rows[LINE].held_95) == len(HORIZONS_S)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['social', 'passing', 'standing', 'crossings', 'tracked'])
def test_ours_is_not_worse_than_the_line_and_its_regions_hold_on_unseen_walks(kind):
    windows = joined([windows_of(walks_of(kind, seed)) for seed in (2000, 2001, 2002)])
    rows = {row.method: row for row in measure_paths(kind, windows)}
    assert rows[OURS].ade_m <= rows[LINE].ade_m
    assert rows[OURS].fde_m <= rows[LINE].fde_m
    # Over many scenes 60 to 76 and 90 to 98 %; three scenes differ by a few percent more.
    assert 0.55 <= min(rows[OURS].held_68) and max(rows[OURS].held_68) <= 0.81
    assert 0.87 <= min(rows[OURS].held_95) and max(rows[OURS].held_95) <= 0.995


def test_the_cost_of_a_forecast_is_measured():
    assert 0.0 < live_cpu_s(num_people=2, calls=2) < np.inf


def test_simple_skeleton_methods_by_hand():
    seen = np.arange(4.0)[:, None] * np.ones(6)
    np.testing.assert_allclose(BASELINES['zero velocity'](seen, 2), 3.0)
    for method in ('last step', 'least squares'):
        np.testing.assert_allclose(BASELINES[method](seen, 2)[0, :, 0], [4.0, 5.0])
    damped = BASELINES['damped least squares'](seen, 200)[0, :, 0]
    assert damped[0] < 4.0 and damped[-1] == pytest.approx(3 + 24 / 2.0, abs=0.01)


def test_skeleton_rows_by_hand():
    truth = np.zeros((48, 6))
    made = np.stack([np.full((48, 6), 1.0), np.full((48, 6), 2.0)])
    forecasts = [
        Forecast('walking', truth, truth, made, False, 0.1),
        Forecast('jumping', truth, truth, made[1:], True, 0.3),
        Forecast('jumping', truth, truth, made[1:], False, 0.3),
    ]
    walking = rows_of('x', forecasts[:1])[0]
    assert walking.ade_m == pytest.approx(np.sqrt(6))
    assert walking.apd_m == pytest.approx(np.sqrt(48 * 6))
    assert walking.mpjpe_mm == pytest.approx((1e3 * np.sqrt(3),) * 4)
    jumping, everything = rows_of('x', forecasts[1:])
    assert (jumping.windows, jumping.fallbacks) == (2, 1)
    assert everything.action == 'all' and everything.ade_m == pytest.approx(2 * np.sqrt(6))


def write(path, rows):
    path.write_text('\n'.join(' '.join(str(value) for value in row) for row in rows))
    return path


def test_public_text_is_read(tmp_path):
    rows = [(10 * k, 7, 0.4 * k, 1.0) for k in range(12)]
    walks = file_walks(write(tmp_path / 'zara.txt', rows), 25.0)
    np.testing.assert_allclose(np.diff(walks.times_s), 0.4)
    np.testing.assert_allclose(walks.truth[:, 0, 0], 0.4 * np.arange(12))


@pytest.mark.parametrize(
    'text',
    [
        '',
        '1 2 3',
        'a b c d',
        '1 1 nan 0\n2 1 0 0',
        '0 1 0 0\n1 1 0 0\n9e9 1 0 0',
        '0 1 0 0\n1 1 0.4',
        '0 1 0 0\n0 1 5 5\n1 1 0 0',
        '0 1 0 0\n1 1 1e300 0',
    ],
)
def test_text_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / 'walks.txt'
    path.write_text(text)
    with pytest.raises(UserError, match='walks'):
        file_walks(path, 2.5)


@pytest.mark.parametrize('step, rate', [(1, 2.5), (10, 25.0)])
def test_public_walks_are_windows_although_there_are_few_places(tmp_path, step, rate):
    """At 2.5 Hz, which is how public walks are annotated, 1.6 s held fewer places than wanted."""
    rows = [(step * k, 1, 0.5 * k, 1.0) for k in range(15)]
    cut = windows_of(file_walks(write(tmp_path / 'street.txt', rows), rate))
    assert len(cut) > 1 and cut.histories.ages.shape[1] == 5
    (row,) = [row for row in measure_paths('street', cut) if row.method == LINE]
    assert row.ade_m < 1e-9


@pytest.mark.parametrize('content', [b'\xff\xfe\x00\x01', None])
def test_files_that_hold_no_text_are_answered_in_one_line(tmp_path, capsys, content):
    path = tmp_path / 'walks.txt'
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    assert main(['benchmark', 'motion', '--no-skeletons', '--paths', str(path)]) != 0
    message = capsys.readouterr().err.strip()
    assert 'cannot read walks' in message and len(message.splitlines()) <= 2


@pytest.mark.slow
def test_the_command_writes_figures_and_a_picture(tmp_path, monkeypatch):
    for module in ('benchmarks.motion_walks', 'cli.benchmarks.motion'):
        monkeypatch.setattr(f'av_perception.{module}.SETS', ('social', 'standing'))
    rows = [(k, 1, 0.4 * k, 1.0) for k in range(40)]
    text = write(tmp_path / 'street.txt', rows)
    figures, picture = tmp_path / 'motion.json', tmp_path / 'motion.png'
    arguments = ['--quick', '--seeds', '1', '--no-skeletons', '--paths', str(text), '--rate', '10']
    outputs = ['--json', str(figures), '--plot', str(picture)]
    assert main(['benchmark', 'motion', *arguments, *outputs]) in (0, 1)
    made = json.loads(figures.read_text())
    assert {row['walks'] for row in made['paths']} == {
        'social',
        'standing',
        'street',
        'all simulated',
    }
    assert picture.stat().st_size > 10_000


def test_windows_are_counted():
    cut = windows_of(straight())
    assert isinstance(cut, Windows) and len(cut) == len(cut.histories) == len(cut.truth)
