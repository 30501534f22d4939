# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a node says of itself once a second on /diagnostics.

Missing inputs by name, rates, latency, and counters with their last reason.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.qos import QoSProfile

from av_perception.errors import one_line
from av_perception.ros.compat import NO_PUBLISHER_EVENTS
from av_perception.ros.conversions import header
from av_perception.ros.input_monitor import InputMonitor
from av_perception.ros.missing_inputs import MissingInputs, is_starting
from av_perception.ros.tunable_node import TunableNode

PERIOD_S = 1.0
NEW_S = 10.0  # so long what a new node has to say waits for who listens
NO_FAULT = ('pairing: unused audio',)  # sound between two images: counted, but nothing to warn of
HELD_UP_S = 1.0  # diagnostics that come so much too late: it is us who did not listen
HELD_UP_REASON = 'this node was stopped, or the processor is too busy'
NO_CLOCK = (
    'use_sim_time is set but nothing comes on /clock: play a bag with --clock, or set '
    'use_sim_time to false'
)


class Diagnostics:
    """Collects a node's monitors and counters and publishes them.

    It also logs a problem once when it starts and once when it ends; one that several nodes of a
    process have, once for all of them.

    Attributes
    ----------
    monitors : list of InputMonitor
        Of the topics that are listened to.
    counters : Counter
        What was dropped or repaired, by event.
    reports : dict
        What the node tells of itself beside that: text by name. It is no fault.
    """

    def __init__(self, node: TunableNode, missing: MissingInputs | None = None):
        """Start with nothing counted.

        Parameters
        ----------
        node : TunableNode
            Whose diagnostics these are.
        missing : MissingInputs or None
            What the nodes of its process have said; None: it is alone.
        """
        self._node = node
        self._publisher = node.create_publisher(
            DiagnosticArray, '/diagnostics', 10, event_callbacks=NO_PUBLISHER_EVENTS
        )
        # Of wall time whatever /clock does: a node without time must still say so.
        self._timer = node.create_timer(
            PERIOD_S, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._time = self._started = time.monotonic()
        self._was_active = False
        self.monitors: list[InputMonitor] = []
        self.counters: Counter[str] = Counter()
        self.reports: dict[str, str] = {}
        self._reasons: dict[str, str] = {}  # of each counter, why it grew last
        self._warned: Counter[str] = Counter()
        self._absorbed: Counter[str] = Counter()
        self._absorbed_of: dict[str, dict[str, int]] = {}  # of each stage, its counters then
        self._published: Counter[str] = Counter()
        self._clock = InputMonitor('/clock', PERIOD_S, type_name='rosgraph_msgs/msg/Clock')
        self._missing = missing or MissingInputs()
        self._told: dict[str, str] = {}  # topic: what the log has of it

    def monitor(
        self,
        topic: str,
        timeout_s: float = 1.0,
        qos: QoSProfile | None = None,
        type_name: str = '',
        is_optional: bool = False,
    ) -> InputMonitor:
        """Start to watch a topic that is subscribed to with `qos`; see `InputMonitor`."""
        self.monitors.append(InputMonitor(topic, timeout_s, qos, type_name, is_optional))
        return self.monitors[-1]

    def clear(self) -> None:
        """Forget the monitors (the node was deactivated)."""
        self.monitors.clear()
        for topic, words in self._told.items():
            self._missing.end(topic, words)
        self._told.clear()

    def count(self, event: str, reason: str = '', number: int = 1) -> None:
        """Count something dropped or repaired.

        The log warns at the 1st, 10th, 100th... time, so that nothing is lost in silence nor
        floods the log.
        """
        self._add(event, number, reason)

    def absorb(
        self,
        stage: str,
        counters: Mapping[str, int],
        reason_of: Callable[[str], str] = lambda name: '',
    ) -> None:
        """Take over what the running counters of a core object have grown by.

        Parameters
        ----------
        stage : str
            What the object does, the first word of each event.
        counters : mapping
            Of the object; one that starts again from zero was made anew.
        reason_of : callable
            Says why the counter of a name grew.
        """
        # They stand still nearly always, and are asked for with every message.
        if counters == self._absorbed_of.get(stage):
            return
        self._absorbed_of[stage] = dict(counters)
        for name, number in counters.items():
            event = f'{stage}: {name.replace("_", " ")}'
            known = self._absorbed[event]
            self._absorbed[event] = number
            if number != known:
                growth = number - known if number > known else number
                self._add(event, growth, reason_of(name))

    def publish(self) -> None:
        """Publish, called once a second.

        An error names what is missing, a warning what was dropped in this second; both do not hide
        each other.
        """
        now = time.monotonic()
        elapsed_s = now - self._time
        self._time = now
        self._own_up(elapsed_s)
        problems = self._input_problems() if self._node.is_active else {}
        self._log_changes(problems)
        status = self._status(problems, self._growths(), elapsed_s)
        stamped = header(self._node.get_clock().now().nanoseconds, '')
        self._publisher.publish(DiagnosticArray(header=stamped, status=[status]))

    def _add(self, event: str, growth: int, reason: str) -> None:
        reason = one_line(reason)  # names of frames and encodings are whatever was sent
        if reason:
            self._reasons[event] = reason
        self.counters[event] += growth
        number = self.counters[event]
        warned = self._warned[event]
        if not warned or number >= 10 * warned:
            self._warned[event] = number
            why = f': {reason}' if reason else ''
            self._node.get_logger().warning(f'{event} ({number} so far){why}')

    def _own_up(self, elapsed_s: float) -> None:
        """Say that it was this node which stood still, not its publishers who were silent."""
        if self._was_active and elapsed_s > PERIOD_S + HELD_UP_S:
            self.count('held up', f'for {elapsed_s:.1f} s: {HELD_UP_REASON}')
            for monitor in self.monitors:
                monitor.listen_again()
        self._was_active = self._node.is_active

    def _input_problems(self) -> dict[str, str]:
        """Say a sentence for every topic that is missing, or comes from several nodes."""
        is_simulated = self._node.get_parameter('use_sim_time').value
        if is_simulated and self._node.get_clock().now().nanoseconds == 0:
            return {'/clock': NO_CLOCK}
        sentences = {'/clock': self._clock.mixed(self._node) if is_simulated else None}
        sentences |= {
            monitor.topic: monitor.missing(self._node)
            or monitor.mixed(self._node)
            or monitor.wrong_clock()
            for monitor in self.monitors
        }
        return {topic: sentence for topic, sentence in sentences.items() if sentence}

    def _log_changes(self, problems: dict[str, str]) -> None:
        """Log what begins and what ends, unless another node of the process has said it."""
        new = [m for m in self.monitors if m.topic in problems and m.topic not in self._told]
        waiting = {m.topic for m in new if is_starting(m, self._node)}
        for topic in problems.keys() - self._told.keys() - waiting:
            # Of two nodes that say the same of other seconds one is enough.
            words = re.sub(r'[\d.]+', '', problems[topic])
            self._told[topic] = words
            if self._missing.begin(topic, words):
                self._node.get_logger().warning(problems[topic])
        for topic in self._told.keys() - problems.keys():
            if self._missing.end(topic, self._told.pop(topic)):
                self._node.get_logger().info(f'{topic} is as it should be')

    def _growths(self) -> dict[str, int]:
        """Tell how much each counter has grown since the last call, without what is no fault."""
        counters = Counter(self.counters)  # worker threads count meanwhile
        growths = counters - self._published
        # Who has just begun, or joined anew, is not found by all at once.
        is_new = time.monotonic() - self._started < NEW_S
        if self._publisher.get_subscription_count() or not is_new:
            self._published = counters
        return {event: growth for event, growth in growths.items() if event not in NO_FAULT}

    def _status(
        self, problems: dict[str, str], growths: dict[str, int], elapsed_s: float
    ) -> DiagnosticStatus:
        text = 'running' if self._node.is_active else 'not active'
        level = DiagnosticStatus.OK
        grown = [self._growth(*item) for item in sorted(growths.items())]
        if problems:  # what was dropped meanwhile may be another matter
            level = DiagnosticStatus.ERROR
            text = '; '.join([*problems.values(), *grown])
        elif grown:
            level = DiagnosticStatus.WARN
            text = ', '.join([text, *grown])
        head = self._node.get_parameter('head').value if self._node.has_parameter('head') else ''
        return DiagnosticStatus(
            level=level,
            name=self._node.get_fully_qualified_name(),
            message=text,
            hardware_id=head,
            values=self._values(elapsed_s),
        )

    def _growth(self, event: str, growth: int) -> str:
        reason = self._reasons.get(event)
        return f'{event}: {growth} more' + (f' ({reason})' if reason else '')

    def _values(self, elapsed_s: float) -> list[KeyValue]:
        """Give counters, their last reasons, and what the monitors report."""
        values = [
            KeyValue(key=event, value=str(number))
            for event, number in sorted(self._published.items())
        ]
        values += [
            KeyValue(key=f'last reason of {event}', value=reason)
            for event, reason in sorted(dict(self._reasons).items())
        ]
        reports = sorted(dict(self.reports).items())
        values += [KeyValue(key=name, value=text) for name, text in reports]
        for monitor in self.monitors:
            values += monitor.values(elapsed_s)
        return values
