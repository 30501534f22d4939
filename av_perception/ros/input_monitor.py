# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How an input topic is doing: silence, rate, longest gap and latency."""

from __future__ import annotations

import time
from collections.abc import Sequence

from diagnostic_msgs.msg import KeyValue
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

from av_perception.synchronization.clock_offset import ClockOffset

LATENCY_GAIN = 0.1  # of the running mean
UNKNOWN = '_NODE_NAME_UNKNOWN_'  # what rmw calls a node that it has not heard of yet
AHEAD_S = -0.2  # latencies below: the stamps lie in the future
BEHIND_S = 2.0  # latencies above: the stamps are old
EPOCH_S = 1e6  # farther off (eleven days) no clock is set wrong: it counts from something else
OTHER_EPOCH = (
    'its driver does not stamp by the clock of this node (seconds since the machine started, '
    'beside those since 1970?): let it stamp by the system clock, or by /clock with use_sim_time'
)
# So long DDS knows a node that was killed; the one that took its place has its name.
GHOST_S = 25.0


class InputMonitor:
    """Watches one input topic.

    Attributes
    ----------
    topic : str
        Its full name.
    last : float
        When it last spoke [s of the monotonic clock].
    count : int
        Messages so far.
    latency_s : float
        How old messages are on arrival, a running mean [s].
    gap_s : float
        The longest time between messages since the last report [s].
    clock : tuple or None
        Name of the node that publishes it and ClockOffset of its machine, where that is asked for.
    is_made_here : bool
        Nodes of the suite that wait for sensors themselves were seen to publish it.
    """

    def __init__(
        self,
        topic: str,
        timeout_s: float,
        qos: QoSProfile | None = None,
        type_name: str = '',
        is_optional: bool = False,
    ):
        """Start to watch.

        Parameters
        ----------
        topic : str
            Full name.
        timeout_s : float
            Silent for longer, the topic is missing [s].
        qos : QoSProfile or None
            Of our subscription, to tell a publisher that does not match.
        type_name : str
            Of our messages, as in 'sensor_msgs/msg/Image', to tell a publisher of others.
        is_optional : bool
            It is missing only once it has spoken, and several may publish it.
        """
        self.topic = topic
        self.type_name = type_name
        self._is_optional = is_optional
        self.timeout_s = timeout_s
        self.qos = qos
        self.last = time.monotonic()
        self._listening_since = self.last
        self.count = 0
        self._num_reported = 0
        self.latency_s = 0.0
        self._last_latencies_s = (0.0, 0.0)  # of the last two messages
        self.gap_s = 0.0
        self.is_made_here = False
        self._shared_since: float | None = None
        self.clock: tuple[str, ClockOffset] | None = None

    def tick(self, latency_s: float) -> None:
        """Note that a message arrived, `latency_s` after its stamp."""
        now = time.monotonic()
        before_s = self._last_latencies_s[1] if self.count else latency_s
        self._last_latencies_s = (before_s, latency_s)
        if self.count:
            self.gap_s = max(self.gap_s, now - self.last)
            self.latency_s += LATENCY_GAIN * (latency_s - self.latency_s)
        else:
            self.gap_s = 0.0
            self.latency_s += latency_s
        self.last = now
        self.count += 1

    def silence_s(self) -> float:
        """Tell the seconds since the last message."""
        return time.monotonic() - self.last

    def listen_again(self) -> None:
        """Note that our own node was held up: nobody else is to blame for the silence so far."""
        self._listening_since = time.monotonic()
        self._last_latencies_s = (0.0, 0.0)

    def values(self, elapsed_s: float) -> list[KeyValue]:
        """Report rate, latency and longest gap since the last call, `elapsed_s` ago."""
        rate = (self.count - self._num_reported) / max(elapsed_s, 1e-6)
        gap_s = max(self.gap_s, self.silence_s())
        self._num_reported = self.count
        self.gap_s = 0.0
        values = []
        if self.clock is not None and self.clock[1].is_known:
            name, offset = self.clock
            text = f'{1e3 * offset.ahead_s:.1f} +- {1e3 * offset.error_s:.1f}'
            values = [KeyValue(key=f'clock of {name} ahead [ms]', value=text)]
        return values + [
            KeyValue(key=f'rate of {self.topic} [Hz]', value=f'{rate:.1f}'),
            KeyValue(key=f'latency of {self.topic} [ms]', value=f'{1e3 * self.latency_s:.1f}'),
            KeyValue(key=f'longest gap of {self.topic} [ms]', value=f'{1e3 * gap_s:.0f}'),
        ]

    def missing(self, node: Node) -> str | None:
        """Say in one sentence, with advice, that the input is missing; None when it is not."""
        silence_s = time.monotonic() - max(self.last, self._listening_since)
        if silence_s < self.timeout_s or (self._is_optional and not self.count):
            return None
        return f'no message on {self.topic} for {silence_s:.1f} s; {self._advice(node)}'

    def mixed(self, node: Node) -> str | None:
        """Say in one sentence, with advice, that several nodes publish the input; else None."""
        if self._is_optional or node.count_publishers(self.topic) < 2:
            self._shared_since = None
            return None
        names = [p.node_name for p in self._publishers(node) if self._is_ours(p)]
        if len(names) < 2:
            return None
        now = time.monotonic()
        self._shared_since = self._shared_since or now
        if len(set(names)) == 1 and now - self._shared_since < GHOST_S:
            return None
        return mixed_sentence(self.topic, names)

    def wrong_clock(self) -> str | None:
        """Say in one sentence, with advice, that the stamps cannot be of now; else None."""
        if self.silence_s() > self.timeout_s:
            return None
        if self.clock is not None and (sentence := self.clock[1].sentence(self.clock[0])):
            return sentence
        # One odd stamp moves the mean by a tenth of it, and is soon forgotten.
        latencies_s = (*self._last_latencies_s, self.latency_s)
        last_s = self._last_latencies_s[1]
        if min(map(abs, latencies_s)) > EPOCH_S:
            side = 'past' if last_s > 0 else 'future'
            return f'stamps on {self.topic} lie {abs(last_s):.0f} s in the {side}: {OTHER_EPOCH}'
        if max(latencies_s) < AHEAD_S:
            return (
                f'stamps on {self.topic} lie {-last_s:.1f} s in the future: set the '
                "clocks of both machines by chrony, or correct the driver's stamps"
            )
        if min(latencies_s) > BEHIND_S:
            return (
                f'stamps on {self.topic} are {last_s:.1f} s old on arrival: set the '
                'clocks of both machines by chrony, or look for what delays it'
            )
        return None

    @staticmethod
    def _names(publishers: Sequence) -> str:
        """Name nodes; of another machine, or after a halt, names are not always known."""
        names = {p.node_name for p in publishers} - {UNKNOWN}
        return ', '.join(sorted(names)) or 'a node of unknown name'

    def _publishers(self, node: Node) -> list:
        return node.get_publishers_info_by_topic(self.topic)

    def _is_ours(self, publisher) -> bool:
        """Whether a publisher's messages are of our type."""
        return not self.type_name or publisher.topic_type == self.type_name

    def _advice(self, node: Node) -> str:
        everybody = self._publishers(node)
        publishers = [publisher for publisher in everybody if self._is_ours(publisher)]
        if everybody and not publishers:
            others = ', '.join(sorted({f'{p.node_name} ({p.topic_type})' for p in everybody}))
            return (
                f'it is published with messages of another type by {others}, not as '
                f'{self.type_name}: remap that, or convert it'
            )
        if not publishers and self.count:
            return 'its publisher is gone'
        if not publishers:
            return 'nobody publishes it: is its publisher running and its name remapped?'
        names = self._names(publishers)
        for publisher in publishers:
            if self.qos is None:
                break
            compatibility, reason = qos_check_compatible(publisher.qos_profile, self.qos)
            if compatibility == QoSCompatibility.ERROR:
                hint = '; set reliable_images to false' if 'image' in self.topic else ''
                return (
                    f'{names} publishes it with a quality of service that does not fit: '
                    f'{reason.strip()}{hint}'
                )
        return f'{names} publishes it but is silent'


def mixed_sentence(topic: str, names: Sequence[str]) -> str:
    """Say that several nodes publish one topic, and what to do."""
    return (
        f'{len(names)} nodes publish {topic} ({", ".join(sorted(names))}) and their messages mix: '
        'stop all but one, or remap them'
    )


def publisher_names(node: Node, topic: str) -> str:
    """Name the nodes that publish a topic (its full name), for a message to the user."""
    publishers = node.get_publishers_info_by_topic(topic)
    return ', '.join(sorted({p.node_name for p in publishers})) or 'nobody any more'
