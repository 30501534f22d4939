# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What head poses cost: one face, and a group of people in one image."""

from __future__ import annotations

import time
from collections.abc import Sequence

import cv2
import numpy as np

from av_perception.benchmarks.head_pose_views import Talker
from av_perception.head_pose.face_mesh import FaceMesh, FaceSquare
from av_perception.head_pose.head_filter import HeadFilter
from av_perception.head_pose.mean_mesh import measure
from av_perception.head_pose.model import HeadPoseModel
from av_perception.interfaces import LifeState, TrackEstimate, TrackFrame
from av_perception.robot_head.profile import CameraGeometry

_PERIOD_NS = 80_000_000
_START_NS = 10**9
_WARMING_VIEWS = 20
_VIEWS = 200
_DISTANCE_M = 1.5  # of everybody in the group


def face_cost_ms(talker: Talker, model: HeadPoseModel, mesh: FaceMesh) -> dict[str, float]:
    """Process time [ms] of a face: its mesh, the fit and the filter.

    The mean over many images after some that warm up, with one thread of OpenCV, as in the node:
    threads that wait for each other take time as well.
    """
    image = talker.face.photograph
    square = FaceSquare.of_points(talker.frontal[0])
    head = HeadFilter(model)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    times = []
    for k in range(_WARMING_VIEWS + _VIEWS):
        started = time.process_time()
        points = mesh.points(image, square)
        seen = time.process_time()
        measurement = measure(model.mesh, points)
        fitted = time.process_time()
        head.step(_START_NS + k * _PERIOD_NS, np.eye(3), measurement)
        times.append(np.diff([started, seen, fitted, time.process_time()]))
    cv2.setNumThreads(threads)
    parts = 1e3 * np.mean(times[_WARMING_VIEWS:], axis=0)
    return {'mesh': parts[0], 'fit': parts[1], 'filter': parts[2], 'all': float(parts.sum())}


def group_picture(
    talkers: Sequence[Talker], camera: CameraGeometry
) -> tuple[np.ndarray, np.ndarray]:
    """Put talkers side by side into one image.

    Parameters
    ----------
    talkers
        From left to right.
    camera
        Tells the size of the image.

    Returns
    -------
    image : np.ndarray
        (height, width, 3) uint8.
    boxes : np.ndarray
        (N, 4) [px] around their faces.
    """
    image = np.full((camera.height, camera.width, 3), 90, np.uint8)
    width = camera.width // len(talkers)
    boxes = []
    for index, talker in enumerate(talkers):
        photograph = talker.face.photograph
        scale = min(width / photograph.shape[1], camera.height / photograph.shape[0])
        small = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        left = index * width
        top = (camera.height - small.shape[0]) // 2
        image[top : top + small.shape[0], left : left + small.shape[1]] = small
        points = scale * talker.frontal[len(talker.frontal) // 2][:, :2] + [left, top]
        low = points.min(axis=0)
        boxes.append([*low, *(points.max(axis=0) - low)])
    return image, np.array(boxes)


def group_tracks(boxes: np.ndarray, camera: CameraGeometry, stamp_ns: int) -> TrackFrame:
    """Tracks of people whose faces are in (N, 4) boxes [px]."""
    middles = boxes[:, :2] + boxes[:, 2:] / 2
    slopes = (middles - np.array(camera.center)) / np.array(camera.focal)
    rays = np.column_stack([slopes, np.ones(len(slopes))])
    places = camera.base_from_optical.apply(_DISTANCE_M * rays)
    tracks = tuple(
        TrackEstimate(
            id=index + 1,
            state=LifeState.ACTIVE,
            mean=np.concatenate([place, np.zeros(3)]),
            covariance=1e-4 * np.eye(6),
            seen=True,
            heard=False,
            predicted=False,
            last_seen_ns=stamp_ns,
            last_heard_ns=0,
            audio_responsibility=0.0,
            visibility=1.0,
            box=box,
        )
        for index, (place, box) in enumerate(zip(places, boxes))
    )
    return TrackFrame(stamp_ns, tracks, True)
