# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The process that hosts nodes: how it starts, fails and stops."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import traceback
from functools import partial
from pathlib import Path

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import get_logger

from av_perception.errors import UserError, describe
from av_perception.ros.bringup.access import refusal
from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.bringup.graph import RESPAWN_DELAY_S
from av_perception.ros.bringup.usage import MAX_THREAD_NAME
from av_perception.ros.legacy import Legacy
from av_perception.ros.lifeline import watch_starter
from av_perception.ros.local_topics import LocalTopics
from av_perception.ros.log_pipe import never_wait_for_readers
from av_perception.ros.node import PerceptionNode
from av_perception.ros.port_watch import OWN_PROCESS, PortWatch, listened_ports, reserve
from av_perception.ros.privacy import check_domain, keep_private
from av_perception.ros.shared_memory import lack_of_room, remove_leftovers
from av_perception.ros.silence_watch import SilenceWatch

# So long a thread that wants the interpreter leaves it to another. Python's default, 5 ms, is long
# for a worker that asks a hundred times per image; 0.5 ms costs a tenth more processor time, for
# the interpreter goes from core to core.
THREAD_SWITCH_S = 0.002
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
DEAF = 'joined the graph anew'
TIDIED = 'shared memory of killed processes removed'
PORT_REASON = 'nothing was heard any more: its shared memory {} was taken away'
SILENCE_REASON = 'nothing was heard of {} since this process was halted'


def catch_stop_signals() -> threading.Event:
    """Make an event that SIGINT, SIGTERM and the end of this process's starter set.

    The context stays valid until the work in hand is done, so nothing fails halfway.
    """
    stopping = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stopping.set())
    watch_starter(stopping.set)
    return stopping


def run_node(node_type: type[PerceptionNode], arguments: list[str] | None = None) -> int:
    """Run one node, the whole main() of its process; see `run_nodes`."""
    return run_nodes({node_type: 0}, arguments)


def run_nodes(
    node_types: dict[type[PerceptionNode], int],
    arguments: list[str] | None = None,
    respawn: bool = False,
) -> int:
    """Run nodes, each in a thread of its own with an executor of its own: the whole main().

    A node that cannot start or go on ends alone; the process ends with the last.

    Parameters
    ----------
    node_types : dict
        How far each steps back when the processors are busy (niceness, 0 not at all).
    arguments : list of str or None
        The command line; None takes that of the process.
    respawn : bool
        Make a node again that ended by itself.

    Returns
    -------
    int
        The exit status: 0 after a signal, 2 when some node ended by itself, or when the user has
        something to mend.
    """
    keep_private()
    never_wait_for_readers()
    sys.setswitchinterval(THREAD_SWITCH_S)
    host = _Host(catch_stop_signals(), time.monotonic(), respawn)
    threading.excepthook = host.lose_thread
    try:
        prepare_environment()
        host.tidy_up()
        _run_while_asked(host, node_types, arguments)
        return 2 if host.ended else 0
    except UserError as error:
        names = ' '.join(node_type.NAME for node_type in node_types)
        print(f'{names}: error: {error}', file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()


def _run_while_asked(
    host: _Host, node_types: dict[type[PerceptionNode], int], arguments: list[str] | None
) -> None:
    """Run the nodes, and again in a new participant where they hear nothing any more."""
    _init(arguments)
    check_domain(rclpy.get_default_context().get_domain_id())
    host.run_all(node_types)
    while host.is_deaf:
        rclpy.try_shutdown()
        reserve(host.ports_before)
        _init(arguments)
        host.run_all(node_types)


class _Host:
    """Keeps nodes going until the process is asked to stop, or hears nothing any more.

    `ended` names those that ended by themselves.
    """

    def __init__(self, stopping: threading.Event, started: float, respawn: bool):
        self._stopping = stopping
        self._local_topics: LocalTopics | None = None
        self._started = started
        self._respawn = respawn
        self._making = threading.Lock()
        self._nodes: set[PerceptionNode] = set()
        self._executors: set[SingleThreadedExecutor] = set()
        self._ports = PortWatch()
        self._silence = SilenceWatch()
        self._why_deaf = ''  # why nothing is heard any more
        self._why_anew = ''  # the same, before the nodes were made
        self._num_anew = 0
        self._legacies: dict[type[PerceptionNode], Legacy] = {}  # of nodes that come again
        self.ports_before: set[str] = set()  # of the participants before this one
        self.ended: list[str] = []
        self._tidied = ''  # what processes that were killed had left

    def tidy_up(self) -> None:
        """Remove what processes that were killed have left in shared memory, and say so."""
        removed = remove_leftovers()
        if removed.num_segments:
            self._tidied = str(removed)
            get_logger('shared_memory').info(f'{TIDIED}: {removed}')

    @property
    def _is_ending(self) -> bool:
        """Whether all nodes are to end."""
        return bool(self._why_deaf) or self._stopping.is_set()

    @property
    def is_deaf(self) -> bool:
        """Whether the nodes were ended because only a new participant hears again."""
        return bool(self._why_deaf) and not self._stopping.is_set()

    def run_all(self, node_types: dict[type[PerceptionNode], int]) -> None:
        """Run every node in a thread of its own, until all have ended."""
        self._why_anew = self._why_deaf
        self._num_anew += self.is_deaf
        self._why_deaf = ''
        self._local_topics = LocalTopics() if len(node_types) > 1 else None
        threads = [
            threading.Thread(target=self.run, args=item, name=item[0].NAME, daemon=True)
            for item in node_types.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():  # without end: a signal must find the main thread at work
                thread.join(timeout=0.2)
                self._look_after_hearing()

    def _look_after_hearing(self) -> None:
        """End all nodes where this process hears nothing any more, so that it can start anew."""
        if not self._why_deaf:
            lost = self._ports.lost()
            silent = self._silent_topics()
            if lost:
                self._why_deaf = PORT_REASON.format(', '.join(lost))
            elif silent:
                self._why_deaf = SILENCE_REASON.format(', '.join(silent))
        if self._why_deaf:
            self.ports_before |= listened_ports(OWN_PROCESS)
            for executor in set(self._executors):
                executor.wake()

    def _silent_topics(self) -> list[str]:
        """Name what was heard before this process was halted, and is published but not heard."""
        nodes = set(self._nodes)
        topics = self._silence.silent(m for node in nodes for m in list(node.diagnostics.monitors))
        return [t for t in topics if any(node.count_publishers(t) for node in nodes)]

    def run(self, node_type: type[PerceptionNode], niceness: int) -> None:
        """Live the whole life of one node, in the thread that calls."""
        started = self._started
        while not self._is_ending and not self._live(node_type, niceness, started):
            # A node whose constructor failed is on the graph until Python forgets it, even if it
            # was there when another one became ready.
            gc.unfreeze()
            gc.collect()
            if not self._respawn or self._stopping.wait(RESPAWN_DELAY_S):
                self.ended.append(node_type.NAME)
                return
            started = time.monotonic()

    def lose_thread(self, lost: threading.ExceptHookArgs) -> None:
        """End the nodes for a thread that died of an exception.

        Nobody knows whose it was, and half a node must not go on.
        """
        error = lost.exc_value or lost.exc_type()
        for node in set(self._nodes):
            node.fail(error)

    def _live(self, node_type: type[PerceptionNode], niceness: int, started: float) -> bool:
        """Make, start and spin a node; False when it ended by itself."""
        try:
            with self._making:
                node = node_type(local_topics=self._local_topics)
        except BaseException as error:  # SystemExit too, which ends a thread without a word
            reason = refusal(error) or lack_of_room(error) or describe(error)
            get_logger(node_type.NAME).error(reason)
            get_logger(node_type.NAME).debug(traceback.format_exc())
            return False
        self._nodes.add(node)
        if self._tidied:
            node.diagnostics.reports[TIDIED] = self._tidied
        if self._why_anew:
            node.diagnostics.count(DEAF, self._why_anew, self._num_anew)
        # Not earlier: the first node starts the threads of DDS, which serve all.
        _set_up_thread(node_type.NAME, niceness)
        executor = SingleThreadedExecutor()
        work = partial(self._work, node, executor, started)
        for step in (work, executor.shutdown, node._take_down, node.destroy_node):
            try:
                step()
            except BaseException as error:
                node.fail(error)
        self._nodes.remove(node)
        return node.failure is None

    def _work(
        self, node: PerceptionNode, executor: SingleThreadedExecutor, started: float
    ) -> None:
        """Let a node work until the process is asked to stop or the node cannot go on."""
        if not self._start(node):
            node.failure = node.failure or node.refusal
            return
        node.get_logger().info(f'ready after {time.monotonic() - started:.1f} s')
        # What is there now stays: to look through it for garbage would halt all nodes of the
        # process for as long as several images take.
        gc.freeze()
        executor.add_node(node)
        self._executors.add(executor)
        try:
            while not self._is_ending and node.failure is None:
                # No longer than a second: the diagnostics wake it; a timeout would cost a timer
                # each time.
                executor.spin_once()
        finally:
            self._executors.remove(executor)
            node.has_successor = self.is_deaf and node.failure is None
            if node.has_successor:
                self._legacies[type(node)] = Legacy.of(node)

    def _start(self, node: PerceptionNode) -> bool:
        """Bring a node to where it is to be; False when that failed."""
        legacy = self._legacies.pop(type(node), None)
        if legacy is not None:
            return legacy.pass_to(node)
        return not node.value('autostart') or node.start()


def _set_up_thread(name: str, niceness: int) -> None:
    """Give the calling thread, and those that it will start, a name for `top` and a niceness."""
    thread = threading.get_native_id()
    if niceness:
        os.setpriority(os.PRIO_PROCESS, thread, niceness)
    try:
        Path(f'/proc/self/task/{thread}/comm').write_text(name[:MAX_THREAD_NAME])
    except OSError:
        pass  # not Linux


def _init(arguments: list[str] | None) -> None:
    """Call rclpy.init; what is wrong with the command line becomes one line.

    Such as an absent parameter file.
    """
    try:
        rclpy.init(args=arguments, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    except Exception as error:  # rclpy hands on errors of the C layer under several names
        raise UserError(' '.join(str(error).split(', at ')[0].split())) from error
