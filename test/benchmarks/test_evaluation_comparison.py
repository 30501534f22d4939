# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The peers of the comparison against each other and the models they stand for; the command."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from av_perception.benchmarks.comparison import (
    GNN,
    JPDA,
    OURS,
    SORT,
    TRACKERS,
    BoxSpace,
    PositionSpace,
)
from av_perception.benchmarks.peers import PeerConfig, PeerModel, Sort, run_peer
from av_perception.benchmarks.tracking import SCENES
from av_perception.cli.main import main
from av_perception.robot_head.profile import load_head
from av_perception.simulation.box_scenes import BoxSceneConfig, box_scene
from av_perception.tracking.state_space.cartesian_head import CartesianHead, CartesianHeadConfig

HEAD = load_head('simulated')
MODEL = PeerModel(
    size=3,
    moving=3,
    acceleration_density=0.5,
    walk_density=0.0,
    speed_sd=0.7,
    clutter_density=0.03,
    detection_probability=0.9,
    period_s=0.04,
)


@pytest.fixture
def stone_soup():
    """The peer class; skips where the package is absent."""
    pytest.importorskip(
        'stonesoup', reason="needs stonesoup: pip install 'av_perception[comparison]'"
    )
    from av_perception.benchmarks.stone_soup import StoneSoup

    return StoneSoup


def distance(predicted, values):
    return np.linalg.norm(predicted[:, None] - values, axis=-1)


def walk(frames=60, seed=0) -> list:
    """One person's noisy positions, one detection a frame."""
    rng = np.random.default_rng(seed)
    return [
        (
            np.array([[2.0, 0.02 * f, 0.1]]) + rng.normal(0, 0.03, (1, 3)),
            np.diag([0.03**2] * 3)[None],
        )
        for f in range(frames)
    ]


def test_peers_in_space_have_the_motion_of_this_tracker():
    prediction = CartesianHead(CartesianHeadConfig(), HEAD).predict(
        np.ones((1, 6)), np.eye(6)[None], MODEL.period_s, np.zeros(1, bool)
    )
    np.testing.assert_allclose(MODEL.process_noise, prediction.base_noise[0])
    np.testing.assert_allclose(MODEL.transition @ np.ones(6), prediction.mean[0])
    np.testing.assert_allclose(MODEL.transition @ MODEL.transition.T, prediction.propagated[0])


def test_one_person_alone_is_the_same_kalman_filter_for_sort_and_gnn(stone_soup):
    """Two implementations, one answer."""
    config = PeerConfig(confirm_hits=3, forget_steps=10)
    ours, _ = run_peer(Sort(MODEL, config, distance, 0.5), walk())
    theirs, step_s = run_peer(stone_soup(MODEL, config, joint=False), walk())
    assert [len(frame) for frame in ours] == [0, 0] + [1] * 58
    assert [len(frame) for frame in theirs] == [0, 0] + [1] * 58
    assert (step_s > 0).all()
    for (a, place_a), (b, place_b) in ((x[0], y[0]) for x, y in zip(ours[2:], theirs[2:])):
        assert a == b == 1
        np.testing.assert_allclose(place_a, place_b, atol=1e-9)


@pytest.mark.parametrize('joint', [False, True])
def test_stone_soup_keeps_two_people_apart(stone_soup, joint):
    frames = [
        (np.concatenate([a, b + [0, 2, 0]])[:: (-1) ** f], np.concatenate([noise, noise]))
        for f, ((a, noise), (b, _)) in enumerate(zip(walk(), walk(seed=1)))
    ]
    found, _ = run_peer(stone_soup(MODEL, PeerConfig(), joint), frames)
    first = {track_id for track_id, _ in found[5]}
    last = {track_id for track_id, _ in found[-1]}
    assert first == last and len(last) == 2


def test_sort_believes_after_hits_coasts_and_forgets():
    nothing = np.zeros((0, 3)), np.zeros((0, 3, 3))
    found, _ = run_peer(
        Sort(MODEL, PeerConfig(confirm_hits=3, forget_steps=4), distance, 0.5),
        walk(5) + [nothing] * 6 + walk(4),
    )
    assert [len(frame) for frame in found] == [0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1]
    assert found[4][0][0] == 1 and found[-1][0][0] == 2


def test_sort_assigns_within_the_gate_only():
    sort = Sort(MODEL, PeerConfig(confirm_hits=1), distance, 0.5)
    noise = 0.01 * np.eye(3)[None]
    assert [track_id for track_id, _ in sort.step(np.array([[2.0, 0, 0]]), noise)] == [1]
    assert [track_id for track_id, _ in sort.step(np.array([[2.0, 0.6, 0]]), noise)] == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize('build', [BoxSpace, PositionSpace])
@pytest.mark.parametrize('name', TRACKERS)
def test_everybody_finds_the_people_of_an_easy_scene(stone_soup, build, name):
    config = BoxSceneConfig(
        people=2, duration_s=3.0, reach=0.7, clutter=0.1, detection_probability=1.0
    )
    scene = box_scene(config, HEAD.camera, 5)
    space = build(config, HEAD)
    tracks, step_s = space.run(name, scene)
    scores = space.score(tracks, scene)
    assert scores.mota > 0.75 and scores.id_switches == 0
    assert len(step_s) == 75 and (step_s > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize('build', [BoxSpace, PositionSpace])
def test_this_tracker_is_ahead_of_gnn_and_sort_where_people_cross_and_return(stone_soup, build):
    """JPDA behaves as GNN here and takes longest; the benchmark has it too."""
    config = BoxSceneConfig(people=5, duration_s=15.0)
    scenes = [box_scene(config, HEAD.camera, seed) for seed in (100, 101)]
    space = build(config, HEAD)
    switches = dict.fromkeys((OURS, GNN, SORT), 0)
    ospa = dict.fromkeys((OURS, GNN, SORT), 0.0)
    for name in switches:
        for scene in scenes:
            scores = space.score(space.run(name, scene)[0], scene)
            switches[name] += scores.id_switches
            ospa[name] += scores.ospa
    assert switches[OURS] < 0.5 * min(switches[GNN], switches[SORT])
    assert ospa[OURS] < min(ospa[GNN], ospa[SORT])


@pytest.mark.slow
def test_command_writes_figures_pictures_and_scenes(stone_soup, tmp_path, capsys):
    files = {name: str(tmp_path / name) for name in ('a.json', 'a.png', 'b.png', 'scenes')}
    small = ['--seeds', '1', '--seconds', '1.5', '--json', files['a.json']]
    pictures = ['--plot', files['a.png'], '--picture', files['b.png']]
    arguments = [*small, *pictures, '--scenes', files['scenes']]
    assert main(['benchmark', 'tracking', *arguments]) == 0
    summary = json.loads((tmp_path / 'a.json').read_text())['summary']
    assert len(summary) == 16
    assert {row['tracker'] for row in summary} == {OURS, GNN, JPDA, SORT}
    assert OURS in capsys.readouterr().out
    assert all((tmp_path / name).stat().st_size > 10000 for name in ('a.png', 'b.png'))
    for kind in SCENES:
        scene = tmp_path / 'scenes' / f'{kind}_0'
        inputs = ['--detections', str(scene / 'det.txt'), '--truth', str(scene / 'gt.txt')]
        assert main(['evaluate', 'mot', *inputs]) == 0


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--seeds', '0'], 'at least 1'),
        (['--seconds', 'nan'], '--seconds'),
        (['--json', 'no/a.json'], 'cannot write'),
    ],
)
def test_errors_are_one_line(arguments, message, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(['benchmark', 'tracking', *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def test_without_stone_soup_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'av_perception.benchmarks.stone_soup', None)
    assert main(['benchmark', 'tracking', '--seeds', '1', '--seconds', '1']) == 2
    assert "pip install 'av_perception[comparison]'" in capsys.readouterr().err
