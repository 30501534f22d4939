# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The policy of SROS2 allows what the running nodes use, and nothing else."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from fnmatch import fnmatch
from pathlib import Path

import pytest
import rclpy
from launch_standin import resolve
from rclpy.context import Context
from rclpy.parameter import Parameter
from ros_bench import Rig

from av_perception.cli.main import main
from av_perception.ros import qos
from av_perception.ros.bringup.access import (
    ACCESS,
    CLOCKS,
    COMMON_PUBLISHED,
    COMMON_SERVICES,
    COMMON_SUBSCRIBED,
    COMPOSED,
    TOOLS,
    enclave,
    enclave_words,
    policy,
)
from av_perception.ros.bringup.composed import node_class
from av_perception.ros.bringup.environment import prepare_environment, reach
from av_perception.ros.bringup.graph import NODES, split

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / 'config' / 'security' / 'policy.xml'
VERBS = ('publishes', 'subscribes', 'replies', 'requests')
# What a node has only where others are: a driver, people and their ids, packages of messages.
UNSEEN = {
    'publishes': {
        'voices': {'voices/person_*'},
        'ros4hri_bridge': {'/humans/*', 'detections', 'people'},
        'motion_forecast': {'motion_forecasts/*', 'skeleton_forecasts/*'},
        'audio_bridge': {'audio', '/tf_static'},
        'truth': {'truth'},
    },
    'subscribes': {
        'audio_bridge': {'driver_audio', 'driver_audio_info'},
        'voices': {'mouth_crops'},
        'ros4hri_bridge': {'voices/person_*', 'left/image_raw', 'left/image_raw/compressed'},
        'motion_forecast': {'skeletons/*'},
        'web_view': {'head_poses', 'attention', 'overlay/image_raw'},
        'av_events': {'points'},
    },
    'requests': {name: set(CLOCKS) for name in ACCESS if ACCESS[name].requests},
}
PARAMETERS = {
    'head': 'simulated_turning',
    'reference_frame': 'odom',
    'source': 'simulated',
    'scene': 'short',
    'lips': True,
    'calibration': 'topic',
    'port': 0,
    'microphones': 'naoqi',
}
MATCH_S = 30.0
HAS_COMPRESSED = ('visual_features', 'visualizer', 'head_pose')


def resolved(name: str, node: str) -> str:
    if name.startswith('/'):
        return name
    return f'/{node}{name[1:]}' if name.startswith('~') else f'/{name}'


def allowed(node: str) -> dict[str, set[str]]:
    """Full names, or patterns of them, that the policy has for a node."""
    access = ACCESS[node]
    found = {
        'publishes': (*COMMON_PUBLISHED, *access.publishes),
        'subscribes': (*COMMON_SUBSCRIBED, *access.subscribes),
        'replies': (*COMMON_SERVICES, *access.replies),
        'requests': access.requests,
    }
    return {verb: {resolved(name, node) for name in names} for verb, names in found.items()}


def looked(observer, node: str) -> dict[str, set[str]]:
    asked = (
        observer.get_publisher_names_and_types_by_node,
        observer.get_subscriber_names_and_types_by_node,
        observer.get_service_names_and_types_by_node,
        observer.get_client_names_and_types_by_node,
    )
    return {verb: {name for name, _ in ask(node, '/')} for verb, ask in zip(VERBS, asked)}


def used(context, kind, **more) -> dict[str, set[str]]:
    """What a node uses while somebody listens to all that it publishes."""
    known = {parameter.name for parameter in kind.PARAMETERS}
    values = {k: v for k, v in {**PARAMETERS, **more}.items() if k in known}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    rig = Rig(kind(context=context, parameter_overrides=overrides))
    listener = rig.add(rclpy.create_node('listener', context=context))
    is_active = rig.node.start()
    rig.until(lambda: looked(listener, kind.NAME)['publishes'])
    for name, types in listener.get_publisher_names_and_types_by_node(kind.NAME, '/'):
        package, _, message = types[0].split('/')
        message_type = getattr(importlib.import_module(f'{package}.msg'), message)
        listener.create_subscription(message_type, name, lambda _: None, qos.MOTION)
    # A busy machine takes long to find listeners; for them nodes listen to more, a second later.
    rig.until(lambda: all(p.get_subscription_count() for p in rig.node.publishers), MATCH_S)
    rig.spin(1.2 if is_active else 0.1)
    found = looked(listener, kind.NAME)
    if is_active:
        rig.close()
    return found


@pytest.fixture()
def context():
    context = Context()
    rclpy.init(context=context)
    yield context
    rclpy.try_shutdown(context=context)


@pytest.mark.slow
@pytest.mark.parametrize('node', [node.name for node in NODES])
def test_the_policy_is_what_the_node_uses_in_the_graph(node, context):
    description = next(d for d in NODES if d.name == node)
    found = used(context, node_class(description))
    if node in HAS_COMPRESSED:
        more = used(context, node_class(description), compressed=True)
        found = {verb: found[verb] | more[verb] for verb in VERBS}
    for verb, names in allowed(node).items():
        surplus = {n for n in found[verb] if not any(fnmatch(n, pattern) for pattern in names)}
        assert not surplus, f'{node} {verb} {surplus}, which its policy does not allow'
        unseen = {resolved(name, node) for name in UNSEEN.get(verb, {}).get(node, ())}
        if verb == 'subscribes':
            unseen |= set(COMMON_SUBSCRIBED)
        idle = {p for p in names - unseen if not any(fnmatch(n, p) for n in found[verb])}
        assert not idle, f'the policy allows {node} {idle}, which it has no use for'


def test_the_policy_that_ships_is_the_one_that_is_written(tmp_path, capsys):
    path = tmp_path / 'policy.xml'
    assert main(['security', '-o', str(path)]) == 0
    assert path.read_text() == SHIPPED.read_text(), 'av-perception security -o ' + str(SHIPPED)
    assert main(['security']) == 0
    assert capsys.readouterr().out == path.read_text()


def test_every_process_has_an_enclave_of_its_own():
    tree = ElementTree.fromstring(policy())
    paths = [element.get('path') for element in tree.iter('enclave')]
    wanted = {enclave(name) for name in (*(n.name for n in NODES), COMPOSED, TOOLS)}
    assert set(paths) == wanted and len(paths) == len(wanted)
    composed = next(e for e in tree.iter('enclave') if e.get('path') == enclave(COMPOSED))
    shared, _ = split(NODES)
    assert {p.get('node') for p in composed.iter('profile')} == {n.name for n in shared}


def test_a_node_may_not_publish_what_is_anothers():
    profiles = {p.get('node'): p for p in ElementTree.fromstring(policy()).iter('profile')}
    microphones = {t.text for t in profiles['microphone_array'].iter('topic')}
    assert 'audio' in microphones and not microphones & {'tracks', 'left/image_raw'}
    hearing = profiles['audio_features'].findall("topics[@publish='ALLOW']/topic")
    assert {t.text for t in hearing} == {'audio_features', *COMMON_PUBLISHED}


def test_the_namespace_is_that_of_the_nodes():
    spaces = {p.get('ns') for p in ElementTree.fromstring(policy('av/')).iter('profile')}
    assert spaces == {'/av'}


def test_processes_are_told_their_enclave_only_where_security_is_asked_for(monkeypatch):
    monkeypatch.delenv('ROS_SECURITY_ENABLE', raising=False)
    assert enclave_words('tracker') == []
    path = ROOT / 'launch' / 'head.launch.py'
    assert not any('--enclave' in p.arguments for p in resolve(path, {})[0])
    monkeypatch.setenv('ROS_SECURITY_ENABLE', 'true')
    assert enclave_words('tracker') == ['--enclave', '/av_perception/tracker']
    (composed,) = resolve(path, {})[0]
    place = composed.arguments.index('--enclave')
    assert composed.arguments[place + 1] == '/av_perception/composed'
    assert place > composed.arguments.index('--ros-args')


@pytest.mark.parametrize(
    'variables, words',
    [
        ({}, 'UNPROTECTED'),
        ({'ROS_SECURITY_STRATEGY': 'Permissive'}, 'UNPROTECTED'),
        ({'ROS_SECURITY_STRATEGY': 'Enforce'}, 'which is not set'),
        ({'ROS_SECURITY_STRATEGY': 'Enforce', 'ROS_SECURITY_KEYSTORE': '/k'}, 'with keys of /k'),
    ],
)
def test_the_first_line_says_whether_strangers_are_kept_out(variables, words):
    environment = prepare_environment({'ROS_SECURITY_ENABLE': 'true', **variables})
    assert words in reach(environment)


@pytest.mark.slow
def test_without_security_in_dds_nothing_starts_unprotected(tmp_path):
    """The Python wheels' Fast DDS has none: the node must end and say so, not go on openly."""
    keys = tmp_path / 'enclaves' / 'av_perception' / 'tracker'
    keys.mkdir(parents=True)
    environment = {
        **os.environ,
        'ROS_SECURITY_ENABLE': 'true',
        'ROS_SECURITY_STRATEGY': 'Enforce',
        'ROS_SECURITY_KEYSTORE': str(tmp_path),
    }
    words = ['--ros-args', *enclave_words('tracker', environment), '-p', 'head:=respeaker']
    command = [sys.executable, '-m', 'av_perception.nodes.tracker', *words]
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 2
    if 'built without security' not in ended.stderr:  # a ROS distribution's: there are no keys
        pytest.skip('this Fast DDS has security; the empty enclave was refused')
    assert 'nothing was started' in ended.stderr and 'Traceback' not in ended.stderr
