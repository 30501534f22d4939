# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The parts of the benchmark of two machines, on made-up frames and notes; and its cable."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from av_perception.ros.two_machines.clock import Pace
from av_perception.ros.two_machines.figures import growth, measured, recovery_s, sentences
from av_perception.ros.two_machines.hosted import commands_of
from av_perception.ros.two_machines.namespaces import (
    ADDRESSES,
    COMPUTER,
    ROBOT,
    TwoMachines,
    why_not,
)
from av_perception.ros.two_machines.planted_recording import write_planted_recording
from av_perception.ros.two_machines.session import slowed_profile
from av_perception.ros.two_machines.wire import FRAME_OVERHEAD, Conditions, Wire
from av_perception.simulation.cache import simulated_recording

MS = 1_000_000
S = 1000 * MS
UNICAST = b'\x02' + bytes(11) + b'\x08\x00'
FRAME = UNICAST + bytes(1000 - len(UNICAST) - FRAME_OVERHEAD)


# ---- the wire


def test_what_goes_in_comes_out_in_order_after_the_delay():
    wire = Wire(Conditions(delay_s=0.02))
    for k in range(5):
        wire.push(FRAME + bytes([k]), 0.001 * k)
    assert wire.pop_due(0.0199) == [] and wire.next_due_s() == pytest.approx(0.02)
    assert [frame[-1] for frame in wire.pop_due(0.0225)] == [0, 1, 2]
    assert [frame[-1] for frame in wire.pop_due(1.0)] == [3, 4]


def test_no_more_passes_than_the_rate_and_nothing_waits_longer_than_the_queue():
    wire = Wire(Conditions(rate_bps=8e6, queue_s=0.1))  # a thousand frames a second
    ages = []
    for k in range(4000):  # twice as many come
        now_s = 0.0005 * k
        wire.push(FRAME + k.to_bytes(2, 'big'), now_s)
        ages += [now_s - 0.0005 * int.from_bytes(f[-2:], 'big') for f in wire.pop_due(now_s)]
    assert wire.counters['carried'] == pytest.approx(2000, rel=0.02)
    assert max(ages) < 0.103
    assert wire.counters['dropped'] == pytest.approx(2000 - 100, rel=0.05)


def test_as_much_is_lost_as_was_asked_for():
    wire = Wire(Conditions(loss=0.01), seed=3)
    for _ in range(20000):
        wire.push(FRAME, 0.0)
    assert wire.counters['lost'] == pytest.approx(200, abs=45)  # three standard deviations


def test_a_cable_that_is_out_loses_what_was_under_way():
    wire = Wire(Conditions(delay_s=0.02))
    wire.push(FRAME, 0.0)
    wire.is_up = False
    wire.push(FRAME, 0.01)
    assert wire.pop_due(1.0) == []
    wire.is_up = True
    assert wire.pop_due(2.0) == [] and wire.counters['lost'] == 2


def test_without_multicast_addresses_can_still_be_asked_for():
    wire = Wire(Conditions(has_multicast=False))
    everybody = b'\xff' * 6 + bytes(6)
    wire.push(b'\x01' + bytes(11) + b'\x08\x00', 0.0)
    wire.push(everybody + b'\x08\x00', 0.0)
    wire.push(everybody + b'\x08\x06', 0.0)  # ARP
    wire.push(FRAME, 0.0)
    assert len(wire.pop_due(0.0)) == 2


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_two_machines_see_each_other_and_nobody_else():
    """Regression: without netem in the kernel there was no way to try a bad network here."""
    with TwoMachines(Conditions(delay_s=0.02)) as machines:
        listen = [
            'python3',
            '-c',
            'import socket\ns = socket.socket(type=socket.SOCK_DGRAM)\n'
            's.bind(("", 5005))\nprint(flush=True)\ns.settimeout(20)\nprint(s.recvfrom(99))',
        ]
        say = (
            'import socket; socket.socket(type=socket.SOCK_DGRAM)'
            f'.sendto(b"here", ("{ADDRESSES[COMPUTER]}", 5005))'
        )
        hearing = subprocess.Popen(
            machines.command(COMPUTER, listen), stdout=subprocess.PIPE, text=True
        )
        hearing.stdout.readline()
        subprocess.run(machines.command(ROBOT, ['python3', '-c', say]), check=True)
        heard = hearing.communicate()[0]
        assert "b'here'" in heard and ADDRESSES[ROBOT] in heard
        shown = subprocess.run(
            machines.command(ROBOT, ['sh', '-c', 'ls /dev/shm']), capture_output=True, check=True
        )
        assert shown.stdout == b'', 'a machine has a shared memory of its own'
    left = subprocess.run(['ip', 'netns', 'list'], capture_output=True, text=True, check=True)
    assert machines.namespace(ROBOT) not in left.stdout


# ---- clocks, commands, files


def test_a_slower_clock_goes_on_from_the_moment_it_went_apart():
    pace = Pace(100 * S, 4.0)
    assert pace.at(100 * S) == 100 * S
    assert pace.at(108 * S) == 102 * S


def test_commands_are_told_apart():
    assert commands_of(['--', 'a', 'b', '--', 'c']) == [['a', 'b'], ['c']]


def test_the_profile_is_slowed_in_all_its_times(tmp_path):
    text = open(slowed_profile(tmp_path / 'p.xml', 4.0)).read()
    assert '<heartbeatPeriod><nanosec>240000000</nanosec>' in text
    assert '<nackResponseDelay><nanosec>20000000</nanosec>' in text
    assert '<leaseDuration><sec>80</sec></leaseDuration>' in text
    assert '<maxMessageSize>1400</maxMessageSize>' in text


@pytest.mark.slow
def test_the_planted_recording_lasts_as_long_as_wanted(tmp_path):
    if shutil.disk_usage(tmp_path).free < 2**26:
        pytest.skip('no room')
    from av_perception.recording import Recording

    scene = simulated_recording('short')
    places = write_planted_recording(tmp_path / 'r', scene, 9.0)
    recording = Recording.open(tmp_path / 'r')
    assert recording.num_frames == 225 and recording.duration_s >= 9.0 and recording.has_right
    images = [left for _, _, left, _ in recording.images()][:12]
    assert (images[1] == images[11]).all() and (images[5] != images[4]).any(), 'forth and back'
    assert set(places) == {1, 2} and all(place.shape == (3,) for place in places.values())


# ---- figures


def made_up(missing=(), ids=lambda k: {1: 7, 2: 8}, latency_ms=60, count=250):
    """Notes of frames at 25 Hz from second 10 on, all but those of some numbers."""
    stamps = [(k, 10 * S + 40 * MS * k) for k in range(count) if k not in missing]
    return {
        'tracks': [[stamp, stamp + latency_ms * MS, ids(k)] for k, stamp in stamps],
        'speaking': [[stamp, stamp + latency_ms * MS, [7]] for _, stamp in stamps],
        'seen': [[stamp, stamp + latency_ms * MS // 2, 2] for _, stamp in stamps],
        'said': [],
    }


def said(came_ns, name, message, is_well=False, **values):
    return [came_ns, came_ns, name, is_well, message, values]


WINDOW = (12 * S, 18 * S)


def test_a_network_without_faults_gives_every_image():
    figures = measured(made_up(), WINDOW, None, 10.0)
    assert figures.images_hz == pytest.approx(25.0)
    assert figures.latency_ms == (60.0, 60.0) and figures.oldest_image_ms == 30.0
    assert figures.ids_kept and figures.recovery_s is None
    assert figures.lost_in_silence == 0 == figures.sound_lost


def test_images_that_no_counter_speaks_of_were_lost_in_silence():
    heard = made_up(missing=range(100, 140))
    assert measured(heard, WINDOW, None, 0.0).lost_in_silence == 40 - 3
    heard['said'] = [
        said(11 * S, 'stereo_camera', '', **{'compressed images left out': '100'}),
        said(17 * S, 'stereo_camera', '', **{'compressed images left out': '140'}),
    ]
    figures = measured(heard, WINDOW, None, 0.0)
    assert figures.images_left_out == 40 and figures.lost_in_silence == 0
    assert figures.images_lost == 0
    missing = {'left images missing': '45', 'images dropped: no partner with the same stamp': '3'}
    heard['said'] += [said(17 * S, 'visual_features', '', **missing)]
    assert measured(heard, WINDOW, None, 0.0).images_lost == 45 - 40 + 3


def test_counters_grow_within_the_while_alone():
    heard = made_up()
    heard['said'] = [
        said(when * S, 'audio_features', '', **{'sound: gaps in the sound': str(number)})
        for when, number in ((11, 5), (13, 6), (17, 9), (19, 50))
    ]
    assert growth(heard, WINDOW, 'audio_features', 'sound: gaps in the sound') == 4
    assert measured(heard, WINDOW, None, 0.0).sound_lost == 4
    assert growth(heard, WINDOW, 'tracker', 'sound: gaps in the sound') == 0


@pytest.mark.parametrize('after', [{1: 7, 2: 9}, {1: 8, 2: 7}, None])
def test_other_ids_are_not_kept(after):
    heard = made_up(ids=lambda k: {1: 7, 2: 8} if k < 100 else after)
    assert not measured(heard, WINDOW, None, 0.0).ids_kept


def test_recovery_is_the_first_of_five_right_frames_that_are_new():
    returned_ns = 15 * S
    bad = range(125, 150)  # after the return, until second 16
    heard = made_up(ids=lambda k: None if k in bad or k == 153 else {1: 7, 2: 8})
    expected_s = 0.04 * 154 + 0.06 + 10 - 15
    assert recovery_s(heard, returned_ns) == pytest.approx(expected_s)
    assert recovery_s(made_up(ids=lambda k: None), returned_ns) == float('inf')
    silent = made_up()
    silent['speaking'] = [[*note[:2], []] for note in silent['speaking']]
    assert recovery_s(silent, returned_ns) == float('inf'), 'the talker is not heard'


def test_the_clause_that_names_the_cause_is_found_with_who_says_it():
    heard = made_up()
    message = (
        'no message on /audio for 1.5 s; x publishes it but is silent; no message on /left for'
    )
    heard['said'] = [
        said(11 * S, 'tracker', 'no message on /left for 9 s'),
        said(13 * S, 'tracker', message),
        said(14 * S, 'tracker', 'no message on /right', is_well=True),
    ]
    found = sentences(heard, WINDOW, ('message on /audio', 'on /left', 'on /right'))
    assert found['message on /audio'].startswith('tracker: no message on /audio for 1.5 s; x')
    assert found['on /left'] == 'tracker: no message on /left for'
    assert found['on /right'] == ''


def test_places_are_in_meters():
    scene = simulated_recording('short')
    assert scene.truth is not None and np.abs(scene.truth.position).max() < 5.0
