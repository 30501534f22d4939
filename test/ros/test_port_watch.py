# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A process whose port in shared memory was taken away notices, and joins the graph anew."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from av_perception_msgs.msg import TrackArray, VisualFeatures
from dds_domains import free_domain
from tracking_scenes import face_at
from waiting import wait_for

from av_perception.interfaces import VisualFeatures as Features
from av_perception.robot_head import load_head
from av_perception.ros import port_watch, qos
from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.bringup.graph import Selection, nodes_for
from av_perception.ros.bringup.lock_step import wait_until_active
from av_perception.ros.bringup.runner import GraphRunner
from av_perception.ros.conversions import visual_features_to_msg
from av_perception.ros.observer import GraphObserver
from av_perception.ros.port_watch import CONFIRM_S, LOOK_S, OwnPorts, PortWatch, reserve
from av_perception.ros.process import DEAF
from av_perception.ros.silence_watch import HALTED_S

PATIENCE_S = 300.0
HEAD = load_head('simulated')
PLACE = np.array([1.5, 0.2, 0.1])
PERIOD_NS = 40_000_000


class Machine:
    """A process that listens at ports, as /proc and /dev/shm show it."""

    def __init__(self, folder: Path):
        self.process = folder / 'proc'
        self.memory = folder / 'shm'
        (self.process / 'fd').mkdir(parents=True)
        self.memory.mkdir()
        (self.process / 'maps').write_text('7f00-7f01 r-xp 00000000 08:01 12 /usr/lib/libc.so\n')
        self._ports = OwnPorts(self.process, self.memory)

    def listen(self, port: str, ending: str = '_el', is_mapped: bool = True) -> Path:
        path = self.memory / port
        path.write_bytes(b'port')
        number = len(list((self.process / 'fd').iterdir()))
        (self.process / 'fd' / str(number)).symlink_to(f'{path}{ending}')
        if is_mapped:
            line = f'7f02-7f03 rw-s 00000000 00:19 {path.stat().st_ino}     {path}\n'
            with open(self.process / 'maps', 'a') as file:
                file.write(line)
        return path

    def orphaned(self) -> set[str]:
        return set(self._ports.orphaned())


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_ports_that_have_their_names_are_not_orphaned(machine):
    machine.listen('fastrtps_port7411')
    machine.listen('fastrtps_port7400', '_sl')
    machine.listen('fastrtps_0123456789abcdef')  # memory of its own messages
    assert machine.orphaned() == set()


@pytest.mark.parametrize('ending', ['_el', '_el (deleted)'])
@pytest.mark.parametrize('is_made_anew', [False, True])
def test_a_port_whose_name_is_gone_or_another_ones_is_orphaned(machine, ending, is_made_anew):
    machine.listen('fastrtps_port7413')
    path = machine.listen('fastdds_port7411', ending)
    kept = path.with_name('kept')
    path.rename(kept)  # its inode stays in use, as mapped memory does
    if is_made_anew:
        path.write_bytes(b'of a writer')
    assert machine.orphaned() == {'fastdds_port7411'}


def test_the_port_of_newcomers_that_is_made_anew_costs_no_new_start(machine):
    """Who writes makes it anew where one of many listeners was halted; all others would start."""
    machine.listen('fastrtps_port7411')
    machine.listen('fastrtps_port7400', '_sl').unlink()
    assert machine.orphaned() == set()


def test_a_port_that_is_not_mapped_yet_is_being_made(machine):
    machine.listen('fastrtps_port7411', is_mapped=False).unlink()
    assert machine.orphaned() == set()


def test_what_is_mapped_is_not_asked_for_again(machine):
    """Regression: the list of a real process takes ten milliseconds, and was read each second."""
    path = machine.listen('fastrtps_port7411')
    assert machine.orphaned() == set()
    (machine.process / 'maps').unlink()
    assert machine.orphaned() == set()
    path.unlink()
    assert machine.orphaned() == set()  # nobody tells any more


def test_a_port_that_is_lost_after_a_look_is_found(machine):
    path = machine.listen('fastrtps_port7411')
    assert machine.orphaned() == set()
    path.rename(path.with_name('kept'))
    path.write_bytes(b'of a writer')
    assert machine.orphaned() == {'fastrtps_port7411'}
    path.unlink()
    machine.listen('fastrtps_port7411')  # a new participant maps it
    assert machine.orphaned() == set()


def test_a_system_that_does_not_tell_has_no_orphans(tmp_path):
    assert OwnPorts(tmp_path / 'absent', tmp_path).orphaned() == frozenset()


def test_a_port_that_is_reserved_is_nobodys(tmp_path):
    """Its lock is held as a participant would hold it."""
    (tmp_path / 'fastrtps_port7411_el').touch()
    with open(tmp_path / 'fastrtps_port7413_el', 'wb') as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        locks = reserve(['fastrtps_port7411', 'fastrtps_port7412', 'fastrtps_port7413'], tmp_path)
    assert len(locks) == 2
    for number in (7411, 7412):
        with open(tmp_path / f'fastrtps_port{number}_el', 'rb') as file:
            with pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    for lock in locks:
        os.close(lock)


class Looks:
    """A clock, and what a look would show."""

    def __init__(self):
        self.now = 0.0
        self.orphaned: frozenset[str] = frozenset()
        self.count = 0
        self.watch = PortWatch(self.look, lambda: self.now)

    def look(self) -> frozenset[str]:
        self.count += 1
        return self.orphaned

    def after(self, step_s: float) -> list[str]:
        self.now += step_s
        return self.watch.lost()


def test_it_looks_once_a_second_and_with_every_call_after_it_was_halted():
    looks = Looks()
    for _ in range(50):
        looks.after(0.2)
    assert looks.count == pytest.approx(50 * 0.2 / LOOK_S, abs=2)
    before = looks.count
    looks.after(3.0)
    for _ in range(10):
        looks.after(0.2)
    assert looks.count == before + 11


def test_a_port_that_is_made_anew_meanwhile_is_not_lost():
    looks = Looks()
    looks.orphaned = frozenset({'a'})
    assert looks.after(LOOK_S) == []
    looks.orphaned = frozenset()
    assert looks.after(CONFIRM_S / 2) == []
    looks.orphaned = frozenset({'a'})
    assert looks.after(LOOK_S) == looks.after(CONFIRM_S / 2) == []
    assert looks.after(CONFIRM_S / 2) == ['a']


class Sight:
    """A participant that shows a person again and again, and hears the tracks."""

    def __init__(self, observer, start_ns):
        self.stamp_ns = start_ns
        node = observer.node
        self.ids: set[int] = set()
        self._publisher = node.create_publisher(VisualFeatures, 'visual_features', qos.FEATURES)
        node.create_subscription(TrackArray, 'tracks', self._on_tracks, qos.FEATURES)
        self.timer = node.create_timer(1e-9 * PERIOD_NS, self._show)

    def _show(self):
        self.stamp_ns += PERIOD_NS
        random = np.random.default_rng(self.stamp_ns % 97)
        features = Features(self.stamp_ns, (face_at(PLACE, random),))
        self._publisher.publish(visual_features_to_msg(features, HEAD.camera.frame))

    def _on_tracks(self, message):
        self.ids |= {track.id for track in message.tracks}


@pytest.fixture
def tracker(tmp_path):
    """A tracker in a process of its own, who sees somebody: observer, sight and process."""
    domain = free_domain()
    selection = Selection(microphones='others', camera='others')
    nodes = [node for node in nodes_for(HEAD, selection) if node.name == 'tracker']
    environment = {**prepare_environment({**os.environ}), 'ROS_DOMAIN_ID': str(domain)}
    runner = GraphRunner(
        nodes, {'head': 'simulated'}, log_folder=tmp_path, environment=environment
    )
    with GraphObserver(domain_id=domain) as observer, runner:
        wait_until_active(observer, runner, ['tracker'])
        sight = Sight(observer, observer.now_ns())
        assert wait_for(lambda: sight.ids, PATIENCE_S)
        yield observer, sight, runner.processes['tracker'].pid
        assert not runner.failed()


@pytest.mark.slow
def test_a_node_whose_shared_memory_was_taken_away_hears_again(tracker):
    """And says so, and knows who was there: nobody needs a new id."""
    first, before, pid = tracker
    before.timer.cancel()  # else the images of both mix, and each is a new start for the other
    for port in port_watch.listened_ports(Path('/proc', str(pid))):
        (port_watch.SHARED_MEMORY / port).unlink()
    # Who was there before still has the memory; who comes now finds a name without a listener.
    with GraphObserver(domain_id=first.node.context.get_domain_id()) as second:
        after = Sight(second, before.stamp_ns + 3 * 10**9)
        assert wait_for(lambda: DEAF in second.diagnostics.get('tracker', {}), PATIENCE_S)
        assert wait_for(lambda: after.ids, PATIENCE_S)
        assert after.ids == before.ids
        assert second.diagnostics['tracker'][DEAF] == '1', 'its new ports are others'


@pytest.mark.slow
def test_a_node_that_hears_nothing_after_a_halt_joins_anew_and_knows_who_was_there(tracker):
    """Only a silence shows that what others write reaches nobody; here they are silent indeed."""
    observer, sight, pid = tracker
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(HALTED_S + 0.5)
        sight.timer.cancel()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert wait_for(lambda: DEAF in observer.diagnostics.get('tracker', {}), PATIENCE_S)
    known = set(sight.ids)
    sight.ids.clear()
    sight.timer.reset()
    assert wait_for(lambda: sight.ids, PATIENCE_S)
    assert sight.ids == known
