# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From tracks and speaking status to what the overlay draws of people, and to a video of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import (
    HeadPoseEstimate,
    HeadPoseFrame,
    LifeState,
    SpeakingFrame,
    SpeakingStatus,
    TrackEstimate,
    TrackFrame,
)
from av_perception.recording import Recording
from av_perception.recording.images import ImageWriter
from av_perception.recording.timing import image_stamp_ns
from av_perception.robot_head import CameraGeometry
from av_perception.vision.rectification import rectifiers_of
from av_perception.visualization.overlay import PersonDrawing, draw_overlay

HEAD_HALF_SIZE_M = (0.09, 0.12)
NEAREST_DEPTH_M = 0.1
GAZE_FROM_TO_M = (0.1, 0.35)  # of the arrow out of the face, from the middle of the head


def people_to_draw(
    frame: TrackFrame,
    speaking: SpeakingFrame,
    camera: CameraGeometry,
    reference_from_optical: RigidTransform | None = None,
    looked_at: int | None = None,
    heads: HeadPoseFrame | None = None,
) -> list[PersonDrawing]:
    """Choose what to draw of everybody who is active.

    That is the face's box when seen, else the projected head, or a direction when out of the
    camera's view.

    Parameters
    ----------
    frame, speaking
        Tracks and speaking status of one moment.
    camera
        Of the image.
    reference_from_optical
        Pose of the camera in the frame of the tracks, None for that of the head profile.
    looked_at
        Id of whom the robot looks at.
    heads
        How their heads are turned, in the frame of the tracks.
    """
    optical_from_reference = (reference_from_optical or camera.base_from_optical).inverse()
    statuses = {status.id: status for status in speaking.statuses}
    turned = {head.id: head for head in heads.heads} if heads is not None else {}
    drawings = []
    for track in frame.tracks:
        if track.state != LifeState.ACTIVE:
            continue
        plain = _drawing(track, statuses.get(track.id), camera, optical_from_reference)
        plain = replace(plain, looked_at=track.id == looked_at)
        head = turned.get(track.id)
        drawings.append(_with_gaze(plain, track, head, camera, optical_from_reference))
    return drawings


def _with_gaze(
    drawing: PersonDrawing,
    track: TrackEstimate,
    head: HeadPoseEstimate | None,
    camera: CameraGeometry,
    optical_from_reference: RigidTransform,
) -> PersonDrawing:
    """Add the arrow out of the face, if it is known where it points to."""
    if head is None or head.rotation is None:
        return drawing
    forward = head.rotation[:, 0]
    ends = track.mean[:3] + np.outer(GAZE_FROM_TO_M, forward)
    seen = optical_from_reference.apply(ends)
    if seen[:, 2].min() < NEAREST_DEPTH_M:
        return drawing
    start, end = camera.project(seen)
    return replace(drawing, gaze=(*start.tolist(), *end.tolist()), facing=head.facing)


def _drawing(
    track: TrackEstimate,
    status: SpeakingStatus | None,
    camera: CameraGeometry,
    optical_from_reference: RigidTransform,
) -> PersonDrawing:
    position = optical_from_reference.apply(track.mean[:3])
    ellipse = direction = None
    if position[2] > NEAREST_DEPTH_M:
        center = camera.project(position)
        half = np.array(HEAD_HALF_SIZE_M) * np.array(camera.focal) / position[2]
        ellipse = (*center, *half)
    else:
        direction = (position[0], position[1])
    return PersonDrawing(
        id=track.id,
        box=None if track.box is None else tuple(track.box),
        ellipse=ellipse,
        direction=direction,
        seen=track.seen,
        heard=track.heard,
        predicted=track.predicted,
        speaking=bool(status and status.speaking),
        speaking_probability=status.probability if status else 0.0,
        sound_share=track.audio_responsibility,
        range_m=float(np.linalg.norm(position)),
    )


def write_overlay(
    recording: Recording,
    frames: list[tuple[TrackFrame, SpeakingFrame]],
    origin_ns: int,
    path,
    progress: Callable[[float], None] = lambda fraction: None,
) -> None:
    """Write the left camera's video with the people drawn on it; nothing without images.

    Parameters
    ----------
    recording
        Whose images are drawn on.
    frames
        What was said of them, in the recording's frame.
    origin_ns
        [ns] stamp of second 0 of the recording.
    path
        The mp4 file.
    progress
        Called with the fraction that is done.
    """
    camera = recording.head.camera
    if camera is None or not recording.num_frames:
        return
    by_stamp = {frame.stamp_ns: (frame, speaking) for frame, speaking in frames}
    rectifier, _ = rectifiers_of(camera)
    writer = ImageWriter(Path(path), (camera.width, camera.height), recording.frame_rate)
    for index, _, left, _ in recording.images():
        moment = by_stamp.get(origin_ns + image_stamp_ns(recording, index))
        image = rectifier.rectify(left)
        if moment is not None:
            image = draw_overlay(image, people_to_draw(*moment, camera))
        writer.write(image)
        progress((index + 1) / recording.num_frames)
    writer.close()
