# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Skeletons through the node `motion_forecast`: ten futures a body, and paths for who has none."""

from __future__ import annotations

import numpy as np
import pytest

av = pytest.importorskip('av_perception_msgs.msg')
if not hasattr(av, 'MotionForecastArray'):
    pytest.skip('av_perception_msgs are older: build them again', allow_module_level=True)

from geometry_msgs.msg import Point, Pose, PoseArray  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402

from av_perception.interfaces import LifeState, TrackEstimate, TrackFrame  # noqa: E402
from av_perception.motion_forecast.body_forecaster import BodyForecast  # noqa: E402
from av_perception.motion_forecast.body_frame import NUM_JOINTS, turned  # noqa: E402
from av_perception.motion_forecast.skeleton_forecaster import SkeletonForecaster  # noqa: E402
from av_perception.nodes.motion_forecast import MotionForecastNode  # noqa: E402
from av_perception.ros import qos  # noqa: E402
from av_perception.ros.conversions import (  # noqa: E402
    body_forecast_to_msg,
    header,
    joints_from_msg,
    ns_from_time,
    points_from_msg,
    track_frame_to_msg,
)

START_NS = 1_000_000_000
UPRIGHT = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def skeleton(joints, stamp_ns, frame_id='odom'):
    poses = [Pose(position=Point(x=float(x), y=float(y), z=float(z))) for x, y, z in joints]
    return PoseArray(header=header(stamp_ns, frame_id), poses=poses)


def tracks(stamp_ns, *keys):
    def one(key):
        mean = np.array([2.0 + key, 0.5, 0.3, 0.0, 0.0, 0.0])
        covariance = np.diag([1e-3] * 3 + [0.1] * 3)
        return TrackEstimate(
            key, LifeState.ACTIVE, mean, covariance, True, False, False, 1, 0, 0.0
        )

    return track_frame_to_msg(TrackFrame(stamp_ns, tuple(map(one, keys)), False), 'odom')


def test_a_skeleton_there():
    joints = np.random.default_rng(0).normal(size=(NUM_JOINTS, 3))
    np.testing.assert_allclose(joints_from_msg(skeleton(joints, 0)), joints)
    with pytest.raises(ValueError, match='21 poses, not 3'):
        joints_from_msg(skeleton(joints[:3], 0))


def test_futures_are_a_cloud_that_says_which_point_is_what():
    joints = np.random.default_rng(0).normal(size=(2, 3, NUM_JOINTS, 3))
    forecast = BodyForecast(START_NS, np.array([0.5, 1.0, 1.5]), joints, '')
    message = body_forecast_to_msg(forecast, 'map')
    np.testing.assert_allclose(points_from_msg(message), joints.reshape(-1, 3), rtol=1e-6)
    kind = np.dtype(
        {
            'names': [field.name for field in message.fields],
            'formats': ['<f4'] * 4 + ['<u2'] * 2,
            'offsets': [field.offset for field in message.fields],
            'itemsize': message.point_step,
        }
    )
    cloud = np.frombuffer(bytes(message.data), kind).reshape(2, 3, NUM_JOINTS)
    assert (cloud['sample'][1] == 1).all() and (cloud['joint'][..., 5] == 5).all()
    np.testing.assert_allclose(cloud['time'][0, :, 0], forecast.horizons_s)
    assert message.header.frame_id == 'map' and ns_from_time(message.header.stamp) == START_NS


@pytest.mark.slow
def test_who_has_a_skeleton_gets_ten_futures_and_others_paths(bench):
    node = bench(
        MotionForecastNode,
        {'skeletons/person_4': PoseArray, 'tracks': av.TrackArray},
        ('skeleton_forecasts/person_4', PointCloud2),
        method='hit_dvae',
    )
    paths = []
    node.client.create_subscription(
        av.MotionForecastArray, 'motion_forecasts', paths.append, qos.FEATURES
    )
    local = SkeletonForecaster().net.center.reshape(-1, 3) @ UPRIGHT.T
    node.send('skeletons/person_4', skeleton(local[:5], START_NS - 1))
    assert node.until(lambda: node.counted('skeletons/person_4') == 1)
    for k in range(20):
        stamp_ns = START_NS + k * 40_000_000
        joints = turned(local, np.array(0.2)) + [1.0 + 0.03 * k, 0.5, -0.3]
        node.send('skeletons/person_4', skeleton(joints, stamp_ns))
        node.send('tracks', tracks(stamp_ns, 4, 7))
    assert node.until(lambda: len(node.heard) >= 2)
    last = node.heard[-1]
    assert last.header.frame_id == 'odom' and last.width == 10 * 10 * NUM_JOINTS
    points = points_from_msg(last)
    assert len(points) == last.width
    assert np.abs(points[:, 2].mean() - joints[:, 2].mean()) < 0.3
    assert node.until(lambda: any(message.forecasts[0].method == 'hit_dvae' for message in paths))
    with_body, without = paths[-1].forecasts
    assert (with_body.method, with_body.fallback_reason) == ('hit_dvae', '')
    assert (without.method, without.fallback_reason) == ('imm', 'no skeleton of this person')
