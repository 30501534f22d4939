# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The skeletons of a body tracker, person by person, and the futures that are published of them.

A body tracker publishes `skeletons/person_<id>`, the id that of the person's track where it knows
it. Topics come and go with people; they are looked for now and then.
"""

from __future__ import annotations

from dataclasses import dataclass

from geometry_msgs.msg import PoseArray
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from sensor_msgs.msg import PointCloud2

from av_perception.geometry.time import nanoseconds, seconds
from av_perception.motion_forecast.body_forecaster import BodyForecaster
from av_perception.motion_forecast.forecaster import ForecastConfig
from av_perception.motion_forecast.skeleton_forecaster import SkeletonForecaster
from av_perception.ros import qos
from av_perception.ros.conversions import body_forecast_to_msg, joints_from_msg, ns_from_time
from av_perception.ros.node import PerceptionNode

INPUT = 'skeletons/person_'
OUTPUT = 'skeleton_forecasts/person_'
_TYPE = 'geometry_msgs/msg/PoseArray'
_FRESH_S = 0.5  # a skeleton that is older than that is none
_MOST = 12  # people whose skeletons are listened to


@dataclass
class _Stream:
    """One person."""

    subscription: Subscription
    futures: Publisher
    forecaster: BodyForecaster
    frame_id: str = ''
    stamp_ns: int = 0
    next_ns: int = 0


class SkeletonStreams:
    """Listens to the skeletons that there are, for a node."""

    def __init__(self, node: PerceptionNode):
        """Listen to nobody. Raises UserError when the weights are damaged."""
        self._node = node
        self._streams: dict[int, _Stream] = {}
        self._network = SkeletonForecaster()

    def watch(self, config: ForecastConfig) -> None:
        """Listen to people who came, forget those who went; horizons are those of new people."""
        published = self._published()
        for key in self._streams.keys() - published:
            self._drop(key)
        for key in sorted(published - self._streams.keys())[: _MOST - len(self._streams)]:
            futures = self._node.create_publisher(PointCloud2, f'{OUTPUT}{key}', qos.FEATURES)
            forecaster = BodyForecaster(config, self._network)
            subscription = self._node.subscribe(
                PoseArray, f'{INPUT}{key}', self._receiver(key), qos.MOTION, timeout_s=None
            )
            self._streams[key] = _Stream(subscription, futures, forecaster)

    def fresh(self, stamp_ns: int) -> set[int]:
        """Ids of the people who have a skeleton at a moment [ns]."""
        return {
            key
            for key, stream in self._streams.items()
            if abs(seconds(stamp_ns - stream.stamp_ns)) <= _FRESH_S
        }

    def close(self) -> None:
        """Forget everybody."""
        for key in list(self._streams):
            self._drop(key)

    def forget(self) -> None:
        """Forget everybody when the node has stopped to listen by itself."""
        for stream in self._streams.values():
            self._node.destroy_publisher(stream.futures)
        self._streams.clear()

    def _published(self) -> set[int]:
        """Ids of all topics of skeletons that somebody publishes."""
        prefix = self._node.resolve_topic_name(INPUT)
        found = set()
        for name, types in self._node.get_topic_names_and_types():
            key = name.removeprefix(prefix)
            if key != name and key.isdecimal() and _TYPE in types:
                if int(key) < 2**31 and self._node.count_publishers(name):
                    found.add(int(key))
        return found

    def _receiver(self, key: int):
        return lambda message: self._receive(key, message)

    def _receive(self, key: int, message: PoseArray) -> None:
        stream = self._streams.get(key)
        if stream is None:
            return
        stamp_ns = ns_from_time(message.header.stamp)
        if stream.frame_id not in ('', message.header.frame_id):
            self._node.diagnostics.count('skeletons begun anew: another frame', str(key))
            stream.forecaster.clear()
        stream.frame_id = message.header.frame_id
        stream.forecaster.observe(stamp_ns, joints_from_msg(message))
        self._node.diagnostics.absorb(f'skeletons of {key}', stream.forecaster.counters)
        stream.stamp_ns = stamp_ns
        period_ns = nanoseconds(1.0 / self._node.value('skeleton_rate'))
        is_due = not stream.next_ns - period_ns <= stamp_ns < stream.next_ns
        if is_due and stream.futures.get_subscription_count():
            stream.next_ns = stamp_ns + period_ns
            self._publish(stream)

    def _publish(self, stream: _Stream) -> None:
        forecast = stream.forecaster.forecast()
        if forecast is None or forecast.stamp_ns != stream.stamp_ns:
            return
        if forecast.fallback_reason:
            self._node.diagnostics.count('skeletons held', forecast.fallback_reason)
        stream.futures.publish(body_forecast_to_msg(forecast, stream.frame_id))

    def _drop(self, key: int) -> None:
        stream = self._streams.pop(key)
        self._node.unsubscribe(stream.subscription)
        self._node.destroy_publisher(stream.futures)
