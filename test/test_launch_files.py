"""Every launch file resolves to real nodes with parameters those nodes declare."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import yaml
from launch_standin import resolve

from av_perception.ros.graph import ARGUMENTS, EVENTS, NODES
from av_perception.ros.node import AUTOSTART, PerceptionNode

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
FULL = {n.name for n in NODES if n.mode in ('', 'full')}


def declared_parameters(executable: str) -> dict:
    """Name -> Parameter of a node's class."""
    module = import_module(f'av_perception.nodes.{executable}')
    node = next(v for v in vars(module).values() if isinstance(v, type) and issubclass(v, PerceptionNode) and v.NAME)
    return {p.name: p for p in (*node.PARAMETERS, AUTOSTART)}


@pytest.mark.parametrize('path', FILES, ids=lambda p: p.name)
def test_a_launch_file_names_real_nodes_and_parameters(path):
    processes, arguments = resolve(path)
    assert FULL <= {p.executable for p in processes}
    assert all(len(a.description) > 10 for a in arguments.values()), 'every argument is described'
    for process in processes:
        known = declared_parameters(process.executable)
        for name, value in process.parameters.items():
            if name != 'use_sim_time':
                assert type(value) is type(known[name].default), f'{process.name}.{name}'
        assert all(Path(f).is_file() for f in (*process.params_files, *(v for k, v in process.environment.items() if k.endswith('FILE'))))


def test_arguments_reach_the_nodes():
    processes, _ = resolve(ROOT / 'launch' / 'head.launch.py', {'head': 'respeaker_usb4', 'namespace': 'robot', 'use_sim_time': 'true', 'source': 'file'})
    by_name = {p.name: p for p in processes}
    assert by_name['tracker'].parameters['head'] == 'respeaker_usb4'
    assert by_name['microphone_array'].parameters['source'] == 'file'
    assert all(p.namespace == 'robot' and p.parameters['use_sim_time'] is True for p in processes)


@pytest.mark.parametrize('arguments, absent', [
    ({'camera': 'none'}, {'stereo_camera', 'visual_features'}), ({'camera': 'others'}, {'stereo_camera'}),
    ({'microphones': 'none'}, {'microphone_array', 'audio_features'}), ({'microphones': 'others'}, {'microphone_array'})])
def test_sensors_that_the_head_lacks_or_others_drive_are_left_out(arguments, absent):
    processes, _ = resolve(ROOT / 'launch' / 'head.launch.py', arguments)
    assert FULL - {p.executable for p in processes} == absent


@pytest.mark.parametrize('name', ['head', 'simulated'])
def test_the_minimal_mode_replaces_the_tracker(name):
    full, _ = resolve(ROOT / 'launch' / f'{name}.launch.py')
    minimal, _ = resolve(ROOT / 'launch' / f'{name}.launch.py', {'mode': 'minimal'})
    assert {p.executable for p in full} - {p.executable for p in minimal} == {'audio_features', 'tracker', 'speaking_status'}
    assert {p.executable for p in minimal} - {p.executable for p in full} == {'face_itd_fusion'}


def test_events_start_when_asked_for():
    processes, _ = resolve(ROOT / 'launch' / 'head.launch.py', {'events': 'true'})
    assert {p.executable for p in processes} == FULL | {EVENTS.name}


def test_the_seed_reaches_the_truth_too():
    processes, _ = resolve(ROOT / 'launch' / 'simulated.launch.py', {'seed': '7'})
    assert {p.parameters['seed'] for p in processes if 'seed' in p.parameters} == {7}


def test_the_simulated_room_starts_all_its_players_together():
    processes, _ = resolve(ROOT / 'launch' / 'simulated.launch.py')
    starts = {p.parameters['start_time'] for p in processes if 'start_time' in p.parameters}
    assert len(starts) == 1 and starts.pop() > 1e9


def test_the_parameter_file_holds_declared_parameters_only():
    content = yaml.safe_load((ROOT / 'config' / 'params.yaml').read_text())
    assert {key.rsplit('/', 1)[-1] for key in content} <= {n.name for n in (*NODES, EVENTS)}
    for key, section in content.items():
        known = declared_parameters(key.rsplit('/', 1)[-1])
        for name, value in section['ros__parameters'].items():
            assert type(value) is type(known[name].default), f'{key}: {name}'


def test_the_graph_knows_its_arguments():
    assert all(set(n.arguments) <= set(ARGUMENTS) for n in (*NODES, EVENTS))
