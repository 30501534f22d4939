# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How a run of the tests is shared between processes, and what it leaves behind."""

from __future__ import annotations

import fcntl
import os
import sys
from functools import partial
from types import ModuleType, SimpleNamespace

import dds_domains
import numpy as np
import offline_runs
import pytest
import run_folder
import tidy_memory
from file_order import Stopwatch, kept_seconds, longest_first
from own_numbers import OwnNumbers

from av_perception.ros import shared_memory


def item(name, slow=False):
    marker = 'a mark' if slow else None
    return SimpleNamespace(nodeid=name, get_closest_marker=lambda kind: marker)


def ids(items):
    return [one.nodeid for one in items]


def test_files_that_lasted_longest_begin_first_and_stay_in_order():
    items = [item('a::1'), item('b::1'), item('a::2'), item('c::1'), item('b::2')]
    known = {'a::1': 0.1, 'b::1': 1.0, 'b::2': 5.0, 'c::1': 2.0}
    assert ids(longest_first(items, known)) == ['b::1', 'b::2', 'c::1', 'a::1', 'a::2']


def test_what_never_ran_goes_by_its_mark():
    items = [item('a::1'), item('b::1', slow=True), item('c::1', slow=True), item('c::2', True)]
    assert ids(longest_first(items, {})) == ['c::1', 'c::2', 'b::1', 'a::1']
    assert ids(longest_first(items, {'a::1': 99.0}))[0] == 'a::1'
    graph = item('test/graph/test_graph.py::1', slow=True)
    assert ids(longest_first([*items, graph], {}))[0] == graph.nodeid, 'it starts six processes'


@pytest.fixture()
def config():
    kept = {}
    cache = SimpleNamespace(get=lambda key, default: kept.get(key, default), set=kept.__setitem__)
    return SimpleNamespace(cache=cache)


def test_times_are_kept_from_run_to_run(config):
    def run(*reports):
        watch = Stopwatch(config)
        for name, seconds in reports:
            watch.pytest_runtest_logreport(SimpleNamespace(nodeid=name, duration=seconds))
        watch.pytest_sessionfinish()

    assert kept_seconds(config) == {}
    run(('a::1', 1.0), ('a::1', 0.5), ('a::2', 0.01), ('b::1', 7.0))
    assert kept_seconds(config) == {'a::1': 1.5, 'b::1': 7.0}
    run(('a::1', 0.01), ('a::3', 2.0))
    assert kept_seconds(config) == {'b::1': 7.0, 'a::3': 2.0}, 'a::1 is quick now'


def test_without_a_cache_nothing_is_kept():
    config = SimpleNamespace()
    watch = Stopwatch(config)
    watch.pytest_runtest_logreport(SimpleNamespace(nodeid='a::1', duration=1.0))
    watch.pytest_sessionfinish()
    assert kept_seconds(config) == {}


def test_what_a_test_draws_does_not_turn_on_the_tests_before_it():
    """Regression: a clipped sample more or less, by which tests ran earlier in the process."""
    module = ModuleType('test_x')
    module.SHARED = np.random.default_rng(4)
    one = SimpleNamespace(module=module)
    plugin = OwnNumbers()
    plugin.pytest_collection_modifyitems([one, one, SimpleNamespace()])
    drawn = []
    for count in (3, 7, 1):
        plugin.pytest_runtest_setup(one)
        drawn.append(module.SHARED.normal(size=count)[0])
    assert drawn == [np.random.default_rng(4).normal()] * 3
    plugin.pytest_runtest_setup(SimpleNamespace())


@pytest.fixture()
def other_processes(tmp_path, monkeypatch):
    """Locks as other test processes have them: a lock of a file belongs to who opened it."""
    monkeypatch.setattr(dds_domains, 'LOCKS', tmp_path / 'locks')
    monkeypatch.setattr(dds_domains, '_own', [])
    monkeypatch.setattr(dds_domains, '_held', dds_domains.deque(maxlen=2))
    monkeypatch.setattr(dds_domains, 'OWN_DOMAINS', range(100, 103))


def test_two_test_processes_never_share_a_domain(other_processes):
    """Regression: it was the process's number modulo 100."""
    assert {dds_domains.own_domain() for _ in range(3)} == {100, 101, 102}
    with pytest.raises(RuntimeError, match='end some'):
        dds_domains.own_domain()


def test_a_domain_that_was_just_chosen_is_not_chosen_again(other_processes, monkeypatch):
    """Regression: nobody was seen there before the graph had started."""
    chosen = iter([7, 7, 7, 8, 7, 9, 7])
    monkeypatch.setattr(dds_domains.privacy, 'free_domain', lambda: next(chosen))
    assert [dds_domains.free_domain() for _ in range(4)] == [7, 8, 9, 7], 'the oldest is let go'


def test_a_scene_is_run_once_for_all_processes(tmp_path, monkeypatch):
    runs = []
    monkeypatch.setenv(run_folder.VARIABLE, str(tmp_path))
    monkeypatch.setattr(offline_runs, '_run', lambda scene: runs.append(scene) or 'what it says')
    in_another_process = offline_runs.offline_run.__wrapped__
    assert [in_another_process('short') for _ in range(3)] == 3 * ['what it says']
    assert runs == ['short']


def test_processes_of_a_run_keep_what_they_compile():
    assert not sys.dont_write_bytecode and 'PYTHONDONTWRITEBYTECODE' not in os.environ


def test_a_run_leaves_shared_memory_as_it_found_it(tmp_path, monkeypatch):
    """Regression: runs that killed graphs had left 755 files, 1.4 GB."""
    monkeypatch.setattr(shared_memory, 'YOUNGEST_S', -1.0)
    for name, value in {'SHARED_MEMORY': tmp_path, 'YOUNGEST_S': 0.1, 'PAUSE_S': 0.01}.items():
        monkeypatch.setattr(tidy_memory, name, value)
    remove = partial(shared_memory.remove_leftovers, tmp_path)
    monkeypatch.setattr(tidy_memory, 'remove_leftovers', remove)
    cleanups = []
    tidy_memory.tidy_shared_memory(SimpleNamespace(add_cleanup=cleanups.append))
    killed = ('fastrtps_0123456789abcdef', 'fastrtps_0123456789abcdef_el', 'fastrtps_port9999')
    running = ('fastrtps_fedcba9876543210', 'fastrtps_fedcba9876543210_el')
    for name in (*killed, *running):
        (tmp_path / name).touch()
    with open(tmp_path / running[1]) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cleanups[0]()
    assert {path.name for path in tmp_path.iterdir()} == set(running)
