# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""`doctor --graph` against real nodes: a healthy graph, and each way in which one is not."""

from __future__ import annotations

import itertools
import os
import threading
import time

import pytest
import rclpy
from av_perception_msgs.msg import TrackArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from av_perception.cli.graph_check import check_graph
from av_perception.cli.main import main
from av_perception.nodes.speaking_status import SpeakingStatusNode
from av_perception.nodes.tracker import TrackerNode
from av_perception.ros import qos
from av_perception.ros.conversions import header

COUNT = itertools.count()


@pytest.fixture()
def graph(monkeypatch):
    """A graph in a domain of its own, spun in the background: `start(class, **parameters)`."""
    # Discovery remembers the nodes of the test before for a while.
    domain = 1 + (os.getpid() + 61 + 11 * next(COUNT)) % 99
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    context = rclpy.context.Context()
    rclpy.init(context=context, domain_id=domain)
    executor = SingleThreadedExecutor(context=context)
    threading.Thread(target=executor.spin, daemon=True).start()

    def start(kind, activate=True, namespace='', **parameters):
        node = kind(
            context=context,
            namespace=namespace,
            parameter_overrides=[Parameter(n, value=v) for n, v in parameters.items()],
        )
        assert not activate or node.start()
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


def found(findings, what):
    return next(f for f in findings if f.what == what)


def tracks(shift_s=0.0):
    return lambda now: TrackArray(header=header(now + round(1e9 * shift_s), 'base_link'))


def test_a_node_that_hears_is_well_and_one_that_misses_its_input_is_named(graph):
    graph(SpeakingStatusNode)
    graph(TrackerNode, head='respeaker')
    graph.publish(TrackArray, 'tracks', tracks())
    time.sleep(2.5)
    findings = check_graph()
    speaking = found(findings, 'speaking_status')
    assert speaking.well is True and 'rate of /tracks [Hz]: 20' in speaking.text
    tracker = found(findings, 'tracker')
    assert tracker.well is False and 'no message on /audio_features' in tracker.text
    results = [f for f in findings if f.what in ('tracks', 'speaking_status')]
    assert not any('nobody publishes' in finding.text for finding in results)


@pytest.mark.parametrize('shift_s, words', [(12.3, '12.3 s in the future'), (-30.0, '30.0 s old')])
def test_a_clock_that_is_wrong_is_named(graph, shift_s, words):
    graph(SpeakingStatusNode)
    graph.publish(TrackArray, 'tracks', tracks(shift_s))
    finding = found(check_graph(), '/tracks at speaking_status')
    assert finding.well is False and words in finding.text and 'chrony' in finding.text


def test_two_nodes_of_one_name_and_one_that_is_not_active(graph):
    graph(SpeakingStatusNode)
    graph(SpeakingStatusNode)
    graph(TrackerNode, activate=False, head='respeaker')
    findings = check_graph()
    assert '2 nodes have this name' in found(findings, 'speaking_status').text
    tracker = found(findings, 'tracker')
    assert tracker.well is None and 'lifecycle' in tracker.text
    assert 'nobody publishes /tracks: start tracker' in found(findings, 'tracks').text


def test_simulated_time_and_clock_must_go_together(graph):
    graph(SpeakingStatusNode, use_sim_time=True)
    assert 'wait for it: play a bag with --clock' in found(check_graph(), '/clock').text
    graph(TrackerNode, head='respeaker')
    graph.publish(Clock, '/clock', lambda now: Clock())
    finding = found(check_graph(), '/clock')
    assert 'tracker take the time of this machine' in finding.text
    assert 'speaking_status' not in finding.text


def test_nothing_is_found_with_the_reason(graph, capsys):
    assert 'ROS_DOMAIN_ID' in found(check_graph(listen_s=0.5), 'graph').text
    graph(SpeakingStatusNode, namespace='nao')
    assert 'add --namespace nao' in found(check_graph(), 'graph').text
    assert main(['doctor', '--graph', '--namespace', 'nao']) == 1
    assert 'speaking_status' in capsys.readouterr().out
