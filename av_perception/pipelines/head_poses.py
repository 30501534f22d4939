# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Head poses of a recording, offline, as the node makes them of tracks and images."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import seconds
from av_perception.head_pose.estimator import HeadPoseConfig, HeadPoseEstimator
from av_perception.interfaces import HeadPoseEstimate, HeadPoseFrame, TrackFrame
from av_perception.recording import Recording
from av_perception.recording.timing import image_stamp_ns
from av_perception.vision.rectification import rectifiers_of

EVERY = 2  # of the images, as the node does
COLUMNS = (
    *('time', 'id', 'known', 'qx', 'qy', 'qz', 'qw', 'cxx', 'cxy', 'cxz', 'cyy', 'cyz', 'czz'),
    *('last_measured', 'facing_probability', 'facing', 'other', 'other_probability'),
)
_UPPER = np.triu_indices(3)


def head_poses_of(
    recording: Recording,
    tracks: Iterable[TrackFrame],
    origin_ns: int,
    config: HeadPoseConfig | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> list[HeadPoseFrame]:
    """Measure the heads of tracked people in the images of a recording.

    Parameters
    ----------
    recording
        Whose left images are looked at.
    tracks
        Of the same recording, in the base frame of its head.
    origin_ns
        [ns] stamp of second 0 of the recording.
    config
        See there.
    progress
        Called with the fraction that is done.

    Raises
    ------
    UserError
        Without images, or without the network.
    """
    camera = recording.head.camera
    if camera is None or not recording.num_frames:
        raise UserError('the recording has no images: head poses need them')
    estimator = HeadPoseEstimator(config or HeadPoseConfig(), camera)
    by_stamp = {frame.stamp_ns: frame for frame in tracks}
    rectify = rectifiers_of(camera)[0].rectify
    found = []
    for index, _, left, _ in recording.images():
        frame = by_stamp.get(origin_ns + image_stamp_ns(recording, index))
        if frame is not None and index % EVERY == 0:
            found.append(estimator.step(frame, rectify(left), camera.base_from_optical))
        progress((index + 1) / recording.num_frames)
    return found


def write_head_poses(frames: Iterable[HeadPoseFrame], path: Path, origin_ns: int) -> None:
    """Write a row for every head of every frame to a CSV file.

    `time`, `last_measured` [s] (empty: never); the quaternion and the covariance [rad^2] in the
    base frame, `facing_probability`, and whom else the face is turned to most likely are empty
    where they are not known.
    """
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for frame in frames:
            time_s = seconds(frame.stamp_ns - origin_ns)
            writer.writerows(_row(head, time_s, origin_ns) for head in frame.heads)


def _row(head: HeadPoseEstimate, time_s: float, origin_ns: int) -> list:
    measured = ''
    if head.last_measured_ns:
        measured = f'{seconds(head.last_measured_ns - origin_ns):.3f}'
    if head.rotation is None:
        return [f'{time_s:.3f}', head.id, 0, *[''] * 10, measured, '', 0, '', '']
    quaternion = RigidTransform(head.rotation).quaternion_xyzw
    numbers = [f'{value:.6g}' for value in (*quaternion, *head.covariance[_UPPER])]
    other = max(head.others, key=lambda one: head.others[one], default=None)
    whom = ['', ''] if other is None else [other, f'{head.others[other]:.3f}']
    said = [f'{head.facing_probability:.3f}', int(head.facing)]
    return [f'{time_s:.3f}', head.id, 1, *numbers, measured, *said, *whom]
