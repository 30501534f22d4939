# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whom to look at, as messages: what went out comes back, nobody is NaN, nonsense is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from av_perception_msgs import msg as av
from rclpy.serialization import deserialize_message, serialize_message

from av_perception.interfaces import Attention, AttentionReason
from av_perception.ros.conversions.attention import (
    attention_from_msg,
    attention_to_msg,
    look_at_to_msg,
)

STAMP_NS = 1_700_000_000_123_456_789
SOMEBODY = [reason for reason in AttentionReason if reason != AttentionReason.NOBODY]


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def look(reason=AttentionReason.SPEAKS, person_id=3, target=(1.5, -0.25, 1e-9)):
    return Attention(STAMP_NS, reason, person_id, np.array(target), STAMP_NS - 1)


@pytest.mark.parametrize('reason', SOMEBODY)
def test_every_reason_comes_back_with_all_digits(reason):
    random = np.random.default_rng(1)
    sent = look(reason, 2**31 - 1, random.normal(size=3))
    message = over_the_wire(attention_to_msg(sent, 'odom'))
    assert message.header.frame_id == 'odom'
    found = attention_from_msg(message)
    assert (found.stamp_ns, found.since_ns) == (STAMP_NS, STAMP_NS - 1)
    assert (found.id, found.reason) == (sent.id, reason)
    np.testing.assert_array_equal(found.target, sent.target)


def test_the_words_of_the_message_are_the_reasons():
    names = ('SPEAKS_TO_ME', 'SPEAKS', 'HEARD', 'SPOKE', 'ARRIVED', 'NOBODY')
    assert {name: getattr(av.Attention, name) for name in names} == {
        reason.name: reason.value for reason in AttentionReason
    }


def test_nobody_has_no_place_and_nothing_to_look_at():
    nobody = Attention(STAMP_NS, AttentionReason.NOBODY)
    message = over_the_wire(attention_to_msg(nobody, 'base'))
    target = message.target
    assert all(map(math.isnan, (target.x, target.y, target.z)))
    assert (message.since.sec, message.since.nanosec, message.id) == (0, 0, -1)
    assert attention_from_msg(message) == nobody
    assert look_at_to_msg(nobody, 'base') is None


def test_the_point_to_look_at_is_the_target_at_its_stamp():
    point = over_the_wire(look_at_to_msg(look(), 'odom'))
    assert (point.header.stamp.sec, point.header.stamp.nanosec) == (1_700_000_000, 123_456_789)
    assert point.header.frame_id == 'odom'
    assert (point.point.x, point.point.y, point.point.z) == (1.5, -0.25, 1e-9)


def test_a_target_of_single_precision_is_converted():
    sent = Attention(STAMP_NS, AttentionReason.SPOKE, 0, np.float32([0.5, 1, 2]), 0)
    found = attention_from_msg(over_the_wire(attention_to_msg(sent, '')))
    assert found.id == 0 and found.target.tolist() == [0.5, 1.0, 2.0]


@pytest.mark.parametrize('axis', 'xyz')
@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_somebody_without_a_finite_place_is_refused(axis, value):
    message = attention_to_msg(look(person_id=12), 'base')
    setattr(message.target, axis, value)
    with pytest.raises(ValueError, match='the target of person 12 is not finite'):
        attention_from_msg(message)


@pytest.mark.parametrize('reason', ['', 'dances', 'SPEAKS', 'speaks '])
def test_a_reason_that_there_is_not_is_refused_by_name(reason):
    message = attention_to_msg(look(), 'base')
    message.reason = reason
    with pytest.raises(ValueError, match=repr(reason)):
        attention_from_msg(message)


def test_a_message_that_nobody_filled_in_is_refused():
    with pytest.raises(ValueError):
        attention_from_msg(av.Attention())
