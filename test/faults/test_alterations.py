# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What happens to messages on their way, number by number."""

from __future__ import annotations

import math

import pytest
from geometry_msgs.msg import TransformStamped
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

from av_perception.ros.conversions import header, ns_from_time, time_from_ns
from av_perception.ros.faults import alterations
from av_perception.ros.faults.catalog import FAULTS, chosen
from av_perception.ros.faults.fault import Fault, FaultResult

PERIOD_NS = 40_000_000


def images(count):
    return [Image(header=header(10**12 + k * PERIOD_NS, 'camera')) for k in range(count)]


def numbers(alteration, count):
    """Which of so many messages come, in order, with those of each step in a list."""
    sent = images(count)
    return [
        [sent.index(message) for message in alteration(message, number)]
        for number, message in enumerate(sent)
    ]


@pytest.mark.parametrize(
    'make, expected',
    [
        (alterations.stopped, [[], [], [], [], [], []]),
        (lambda: alterations.stuttering(2), [[0], [1], [], [], [4], [5]]),
        (lambda: alterations.late(2), [[], [], [0], [1], [2], [3]]),
        (lambda: alterations.in_bursts(3), [[], [], [0, 1, 2], [], [], [3, 4, 5]]),
        (alterations.swapped, [[], [1, 0], [], [3, 2], [], [5, 4]]),
        (alterations.repeated, [[0, 0], [1, 1], [2, 2], [3, 3], [4, 4], [5, 5]]),
    ],
)
def test_which_messages_come_and_when(make, expected):
    assert numbers(make(), 6) == expected


@pytest.mark.slow
@pytest.mark.parametrize('share', [0.01, 0.1, 0.5])
def test_a_share_is_lost_and_of_every_topic_the_same(share):
    of_one, of_another = (numbers(alterations.lost(share), 900) for _ in range(2))
    assert of_one == of_another
    num_lost = sum(not step for step in of_one)
    assert num_lost >= 1
    assert num_lost / 900 == pytest.approx(share, abs=4 * math.sqrt(share / 900))
    assert not all(numbers(alterations.lost(share), 20)), 'even of few messages one is lost'


def stamps(message):
    if isinstance(message, TFMessage):
        return [ns_from_time(t.header.stamp) for t in message.transforms]
    if isinstance(message, Clock):
        return [ns_from_time(message.clock)]
    return [ns_from_time(message.header.stamp)]


@pytest.mark.parametrize(
    'message',
    [
        Image(header=header(10**12, 'camera')),
        Clock(clock=time_from_ns(10**12)),
        TFMessage(transforms=[TransformStamped(header=header(10**12, 'a')) for _ in range(2)]),
    ],
    ids=lambda message: type(message).__name__,
)
def test_stamps_are_moved_in_a_copy(message):
    (moved,) = alterations.shifted(-1.5)(message, 0)
    assert set(stamps(moved)) == {10**12 - 1_500_000_000}
    assert set(stamps(message)) == {10**12}


def test_a_clock_drifts_by_parts_per_million():
    sent = images(1)[0]
    drift = alterations.drifting(200.0, 0.04, start_s=0.1)
    (moved,) = drift(sent, 25 * 3600)
    assert stamps(moved)[0] - stamps(sent)[0] == 100_000_000 + 720_000_000


def test_faults_are_many_and_have_names_of_their_own():
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names) >= 60
    with pytest.raises(Exception, match='--list names all'):
        chosen(['nonsense'])
    assert [fault.name for fault in chosen(['sound-loses-1'])] == ['sound-loses-1']
    assert len(chosen(['sound-loses'])) == 3


def result(**fields):
    usual = {
        'name': 'x',
        'what': 'x',
        'survived': True,
        'recovery_frames': 50,
        'ids_kept': True,
        'told': 'tracker: x',
        'is_told_of': True,
    }
    return FaultResult(**{**usual, **fields})


@pytest.mark.parametrize(
    'fields, complaint',
    [
        ({'recovery_frames': 51}, 'after 51 frames'),
        ({'recovery_frames': None}, 'more than'),
        ({'ids_kept': False}, 'other ids'),
        ({'told': ''}, 'nothing names the cause'),
        ({'problems': ('traceback',)}, 'traceback'),
    ],
)
def test_every_way_to_fail_is_a_complaint(fields, complaint):
    assert result().is_held
    assert result(told='', is_told_of=False, ids_kept=None).is_held
    failed = result(**fields)
    assert not failed.is_held and complaint in failed.complaints[0]


def test_the_cause_is_found_among_what_was_said():
    fault = Fault('x', 'x', told=('no message on /audio .* gone',))
    said = ['a: no message on /tracks', 'b: no message on /audio for 2 s; its publisher is gone']
    assert fault.find(said) == said[1]
    assert fault.find(said[:1]) == ''


@pytest.mark.parametrize(
    'sentence, excerpt',
    [
        ('ears: NaN: 2 more', 'ears: NaN: 2 more'),
        ('ears: running, NaN: 2 more', 'ears: NaN: 2 more'),
        ('ears: running, a: 1 more, dropped: 2 more (NaN)', 'ears: dropped: 2 more (NaN)'),
        ('ears: no message on /a; got NaN', 'ears: got NaN'),
        ('ears: running', 'ears: running'),
    ],
)
def test_the_excerpt_begins_with_the_cause(sentence, excerpt):
    assert Fault('x', 'x', told=('NaN',)).excerpt(sentence) == excerpt


def test_stamps_that_are_held_and_stamps_that_roll():
    held = alterations.held(3)
    sent = images(7)
    stamps = [ns_from_time(held(m, k)[0].header.stamp) - 10**12 for k, m in enumerate(sent)]
    assert stamps == [PERIOD_NS * k for k in (0, 0, 0, 3, 3, 3, 6)]
    rolling = alterations.rolling(0.005, 0.03)
    behind = [
        ns_from_time(rolling(message, k)[0].header.stamp) - ns_from_time(message.header.stamp)
        for k, message in enumerate(sent)
    ]
    assert all(5_000_000 <= ns <= 30_000_000 for ns in behind) and len(set(behind)) == 7
