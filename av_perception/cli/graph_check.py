# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The part of `doctor` that looks at a running graph: nodes, what is missing, wrong clocks."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from av_perception.cli.finding import Finding
from av_perception.ros.bringup.environment import RANGE_VARIABLE, is_closed, prepare_environment
from av_perception.ros.bringup.graph import NODES

if TYPE_CHECKING:
    from av_perception.ros.observer import GraphObserver

LISTEN_S = 3.0  # diagnostics come once a second
AHEAD_MS = -50.0  # latencies below: the stamps lie in the future
BEHIND_MS = 2000.0  # latencies above: the stamps are old
_LATENCY = 'latency of '
RESULTS = ('tracks', 'speaking_status')
PRODUCERS = {  # by the last part of the topic's name
    'audio': 'microphone_array, audio_bridge or your driver',
    'audio_features': 'audio_features',
    'visual_features': 'visual_features',
    'tracks': 'tracker or face_itd_fusion',
    'speaking_status': 'speaking_status or face_itd_fusion',
    'head_poses': 'head_pose',
}
SUITE = {node.name for node in NODES}
SENSORS = {node.name for node in NODES if node.sensor} - {'truth'}  # who stamp by a clock


def check_graph(
    namespace: str = '', listen_s: float = LISTEN_S, network: bool = False
) -> list[Finding]:
    """Look at the suite's nodes in a namespace.

    Parameters
    ----------
    namespace
        Of the nodes.
    listen_s
        How long to wait for diagnostics [s].
    network
        Look at a graph that is open to the network.

    Returns
    -------
    list of Finding
        Of nodes, inputs, rates and clocks.
    """
    prepare_environment(network=network)
    from av_perception.ros.observer import GraphObserver

    with GraphObserver(namespace=namespace) as observer:
        time.sleep(listen_s)
        here = '/' + namespace.strip('/')
        names = Counter(
            name
            for name, space in observer.node.get_node_names_and_namespaces()
            if space == here and name in SUITE
        )
        if not names:
            return [_nobody(observer, here)]
        findings = [_node(observer, name, names[name]) for name in sorted(names)]
        for name in sorted(names):
            findings += _clocks(observer.diagnostics.get(name, {}), name)
        findings += _inputs(observer)
        findings += _machines(observer, names)
        return [*findings, *_results(observer), *_simulated_time(observer, names)]


def _nobody(observer: GraphObserver, here: str) -> Finding:
    """Say why nothing is found, as far as one can guess."""
    others = sorted(
        {space for name, space in observer.node.get_node_names_and_namespaces() if name in SUITE}
    )
    if others:
        text = (
            f'no node of the suite in the namespace {here}, but in {", ".join(others)}: '
            f'add --namespace {others[0].strip("/")}'
        )
        return Finding('graph', False, text)
    domain = os.environ.get('ROS_DOMAIN_ID', '0')
    if is_closed():
        sought = (
            'on this machine, by this user, in shared memory; for a graph that is open to '
            'the network add --network; if the addresses of this machine have changed since '
            'it was started (Wi-Fi, VPN), start it again'
        )
    else:
        sought = (
            f'with {RANGE_VARIABLE} {os.environ.get(RANGE_VARIABLE, "SUBNET")}; a graph closed to '
            'the network is not found so'
        )
    return Finding(
        'graph',
        False,
        f'no node of the suite answers in ROS_DOMAIN_ID {domain}: '
        f'is it running? Looked for it {sought}',
    )


def _node(observer: GraphObserver, name: str, count: int) -> Finding:
    """Check that one node is there once, active, and content."""
    from diagnostic_msgs.msg import DiagnosticStatus
    from lifecycle_msgs.msg import State

    if count > 1:
        return Finding(
            name, False, f'{count} nodes have this name: stop one of them, or give them namespaces'
        )
    state = observer.state(name)
    if state is None:
        return Finding(
            name, False, 'does not answer: it hangs or is just starting; look at its log'
        )
    if state != State.PRIMARY_STATE_ACTIVE:
        text = (
            f'is not active: ros2 lifecycle set {name} activate (after configure), '
            'or start it with autostart:=true'
        )
        return Finding(name, None, text)
    said = observer.diagnostics.get(name)
    if said is None:
        return Finding(name, False, 'says nothing on /diagnostics: is that topic remapped?')
    figures = '; '.join(f'{key}: {value}' for key, value in said.items() if key != 'message')
    levels = {DiagnosticStatus.OK: True, DiagnosticStatus.WARN: None}
    well = levels.get(observer.levels[name], False)
    return Finding(name, well, said['message'] + (f' ({figures})' if figures else ''))


def _machines(observer: GraphObserver, names: Iterable[str]) -> list[Finding]:
    """Compare the clocks of the sensors' machines with this one's."""
    findings = []
    for name in sorted(SENSORS & set(names)):
        offset = observer.clock_offset(name)
        if offset.is_known:
            sentence = offset.sentence(name)
            error_ms = 1e3 * offset.error_s
            text = f'{1e3 * offset.ahead_s:.1f} ms ahead of this one, to {error_ms:.1f} ms'
            findings.append(Finding(f'clock of {name}', not sentence, sentence or text))
    return findings


def _clocks(said: dict[str, str], name: str) -> list[Finding]:
    """Find inputs whose stamps lie in the future or far back."""
    findings = []
    for key, value in said.items():
        if not key.startswith(_LATENCY):
            continue
        topic = key.removeprefix(_LATENCY).removesuffix(' [ms]')
        latency_s = 1e-3 * float(value)
        if latency_s < 1e-3 * AHEAD_MS:
            text = (
                f'its stamps lie {-latency_s:.1f} s in the future: '
                "set the clocks of both machines by chrony, or correct the driver's stamps"
            )
        elif latency_s > 1e-3 * BEHIND_MS:
            text = (
                f'its stamps are {latency_s:.1f} s old on arrival: '
                'set the clocks of both machines by chrony, or look for what delays it'
            )
        else:
            continue
        findings.append(Finding(f'{topic} at {name}', False, text))
    return findings


def _inputs(observer: GraphObserver) -> list[Finding]:
    """Find inputs that nobody publishes, with the node that should, and those of several."""
    from av_perception.ros.input_monitor import mixed_sentence

    findings = []
    listeners = _listeners(observer.diagnostics)
    for topic in sorted(listeners):
        publishers = observer.node.get_publishers_info_by_topic(topic)
        who = PRODUCERS.get(topic.rsplit('/', 1)[-1])
        if who and not publishers:
            text = f'is not running, and {", ".join(sorted(listeners[topic]))} wait for {topic}'
            findings.append(Finding(who, False, text))
        if len(publishers) > 1:
            text = mixed_sentence(topic, [p.node_name for p in publishers])
            findings.append(Finding(topic, False, text))
    return findings


def _listeners(diagnostics: dict[str, dict[str, str]]) -> dict[str, set[str]]:
    """Tell by topic which nodes cannot do without it."""
    listeners = defaultdict(set)
    for name, said in diagnostics.items():
        for key in said:
            if key.startswith(_LATENCY):
                listeners[key.removeprefix(_LATENCY).removesuffix(' [ms]')].add(name)
    return listeners


def _results(observer: GraphObserver) -> list[Finding]:
    """Find topics of results that nobody publishes."""
    findings = []
    for topic in RESULTS:
        if not observer.node.count_publishers(topic):
            full_name = observer.node.resolve_topic_name(topic)
            text = f'nobody publishes {full_name}: start {PRODUCERS[topic]}'
            findings.append(Finding(topic, False, text))
    return findings


def _simulated_time(observer: GraphObserver, names: Iterable[str]) -> list[Finding]:
    """Check that /clock and use_sim_time go together."""
    uses = {name: observer.uses_sim_time(name) for name in sorted(names)}
    if observer.node.count_publishers('/clock') > 0:
        real = [name for name, used in uses.items() if used is False]
        text = (
            f'is published, but {", ".join(real)} take the time of this machine: '
            'start them with use_sim_time:=true'
        )
        return [Finding('/clock', False, text)] if real else []
    waiting = [name for name, used in uses.items() if used]
    text = (
        f'nobody publishes it, and {", ".join(waiting)} wait for it: '
        'play a bag with --clock, or use_sim_time:=false'
    )
    return [Finding('/clock', False, text)] if waiting else []
