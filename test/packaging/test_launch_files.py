# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Every launch file resolves to real nodes with parameters those nodes declare."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from launch_standin import resolve

from av_perception.errors import UserError
from av_perception.robot_head import load_head
from av_perception.ros.bringup.composed import node_class
from av_perception.ros.bringup.graph import ARGUMENTS, NODES, SELECTION, Selection, nodes_for
from av_perception.ros.node import AUTOSTART

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
HEAD = ROOT / 'launch' / 'head.launch.py'
DESCRIPTIONS = {node.name: node for node in NODES}
NAV2 = {
    'namespace',
    'use_sim_time',
    'params_file',
    'autostart',
    'use_respawn',
    'log_level',
    'use_rviz',
    'rviz_config_file',
    'use_composition',
}
SEPARATE = {'use_composition': 'false'}
FULL = {
    'microphone_array',
    'stereo_camera',
    'audio_features',
    'visual_features',
    'tracker',
    'speaking_status',
    'visualizer',
}


def declared_parameters(executable: str) -> dict:
    """Name -> Parameter of a node's class."""
    return {p.name: p for p in (*node_class(DESCRIPTIONS[executable]).PARAMETERS, AUTOSTART)}


def started(arguments: dict | None = None, path: Path = HEAD) -> dict:
    """Processes by executable, one for each node if nothing else is asked for."""
    return {p.executable: p for p in resolve(path, {**SEPARATE, **(arguments or {})})[0]}


@pytest.mark.parametrize(
    'path', [p for p in FILES if p.name != 'replay.launch.py'], ids=lambda p: p.name
)
def test_a_launch_file_names_real_nodes_and_parameters(path):
    processes, arguments = resolve(path, SEPARATE)
    assert {'tracker', 'speaking_status', 'audio_features', 'visual_features'} <= {
        p.executable for p in processes
    }
    assert NAV2 <= set(arguments) and all(len(a.description) > 10 for a in arguments.values()), (
        'every argument is described'
    )
    for process in processes:
        known = declared_parameters(process.executable)
        for name, value in process.parameters.items():
            if name != 'use_sim_time':
                assert type(value) is type(known[name].default), f'{process.name}.{name}'
        assert all(
            Path(f).is_file()
            for f in (
                *process.params_files,
                *(v for k, v in process.environment.items() if k.endswith('FILE')),
            )
        )


def test_arguments_reach_the_nodes():
    nodes = started(
        {
            'head': 'respeaker',
            'namespace': 'robot',
            'use_sim_time': 'true',
            'source': 'file',
            'autostart': 'false',
        }
    )
    assert nodes['tracker'].parameters['head'] == 'respeaker'
    assert nodes['microphone_array'].parameters['source'] == 'file'
    assert all(
        p.namespace == 'robot'
        and p.parameters['use_sim_time'] is True
        and p.parameters['autostart'] is False
        for p in nodes.values()
    )


def test_topics_are_renamed_images_also_where_they_are_compressed():
    names = started({'left_image_topic': '/camera/front/image_raw'})['visual_features'].remappings
    assert names['left/image_raw'] == '/camera/front/image_raw'
    assert names['left/image_raw/compressed'] == '/camera/front/image_raw/compressed'
    assert names['right/image_raw'] == 'right/image_raw'


@pytest.mark.parametrize(
    'arguments, absent',
    [
        ({}, set()),
        ({'camera': 'none'}, {'stereo_camera', 'visual_features'}),
        ({'camera': 'others'}, {'stereo_camera'}),
        ({'microphones': 'none'}, {'microphone_array', 'audio_features'}),
        ({'microphones': 'others'}, {'microphone_array'}),
        ({'head': 'respeaker'}, {'stereo_camera', 'visual_features'}),
        ({'visualizer': 'false'}, {'visualizer'}),
        (
            {'given': 'audio,visual_features', 'microphones': 'others', 'camera': 'others'},
            {'microphone_array', 'stereo_camera', 'visual_features'},
        ),
    ],
)
def test_what_the_head_lacks_or_others_do_is_left_out(arguments, absent):
    assert set(started({'source': 'device', **arguments})) == FULL - absent


@pytest.mark.parametrize('name', ['head', 'simulated', 'nao', 'popeye'])
def test_the_minimal_mode_replaces_the_tracker(name):
    path = ROOT / 'launch' / f'{name}.launch.py'
    full, minimal = set(started({}, path)), set(started({'mode': 'minimal'}, path))
    assert full - minimal == {
        'audio_features',
        'tracker',
        'speaking_status',
    } and minimal - full == {'face_itd_fusion'}


def test_events_start_when_asked_for():
    assert set(started({'source': 'device', 'events': 'true'})) == FULL | {'av_events'}


def test_attention_starts_when_asked_for_and_looks_in_the_reference_frame():
    nodes = started({'source': 'device', 'attention': 'true', 'reference_frame': 'odom'})
    assert set(nodes) == FULL | {'attention'}
    assert nodes['attention'].parameters['reference_frame'] == 'odom'
    assert 'motion_forecast' in started({'source': 'device', 'forecast': 'true'})


def test_the_simulated_room_starts_all_its_players_together():
    nodes = started({'seed': '7'}, ROOT / 'launch' / 'simulated.launch.py')
    assert set(nodes) == FULL | {'truth'}
    starts = {p.parameters['start_time'] for p in nodes.values() if 'start_time' in p.parameters}
    assert len(starts) == 1 and starts.pop() > 1e9
    assert {p.parameters['seed'] for p in nodes.values() if 'seed' in p.parameters} == {7}


def test_the_simulated_head_needs_no_more_words_and_real_ones_start_at_once():
    assert started()['microphone_array'].parameters['source'] == 'simulated'
    real = started({'head': 'popeye'})['microphone_array'].parameters
    assert real['source'] == 'device' and real['start_time'] == 0.0


def test_respawn_is_off_unless_asked_for():
    assert not any(p.respawn for p in started().values())
    assert all(p.respawn for p in started({'use_respawn': 'true'}).values())


def test_one_process_hosts_the_same_nodes():
    choices = {'mode': 'minimal', 'camera': 'others', 'events': 'true', 'head': 'popeye'}
    separate, composed = started(choices), started({**choices, 'use_composition': 'true'})
    assert set(composed) == {'composed'}
    words = list(composed['composed'].arguments)
    words = dict(zip(words[: words.index('--ros-args') : 2], words[1::2]))
    selection = Selection.from_words(
        **{
            name.strip('-'): word
            for name, word in words.items()
            if name not in ('--head', '--respawn')
        }
    )
    assert {n.name for n in nodes_for(load_head(words['--head']), selection)} == set(separate)
    wanted = {name: value for p in separate.values() for name, value in p.parameters.items()}
    assert wanted.items() <= composed['composed'].parameters.items()


def test_nodes_that_compute_much_have_processes_beside_the_shared_one():
    """Regression: in the process of all others images were lost to them on two cores."""
    wanted = {'voices': 'true', 'head_pose': 'true', 'seed': '7'}
    apart = started({**wanted, 'use_composition': 'true'})
    assert set(apart) == {'composed', 'voices', 'head_pose'}
    separate = started(wanted)
    for name in ('voices', 'head_pose'):
        assert apart[name].parameters == separate[name].parameters


def test_one_process_is_the_default():
    assert [p.executable for p in resolve(HEAD, {})[0]] == ['composed']


def test_rviz_looks_from_the_frame_of_the_head():
    processes, _ = resolve(HEAD, {'use_rviz': 'true', 'head': 'nao'})
    rviz = next(p for p in processes if p.package == 'rviz2')
    assert rviz.arguments[-2:] == ('-f', 'Head')


def test_the_parameter_file_holds_declared_parameters_only():
    content = yaml.safe_load((ROOT / 'config' / 'params.yaml').read_text())
    for key, section in content.items():
        known = declared_parameters(key.rsplit('/', 1)[-1])
        for name, value in section['ros__parameters'].items():
            assert type(value) is type(known[name].default), f'{key}: {name}'


def test_the_graph_knows_its_arguments():
    assert all(set(n.arguments) <= {*ARGUMENTS, *SELECTION} for n in NODES)


@pytest.mark.parametrize(
    'words', [{'mode': 'maximal'}, {'microphones': 'naoki'}, {'events': 'perhaps'}]
)
def test_a_wrong_word_is_named_with_the_choices(words):
    with pytest.raises(UserError, match='must be one of'):
        started(words)


def test_a_selection_survives_its_words():
    selection = Selection(
        mode='minimal',
        microphones='others',
        camera='none',
        events=True,
        visualizer=False,
        voices=True,
        given=frozenset({'audio', 'visual_features'}),
    )
    assert Selection.from_words(**selection.words()) == selection
