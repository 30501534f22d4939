# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The node `motion_forecast` over DDS: demand, stamps, frames, and bad input."""

from __future__ import annotations

import numpy as np
import pytest

av = pytest.importorskip('av_perception_msgs.msg')
if not hasattr(av, 'MotionForecastArray'):
    pytest.skip('av_perception_msgs are older: build them again', allow_module_level=True)

from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from av_perception.interfaces import (  # noqa: E402
    LifeState,
    MotionForecast,
    MotionForecastFrame,
    TrackEstimate,
    TrackFrame,
)
from av_perception.nodes.motion_forecast import MotionForecastNode  # noqa: E402
from av_perception.ros import qos  # noqa: E402
from av_perception.ros.conversions import (  # noqa: E402
    forecast_frame_from_msg,
    forecast_frame_to_msg,
    forecast_to_path,
    ns_from_time,
    path_type,
    track_frame_to_msg,
)
from av_perception.ros.forecast_markers import forecast_markers  # noqa: E402

START_NS = 1_000_000_000
PERIOD_NS = 40_000_000
OUTPUT = ('motion_forecasts', av.MotionForecastArray)


def track(key, x):
    mean = np.array([x, 0.5, 0.3, 0.0, 0.0, 0.0])
    covariance = np.diag([1e-3] * 3 + [0.1] * 3)
    return TrackEstimate(key, LifeState.ACTIVE, mean, covariance, True, False, False, 1, 0, 0.0)


def play(one, count, first=0, frame_id='odom', keys=(1,)):
    for k in range(first, first + count):
        tracks = tuple(track(key, key + 0.04 * k) for key in keys)
        frame = TrackFrame(START_NS + k * PERIOD_NS, tracks, False)
        one.send('tracks', track_frame_to_msg(frame, frame_id))


def forecast(key=3, horizons=4, samples=2):
    random = np.random.default_rng(key)
    root = random.normal(size=(horizons, 3, 3))
    return MotionForecast(
        key,
        'imm',
        random.normal(size=(horizons, 3)),
        root @ root.swapaxes(1, 2) + 0.01 * np.eye(3),
        random.normal(size=(samples, horizons, 3)),
        random.uniform(1, 3, (horizons, 2)),
        'why',
    )


def frame_of(*forecasts):
    return MotionForecastFrame(START_NS, 0.5 * np.arange(1, 5), forecasts)


@pytest.fixture()
def node(bench):
    return bench(MotionForecastNode, {'tracks': av.TrackArray}, OUTPUT)


@pytest.mark.slow
def test_it_forecasts_five_times_a_second_with_stamp_and_frame_of_the_tracks(node):
    play(node, 26, keys=(1, 4))
    assert node.until(lambda: len(node.heard) == 6)
    stamps = [ns_from_time(message.header.stamp) for message in node.heard]
    np.testing.assert_array_equal(np.diff(stamps), 5 * PERIOD_NS)
    last = node.heard[-1]
    assert last.header.frame_id == 'odom' and last.num_samples == 16
    assert [one.id for one in last.forecasts] == [1, 4]
    np.testing.assert_allclose(last.horizons, 0.2 * np.arange(1, 11), atol=1e-6)
    walker = forecast_frame_from_msg(last).forecasts[0]
    assert walker.method == 'imm'
    assert walker.means[-1, 0] > walker.means[0, 0] > 1.5
    fell_back = node.counted('people forecast straight on')
    assert fell_back == 4  # two people, new at the first two forecasts


@pytest.mark.slow
def test_another_frame_forgets_the_people(node):
    play(node, 12)
    play(node, 1, first=12, frame_id='map')
    play(node, 6, first=13, frame_id='map')
    assert node.counted('people forgotten: another frame') == 1
    assert node.until(lambda: node.heard[-1].header.frame_id == 'map')


@pytest.mark.slow
def test_late_tracks_are_counted(node):
    play(node, 4, first=4)
    play(node, 2)
    assert node.until(lambda: node.counted('not newer than those before') == 2)


@pytest.mark.slow
def test_nothing_is_listened_to_while_nobody_listens(bench):
    """No input is subscribed, so the bench has none either."""
    one = bench(MotionForecastNode, {})
    one.spin(1.2)
    assert one.client.count_subscribers('tracks') == 0
    markers = []
    ear = one.client.create_subscription(
        MarkerArray, 'motion_forecast_markers', markers.append, qos.FEATURES
    )
    assert one.until(lambda: one.client.count_subscribers('tracks') == 1)
    one.client.destroy_subscription(ear)
    assert one.until(lambda: one.client.count_subscribers('tracks') == 0)


def test_messages_there_and_back():
    frame = frame_of(forecast(3), forecast(5))
    back = forecast_frame_from_msg(forecast_frame_to_msg(frame, 'map'))
    assert back.stamp_ns == START_NS
    np.testing.assert_allclose(back.horizons_s, frame.horizons_s)
    for one, other in zip(frame.forecasts, back.forecasts):
        assert (one.id, one.method, one.fallback_reason) == (
            other.id,
            other.method,
            other.fallback_reason,
        )
        np.testing.assert_allclose(other.means, one.means)
        np.testing.assert_allclose(other.covariances, one.covariances)
        np.testing.assert_allclose(other.samples, one.samples, rtol=1e-6)
        np.testing.assert_allclose(other.radii, one.radii, rtol=1e-6)


def test_nobody_is_a_message_too():
    back = forecast_frame_from_msg(forecast_frame_to_msg(frame_of(), 'map'))
    assert back.forecasts == () and len(back.horizons_s) == 4


def test_messages_of_nonsense_are_refused():
    wrong = forecast_frame_to_msg(frame_of(forecast()), 'map')
    wrong.forecasts[0].covariances = wrong.forecasts[0].covariances[:5]
    with pytest.raises(ValueError, match='does not fit 4 horizons'):
        forecast_frame_from_msg(wrong)
    wrong = forecast_frame_to_msg(frame_of(forecast()), 'map')
    wrong.forecasts[0].means[0].x = np.nan
    with pytest.raises(ValueError, match='not finite'):
        forecast_frame_from_msg(wrong)


def test_markers_fade_with_time():
    markers = forecast_markers(frame_of(forecast(3), forecast(5)), 'map').markers
    assert len({(marker.ns, marker.id) for marker in markers}) == len(markers) == 2 * 5
    ellipses = [m for m in markers if m.type == Marker.SPHERE and m.id // 4 == 3]
    alphas = [marker.color.a for marker in ellipses]
    assert alphas == sorted(alphas, reverse=True) and alphas[-1] < 0.2 * alphas[0]
    (walks, _) = [m for m in markers if m.type == Marker.LINE_LIST]
    assert len(walks.points) == len(walks.colors) == 2 * 2 * 3
    assert walks.colors[0].a > walks.colors[-1].a


@pytest.mark.skipif(path_type() is None, reason='nav_msgs is not installed')
def test_paths_say_when_somebody_will_be_where():
    one = forecast()
    path = forecast_to_path(one, 0.5 * np.arange(1, 5), START_NS, 'map')
    stamps = [ns_from_time(pose.header.stamp) - START_NS for pose in path.poses]
    assert stamps == [500_000_000, 1_000_000_000, 1_500_000_000, 2_000_000_000]
    assert path.poses[1].pose.position.x == pytest.approx(one.means[1, 0])
