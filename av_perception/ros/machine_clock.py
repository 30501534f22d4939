# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The clock of another machine: sensors tell theirs, and who takes from them compares it.

Drivers of others do not tell theirs; then only the stamps say something, against their arrival.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_srvs.srv import Trigger

from av_perception.ros.input_monitor import UNKNOWN, InputMonitor
from av_perception.synchronization.clock_offset import ClockOffset

SERVICE = 'clock'
OFTEN_S = 1.0  # from one question to the next, until enough answers have come
SELDOM_S = 10.0
ENOUGH = 4
PARTICIPANT = 12  # bytes of an endpoint's identifier that are those of its process (RTPS)


def tell_time(node: Node, now_ns: Callable[[], int]) -> None:
    """Offer the service ~/clock of a node: its time in nanoseconds, as a text."""

    def answer(_, response: Trigger.Response) -> Trigger.Response:
        response.success = True
        response.message = str(now_ns())
        return response

    node.create_service(Trigger, f'~/{SERVICE}', answer)


class ClockWatch:
    """Asks the node that publishes a topic for its time, while its listener is active."""

    def __init__(self, node: Node, now_ns: Callable[[], int], monitor: InputMonitor):
        """Watch the publisher of the topic of a monitor, which is told what comes of it."""
        self._node = node
        self._now_ns = now_ns
        self._monitor = monitor
        self._client: Any = None
        self._name = ''
        self._is_own = False  # this process publishes the topic, and nobody else
        self._num_answers = 0
        self._asked_s = time.monotonic()
        self._timer = node.create_timer(
            OFTEN_S, self._ask, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def close(self) -> None:
        """Ask no more."""
        self._node.destroy_timer(self._timer)
        self._forget()

    def _ask(self) -> None:
        now_s = time.monotonic()
        is_known = self._is_own or self._num_answers >= ENOUGH
        if is_known and now_s - self._asked_s < SELDOM_S:
            return
        self._asked_s = now_s
        self._choose()
        if self._client is None or not self._client.service_is_ready():
            return
        asked_ns = self._now_ns()
        name = self._name
        future = self._client.call_async(Trigger.Request())
        future.add_done_callback(lambda done: self._on_answer(name, asked_ns, done.result()))

    def _choose(self) -> None:
        """Find the one node that publishes the topic from another process."""
        publishers = self._node.get_publishers_info_by_topic(self._monitor.topic)
        others = [p for p in publishers if not self._is_ours(p)]
        self._is_own = bool(publishers) and not others
        name = ''
        if len(others) == 1 and others[0].node_name != UNKNOWN:
            name = f'{others[0].node_namespace.rstrip("/")}/{others[0].node_name}'
        if name == self._name:
            return
        self._forget()
        self._name = name
        if name:
            self._client = self._node.create_client(Trigger, f'{name}/{SERVICE}')

    def _is_ours(self, publisher: Any) -> bool:
        """Whether a publisher belongs to this very process, whose clock is ours."""
        mine = self._node.get_publishers_info_by_topic('/diagnostics')
        here = {
            bytes(p.endpoint_gid)[:PARTICIPANT]
            for p in mine
            if p.node_name == self._node.get_name()
        }
        return bytes(publisher.endpoint_gid)[:PARTICIPANT] in here

    def _on_answer(self, name: str, asked_ns: int, answer: Trigger.Response | None) -> None:
        if name != self._name or answer is None or not answer.message.isdigit():
            return
        self._num_answers += 1
        if self._monitor.clock is None:
            self._monitor.clock = (name.lstrip('/'), ClockOffset())
        self._monitor.clock[1].push(asked_ns, int(answer.message), self._now_ns())

    def _forget(self) -> None:
        """Let go of the node that was asked."""
        if self._client is not None:
            self._node.destroy_client(self._client)
        self._client = None
        self._name = ''
        self._num_answers = 0
        self._monitor.clock = None
