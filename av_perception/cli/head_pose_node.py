# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the node `head_pose` costs with a group in view: messages in, head poses out."""

from __future__ import annotations

import time
from collections.abc import Sequence

import cv2
import numpy as np

from av_perception.benchmarks.head_pose_cost import group_picture, group_tracks
from av_perception.benchmarks.head_pose_views import Talker
from av_perception.benchmarks.sensors import camera_of
from av_perception.geometry.time import nanoseconds
from av_perception.head_pose.estimator import HeadPoseConfig, HeadPoseEstimator
from av_perception.robot_head import load_head
from av_perception.ros.conversions import (
    head_pose_frame_to_msg,
    image_to_msg,
    ns_from_time,
    track_frame_from_msg,
    track_frame_to_msg,
)
from av_perception.ros.image_memory import ImageMemory
from av_perception.vision.rectification import rectifiers_of

HEAD = 'simulated'
IMAGES_HZ = 25.0
EVERY = 2  # as the node's parameter `every`
_IMAGES = 100
_FIRST = 20  # images that warm up


def node_share(talkers: Sequence[Talker]) -> float:
    """Measure the share of a core that the node's work takes for these people, all in view.

    With the conversions of messages, and without what DDS takes between processes.

    Parameters
    ----------
    talkers
        From left to right.
    """
    cv2.setNumThreads(1)
    camera = camera_of(load_head(HEAD))
    image, boxes = group_picture(talkers, camera)
    memory = ImageMemory(rectifiers_of(camera)[0].rectify)
    estimator = HeadPoseEstimator(HeadPoseConfig(), camera)
    times_s = []
    for number in range(_IMAGES):
        stamp_ns = nanoseconds(1.0 + number / IMAGES_HZ)
        image_message = image_to_msg(image, stamp_ns, 'left_camera_optical')
        tracks_message = track_frame_to_msg(group_tracks(boxes, camera, stamp_ns), 'base_link')
        started_s = time.process_time()
        memory.keep(image_message)
        taken = memory.take(ns_from_time(tracks_message.header.stamp))
        if number % EVERY == 0 and taken is not None:
            frame = track_frame_from_msg(tracks_message)
            found = estimator.step(frame, memory.decoded(taken), camera.base_from_optical)
            head_pose_frame_to_msg(found, tracks_message.header.frame_id)
        times_s.append(time.process_time() - started_s)
    # The median of what is worked on and of what is not: a busy machine disturbs single ones.
    rounds = np.array(times_s[_FIRST:]).reshape(-1, EVERY)
    return float(np.median(rounds, axis=0).sum() * IMAGES_HZ / EVERY)
