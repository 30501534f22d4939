# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What waits too long, what an input's silence means, and images found again by their stamp."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy

from av_perception.ros import conversions, qos
from av_perception.ros import input_monitor as module
from av_perception.ros.backlog import num_outdated
from av_perception.ros.image_memory import IMAGES_KEPT, ImageMemory
from av_perception.ros.input_monitor import LATENCY_GAIN, InputMonitor, publisher_names

SECOND = 10**9


@pytest.mark.parametrize(
    'stamps_s, sent_s, limit_s, outdated',
    [
        ([], [], 1, 0),
        ([5], [5], 1, 0),
        ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], 2, 2),
        ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], 4, 0),
        ([0, 1, 2, 3, 4], [4, 4, 4, 4, 4], 2, 0),  # a bag played fast
        ([4, 4, 4, 4, 4], [0, 1, 2, 3, 4], 2, 0),  # a bag played slowly
        ([0, 3, 1, 4], [0, 3, 1, 4], 2, 1),  # only what is at the head goes
        ([9, 0, 1], [9, 0, 1], 2, 0),  # a stamp that jumped back
    ],
)
def test_only_what_both_stamp_and_sender_call_old_is_outdated(stamps_s, sent_s, limit_s, outdated):
    stamps, sent = ([SECOND * time for time in times] for times in (stamps_s, sent_s))
    assert num_outdated(stamps, sent, limit_s) == outdated


@pytest.mark.parametrize('seed', range(4))
def test_what_remains_of_a_queue_in_order_is_recent(seed):
    random = np.random.default_rng(seed)
    stamps = np.sort(random.integers(0, 5 * SECOND, 30)).tolist()
    sent = np.sort(random.integers(0, 5 * SECOND, 30)).tolist()
    count = num_outdated(stamps, sent, 1.0)

    def is_old(i):
        return stamps[-1] - stamps[i] > SECOND and sent[-1] - sent[i] > SECOND

    assert all(map(is_old, range(count))) and not is_old(count)


@pytest.fixture
def clock(monkeypatch):
    """The monotonic clock of monitors, set by hand."""
    time = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module.time, 'monotonic', lambda: time.now)
    return time


def node_with(*publishers):
    """A node that knows these (name, QoSProfile) publishers of every topic."""
    infos = [SimpleNamespace(node_name=name, qos_profile=profile) for name, profile in publishers]
    return SimpleNamespace(get_publishers_info_by_topic=lambda topic: infos)


def reported(monitor, elapsed_s):
    return {entry.key.split(' of ')[0]: entry.value for entry in monitor.values(elapsed_s)}


def test_a_publisher_of_unknown_name_is_not_said_to_be_on_another_machine(clock):
    """Regression: after a halt, names of nodes beside it were not known any more."""
    monitor = InputMonitor('/audio', 1.0, QoSProfile(depth=10))
    clock.now += 5.0
    said = monitor.missing(node_with((module.UNKNOWN, QoSProfile(depth=10))))
    assert said.endswith('a node of unknown name publishes it but is silent')


def test_rate_latency_and_gap_are_those_since_the_last_report(clock):
    monitor = InputMonitor('/audio', 1.0)
    for wait_s in (0.0, 0.1, 0.4, 0.1):
        clock.now += wait_s
        monitor.tick(0.02)
    assert reported(monitor, 2.0) == {'rate': '2.0', 'latency': '20.0', 'longest gap': '400'}
    clock.now += 0.25
    assert reported(monitor, 0.25) == {'rate': '0.0', 'latency': '20.0', 'longest gap': '250'}


def test_the_latency_is_a_running_mean_that_begins_with_the_first(clock):
    monitor = InputMonitor('/audio', 1.0)
    monitor.tick(0.1)
    assert monitor.latency_s == pytest.approx(0.1)
    for count in range(1, 50):
        monitor.tick(0.5)
        expected = 0.5 - 0.4 * (1 - LATENCY_GAIN) ** count
        assert monitor.latency_s == pytest.approx(expected)


def test_the_wait_for_the_first_message_is_no_gap(clock):
    monitor = InputMonitor('/audio', 1.0)
    clock.now += 30
    monitor.tick(0.0)
    clock.now += 0.04
    monitor.tick(0.0)
    assert monitor.gap_s == pytest.approx(0.04) and monitor.count == 2


@pytest.mark.parametrize('silent_s, missing', [(0.9, False), (1.1, True)])
def test_a_topic_is_missing_after_its_timeout(silent_s, missing, clock):
    monitor = InputMonitor('/audio', 1.0)
    monitor.tick(0.0)
    clock.now += silent_s
    sentence = monitor.missing(node_with())
    assert (sentence is not None) == missing
    if missing:
        assert sentence == 'no message on /audio for 1.1 s; its publisher is gone'
    assert monitor.silence_s() == pytest.approx(silent_s)


def test_a_node_that_was_held_up_blames_nobody(clock):
    monitor = InputMonitor('/audio', 1.0)
    monitor.tick(0.0)
    clock.now += 5
    for _ in range(20):
        monitor.tick(-5.0)  # simulated time stood still for it
    monitor.listen_again()
    assert monitor.missing(node_with()) is None and monitor.wrong_clock() is None
    clock.now += 1.5
    assert monitor.missing(node_with()).startswith('no message on /audio for 1.5 s')


RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.mark.parametrize(
    'topic, publishers, ours, advice',
    [
        ('/audio', (), None, 'nobody publishes it: is its publisher running and its name'),
        ('/audio', (('mic', RELIABLE),), RELIABLE, 'mic publishes it but is silent'),
        ('/audio', (('mic', BEST_EFFORT),), None, 'mic publishes it but is silent'),
        ('/audio', (('mic', RELIABLE),), BEST_EFFORT, 'mic publishes it but is silent'),
        (
            '/audio',
            (('mic', BEST_EFFORT),),
            RELIABLE,
            'mic publishes it with a quality of service',
        ),
        (
            '/left/image_raw',
            (('cam', BEST_EFFORT),),
            RELIABLE,
            'set reliable_images to false',
        ),
    ],
)
def test_the_advice_fits_what_is_wrong(topic, publishers, ours, advice, clock):
    monitor = InputMonitor(topic, 1.0, ours)
    clock.now += 2
    sentence = monitor.missing(node_with(*publishers))
    assert sentence.startswith(f'no message on {topic} for 2.0 s; ') and advice in sentence
    assert ('reliable_images' in sentence) == ('image' in topic)


def typed(name, kind):
    return SimpleNamespace(node_name=name, topic_type=kind, qos_profile=RELIABLE)


def graph_with(*publishers):
    """A node that knows these (name, type) publishers of every topic."""
    infos = [typed(*publisher) for publisher in publishers]
    return SimpleNamespace(
        get_publishers_info_by_topic=lambda topic: infos,
        count_publishers=lambda topic: len(infos),
    )


IMAGE, STRING = 'sensor_msgs/msg/Image', 'std_msgs/msg/String'


def test_a_publisher_of_another_type_is_named(clock):
    """Regression: it was said to be silent, and to mix its messages with the right ones."""
    monitor = InputMonitor('/left', 1.0, RELIABLE, IMAGE)
    clock.now += 2
    sentence = monitor.missing(graph_with(('camera', STRING)))
    assert f'camera ({STRING}), not as {IMAGE}' in sentence and 'silent' not in sentence
    both = graph_with(('camera', IMAGE), ('chatter', STRING))
    assert monitor.missing(both).endswith('; camera publishes it but is silent')
    assert monitor.mixed(both) is None
    rivals = monitor.mixed(graph_with(('camera', IMAGE), ('rival', IMAGE)))
    assert rivals.startswith('2 nodes publish /left (camera, rival)')


@pytest.mark.parametrize(
    'latency_s, expected',
    [(-1.0, '1.0 s in the future'), (-0.1, None), (0.5, None), (5.0, '5.0 s old on arrival')],
)
def test_stamps_of_another_time_are_named(clock, latency_s, expected):
    """Regression: a sensor whose clock was a second ahead was named by doctor alone."""
    monitor = InputMonitor('/audio', 1.0)
    monitor.tick(latency_s)
    sentence = monitor.wrong_clock()
    assert sentence is None if expected is None else expected in sentence
    clock.now += 2
    assert monitor.wrong_clock() is None, 'silence is told instead'


@pytest.mark.parametrize(('latency_s', 'side'), [(1.7e9, 'past'), (-1.7e9, 'future')])
def test_stamps_that_count_from_something_else_are_no_clock_to_be_set(clock, latency_s, side):
    """Regression: who stamps by the seconds since the start was told to run chrony."""
    monitor = InputMonitor('/audio', 1.0)
    monitor.tick(latency_s)
    sentence = monitor.wrong_clock()
    assert f'stamps on /audio lie 1700000000 s in the {side}' in sentence
    assert 'since the machine started' in sentence and 'chrony' not in sentence


def test_neither_one_odd_stamp_nor_a_clock_that_was_set_right_is_a_wrong_clock(clock):
    monitor = InputMonitor('/audio', 1.0)
    for _ in range(20):
        monitor.tick(0.0)
    monitor.tick(-3.0)
    assert monitor.wrong_clock() is None, 'one odd stamp'
    for _ in range(100):
        monitor.tick(-3600.0)
    assert '3600.0 s in the future' in monitor.wrong_clock()
    monitor.tick(0.0)
    assert monitor.latency_s < -3000 and monitor.wrong_clock() is None, 'it was set right'


def test_what_not_every_head_has_is_missing_once_it_was_there(clock):
    """Regression: joints and IMU that fell silent were named nowhere."""
    monitor = InputMonitor('/imu', 1.0, is_optional=True)
    clock.now += 10
    assert monitor.missing(graph_with()) is None
    monitor.tick(0.0)
    clock.now += 2
    assert 'its publisher is gone' in monitor.missing(graph_with())
    assert monitor.mixed(graph_with(('a', IMAGE), ('b', IMAGE))) is None, 'several may publish'


def test_publishers_are_named_once_and_in_order():
    node = node_with(('b', RELIABLE), ('a', RELIABLE), ('b', BEST_EFFORT))
    assert publisher_names(node, '/audio') == 'a, b'
    assert publisher_names(node_with(), '/audio') == 'nobody any more'


def image(stamp_ns):
    pixels = np.full((2, 3, 3), stamp_ns % 256, np.uint8)
    return conversions.image_to_msg(pixels, stamp_ns, f'camera_{stamp_ns}')


def test_an_image_is_found_by_its_stamp_once():
    memory = ImageMemory(lambda pixels: 2 * pixels)
    memory.keep(image(7))
    memory.keep(image(9))
    pixels, frame = memory.take_image(7)
    assert frame == 'camera_7' and (pixels == 14).all()
    assert memory.take_image(7) is None and memory.take_image(8) is None
    assert (memory.take_image(9)[0] == 18).all()


def test_the_oldest_image_makes_room():
    memory = ImageMemory()
    for stamp in range(1, IMAGES_KEPT + 3):
        memory.keep(image(stamp))
    assert memory.take_image(1) is None and memory.take_image(2) is None
    assert all(memory.take_image(stamp) for stamp in range(3, IMAGES_KEPT + 3))


def test_an_image_that_cannot_be_read_is_told_when_it_is_asked_for():
    memory = ImageMemory()
    broken = image(7)
    broken.encoding = '32FC1'
    memory.keep(broken)
    with pytest.raises(ValueError, match="encoding '32FC1' is not one of"):
        memory.take_image(7)


@pytest.mark.parametrize('chunk_s, depth', [(0.02, 100), (0.016, 125), (0.5, 4), (3.0, 2)])
def test_queues_of_sound_hold_two_seconds_of_chunks(chunk_s, depth):
    profile = qos.audio(chunk_s)
    assert profile.depth == depth and profile.reliability == ReliabilityPolicy.RELIABLE


def test_images_are_reliable_where_their_driver_is():
    assert qos.images_in(True).reliability == ReliabilityPolicy.RELIABLE
    assert qos.images_in(False).reliability == ReliabilityPolicy.BEST_EFFORT
