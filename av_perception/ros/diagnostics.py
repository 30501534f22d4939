# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a node says of itself once a second on /diagnostics: missing inputs by name, rates, latency, counters."""

from __future__ import annotations

import time
from collections import Counter

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.qos import QoSCompatibility, qos_check_compatible

from av_perception.ros.compat import NO_PUBLISHER_EVENTS
from av_perception.ros.conversions import header

PERIOD_S = 1.0
NO_FAULT = ('pairing: unused audio',)  # sound between two images: counted, but nothing to warn of
HELD_UP_S = 1.0  # diagnostics that come so much too late: it is us who did not listen
HELD_UP_REASON = 'this node was stopped, or the processor is too busy'
NO_CLOCK = 'use_sim_time is set but nothing comes on /clock: play a bag with --clock, or set use_sim_time to false'


class InputMonitor:
    """Watches one input topic: when it last spoke, its rate, its longest gap and how old its messages are on arrival."""

    def __init__(self, topic: str, timeout_s: float, qos=None):
        """qos: of our subscription, to tell a publisher that does not match."""
        self.topic, self.timeout_s, self.qos = topic, timeout_s, qos
        self.last = self.created = self._listening_since = time.monotonic()
        self.count = self.reported = 0
        self.latency_s = self.gap_s = 0.0

    def tick(self, latency_s: float) -> None:
        """A message arrived, `latency_s` after its stamp."""
        now = time.monotonic()
        self.gap_s = max(self.gap_s, now - self.last) if self.count else 0.0
        self.last = now
        self.count += 1
        self.latency_s += 0.1 * (latency_s - self.latency_s) if self.count > 1 else latency_s

    def silence_s(self) -> float:
        """Seconds since the last message."""
        return time.monotonic() - self.last

    def listen_again(self) -> None:
        """Our own node was held up until now: nobody else is to blame for the silence so far."""
        self._listening_since = time.monotonic()

    def values(self, elapsed_s: float) -> list[KeyValue]:
        """Rate, latency and longest gap since the last call, `elapsed_s` ago."""
        rate, gap_s = (
            (self.count - self.reported) / max(elapsed_s, 1e-6),
            max(self.gap_s, self.silence_s()),
        )
        self.reported, self.gap_s = self.count, 0.0
        return [
            KeyValue(key=f'rate of {self.topic} [Hz]', value=f'{rate:.1f}'),
            KeyValue(key=f'latency of {self.topic} [ms]', value=f'{1e3 * self.latency_s:.1f}'),
            KeyValue(key=f'longest gap of {self.topic} [ms]', value=f'{1e3 * gap_s:.0f}'),
        ]

    def missing(self, node) -> str | None:
        """One sentence with advice when the input is missing, else None."""
        silence = time.monotonic() - max(self.last, self._listening_since)
        if silence < self.timeout_s:
            return None
        return f'no message on {self.topic} for {silence:.1f} s; {self._advice(node)}'

    def _advice(self, node) -> str:
        publishers = node.get_publishers_info_by_topic(self.topic)
        if not publishers:
            return (
                'nobody publishes it: is its publisher running and its name remapped?'
                if self.count == 0
                else 'its publisher is gone'
            )
        names = publisher_names(node, self.topic)
        for publisher in publishers if self.qos is not None else ():
            compatibility, reason = qos_check_compatible(publisher.qos_profile, self.qos)
            if compatibility == QoSCompatibility.ERROR:
                hint = '; set reliable_images to false' if 'image' in self.topic else ''
                return f'{names} publishes it with a quality of service that does not fit: {reason.strip()}{hint}'
        return f'{names} publishes it but is silent'


def publisher_names(node, topic: str) -> str:
    """The nodes that publish a topic (its full name), for a message to the user."""
    publishers = node.get_publishers_info_by_topic(topic)
    return ', '.join(sorted({p.node_name for p in publishers})) or 'nobody any more'


class Diagnostics:
    """Collects a node's monitors and counters and publishes them; also logs a problem once when it starts and once when it ends."""

    def __init__(self, node):
        self._node = node
        self._publisher = node.create_publisher(
            DiagnosticArray, '/diagnostics', 10, event_callbacks=NO_PUBLISHER_EVENTS
        )
        # Of wall time whatever /clock does: a node without time must still say so.
        self._timer = node.create_timer(
            PERIOD_S, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._time = time.monotonic()
        self._was_active = False
        self.monitors: list[InputMonitor] = []
        self.counters: Counter = Counter()
        self._reasons: dict[str, str] = {}  # of each counter, why it grew last
        self._warned: Counter = Counter()
        self._absorbed: Counter = Counter()
        self._published: Counter = Counter()
        self._problems: set[str] = set()

    def monitor(self, topic: str, timeout_s: float = 1.0, qos=None) -> InputMonitor:
        """Start to watch a topic that is subscribed to with `qos`."""
        self.monitors.append(InputMonitor(topic, timeout_s, qos))
        return self.monitors[-1]

    def clear(self) -> None:
        """Forget the monitors (the node was deactivated)."""
        self.monitors.clear()
        self._problems.clear()

    def count(self, event: str, reason: str = '', number: int = 1) -> None:
        """Count something dropped or repaired; warn at the 1st, 10th, 100th... time so that nothing is lost in silence nor floods the log."""
        self._add(event, number, reason)

    def absorb(self, stage: str, counters: dict[str, int], reason_of=lambda name: '') -> None:
        """Take over what the running counters of a core object have grown by; one that starts
        again from zero was made anew. reason_of(name of a counter) says why it grew."""
        for name, number in counters.items():
            event = f'{stage}: {name.replace("_", " ")}'
            known = self._absorbed[event]
            self._absorbed[event] = number
            if number != known:
                self._add(event, number - known if number > known else number, reason_of(name))

    def _add(self, event: str, growth: int, reason: str = '') -> None:
        if reason:
            self._reasons[event] = reason
        self.counters[event] += growth
        number, warned = self.counters[event], self._warned[event]
        if not warned or number >= 10 * warned:
            self._warned[event] = number
            self._node.get_logger().warning(
                f'{event} ({number} so far){": " + reason if reason else ""}'
            )

    def publish(self) -> None:
        """Called once a second: an error names what is missing, a warning what was dropped in this second."""
        now = time.monotonic()
        elapsed, self._time = now - self._time, now
        self._own_up(elapsed)
        problems = self._missing() if self._node.is_active else {}
        for topic in problems.keys() - self._problems:
            self._node.get_logger().warning(problems[topic])
        for topic in self._problems - problems.keys():
            self._node.get_logger().info(f'messages on {topic} again')
        self._problems = set(problems)
        counters = Counter(self.counters)  # worker threads count meanwhile
        grown = {
            event: growth
            for event, number in counters.items()
            if (growth := number - self._published[event]) and event not in NO_FAULT
        }
        self._published = counters
        self._publisher.publish(
            DiagnosticArray(
                header=header(self._node.get_clock().now().nanoseconds, ''),
                status=[self._status(problems, grown, elapsed)],
            )
        )

    def _growth(self, event: str, growth: int) -> str:
        reason = self._reasons.get(event)
        return f'{event}: {growth} more' + (f' ({reason})' if reason else '')

    def _own_up(self, elapsed_s: float) -> None:
        """Say that it was this node which stood still, not its publishers who were silent."""
        if self._was_active and elapsed_s > PERIOD_S + HELD_UP_S:
            self.count('held up', f'for {elapsed_s:.1f} s: {HELD_UP_REASON}')
            for monitor in self.monitors:
                monitor.listen_again()
        self._was_active = self._node.is_active

    def _missing(self) -> dict[str, str]:
        """A sentence for every topic that is missing."""
        if (
            self._node.get_parameter('use_sim_time').value
            and self._node.get_clock().now().nanoseconds == 0
        ):
            return {'/clock': NO_CLOCK}
        return {m.topic: text for m in self.monitors if (text := m.missing(self._node))}

    def _status(
        self, problems: dict[str, str], grown: dict[str, int], elapsed_s: float
    ) -> DiagnosticStatus:
        level = (
            DiagnosticStatus.ERROR
            if problems
            else DiagnosticStatus.WARN
            if grown
            else DiagnosticStatus.OK
        )
        text = '; '.join(problems.values()) or (
            'running' if self._node.is_active else 'not active'
        )
        if grown and not problems:
            text += ''.join(f', {self._growth(*item)}' for item in sorted(grown.items()))
        values = [KeyValue(key=k, value=str(v)) for k, v in sorted(self._published.items())]
        values += [
            KeyValue(key=f'last reason of {event}', value=reason)
            for event, reason in sorted(dict(self._reasons).items())
        ]
        values += [value for monitor in self.monitors for value in monitor.values(elapsed_s)]
        head = self._node.get_parameter('head').value if self._node.has_parameter('head') else ''
        return DiagnosticStatus(
            level=level,
            name=self._node.get_fully_qualified_name(),
            message=text,
            hardware_id=head,
            values=values,
        )
