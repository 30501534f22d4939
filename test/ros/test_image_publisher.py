# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images with longer rows are the same images, and are sent where room is to be made."""

from __future__ import annotations

import array
import re

import numpy as np
import pytest
from planted_segments import PlantedSegment, cut_up
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from av_perception.paths import share_directory
from av_perception.ros.conversions import image_from_msg, image_to_msg
from av_perception.ros.image_publisher import LARGEST_BYTES, ROOM_MADE, ImageRoom, padded
from av_perception.ros.segment_watch import SegmentWatch

SHARED_MEMORY_PROFILE = 'fastdds_shared_memory.xml'


@pytest.fixture
def image():
    pixels = np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8)
    return image_to_msg(pixels, 5_000_000_000, 'camera')


def in_gray(image: Image) -> Image:
    """Give another encoding, with rows of an odd length that are padded already."""
    pixels = np.random.default_rng(4).integers(0, 256, (48, 71), np.uint8)
    data = array.array('B', pixels.tobytes())
    return Image(header=image.header, height=48, width=64, encoding='mono8', step=71, data=data)


@pytest.mark.parametrize('make', [lambda image: image, in_gray], ids=['color', 'gray'])
def test_an_image_with_longer_rows_is_the_same_image(image, make):
    image = make(image)
    longer = padded(image, 1_000_000)
    assert 1_000_000 - image.height < len(longer.data) <= 1_000_000
    assert np.array_equal(image_from_msg(longer), image_from_msg(image))
    assert longer.header == image.header
    assert (longer.height, longer.width, longer.encoding) == (48, 64, image.encoding)


def test_an_image_is_never_made_smaller_nor_larger_than_one_message(image):
    assert padded(image, 100) is image
    assert len(padded(image, 1 << 40).data) <= LARGEST_BYTES


@pytest.mark.parametrize(
    'wrong', [{'height': 0}, {'step': 0}, {'height': 1000}, {'data': array.array('B')}]
)
def test_an_image_that_is_none_is_left_to_who_reads_it(image, wrong):
    for name, value in wrong.items():
        setattr(image, name, value)
    assert padded(image, 1_000_000) is image


def test_the_largest_image_is_one_message_for_dds(image):
    """Of a longer one the pieces would each find a place, and nothing would be taken back."""
    profile = (share_directory() / 'config' / SHARED_MEMORY_PROFILE).read_text()
    largest = int(re.search(r'<maxMessageSize>(\d+)<', profile)[1])
    image.header.frame_id = 'a' * 255
    message = serialize_message(padded(image, LARGEST_BYTES))
    assert len(message) + 1024 < largest  # and the heads of RTPS


class _Room:
    """What is sent for an image, as time goes on."""

    def __init__(self, segment: PlantedSegment):
        self.now = 0.0
        self.told: list[tuple[str, str]] = []
        watch = SegmentWatch(lambda: [segment.path], lambda: self.now)
        self.room = ImageRoom(lambda *what: self.told.append(what), watch)

    def sizes(self, image: Image, duration_s: float) -> list[int]:
        """Give the sizes of what was sent with 25 images a second."""
        sizes = []
        for _ in range(round(25 * duration_s)):
            self.now += 0.04
            sizes.append(len(self.room.fitted(image).data))
        return sizes


def test_one_image_alone_is_longer_where_room_is_to_be_made(image, tmp_path):
    room = _Room(cut_up(tmp_path / 'fastrtps_0123456789abcdef'))
    sizes = room.sizes(image, 2.0)
    assert sorted(sizes)[-2:] == [len(image.data), LARGEST_BYTES // 48 * 48]
    ((event, reason),) = room.told
    assert event == ROOM_MADE
    assert 'have left the rest unread' in reason


def test_images_are_as_they_were_where_there_is_room(image, tmp_path):
    room = _Room(PlantedSegment(tmp_path / 'fastrtps_0123456789abcdef'))
    assert set(room.sizes(image, 5.0)) == {len(image.data)}
    assert room.told == []
