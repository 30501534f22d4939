# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Of two machines each runs its part: by launch file and by `up`, nothing twice, nothing left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from launch_standin import resolve, resolve_said

from av_perception.cli.main import build_parser, main
from av_perception.cli.up import _node_arguments, _ros_arguments
from av_perception.errors import UserError
from av_perception.robot_head import load_head
from av_perception.ros.bringup.graph import NODES, Selection, image_parameters, nodes_for

HEAD = Path(__file__).resolve().parents[2] / 'launch' / 'head.launch.py'
SELECTIONS = (
    Selection(),
    Selection(mode='minimal', events=True, view=True),
    Selection(microphones='naoqi', camera='others', voices=True, attention=True, truth=True),
)


@pytest.mark.parametrize('selection', SELECTIONS)
@pytest.mark.parametrize('head', ['simulated', 'respeaker', 'nao'])
def test_robot_and_computer_run_together_what_one_machine_does(head, selection):
    profile = load_head(head)
    alone, robot, computer = (
        {node.name for node in nodes_for(profile, replace(selection, where=where))}
        for where in ('all', 'robot', 'computer')
    )
    assert robot | computer == alone and not robot & computer
    assert robot == {node.name for node in NODES if node.sensor} & alone


@pytest.mark.parametrize(
    'where, compressed, expected',
    [
        ('all', 'auto', {}),
        ('robot', 'auto', {}),
        ('computer', 'auto', {'compressed': True}),
        ('computer', 'false', {'compressed': False}),
        ('all', 'true', {'compressed': True}),
    ],
)
def test_the_parameter_file_decides_unless_the_network_is_between(where, compressed, expected):
    assert image_parameters(where, compressed) == expected


def test_a_word_that_says_neither_is_refused():
    with pytest.raises(UserError, match='compressed must be one of auto, true, false'):
        image_parameters('all', 'maybe')
    with pytest.raises(UserError, match='where must be one of all, robot, computer'):
        Selection.from_words(where='moon')


def test_the_launch_file_of_the_computer_asks_for_compressed_images_and_opens_the_network():
    processes, said = resolve_said(HEAD, {'where': 'computer', 'use_composition': 'false'})
    started = {process.executable: process for process in processes}
    assert 'stereo_camera' not in started and 'microphone_array' not in started
    assert started['visual_features'].parameters['compressed'] is True
    assert 'open to the network' in said[0]


def test_the_launch_file_of_the_robot_starts_the_sensors_alone():
    processes, said = resolve_said(HEAD, {'where': 'robot', 'use_composition': 'false'})
    names = {process.executable for process in processes}
    assert names == {'stereo_camera', 'microphone_array', 'truth'}
    assert 'open to the network' in said[0]


def test_one_machine_leaves_images_to_the_parameter_file():
    """Regression: what a launch file always sets, nobody can choose in a parameter file."""
    (composed,) = resolve(HEAD, {})[0]
    assert 'compressed' not in composed.parameters


def options(*words):
    return build_parser('up').parse_args(['up', 'simulated', *words])


def test_topics_are_renamed_and_time_is_taken_from_the_clock():
    chosen = options('--remap', 'left/image_raw:=/cam', '--sim-time', '--start-time', '12.5')
    words = _ros_arguments(chosen)
    assert words == ['-p', 'use_sim_time:=true', '-r', 'left/image_raw:=/cam']
    assert _node_arguments(chosen, 'file')['start_time'] == 12.5
    assert 'start_time' not in _node_arguments(options('--sim-time'), 'file')
    assert _node_arguments(options(), 'file')['start_time'] > 1e9


@pytest.mark.parametrize('rule', ['left/image_raw', ':=/cam', 'left/image_raw:='])
def test_a_rule_that_renames_nothing_is_refused(rule):
    with pytest.raises(UserError, match='--remap needs FROM:=TO'):
        _ros_arguments(options('--remap', rule))


def test_a_machine_without_any_sensor_of_ours_says_so(capsys):
    words = ['--where', 'robot', '--microphones', 'others', '--camera', 'none']
    assert main(['up', 'respeaker', *words]) == 2
    assert 'no node is left to start' in capsys.readouterr().err
