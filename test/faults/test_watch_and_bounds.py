# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the harness sees of logs and diagnostics, and which values it tries at a parameter."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import ParameterType

from av_perception.interfaces import LifeState
from av_perception.ros.faults.fault import Fault
from av_perception.ros.faults.fault_graph import FaultGraph
from av_perception.ros.faults.service_faults import trials
from av_perception.ros.faults.watch import DiagnosticsWatch, LogWatch
from av_perception.ros.parameters import Parameter

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class Speaker:
    """An observer whose node hears what the test says."""

    def __init__(self):
        self.node = self
        self._callback = None

    def create_subscription(self, kind, topic, callback, depth):
        self._callback = callback

    def say(self, name, level, message):
        status = DiagnosticStatus(name=f'/robot/{name}', level=level, message=message)
        self._callback(DiagnosticArray(status=[status]))


@pytest.fixture()
def watched():
    """(who speaks, the watch)."""
    speaker = Speaker()
    return speaker, DiagnosticsWatch(speaker)


def test_complaints_are_what_was_said_since_a_mark_and_is_not_well(watched):
    speaker, watch = watched
    speaker.say('tracker', ERROR, 'before')
    mark = watch.mark()
    speaker.say('tracker', OK, 'running')
    speaker.say('tracker', WARN, 'running, x: 1 more')
    speaker.say('audio_features', ERROR, 'no message on /audio')
    assert watch.complaints(mark) == [
        'tracker: running, x: 1 more',
        'audio_features: no message on /audio',
    ]


def test_who_says_nothing_is_found(watched):
    speaker, watch = watched
    speaker.say('tracker', OK, 'running')
    mark = watch.mark()
    speaker.say('audio_features', OK, 'running')
    names = ['tracker', 'audio_features']
    assert watch.silent(names, mark, patience_s=0.0) == ['tracker']
    assert watch.silent(names, 0, patience_s=0.0) == []


def test_who_is_inactive_is_found_by_the_last_word(watched):
    speaker, watch = watched
    speaker.say('tracker', OK, 'not active')
    assert watch.inactive(['tracker'], 0) == ['tracker']
    speaker.say('tracker', OK, 'running')
    assert watch.inactive(['tracker'], 0) == []


def test_logs_are_read_once(tmp_path):
    watch = LogWatch(tmp_path)
    assert watch.new_text() == ''
    log = tmp_path / 'tracker.log'
    log.write_text('Traceback\n')
    assert watch.new_text() == 'Traceback\n'
    with open(log, 'a') as file:
        file.write('more\n')
    (tmp_path / 'other.log').write_text('other\n')
    assert sorted(watch.new_text().split()) == ['more', 'other']
    assert watch.new_text() == ''


def described(default, low=None, high=None):
    descriptor = Parameter('x', default, 'A parameter.', low, high).descriptor()
    kinds = {float: 'DOUBLE', int: 'INTEGER', bool: 'BOOL', str: 'STRING'}
    descriptor.type = getattr(ParameterType, f'PARAMETER_{kinds[type(default)]}')
    return descriptor


def test_numbers_are_tried_at_and_beyond_their_bounds():
    tried = trials(described(0.5, 0.0, 1.0))
    allowed = [v.double_value for v, must_fail in tried if not must_fail]
    assert allowed == [0.0, 1.0]
    refused = [v for v, must_fail in tried if must_fail]
    numbers = [v.double_value for v in refused if v.type == ParameterType.PARAMETER_DOUBLE]
    assert any(map(math.isnan, numbers)) and math.inf in numbers
    assert sum(number < 0.0 for number in numbers) == 1
    assert {v.type for v in refused} == {
        ParameterType.PARAMETER_DOUBLE,
        ParameterType.PARAMETER_STRING,
    }


def test_whole_numbers_are_tried_one_beyond_their_bounds():
    tried = trials(described(3, 1, 16))
    values = [v.integer_value for v, _ in tried if v.type == ParameterType.PARAMETER_INTEGER]
    assert values == [1, 16, 0, 17]


@pytest.mark.parametrize('default', [True, 'a word'])
def test_what_has_no_bounds_is_given_another_type(default):
    ((value, must_fail),) = trials(described(default))
    assert must_fail and value.type != described(default).type


def person(key, x, state=LifeState.ACTIVE, seen=True):
    return SimpleNamespace(id=key, state=state, seen=seen, mean=np.array([x, 0, 0, 0, 0, 0]))


@pytest.mark.parametrize(
    'tracks, ids',
    [
        ([person(7, 1.0), person(9, 2.1)], {1: 7, 2: 9}),
        ([person(7, 1.0)], None),
        ([person(7, 1.0), person(9, 2.0, seen=False)], None),
        ([person(7, 1.0), person(9, 2.0, LifeState.TENTATIVE)], None),
        ([person(7, 1.0), person(8, 1.1)], None),
        ([person(7, 1.0), person(9, 2.0), person(10, 5.0)], None),
    ],
    ids=['right', 'one lost', 'unseen', 'tentative', 'doubled', 'a ghost'],
)
def test_tracks_are_right_when_each_person_is_seen_once_and_nobody_else(tmp_path, tracks, ids):
    graph = FaultGraph('head', None, tmp_path)
    graph.scene = SimpleNamespace(places={1: [1.0, 0, 0], 2: [2.0, 0, 0]})
    graph.observer = SimpleNamespace(tracks={5: SimpleNamespace(tracks=tracks)})
    assert graph.ids(5) == ids
    assert graph.ids(6) is None and graph.ids(None) is None
    assert graph.is_whole_since(4, {1: 7, 2: 9}) == ({7, 9} <= {t.id for t in tracks})


def test_answers_count_as_words_until_the_next_trial(tmp_path, watched):
    graph = FaultGraph('head', None, tmp_path)
    graph.log, graph.watch = LogWatch(tmp_path), watched[1]
    graph.note('refused')
    assert Fault('x', 'x', told=('refused',)).find(graph.said(0)) == 'refused'
    graph.begin_trial()
    assert graph.said(0) == []
