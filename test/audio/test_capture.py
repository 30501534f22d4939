# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras, videos, sound cards and sound files.

Opened, released, stamped at capture, missed when they go. Devices are stand-ins.
"""

from __future__ import annotations

import threading
import time

import cv2
import numpy as np
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from waiting import wait_for

from av_perception.errors import UserError
from av_perception.robot_head import load_head
from av_perception.vision.capture import CameraDevices, VideoFiles

SUCCESS = TransitionCallbackReturn.SUCCESS


@pytest.fixture()
def camera():
    """The stand-in cameras' geometry."""
    return load_head('simulated').camera


class FakeCamera:
    """A device that, like a real one, one program opens at a time.

    `busy` holds the open ones, `calls` what was done to any.
    """

    busy: set = set()
    calls: list = []
    absent: tuple = ()
    images = 10**9
    shape = (480, 640, 3)

    def __init__(self, name):
        self.name, self.opened, self.left = (
            name,
            name not in self.busy and name not in self.absent,
            self.images,
        )
        if self.opened:
            self.busy.add(name)

    def isOpened(self):  # noqa: N802 (OpenCV's name)
        return self.opened

    def set(self, *_):
        return True

    def get(self, _):
        return 25.0

    def grab(self):
        self.calls.append(('grab', self.name))
        self.left -= 1
        time.sleep(0.002)
        return self.opened and self.left >= 0

    def retrieve(self):
        self.calls.append(('retrieve', self.name))
        return True, np.full(self.shape, 7, np.uint8)

    def read(self):
        return (self.grab(), self.retrieve()[1])

    def release(self):
        if self.opened:
            self.busy.discard(self.name)
        self.opened = False


@pytest.fixture()
def fake_camera(monkeypatch, camera):
    """OpenCV opens stand-ins; returns their class, fresh."""
    kind = type(
        'Fresh',
        (FakeCamera,),
        {'busy': set(), 'calls': [], 'shape': (camera.height, camera.width, 3)},
    )
    monkeypatch.setattr(cv2, 'VideoCapture', kind)
    return kind


def test_cameras_are_released_and_open_again(fake_camera, camera):
    """Regression: a camera stayed open for ever."""
    source = CameraDevices('0', '1', camera)
    assert fake_camera.busy == {0, 1} and source.has_right
    source.close()
    source.close()
    assert not fake_camera.busy
    assert list(source.images(lambda: 0)) == []
    source.open()
    source.open()
    assert fake_camera.busy == {0, 1}
    assert next(source.images(lambda: 5))[:2] == (0, 5)


def test_the_left_camera_is_released_when_the_right_one_is_absent(fake_camera, camera):
    fake_camera.absent = (1,)
    with pytest.raises(UserError, match="camera '1'"):
        CameraDevices('0', '1', camera)
    assert not fake_camera.busy


def test_a_pair_is_stamped_after_the_grabs_and_before_decoding(fake_camera, camera):
    """Regression: the stamp came after decoding both images, tens of milliseconds late."""
    source = CameraDevices('0', '1', camera)
    fake_camera.calls.clear()

    def now_ns():
        fake_camera.calls.append('stamp')
        return 42

    index, stamp_ns, left, right = next(source.images(now_ns))
    assert (index, stamp_ns, left.shape, right.shape) == (
        0,
        42,
        fake_camera.shape,
        fake_camera.shape,
    )
    assert fake_camera.calls == [
        ('grab', 0),
        ('grab', 1),
        'stamp',
        ('retrieve', 0),
        ('retrieve', 1),
    ]


def test_a_camera_that_ends_is_an_error_and_a_closed_one_is_not(fake_camera, camera):
    fake_camera.images = 4  # one is read at opening
    source = CameraDevices('0', '', camera)
    with pytest.raises(UserError, match='stopped delivering images'):
        list(source.images(lambda: 0))
    source.close()
    source.open()
    seen = []
    for item in source.images(lambda: 0):
        seen.append(item)
        source.close()
    assert len(seen) == 1 and seen[0][3] is None


def test_closing_waits_for_the_image_in_work(fake_camera, camera):
    """A capture released while another thread reads it can crash the process."""
    source, held = CameraDevices('0', '', camera), []
    fake_camera.grab = lambda self: (time.sleep(0.05), held.append(self.opened), True)[-1]
    reader = threading.Thread(target=lambda: list(source.images(lambda: 0)))
    reader.start()
    assert wait_for(lambda: held)
    source.close()
    reader.join(60.0)
    assert not reader.is_alive() and all(held)


def test_a_video_plays_from_its_beginning_every_time(tmp_path, camera):
    """Regression: a second activation went on where the first had stopped."""
    path = str(tmp_path / 'left.avi')
    writer = cv2.VideoWriter(
        path, cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (camera.width, camera.height)
    )
    for value in (20, 90, 160, 230):
        writer.write(np.full((camera.height, camera.width, 3), value, np.uint8))
    writer.release()
    source = VideoFiles(path, '', camera)
    runs = [[round(float(left.mean()) / 10) for _, _, left, _ in source.images()]]
    iterator = source.images()
    next(iterator), next(iterator)
    runs.append([round(float(left.mean()) / 10) for _, _, left, _ in source.images()])
    source.close()
    source.open()
    runs.append([round(float(left.mean()) / 10) for _, _, left, _ in source.images()])
    assert runs == [[2, 9, 16, 23]] * 3
    assert [time_s for _, time_s, _, _ in source.images()] == pytest.approx([0, 0.1, 0.2, 0.3])


@pytest.fixture()
def camera_node(ros_context, fake_camera):
    """A stereo_camera node on stand-in devices, with the times at which it published."""
    from av_perception.nodes.stereo_camera import StereoCameraNode

    node = StereoCameraNode(
        context=ros_context,
        parameter_overrides=[Parameter('left', value='0'), Parameter('right', value='1')],
    )
    node.published = []
    node._publish = lambda stamp_ns, left, right: node.published.append(stamp_ns)
    yield node
    node._take_down()
    node.destroy_node()


def test_the_camera_node_deactivates_and_activates_again(camera_node, fake_camera):
    """Regression: the devices were never released."""
    for _ in range(2):
        if camera_node.published:
            assert camera_node.trigger_activate() == SUCCESS
        else:
            assert camera_node.start()
        wanted = len(camera_node.published) + 3
        assert wait_for(lambda wanted=wanted: len(camera_node.published) >= wanted)
        assert fake_camera.busy == {0, 1}
        assert camera_node.trigger_deactivate() == SUCCESS
        assert not fake_camera.busy and camera_node.failure is None


def test_the_camera_node_cleans_up_and_configures_again(camera_node, fake_camera):
    """Regression: a second configure found its own devices in use."""
    for _ in range(2):
        assert camera_node.trigger_configure() == SUCCESS
        assert camera_node.trigger_cleanup() == SUCCESS
        assert not fake_camera.busy
    assert camera_node.start() and wait_for(lambda: camera_node.published)


def test_a_camera_gone_while_inactive_fails_the_activation(camera_node, fake_camera):
    assert camera_node.start()
    assert camera_node.trigger_deactivate() == SUCCESS
    fake_camera.absent = (1,)
    assert camera_node.trigger_activate() != SUCCESS
    assert (
        "camera '1'" in camera_node.refusal
        and camera_node.failure is None
        and not fake_camera.busy
    )
