# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who listens to a whole graph lives on through what strangers publish in it."""

from __future__ import annotations

import pytest
from av_perception_msgs.msg import Track, TrackArray
from dds_domains import free_domain
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from waiting import wait_for

from av_perception.ros import qos
from av_perception.ros.conversions import header
from av_perception.ros.observer import GraphObserver

SECOND = 10**9


@pytest.fixture(params=['', 'robot_1'])
def observer(request):
    """One that listens, without and with a namespace."""
    with GraphObserver(request.param, free_domain()) as made:
        yield made


def test_a_track_of_no_known_state_ended_the_thread_that_listens(observer):
    publisher = observer.node.create_publisher(TrackArray, 'tracks', qos.FEATURES)
    odd = TrackArray(header=header(SECOND, 'base'), tracks=[Track(state=77)])
    fine = TrackArray(header=header(2 * SECOND, 'base'), tracks=[Track(state=1)])

    def is_heard():
        for message in (odd, fine):
            publisher.publish(message)
        return 2 * SECOND in observer.tracks and observer.unreadable

    wait_for(is_heard)
    assert SECOND not in observer.tracks
    assert observer.unreadable == {'tracks': '77 is not a valid LifeState'}


def test_two_robots_in_one_domain_were_taken_for_one(observer):
    """/diagnostics is the topic of both."""
    space = observer.node.get_namespace().rstrip('/')
    statuses = [
        DiagnosticStatus(name=f'{space}/tracker', message='running'),
        DiagnosticStatus(name='/robot_2/tracker', message='no message on /robot_2/audio'),
    ]
    observer._on_diagnostics(DiagnosticArray(status=statuses))
    assert observer.diagnostics == {'tracker': {'message': 'running'}}
