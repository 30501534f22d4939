# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""`doctor --graph` against real nodes: a healthy graph, and each way in which one is not."""

from __future__ import annotations

import re
import threading
import time

import pytest
import rclpy
from av_perception_msgs.msg import TrackArray
from dds_domains import free_domain
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from av_perception.cli.graph_check import _clocks, check_graph
from av_perception.cli.main import main
from av_perception.nodes.speaking_status import SpeakingStatusNode
from av_perception.nodes.tracker import TrackerNode
from av_perception.ros import qos
from av_perception.ros.conversions import header
from av_perception.ros.node import PerceptionNode

PATIENCE_S = 300.0
pytestmark = pytest.mark.slow


@pytest.fixture()
def graph(monkeypatch):
    """A graph in a domain of its own, spun in the background.

    Returns `start(node class, **parameters)`.
    """
    domain = free_domain()  # discovery remembers the nodes of the test before for a while
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    context = rclpy.context.Context()
    rclpy.init(context=context, domain_id=domain)
    executor, nodes = SingleThreadedExecutor(context=context), []
    threading.Thread(target=executor.spin, daemon=True).start()

    def start(kind, activate=True, namespace='', **parameters):
        node = kind(
            context=context,
            namespace=namespace,
            parameter_overrides=[Parameter(n, value=v) for n, v in parameters.items()],
        )
        assert not activate or node.start()
        nodes.append(node)
        executor.add_node(node)
        return node

    def publish(kind, topic, make, period_s=0.05):
        node = rclpy.create_node('driver', context=context)
        publisher = node.create_publisher(kind, topic, qos.FEATURES)
        node.create_timer(
            period_s, lambda: publisher.publish(make(node.get_clock().now().nanoseconds))
        )
        executor.add_node(node)

    start.publish = publish
    yield start
    executor.shutdown()
    rclpy.try_shutdown(context=context)


def looked(*searched: tuple[str, bool | None, str], absent: str = '\0', **options) -> dict:
    """What the check says of each thing, once it says all that is searched for.

    searched: (of what, whether it is well, a regular expression that its text has); absent: one
    that no text has. A busy machine needs several looks until the nodes have found each other.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        findings = check_graph(**options)
        said = {finding.what: finding for finding in findings}
        missing = [
            wanted
            for wanted in searched
            if wanted[0] not in said
            or said[wanted[0]].well is not wanted[1]
            or not re.search(wanted[2], said[wanted[0]].text)
        ]
        surplus = [finding for finding in findings if re.search(absent, finding.text)]
        if not missing and not surplus:
            return said
        assert time.monotonic() < deadline, (missing, surplus, findings)


def tracks(shift_s=0.0):
    return lambda now: TrackArray(header=header(now + round(1e9 * shift_s), 'base_link'))


def test_a_node_that_hears_is_well_and_one_that_misses_its_input_is_named(graph):
    graph(SpeakingStatusNode, method='vavit')  # joint would miss the sound
    graph(TrackerNode, head='respeaker', namespace='elsewhere')
    graph.publish(TrackArray, 'tracks', tracks())
    looked(
        ('speaking_status', True, r'rate of /tracks \[Hz\]: (?!0\.0)\d'),
        absent='nobody publishes /(tracks|speaking_status)',
    )
    looked(('tracker', False, 'no message on /elsewhere/audio_features'), namespace='elsewhere')


def test_a_node_that_is_missing_and_a_topic_of_two_nodes_are_named(graph):
    """Regression: only the nodes that were there were spoken of."""
    graph(SpeakingStatusNode, method='vavit')
    graph(TrackerNode, head='respeaker')
    graph.publish(TrackArray, 'tracks', tracks())
    looked(
        ('audio_features', False, 'is not running, and tracker wait for /audio_features'),
        ('/tracks', False, r'2 nodes publish /tracks \(driver, tracker\)'),
        ('speaking_status', False, 'and their messages mix'),
    )


class AheadMicrophones(PerceptionNode):
    """A sensor on a machine whose clock is 0.42 s ahead."""

    NAME = 'microphone_array'
    TELLS_TIME = True

    def now_ns(self):
        return super().now_ns() + 420_000_000


def test_a_robot_whose_clock_is_ahead_is_named_by_how_much(graph):
    """It is asked for its time, so it is known to milliseconds, whatever the network's delay."""
    graph(AheadMicrophones)
    what = 'clock of microphone_array'
    text = looked((what, False, r'is (\S+) s ahead of this one'))[what].text
    assert float(re.search(r'is (\S+) s ahead', text).group(1)) == pytest.approx(0.42, abs=0.05)
    assert 'chrony' in text


@pytest.mark.parametrize(
    'shift_s, words', [(1000.0, r'(\S+) s in the future'), (-1000.0, r'(\S+) s old')]
)
def test_a_clock_that_is_wrong_is_named(graph, shift_s, words):
    graph(SpeakingStatusNode)
    graph.publish(TrackArray, 'tracks', tracks(shift_s))
    what = '/tracks at speaking_status'
    text = looked((what, False, words))[what].text
    said_s = float(re.search(words, text).group(1))
    assert abs(said_s - 1000.0) < 60.0, 'and how long a busy machine keeps a message'
    assert 'chrony' in text


@pytest.mark.parametrize(
    'latency_ms, words',
    [('-12300.0', '12.3 s in the future'), ('30000.0', '30.0 s old'), ('-49.0', None)],
)
def test_how_wrong_a_clock_is_is_said_in_seconds(latency_ms, words):
    findings = _clocks({'latency of /tracks [ms]': latency_ms}, 'speaking_status')
    assert bool(findings) == (words is not None)
    for finding in findings:
        assert words in finding.text and finding.what == '/tracks at speaking_status'


def test_two_nodes_of_one_name_and_one_that_is_not_active(graph):
    graph(SpeakingStatusNode)
    graph(SpeakingStatusNode)
    graph(TrackerNode, activate=False, head='respeaker')
    looked(
        ('speaking_status', False, '2 nodes have this name'),
        ('tracker', None, 'lifecycle'),
        ('tracks', False, 'nobody publishes /tracks: start tracker'),
    )


def test_simulated_time_and_clock_must_go_together(graph):
    graph(SpeakingStatusNode, use_sim_time=True)
    looked(('/clock', False, 'wait for it: play a bag with --clock'))
    graph(TrackerNode, head='respeaker')
    graph.publish(Clock, '/clock', lambda now: Clock())
    said = looked(('/clock', False, 'tracker take the time of this machine'))
    assert 'speaking_status' not in said['/clock'].text


def test_nothing_is_found_with_the_reason(graph, capsys):
    looked(('graph', False, 'ROS_DOMAIN_ID'), listen_s=0.5)
    graph(SpeakingStatusNode, namespace='nao')
    looked(('graph', False, 'add --namespace nao'))
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert main(['doctor', '--graph', '--namespace', 'nao']) == 1
        if 'speaking_status' in capsys.readouterr().out:
            break
        assert time.monotonic() < deadline
