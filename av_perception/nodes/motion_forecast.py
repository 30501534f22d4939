# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `motion_forecast`: `tracks` to where everybody will be, on `motion_forecasts`.

Also on `motion_forecasts/person_<id>`, as paths, and on `motion_forecast_markers`, for rviz. With
`method: hit_dvae` and a body tracker also `skeletons/person_<id>` to
`skeleton_forecasts/person_<id>`. It works only while somebody listens.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from av_perception_msgs.msg import MotionForecastArray, TrackArray
from rclpy.publisher import Publisher
from visualization_msgs.msg import MarkerArray

from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import MotionForecastFrame
from av_perception.motion_forecast.forecaster import (
    CONSTANT_VELOCITY,
    HIT_DVAE,
    MotionForecaster,
)
from av_perception.ros import qos
from av_perception.ros.conversions import (
    forecast_frame_to_msg,
    forecast_to_path,
    path_type,
    track_frame_from_msg,
)
from av_perception.ros.forecast_markers import forecast_markers
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import Parameter, ReadParameter
from av_perception.ros.process import run_node
from av_perception.ros.settings import FORECAST_PARAMETERS, forecast_config
from av_perception.ros.skeleton_streams import OUTPUT, SkeletonStreams

WATCH_PERIOD_S = 0.5
PATHS = 'motion_forecasts/person_'


class MotionForecastNode(PerceptionNode):
    """Forecasts the newest tracks at a rate; what it says has their stamp and frame."""

    NAME = 'motion_forecast'
    PARAMETERS = (
        Parameter(
            'rate',
            5.0,
            '[Hz] How often people are forecast, by the stamps of the tracks, while somebody '
            'listens.',
            0.1,
            30.0,
            live=True,
        ),
        Parameter(
            'skeleton_rate',
            2.0,
            '[Hz] How often a skeleton is forecast, while somebody listens and the method is '
            'hit_dvae.',
            0.1,
            10.0,
            live=True,
        ),
        Parameter(
            'skeleton_samples',
            10,
            'How many possible futures are drawn of a skeleton.',
            1,
            50,
        ),
        *FORECAST_PARAMETERS,
    )

    _forecaster: MotionForecaster | None = None
    _skeletons: SkeletonStreams | None = None

    def configure(self) -> None:
        """Build the forecaster and the outputs."""
        self._forecaster = MotionForecaster(forecast_config(self.value))
        self._forecasts = self.publisher(MotionForecastArray, 'motion_forecasts', qos.FEATURES)
        self._markers = self.publisher(MarkerArray, 'motion_forecast_markers', qos.FEATURES)
        self._path_type = path_type()

    def tune(self, value: ReadParameter) -> None:
        """Take over method, horizons and limits."""
        config = forecast_config(value)
        if self._forecaster is not None:
            self._forecaster.reconfigure(config)

    def activate(self) -> None:
        """Wait for somebody who listens."""
        self._paths: dict[int, Publisher] = {}
        self._listens = False
        self._paths_wanted = False
        self.every(WATCH_PERIOD_S, self._watch_demand)

    def deactivate(self) -> None:
        """Take down paths and futures of skeletons."""
        self._drop_paths(set())
        if self._skeletons is not None:
            self._skeletons.forget()

    def _watch_demand(self) -> None:
        """Listen to tracks only while somebody listens to forecasts, paths or markers."""
        self._paths_wanted = self._path_type is not None and self._is_subscribed(PATHS)
        counts = [p.get_subscription_count() for p in (self._forecasts, self._markers)]
        wanted = self._paths_wanted or any(counts) or self._is_subscribed(OUTPUT)
        if wanted and not self._listens:
            self._begin(None)
            self.subscribe(TrackArray, 'tracks', self._on_tracks, qos.FEATURES)
        elif self._listens and not wanted:
            self.stop_listening()
            self._drop_paths(set())
            if self._skeletons is not None:
                self._skeletons.forget()
        self._listens = wanted
        self._watch_skeletons()

    def _watch_skeletons(self) -> None:
        """Listen to the skeletons that there are, while they are asked for."""
        if self._listens and self.value('method') == HIT_DVAE:
            if self._skeletons is None:
                self._skeletons = SkeletonStreams(self)
            samples = self.value('skeleton_samples')
            self._skeletons.watch(replace(forecast_config(self.value), samples=samples))
        elif self._skeletons is not None:
            self._skeletons.close()

    def _is_subscribed(self, topics: str) -> bool:
        """Whether somebody subscribes to a topic of a person, published already or not."""
        prefix = self.resolve_topic_name(topics)
        names = [name for name, _ in self.get_topic_names_and_types() if name.startswith(prefix)]
        return any(self.count_subscribers(name) for name in names)

    def _begin(self, frame_id: str | None) -> None:
        """Forget all people: places in another frame are elsewhere."""
        config = forecast_config(self.value)
        self._forecaster = MotionForecaster(config)
        self._frame_id = frame_id
        self._next_ns = 0

    def _on_tracks(self, message: TrackArray) -> None:
        frame_id = message.header.frame_id
        if self._frame_id not in (None, frame_id):
            self.diagnostics.count('people forgotten: another frame', frame_id)
            self._begin(frame_id)
        self._frame_id = frame_id
        assert self._forecaster is not None  # since configure
        frame = track_frame_from_msg(message)
        self._forecaster.observe(frame)
        self.diagnostics.absorb('forecasts', self._forecaster.counters)
        period_ns = nanoseconds(1.0 / self.value('rate'))
        # A clock that was set back would silence it for long.
        if self._next_ns - period_ns <= frame.stamp_ns < self._next_ns:
            return
        self._next_ns = frame.stamp_ns + period_ns
        bodies = set() if self._skeletons is None else self._skeletons.fresh(frame.stamp_ns)
        forecast = self._forecaster.forecast(bodies)
        if forecast is not None and forecast.stamp_ns == frame.stamp_ns:
            self._publish(forecast, frame_id)

    def _publish(self, frame: MotionForecastFrame, frame_id: str) -> None:
        for forecast in frame.forecasts:
            if forecast.fallback_reason:
                is_line = forecast.method == CONSTANT_VELOCITY
                how = 'straight on' if is_line else f'by {forecast.method} instead'
                self.diagnostics.count(f'people forecast {how}', forecast.fallback_reason)
        if self._forecasts.get_subscription_count():
            self._forecasts.publish(forecast_frame_to_msg(frame, frame_id))
        if self._markers.get_subscription_count():
            self._markers.publish(forecast_markers(frame, frame_id))
        if self._path_type is None:
            return
        self._drop_paths({forecast.id for forecast in frame.forecasts})
        for forecast in frame.forecasts if self._paths_wanted else ():
            if forecast.id not in self._paths:
                topic = f'{PATHS}{forecast.id}'
                publisher = self.create_publisher(self._path_type, topic, qos.FEATURES)
                self._paths[forecast.id] = publisher
            path = forecast_to_path(forecast, frame.horizons_s, frame.stamp_ns, frame_id)
            self._paths[forecast.id].publish(path)

    def _drop_paths(self, kept: set[int]) -> None:
        for key in self._paths.keys() - kept:
            self.destroy_publisher(self._paths.pop(key))


def main() -> None:
    """Run the process."""
    sys.exit(run_node(MotionForecastNode))


if __name__ == '__main__':
    main()
