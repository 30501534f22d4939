# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Nodes of one process hand messages over as they are; others hear the same by DDS."""

from __future__ import annotations

import threading
from functools import partial

import pytest
import rclpy
from av_perception_msgs.msg import TrackArray
from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from ros_bench import PATIENCE_S, Rig
from waiting import wait_for

from av_perception.ros import local_topics, qos
from av_perception.ros.conversions import header, ns_from_time
from av_perception.ros.local_topics import Inbox, LocalTopics, is_ours
from av_perception.ros.node import PerceptionNode

DEPTH = 5
NUM_TOO_MANY = 3


class SourceNode(PerceptionNode):
    """Publishes tracks while active."""

    NAME = 'source'

    def configure(self):
        self.tracks = self.publisher(TrackArray, 'tracks', qos.FEATURES)


class SinkNode(PerceptionNode):
    """Keeps the tracks that it hears; holds them up while `may_go_on` is not set."""

    NAME = 'sink'
    BACKLOG_S: float | None = None

    def configure(self):
        self.heard = []
        self.took_one = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def activate(self):
        depth = QoSProfile(depth=DEPTH)
        self.subscription = self.subscribe(
            TrackArray, 'tracks', self._take, depth, backlog_s=self.BACKLOG_S
        )

    def _take(self, message):
        self.took_one.set()
        self.may_go_on.wait()
        if message.header.frame_id == 'broken':
            raise RuntimeError('a mistake in the node')
        self.heard.append(message)


@pytest.fixture
def nodes(ros_context):
    """(source, sink, client): two nodes of one process, started, and a node of another kind."""
    topics = LocalTopics()
    source = SourceNode(local_topics=topics, context=ros_context)
    sink = SinkNode(local_topics=topics, context=ros_context)
    client = rclpy.create_node('client', context=ros_context)
    assert sink.start() and source.start()
    yield source, sink, client
    sink.may_go_on.set()
    for node in (source, sink):
        node._take_down()
    for node in (source, sink, client):
        node.destroy_node()


def tracks(stamp_ns: int) -> TrackArray:
    return TrackArray(header=header(stamp_ns, 'base'))


def stamps(messages) -> list[int]:
    return [ns_from_time(message.header.stamp) for message in messages]


def test_a_message_is_handed_over_itself_without_an_executor(nodes):
    source, sink, _ = nodes
    sent = [tracks(stamp) for stamp in range(1, DEPTH)]
    for message in sent:
        source.tracks.publish(message)
    assert wait_for(lambda: len(sink.heard) == len(sent))
    assert all(heard is message for heard, message in zip(sink.heard, sent))


def test_another_process_hears_the_same_and_nobody_hears_it_twice(nodes):
    source, sink, client = nodes
    rig = Rig(sink, client)
    heard = []
    client.create_subscription(TrackArray, 'tracks', heard.append, qos.FEATURES)
    assert rig.until(lambda: source.tracks.get_subscription_count() == 2)
    for stamp in range(1, DEPTH):
        source.tracks.publish(tracks(stamp))
    assert rig.until(lambda: len(heard) == DEPTH - 1)
    rig.spin(0.2)
    assert stamps(heard) == stamps(sink.heard) == list(range(1, DEPTH))


def test_who_publishes_elsewhere_is_heard_once_the_own_publisher_is_inactive(nodes):
    source, sink, client = nodes
    rig = Rig(sink, client)
    publisher = client.create_publisher(TrackArray, 'tracks', qos.FEATURES)
    source.tracks.publish(tracks(1))
    assert wait_for(lambda: stamps(sink.heard) == [1])
    source.trigger_deactivate()
    assert rig.until(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(tracks(2))
    assert rig.until(lambda: stamps(sink.heard) == [1, 2])
    source.trigger_activate()
    source.tracks.publish(tracks(3))
    assert wait_for(lambda: stamps(sink.heard) == [1, 2, 3])


def test_a_full_queue_loses_its_oldest_says_so_and_recovers(nodes):
    source, sink, _ = nodes
    sink.may_go_on.clear()
    source.tracks.publish(tracks(1))
    assert sink.took_one.wait(60)
    last = 1 + DEPTH + NUM_TOO_MANY
    for stamp in range(2, last + 1):
        source.tracks.publish(tracks(stamp))
    sink.may_go_on.set()
    kept = [1, *range(last - DEPTH + 1, last + 1)]
    assert wait_for(lambda: len(sink.heard) == len(kept))
    assert stamps(sink.heard) == kept
    assert sink.diagnostics.counters['messages dropped from /tracks'] == NUM_TOO_MANY
    for number in range(1, 4 * DEPTH):
        source.tracks.publish(tracks(last + number))
        assert wait_for(lambda: len(sink.heard) == len(kept) + number)  # noqa: B023
    assert sink.diagnostics.counters['messages dropped from /tracks'] == NUM_TOO_MANY


def is_even(message) -> bool:
    return ns_from_time(message.header.stamp) % 2 == 0


def test_messages_wait_for_one_that_is_due_and_come_in_order(nodes):
    source, sink, _ = nodes
    sink.wake_when(sink.subscription, is_even)
    source.tracks.publish(tracks(1))
    source.tracks.publish(tracks(3))
    source.tracks.publish(tracks(4))
    assert wait_for(lambda: stamps(sink.heard) == [1, 3, 4])
    source.tracks.publish(tracks(5))
    source.tracks.publish(tracks(6))
    assert wait_for(lambda: stamps(sink.heard) == [1, 3, 4, 5, 6])


def test_nobody_is_woken_by_what_is_not_due(nodes):
    source, sink, _ = nodes
    sink.wake_when(sink.subscription, is_even)
    source.tracks.publish(tracks(1))
    source.tracks.publish(tracks(3))
    turned = threading.Event()
    sink._local._inbox.announce(turned.set)  # behind what was announced before
    assert turned.wait(60)
    assert sink.heard == []
    sink.handle_waiting(sink.subscription)  # who asks gets it
    assert stamps(sink.heard) == [1, 3]


def test_of_too_many_that_are_not_due_the_oldest_go(nodes):
    source, sink, _ = nodes
    sink.wake_when(sink.subscription, is_even)
    last = 2 * (DEPTH + NUM_TOO_MANY)
    for stamp in range(1, last, 2):
        source.tracks.publish(tracks(stamp))
    source.tracks.publish(tracks(last))
    kept = [*range(last - 2 * DEPTH + 3, last, 2), last]
    assert wait_for(lambda: stamps(sink.heard) == kept)
    assert sink.diagnostics.counters['messages dropped from /tracks'] == NUM_TOO_MANY + 1


def test_what_waits_is_handled_before_its_turn_once_and_in_order(nodes):
    source, sink, _ = nodes
    with sink.handling:  # the inbox has been told of the messages, and has to wait
        for stamp in range(1, DEPTH):
            source.tracks.publish(tracks(stamp))
        sink.handle_waiting(sink.subscription)
        assert stamps(sink.heard) == list(range(1, DEPTH))
    source.tracks.publish(tracks(DEPTH))
    assert wait_for(lambda: stamps(sink.heard) == list(range(1, DEPTH + 1)))


def test_what_others_sent_is_handled_before_its_turn(nodes):
    source, sink, client = nodes
    source.trigger_deactivate()
    rig = Rig(sink, client)
    publisher = client.create_publisher(TrackArray, 'tracks', qos.FEATURES)
    assert rig.until(lambda: publisher.get_subscription_count() == 1)
    for stamp in range(1, DEPTH):
        publisher.publish(tracks(stamp))
    assert publisher.wait_for_all_acked(Duration(seconds=PATIENCE_S))
    sink.handle_waiting(sink.subscription)
    assert stamps(sink.heard) == list(range(1, DEPTH))


def test_what_is_too_far_behind_the_newest_is_left_out_and_counted(nodes, monkeypatch):
    """Regression: on a machine much too slow, statuses came five seconds late."""
    source, sink, _ = nodes
    monkeypatch.setattr(local_topics.time, 'time_ns', lambda: sent_ns)
    sink.trigger_deactivate()
    sink.BACKLOG_S = 0.5
    sink.trigger_activate()
    sink.may_go_on.clear()
    for number in range(DEPTH + 1):
        sent_ns = 10**12 + number * 200_000_000
        source.tracks.publish(tracks(sent_ns))
        assert sink.took_one.wait(60)
    sink.may_go_on.set()
    kept = [10**12 + number * 200_000_000 for number in (0, 3, 4, 5)]
    assert wait_for(lambda: len(sink.heard) == len(kept))
    assert stamps(sink.heard) == kept
    assert sink.diagnostics.counters['messages left out from /tracks'] == 2


def test_a_mistake_in_a_handler_ends_the_node(nodes):
    source, sink, _ = nodes
    source.tracks.publish(TrackArray(header=header(1, 'broken')))
    assert wait_for(lambda: sink.failure is not None)
    assert 'a mistake in the node' in sink.failure


def test_an_inactive_node_hears_nothing(nodes):
    source, sink, _ = nodes
    sink.trigger_deactivate()
    source.tracks.publish(tracks(1))
    sink.trigger_activate()
    source.tracks.publish(tracks(2))
    assert wait_for(lambda: stamps(sink.heard) == [2])


def test_what_waits_when_a_node_is_deactivated_is_heard_no_more(nodes):
    source, sink, _ = nodes
    sink.may_go_on.clear()
    for stamp in (1, 2, 3):
        source.tracks.publish(tracks(stamp))
    assert sink.took_one.wait(60)
    inbox = sink._local._inbox
    sink._local.close()
    sink.may_go_on.set()
    inbox._thread.join(60)
    assert not inbox._thread.is_alive()
    assert stamps(sink.heard) == [1]


def test_topics_that_others_publish_as_well_go_by_dds():
    assert is_ours('tracks') and is_ours('left/image_raw')
    assert not is_ours('/tf') and not is_ours('/diagnostics')


def test_an_object_is_shared_under_its_key_while_somebody_holds_it(nodes):
    source, sink, _ = nodes

    class Thing:
        pass

    first = source.shared('key', Thing)
    assert sink.shared('key', Thing) is first and sink.shared('other', Thing) is not first
    del first
    assert isinstance(sink.shared('key', Thing), Thing)


def test_nodes_of_separate_processes_share_nothing(ros_context):
    node = SourceNode(context=ros_context)
    assert node.shared('key', list) is not node.shared('key', list)
    node.destroy_node()


def test_who_waits_is_called_each_time_that_nothing_came_for_long():
    errors = []
    calls = []
    inbox = Inbox('idle', errors.append)
    inbox.when_idle(0.02, lambda: calls.append('idle'))
    assert wait_for(lambda: len(calls) >= 3)
    inbox.announce(lambda: calls.append('message'))
    assert wait_for(lambda: 'message' in calls)
    num_before = len(calls)
    assert wait_for(lambda: len(calls) > num_before)
    inbox.close()
    inbox._thread.join(60)
    assert not inbox._thread.is_alive() and not errors


def test_messages_that_wait_go_before_who_waits_for_some():
    """However late the thread is, it has nothing to do but messages while there are any."""
    calls = []
    may_go_on = threading.Event()
    inbox = Inbox('idle', calls.append)
    inbox.announce(may_go_on.wait)
    inbox.when_idle(1e-6, lambda: calls.append('idle'))
    for number in range(100):
        inbox.announce(partial(calls.append, number))
    may_go_on.set()
    assert wait_for(lambda: 'idle' in calls)
    inbox.close()
    assert calls[:100] == list(range(100))


class PatientNode(SinkNode):
    """Counts how often it was called for want of messages."""

    def activate(self):
        super().activate()
        self.num_calls = 0
        self.when_idle(0.02, self._count)

    def _count(self):
        self.num_calls += 1


@pytest.mark.parametrize('is_alone', [False, True])
def test_a_node_without_messages_is_called_by_its_inbox_or_else_by_a_timer(ros_context, is_alone):
    topics = None if is_alone else LocalTopics()
    node = PatientNode(local_topics=topics, context=ros_context)
    assert node.start()
    assert bool(node._timers_made) == is_alone
    rig = Rig(node)
    assert rig.until(lambda: node.num_calls >= 3)
    node.trigger_deactivate()
    num_before = node.num_calls
    rig.spin(0.2)
    assert node.num_calls == num_before
    node.destroy_node()
