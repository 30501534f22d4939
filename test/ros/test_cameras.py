# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras of others and our own.

Stamps that differ, compressed and torn images, calibrations by topic, two images side by side.
"""

from __future__ import annotations

import importlib.machinery
import sys
import types

import cv2
import numpy as np
import pytest
import yaml
from av_perception_msgs.msg import TrackArray, VisualFeatures
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from ros_bench import send_pair
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vision_scenes import CAMERA

from av_perception.errors import UserError
from av_perception.nodes.stereo_camera import StereoCameraNode
from av_perception.nodes.visual_features import VisualFeaturesNode
from av_perception.robot_head.camera_calibration import CameraCalibration
from av_perception.ros import compat
from av_perception.ros.conversions import camera_info_to_msg, header, image_to_msg
from av_perception.vision.capture import CameraDevices, VideoFiles

SECOND, MS = 1_000_000_000, 1_000_000
GOOD = np.random.default_rng(3).integers(0, 255, (480, 640, 3), dtype=np.uint8)


class SimpleFilter:
    """A stand-in for message_filters', which the wheels lack."""

    def __init__(self):
        self.callbacks = []

    def registerCallback(self, callback, *arguments):  # noqa: N802 (message_filters' name)
        self.callbacks.append((callback, arguments))

    def signalMessage(self, *messages):  # noqa: N802
        for callback, arguments in self.callbacks:
            callback(*messages, *arguments)


class TimeSynchronizer(SimpleFilter):
    """Exact when slop_s is 0: pairs as soon as possible; what is older than a pair goes."""

    def __init__(self, filters, depth, slop_s=0.0):
        super().__init__()
        self.queues, self.depth, self.slop = [{}, {}], depth, slop_s * SECOND
        for queue, one in zip(self.queues, filters):
            one.registerCallback(self.add, queue)

    def add(self, message, queue):
        queue[message.header.stamp.sec * SECOND + message.header.stamp.nanosec] = message
        while len(queue) > self.depth:
            del queue[min(queue)]
        for a in sorted(self.queues[0]):
            for b in sorted(self.queues[1]):
                if abs(a - b) <= self.slop:
                    self.signalMessage(self.queues[0][a], self.queues[1][b])
                    for waiting, paired in zip(self.queues, (a, b)):
                        for stamp in [stamp for stamp in waiting if stamp <= paired]:
                            del waiting[stamp]
                    return


@pytest.fixture(params=['own', 'message_filters'])
def make_pairs(request, monkeypatch):
    """compat.make_stamp_pairs without and with (a stand-in for) message_filters."""
    if request.param == 'own':
        monkeypatch.setitem(sys.modules, 'message_filters', None)
        monkeypatch.setattr(compat.importlib.util, 'find_spec', lambda name: None)
    else:
        module = types.ModuleType('message_filters')
        module.__spec__ = importlib.machinery.ModuleSpec('message_filters', None)
        module.SimpleFilter, module.TimeSynchronizer, module.ApproximateTimeSynchronizer = (
            SimpleFilter,
            TimeSynchronizer,
            TimeSynchronizer,
        )
        monkeypatch.setitem(sys.modules, 'message_filters', module)
    return compat.make_stamp_pairs


def fed(make, tolerance_s, arrivals):
    """Pairs of stamps [ms] and the number of drops, of arrivals (side, stamp in ms)."""
    pairs, drops = [], []
    synchronizer = make(
        lambda a, b: pairs.append((a.header.stamp.nanosec // MS, b.header.stamp.nanosec // MS)),
        lambda: drops.append(1),
        tolerance_s,
    )
    for side, stamp in arrivals:
        (synchronizer.first if side == 'L' else synchronizer.second)(
            TrackArray(header=header(stamp * MS, 'x'))
        )
    return pairs, len(drops)


def test_pairs_have_equal_stamps_and_lonely_images_are_counted(make_pairs):
    assert fed(
        make_pairs, 0.0, [('L', 0), ('R', 0), ('R', 40), ('L', 40), ('L', 81), ('R', 80)]
    ) == ([(0, 0), (40, 40)], 0)
    pairs, drops = fed(make_pairs, 0.0, [('L', 40 * k) for k in range(9)])
    assert pairs == [] and drops == 4, 'five wait'


def test_pairs_may_differ_by_the_tolerance(make_pairs):
    arrivals = [
        ('L', 0),
        ('R', 7),
        ('R', 47),
        ('L', 41),
        ('L', 80),
        ('R', 99),
        ('R', 121),
        ('L', 120),
    ]
    pairs, drops = fed(make_pairs, 0.01, arrivals)
    assert pairs == [(0, 7), (41, 47), (120, 121)]
    assert drops <= 2, 'the lonely (80, 99): known as late on the side that is searched'


def test_of_several_partners_the_nearest_is_taken_and_older_ones_are_late():
    assert fed(compat.StampPairs, 0.02, [('L', 0), ('L', 40), ('L', 55), ('R', 57)]) == (
        [(55, 57)],
        2,
    )


# ---- visual_features


@pytest.fixture()
def bench(bench):
    """The bench of visual_features: its inputs and parameters."""
    output = ('visual_features', VisualFeatures)
    return lambda inputs, **parameters: bench(
        VisualFeaturesNode, inputs, output, embedding='none', **parameters
    )


def jpeg(image, stamp_ns):
    return CompressedImage(
        header=header(stamp_ns, 'x'), format='jpeg', data=cv2.imencode('.jpg', image)[1].tobytes()
    )


def test_compressed_images_with_stamps_that_differ_are_paired_and_torn_ones_counted(bench):
    topics = {f'{side}/image_raw/compressed': CompressedImage for side in ('left', 'right')}
    b = bench(topics, compressed=True, sync_tolerance=0.005)
    for topic, delay_ns in zip(topics, (0, 3 * MS)):
        b.send(topic, jpeg(GOOD, SECOND + delay_ns))
    assert b.until(lambda: len(b.heard) == 1) and b.heard[0].header.stamp.nanosec == 0, (
        "the left image's stamp"
    )
    torn = jpeg(GOOD, 2 * SECOND)
    torn.data = torn.data[:3000]
    for topic in topics:
        b.send(topic, torn)
    assert b.until(lambda: b.counted('refused') == 1)
    for topic, delay_ns in zip(topics, (0, 9 * MS)):
        b.send(topic, jpeg(GOOD, 3 * SECOND + delay_ns))
    for topic in topics:
        b.send(topic, jpeg(GOOD, 4 * SECOND))
    assert b.until(lambda: len(b.heard) == 2) and b.counted('no partner') >= 1


def test_a_driver_that_publishes_best_effort_is_heard(bench):
    """Regression: the default reader was reliable, and got nothing from most camera drivers."""
    b = bench({})
    for topic in IMAGES:
        publisher = b.client.create_publisher(Image, topic, qos_profile_sensor_data)
        assert b.until(lambda p=publisher: p.get_subscription_count())
        b.publishers[topic] = publisher
    send_pair(b, SECOND, GOOD)
    assert b.until(lambda: len(b.heard) == 1)


def test_images_without_stamps_are_told_as_the_drivers_fault(bench, monkeypatch):
    b = bench(IMAGES)
    told = []
    monkeypatch.setattr(b.node.diagnostics, 'count', lambda event, reason='': told.append(reason))
    send_pair(b, 0, GOOD)
    assert b.until(lambda: told) and 'the driver does not stamp its images' in told[-1]
    for _ in range(2):
        send_pair(b, SECOND, GOOD)
    assert b.until(lambda: len(told) == 2) and 'the driver does not stamp each image' in told[-1]
    assert b.until(lambda: len(b.heard) == 1)


def info(side, camera=CAMERA):
    return camera_info_to_msg(CameraCalibration.rectified(camera, side == 'right'), SECOND, 'x')


IMAGES = {'left/image_raw': Image, 'right/image_raw': Image}
INFOS = {'left/camera_info': CameraInfo, 'right/camera_info': CameraInfo}


def own_calibration():
    """Of both cameras of a pair with distorting lenses, 0.1 m apart."""
    matrix = np.array([[520.0, 0, 325], [0, 520, 236], [0, 0, 1]])
    lens = np.array([-0.25, 0.07, 0, 0, 0.0])
    return {
        side: CameraCalibration(640, 480, matrix, lens, 'plumb_bob', np.eye(3), projection)
        for side, projection in (
            ('left', np.column_stack([matrix, np.zeros(3)])),
            ('right', np.column_stack([matrix, [-52.0, 0, 0]])),
        )
    }


def test_an_uncalibrated_camera_is_named_and_waited_for(bench):
    b = bench({**IMAGES, **INFOS}, calibration='topic')
    send_pair(b, SECOND, GOOD)
    assert b.until(lambda: b.counted('refused') == 1) and not b.heard, 'no calibration yet'
    b.send('left/camera_info', CameraInfo(width=640, height=480))
    assert b.counted('messages dropped from /left/camera_info') == 1, 'all zero: uncalibrated'
    for side in ('left', 'right', 'left'):
        b.send(f'{side}/camera_info', info(side))
    send_pair(b, 2 * SECOND, GOOD)
    assert b.until(lambda: len(b.heard) == 1) and b.counted('differ from the head profile') == 0


def test_the_cameras_own_calibration_rectifies_and_a_difference_to_the_profile_is_told(bench):
    b = bench({**IMAGES, **INFOS}, calibration='topic')
    for side, calibration in own_calibration().items():
        b.send(f'{side}/camera_info', camera_info_to_msg(calibration, SECOND, 'x'))
    send_pair(b, SECOND, GOOD)
    assert b.until(lambda: len(b.heard) == 1) and b.counted('differ from the head profile') == 1, (
        'the focal length, not the baseline'
    )
    rectified = b.node._front_end._prepare(GOOD, 'left')
    assert np.abs(rectified.astype(int) - GOOD).mean() > 10


def test_row_1_row_19_what_drivers_of_one_camera_leave_zero_is_completed(bench):
    b = bench(
        {'left/image_raw': Image, 'left/camera_info': CameraInfo}, calibration='topic', mono=True
    )
    message = info('left')
    message.r, message.p = np.zeros(9), np.zeros(12)
    b.send('left/camera_info', message)
    b.send('left/image_raw', image_to_msg(GOOD, SECOND, 'x'))
    assert b.until(lambda: len(b.heard) == 1)
    np.testing.assert_array_equal(b.node._front_end._prepare(GOOD, 'left'), GOOD)


def test_row_1_row_2_an_impossible_pair_is_refused_with_its_cause(bench, capfd):
    b = bench({**IMAGES, **INFOS}, calibration='topic')
    zeros, far = info('right'), info('right')
    zeros.r, far.p[3] = np.zeros(9), 1000 * far.p[3]
    b.send('left/camera_info', info('left'))
    for message in (zeros, far):
        b.send('right/camera_info', message)
    assert b.counted('messages dropped from /right/camera_info') == 2
    assert 'R is all zeros' in capfd.readouterr().err
    send_pair(b, SECOND, GOOD)
    assert b.until(lambda: b.counted('refused') == 1) and not b.heard


def test_a_single_calibration_that_is_no_pair_is_refused(bench):
    b = bench({**IMAGES, **INFOS}, calibration='topic')
    for side in ('left', 'right', 'right'):
        b.send(f'{side}/camera_info', info('left'))
    assert b.counted('messages dropped from /right/camera_info') == 2, (
        'again and again, as long as it is wrong'
    )
    send_pair(b, SECOND, GOOD)
    assert b.until(lambda: b.counted('refused') == 1)


# ---- stereo_camera and its devices


class WideCamera:
    """A device that delivers two images side by side; some do not decode."""

    def __init__(self, name):
        self.requested, self.count = {}, 0

    def isOpened(self):  # noqa: N802 (OpenCV's name)
        return True

    def set(self, key, value):
        self.requested[key] = value

    def get(self, _):
        return 25.0

    def grab(self):
        self.count += 1
        return self.count <= 8

    def retrieve(self):
        image = np.zeros(
            (480, int(self.requested.get(cv2.CAP_PROP_FRAME_WIDTH, 1280)), 3), np.uint8
        )
        image[:, 640:] = 200
        return (False, None) if self.count == 4 else (True, image)

    def read(self):
        return self.grab(), self.retrieve()[1]

    def release(self):
        """Nothing to free."""


def test_a_side_by_side_device_gives_both_images_and_counts_what_is_lost(monkeypatch):
    monkeypatch.setattr(cv2, 'VideoCapture', WideCamera)
    camera = CameraDevices('0', '', CAMERA, side_by_side=True)
    times = iter(np.array([0, 40, 80, 200, 240, 280, 320]) * MS)
    seen = []
    with pytest.raises(UserError, match='stopped'):
        for _, _, left, right in camera.images(lambda: next(times)):
            seen.append((left.shape, right.shape, int(left.max()), int(right.min())))
    assert seen == [((480, 640, 3), (480, 640, 3), 0, 200)] * 6 and camera.has_right
    assert camera.counters == {'undecodable': 1, 'missed': 2}, 'one did not decode, two never came'


def test_side_by_side_and_a_second_device_exclude_each_other(monkeypatch):
    monkeypatch.setattr(cv2, 'VideoCapture', WideCamera)
    with pytest.raises(UserError, match="leave 'right' empty"):
        CameraDevices('0', '1', CAMERA, side_by_side=True)


def test_a_side_by_side_video_of_another_size_is_named(tmp_path):
    path = str(tmp_path / 'both.avi')
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (640, 480))
    writer.write(GOOD)
    writer.release()
    with pytest.raises(
        UserError,
        match='gives 640x480 images, the head profile says 1280x480 for two side by side',
    ):
        VideoFiles(path, '', CAMERA, side_by_side=True)


def test_the_camera_node_publishes_raw_images_with_their_calibration(
    ros_context, tmp_path, monkeypatch
):
    monkeypatch.setattr(cv2, 'VideoCapture', WideCamera)
    for side, calibration in own_calibration().items():
        calibration.write(tmp_path / f'{side}.yaml', side)
    (tmp_path / 'head.yaml').write_text(
        yaml.safe_dump({'name': 'mine', 'camera': {'calibration': ['left.yaml', 'right.yaml']}})
    )
    parameters = [
        Parameter('head', value=str(tmp_path / 'head.yaml')),
        Parameter('side_by_side', value=True),
    ]
    node = StereoCameraNode(context=ros_context, parameter_overrides=parameters)
    try:
        assert node.trigger_configure().name == 'SUCCESS'
        left, right = node._calibrations
        assert left.distortion[0] == right.distortion[0] == -0.25 and len(node._images) == 2
        assert right.projection[0, 3] == -52.0
        assert image_to_msg(next(node._source.images(lambda: 0))[3], 0, 'x').width == 640, (
            'half of a strided image'
        )
    finally:
        node.trigger_cleanup()
        node.destroy_node()
