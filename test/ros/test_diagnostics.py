# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a node says of what it dropped: nothing lost in silence, nothing said a thousand times."""

from __future__ import annotations

import time
from collections import Counter
from types import SimpleNamespace

import pytest
import rclpy
from av_perception_msgs.msg import TrackArray
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from av_perception.nodes.speaking_status import SpeakingStatusNode
from av_perception.ros.diagnostics import NO_CLOCK, Diagnostics
from av_perception.ros.input_monitor import GHOST_S, InputMonitor
from av_perception.ros.missing_inputs import MissingInputs


def diagnostics_of(publishers=(), missing=None):
    """Diagnostics of a node that only keeps its log; every topic has these publishers."""
    warnings, news = [], []
    logger = SimpleNamespace(warning=warnings.append, info=news.append)
    infos = [SimpleNamespace(node_name=name) for name in publishers]
    node = SimpleNamespace(
        create_publisher=lambda *a, **k: None,
        create_timer=lambda *a, **k: None,
        get_logger=lambda: logger,
        get_publishers_info_by_topic=lambda topic: infos,
        is_active=True,
    )
    made = Diagnostics(node, missing)
    made.warnings = warnings
    made.news = news
    return made


@pytest.fixture()
def diagnostics():
    """Diagnostics of a node that only keeps its warnings."""
    return diagnostics_of()


def silent_for(monitor, seconds):
    """Make it wait for so long already."""
    monitor.last = time.monotonic() - seconds
    return {monitor.topic: f'no message on {monitor.topic} for {seconds:.1f} s; nobody is there'}


def test_an_input_that_two_nodes_miss_is_told_once_and_once_when_it_comes():
    """Regression: a graph without its sensors printed eleven warnings of three inputs."""
    missing = MissingInputs()
    nodes = [diagnostics_of(missing=missing) for _ in range(2)]
    problems = [silent_for(node.monitor('/audio'), 6.0 + i) for i, node in enumerate(nodes)]
    for node, problem in zip(nodes, problems):
        node._log_changes(problem)
        node._log_changes(problem)
    assert [len(node.warnings) for node in nodes] == [1, 0]
    for node in reversed(nodes):
        node._log_changes({})
    assert nodes[0].news + nodes[1].news == ['/audio is as it should be']
    nodes[1]._log_changes(problems[1])
    assert [len(node.warnings) for node in nodes] == [1, 1], 'a second time is news again'


@pytest.mark.parametrize(
    'publishers, silent_s, is_told',
    [
        ((), 2.0, False),  # sensors start up
        ((), 6.0, True),
        (('tracker',), 6.0, False),  # it says itself what it waits for
        (('camera_driver',), 6.0, True),
        (('tracker', 'camera_driver'), 6.0, True),
        (('stereo_camera',), 6.0, False),  # players wait for each other
        (('stereo_camera',), 16.0, True),
    ],
)
def test_silence_before_the_first_message_is_told_where_nobody_else_tells_it(
    publishers, silent_s, is_told
):
    node = diagnostics_of(publishers)
    node._log_changes(silent_for(node.monitor('/tracks'), silent_s))
    assert bool(node.warnings) == is_told
    monitor = node.monitor('/heard')
    monitor.tick(0.0)
    node._log_changes(silent_for(monitor, silent_s))
    assert any('/heard' in text for text in node.warnings), 'what has ended is news at once'


def test_a_graph_that_ends_does_not_miss_what_never_came():
    """Regression: at Ctrl-C each node missed what the others had never published."""
    node = diagnostics_of(('tracker',))
    problem = silent_for(node.monitor('/tracks'), 60.0)
    node._log_changes(problem)
    node._node.get_publishers_info_by_topic = lambda topic: []
    node._log_changes(problem)
    assert node.warnings == []


def test_what_two_nodes_say_with_other_numbers_is_told_once():
    missing = MissingInputs()
    nodes = [diagnostics_of(missing=missing) for _ in range(2)]
    for node, seconds in zip(nodes, (3.1, 3.2)):
        node._log_changes({'/audio': f'stamps on /audio lie {seconds} s in the future: set them'})
    assert [len(node.warnings) for node in nodes] == [1, 0]


def test_a_node_that_is_deactivated_leaves_the_telling_to_others():
    missing = MissingInputs()
    first, second = (diagnostics_of(missing=missing) for _ in range(2))
    problem = silent_for(first.monitor('/audio'), 6.0)
    first._log_changes(problem)
    first.clear()
    second._log_changes(silent_for(second.monitor('/audio'), 6.0))
    assert len(second.warnings) == 1


def test_warnings_come_at_the_first_and_every_tenfold(diagnostics):
    for _ in range(250):
        diagnostics.count('frames dropped', 'too slow')
    assert diagnostics.warnings == [
        'frames dropped (1 so far): too slow',
        'frames dropped (10 so far): too slow',
        'frames dropped (100 so far): too slow',
    ]


def test_the_last_reason_of_a_counter_is_a_value(diagnostics):
    """Regression: it was in the log of the node alone, where nobody looks from afar."""
    diagnostics._node.has_parameter = lambda name: False
    diagnostics._node.get_fully_qualified_name = lambda: '/tracker'
    for reason in ('too slow', 'torn'):
        diagnostics.count('frames dropped', reason, 3)
    status = diagnostics._status({}, {'frames dropped': 6}, 1.0)
    assert status.message == 'running, frames dropped: 6 more (torn)'
    assert {v.key: v.value for v in status.values}['last reason of frames dropped'] == 'torn'


def test_an_encoding_of_100_kb_was_said_whole_each_second(diagnostics):
    diagnostics.count('frames dropped', "encoding 'q\n\x1b[2J" + 100_000 * 'q')
    (warning,) = diagnostics.warnings
    assert warning.startswith("frames dropped (1 so far): encoding 'q [2Jqqq")
    assert len(warning) < 400 and warning.isprintable()


def test_counters_that_jump_still_warn(diagnostics):
    """Regression: a counter that went past 1 or 10 in one step was never spoken of."""
    for number in (3, 50, 5000):
        diagnostics.absorb('tracker', {'bad_faces': number})
    assert diagnostics.counters['tracker: bad faces'] == 5000
    assert len(diagnostics.warnings) == 3


def test_equal_names_of_two_stages_stay_apart(diagnostics):
    """Regression: one stage's `resets` hid the other's."""
    diagnostics.absorb('tracker', {'resets': 2})
    diagnostics.absorb('pairing', {'resets': 1})
    assert (diagnostics.counters['tracker: resets'], diagnostics.counters['pairing: resets']) == (
        2,
        1,
    )


def test_a_stage_made_anew_goes_on_counting(diagnostics):
    """Regression: after a change of sample rate nothing was counted until the old number."""
    for number in (40, 40, 1, 2):
        diagnostics.absorb('sound', {'clipped': number})
    assert diagnostics.counters['sound: clipped'] == 42


def test_counters_that_grow_by_turns_are_all_counted(diagnostics):
    """Counters that stand still are passed over; one that grows beside them is not."""
    counters = Counter(late=1)
    total = 1
    diagnostics.absorb('pairing', counters)
    for name in ('late', 'unused', 'unused', 'late', 'never before'):
        for _ in range(3):
            diagnostics.absorb('pairing', counters)
        counters[name] += 2
        total += 2
        diagnostics.absorb('pairing', counters)
    assert sum(diagnostics.counters.values()) == total
    assert diagnostics.counters['pairing: unused'] == 4


def test_the_longest_gap_is_that_of_the_last_second(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, 'monotonic', lambda: clock[0])
    monitor = InputMonitor('/tracks', 1.0)
    for pause in (0.0, 0.12, 0.01):
        clock[0] += pause
        monitor.tick(0.005)
    first = {v.key: float(v.value) for v in monitor.values(1.0)}
    monitor.tick(0.005)
    second = {v.key: float(v.value) for v in monitor.values(1.0)}
    assert first['longest gap of /tracks [ms]'] == 120.0
    assert second['longest gap of /tracks [ms]'] == 0.0
    assert first['rate of /tracks [Hz]'] == 3.0 and second['rate of /tracks [Hz]'] == 1.0


@pytest.fixture()
def listen(bench):
    """A speaking_status node, and what it says on /diagnostics."""

    def make(**parameters):
        one = bench(SpeakingStatusNode, {}, **{'method': 'vavit', **parameters})
        one.said = one.listen_to_diagnostics()
        one.says = lambda condition: one.until(lambda: any(map(condition, one.said)))
        return one

    return make


@pytest.mark.slow
def test_an_input_that_nobody_publishes_is_told_from_one_that_does_not_match(listen):
    listener = listen()
    assert listener.says(
        lambda s: s.level == DiagnosticStatus.ERROR and 'nobody publishes it' in s.message
    )
    listener.client.create_publisher(
        TrackArray, 'tracks', QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    assert listener.says(
        lambda s: 'bench publishes it with a quality of service that does not fit' in s.message
    )


@pytest.mark.slow
def test_a_publisher_that_is_silent_is_named(listen):
    listener = listen()
    listener.client.create_publisher(TrackArray, 'tracks', 5)
    assert listener.says(lambda s: 'bench publishes it but is silent' in s.message)


@pytest.mark.slow
def test_what_was_dropped_is_a_warning_for_a_second(listen):
    listener = listen()
    publisher = listener.client.create_publisher(TrackArray, 'tracks', 5)
    listener.client.create_timer(0.05, lambda: publisher.publish(TrackArray()))
    assert listener.says(lambda s: s.level == DiagnosticStatus.OK and s.message == 'running')
    listener.node.diagnostics.count('messages dropped from /tracks', 'planted')
    listener.said.clear()
    assert listener.says(
        lambda s: (
            s.level == DiagnosticStatus.WARN
            and 'messages dropped from /tracks: 1 more' in s.message
        )
    )
    listener.said.clear()
    assert listener.says(lambda s: s.level == DiagnosticStatus.OK)


@pytest.mark.slow
def test_sound_that_no_image_needed_is_no_fault(listen):
    """Regression: the tracker warned every second of what is as it should be."""
    listener = listen()
    publisher = listener.client.create_publisher(TrackArray, 'tracks', 5)
    listener.client.create_timer(0.05, lambda: publisher.publish(TrackArray()))
    assert listener.says(lambda s: s.level == DiagnosticStatus.OK and s.message == 'running')
    listener.node.diagnostics.absorb('pairing', {'unused_audio': 3})
    listener.said.clear()
    assert listener.says(
        lambda s: (
            any(v.key == 'pairing: unused audio' and v.value == '3' for v in s.values)
            and s.level == DiagnosticStatus.OK
        )
    )


def test_simulated_time_without_a_clock_is_named(listen):
    """Regression: the timer of the diagnostics waited for /clock, so the node was silent."""
    assert listen(use_sim_time=True).says(
        lambda s: s.level == DiagnosticStatus.ERROR and s.message == NO_CLOCK
    )


def test_two_clocks_were_not_named(listen):
    """Simulated time goes to and fro between a simulator and a bag."""
    listener = listen(use_sim_time=True)
    simulator = rclpy.create_node('simulator', context=listener.client.context)
    publishers = [
        node.create_publisher(Clock, '/clock', 10) for node in (listener.client, simulator)
    ]

    def is_named(status):
        for publisher in publishers:
            publisher.publish(Clock(clock=Time(sec=5)))
        return '2 nodes publish /clock (bench, simulator)' in status.message

    try:
        assert listener.says(is_named)
    finally:
        simulator.destroy_node()


def drivers(*names):
    """A node that sees publishers of these names."""
    infos = [SimpleNamespace(node_name=name) for name in names]
    return SimpleNamespace(
        count_publishers=lambda topic: len(infos),
        get_publishers_info_by_topic=lambda topic: infos,
    )


def test_two_publishers_of_one_input_are_named():
    """Regression: sound of two drivers was mixed, and nothing said so."""
    monitor = InputMonitor('/audio', 1.0)
    assert monitor.mixed(drivers()) is None
    assert monitor.mixed(drivers('microphone_array')) is None
    said = monitor.mixed(drivers('microphone_array', 'audio_bridge'))
    assert said.startswith('2 nodes publish /audio (audio_bridge, microphone_array)')
    assert 'stop all but one' in said


def test_a_successor_is_not_taken_for_a_second_publisher_at_once(monkeypatch):
    """DDS knows a killed node for a while."""
    monitor = InputMonitor('/tracks', 1.0)
    twice = drivers('tracker', 'tracker')
    assert monitor.mixed(twice) is None
    now_s = time.monotonic()
    monkeypatch.setattr(time, 'monotonic', lambda: now_s + 2 * GHOST_S)
    assert 'tracker, tracker' in monitor.mixed(twice)
    assert monitor.mixed(drivers('tracker')) is None
    assert monitor.mixed(twice) is None, 'another successor'
