# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Mouths are looked at only as long as they tell something."""

from av_perception.pipelines.mouth_looks import MouthLooks

PERIOD_NS = 40_000_000


def looked_at(looks, seconds):
    return [looks.is_due(10**9 + k * PERIOD_NS) for k in range(25 * seconds)]


def test_every_second_image_of_the_first_minute():
    due = looked_at(MouthLooks(False, True), 90)
    assert due[:1500] == [False, True] * 750
    assert not any(due[1500:])


def test_all_of_them_where_mouths_are_wanted():
    assert all(looked_at(MouthLooks(True, False), 90))


def test_none_where_nobody_is_heard():
    assert not any(looked_at(MouthLooks(False, False), 90))
