"""What a node says of itself once a second on /diagnostics: missing inputs by name, rates, latency, counters."""

from __future__ import annotations

import time
from collections import Counter

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from av_perception.ros.conversions import header



class InputMonitor:
    """Watches one input topic: when it last spoke, its rate and how old its messages are on arrival."""

    def __init__(self, topic: str, timeout_s: float):
        self.topic, self.timeout_s = topic, timeout_s
        self.last = self.created = time.monotonic()
        self.count = self.reported = 0
        self.latency_s = 0.0

    def tick(self, latency_s: float) -> None:
        """A message arrived, `latency_s` after its stamp."""
        self.last = time.monotonic()
        self.count += 1
        self.latency_s += 0.1 * (latency_s - self.latency_s) if self.count > 1 else latency_s

    def silence_s(self) -> float:
        """Seconds since the last message."""
        return time.monotonic() - self.last

    def missing(self) -> str | None:
        """One sentence when the input is missing, else None."""
        silence = self.silence_s()
        if silence < self.timeout_s:
            return None
        advice = 'is its publisher running and its name remapped?' if self.count == 0 else 'did its publisher stop?'
        return f'no message on {self.topic} for {silence:.1f} s; {advice}'


class Diagnostics:
    """Collects a node's monitors and counters and publishes them; also logs a problem once when it starts and once when it ends."""

    def __init__(self, node):
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._timer = node.create_timer(1.0, self.publish)
        self._time = time.monotonic()
        self.monitors: list[InputMonitor] = []
        self.counters: Counter = Counter()
        self._warned: Counter = Counter()
        self._absorbed: Counter = Counter()
        self._problems: set[str] = set()

    def monitor(self, topic: str, timeout_s: float = 1.0) -> InputMonitor:
        """Start to watch a topic."""
        self.monitors.append(InputMonitor(topic, timeout_s))
        return self.monitors[-1]

    def clear(self) -> None:
        """Forget the monitors (the node was deactivated)."""
        self.monitors.clear()
        self._problems.clear()

    def count(self, event: str, reason: str = '') -> None:
        """Count something dropped or repaired; warn at the 1st, 10th, 100th... time so that nothing is lost in silence nor floods the log."""
        self._add(event, 1, reason)

    def absorb(self, stage: str, counters: dict[str, int]) -> None:
        """Take over what the running counters of a core object have grown by; one that starts again from zero was made anew."""
        for name, number in counters.items():
            event = f'{stage}: {name.replace("_", " ")}'
            known = self._absorbed[event]
            self._absorbed[event] = number
            if number != known:
                self._add(event, number - known if number > known else number)

    def _add(self, event: str, growth: int, reason: str = '') -> None:
        self.counters[event] += growth
        number, warned = self.counters[event], self._warned[event]
        if not warned or number >= 10 * warned:
            self._warned[event] = number
            self._node.get_logger().warning(f'{event} ({number} so far){": " + reason if reason else ""}')

    def publish(self) -> None:
        """Called once a second."""
        now = time.monotonic()
        elapsed, self._time = now - self._time, now
        problems = {m.topic: text for m in self.monitors if (text := m.missing())} if self._node.is_active else {}
        for topic in problems.keys() - self._problems:
            self._node.get_logger().warning(problems[topic])
        for topic in self._problems - problems.keys():
            self._node.get_logger().info(f'messages on {topic} again')
        self._problems = set(problems)
        values = [KeyValue(key=k, value=str(v)) for k, v in sorted(self.counters.items())]
        for monitor in self.monitors:
            rate = (monitor.count - monitor.reported) / max(elapsed, 1e-6)
            monitor.reported = monitor.count
            values.append(KeyValue(key=f'rate of {monitor.topic} [Hz]', value=f'{rate:.1f}'))
            values.append(KeyValue(key=f'latency of {monitor.topic} [ms]', value=f'{1e3 * monitor.latency_s:.1f}'))
        message = '; '.join(problems.values()) or ('running' if self._node.is_active else 'not active')
        status = DiagnosticStatus(level=DiagnosticStatus.ERROR if problems else DiagnosticStatus.OK, name=self._node.get_fully_qualified_name(), message=message, values=values)
        self._publisher.publish(DiagnosticArray(header=header(self._node.get_clock().now().nanoseconds, ''), status=[status]))
