# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The tracker on MOT-challenge text: detections of every frame in, people with ids out.

Without images, sound or appearance.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from av_perception.geometry.boxes import centers, far_corners, from_center_and_size
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import Face, LifeState, TrackEstimate, TrackFrame, VisualFeatures
from av_perception.recording.mot_text import MotTable, SequenceInfo
from av_perception.robot_head.profile import CameraGeometry, HeadProfile
from av_perception.tracking.state_space.image_plane import ImagePlane, ImagePlaneConfig
from av_perception.tracking.track_management.life_cycle import LifeConfig
from av_perception.tracking.track_management.visual_birth import BirthConfig
from av_perception.tracking.tracker import Tracker, TrackerConfig

DEFAULT_RATE = 25.0  # [Hz]
_SLENDER = 1.6  # height by width from which boxes hold whole people
_QUIET_FRAMES = 50  # longer than a birth remembers
_NEAREST_M = 0.1
_SMALLEST_IMAGE_PX = 64.0  # that is guessed from boxes
_SMALLEST_CAMERA_PX = 16
_GUESSED_IMAGE_PX = np.array([640.0, 480.0])  # of a sequence without boxes
_LEAST_SIZE_PX = 1.0
_NO_POSITION = np.full(3, np.nan)
_NO_COVARIANCE = np.full((3, 3), np.nan)
_NO_LANDMARKS = np.zeros((5, 2))


@dataclass(frozen=True)
class MotTrackingConfig:
    """How boxes and positions are tracked.

    Without sound and appearance people are believed after four images, and sleep sooner than on a
    robot, as the place of somebody who is not detected is soon a guess.
    """

    #: the state space of boxes
    plane: ImagePlaneConfig = ImagePlaneConfig()
    #: the tracker
    tracker: TrackerConfig = TrackerConfig(
        life=LifeConfig(sleep_after_s=0.8, confirm_hits=1),
        birth=BirthConfig(sequence_length=3, log_ratio=10.0),
    )


_DEFAULT = MotTrackingConfig()
# Of whole people: the errors are those of a pedestrian detector beside the truth of two sequences
# (docs/tracking.md), and a slender box misses who walked on unseen sooner than a head's does.
CONFIGS = {
    'heads': _DEFAULT,
    'people': replace(
        _DEFAULT,
        plane=replace(
            _DEFAULT.plane,
            object_size=0.9,
            center_error=0.04,
            size_error=0.1,
            width_error_ratio=2.2,
        ),
        tracker=replace(_DEFAULT.tracker, life=replace(_DEFAULT.tracker.life, sleep_after_s=0.4)),
    ),
}


@dataclass(frozen=True)
class Tracked:
    """What came of a table of detections.

    tracks: who was where; step_s: seconds that each frame took, without those in which nobody was;
    dropped: detections that could not be used, by reason.
    """

    tracks: MotTable
    step_s: np.ndarray
    dropped: Counter


def guess_boxes(detections: MotTable) -> str:
    """Guess what the boxes enclose: 'heads', or 'people' where they are slender."""
    width, height = np.maximum(detections.box[:, 2:], 1e-6).T
    is_slender = len(detections) > 0 and np.median(height / width) > _SLENDER
    return 'people' if is_slender else 'heads'


def image_of(
    info: SequenceInfo, detections: MotTable, frame_rate: float | None = None
) -> CameraGeometry:
    """Make up the camera of a sequence, with a focal length of one image width.

    The focal length only sets how fast sizes may change.

    Parameters
    ----------
    info
        Tells the image size and frame rate, where it is known.
    detections
        Otherwise the image is the smallest that holds all boxes.
    frame_rate
        [Hz] instead of the sequence's.

    Returns
    -------
    CameraGeometry
        One camera.
    """
    needed = _GUESSED_IMAGE_PX
    if len(detections):
        farthest = far_corners(detections.box).max(0, initial=_SMALLEST_IMAGE_PX)
        needed = np.maximum(farthest, _SMALLEST_IMAGE_PX)
    width = int(info.width or np.ceil(needed[0]))
    height = int(info.height or np.ceil(needed[1]))
    return CameraGeometry(
        max(width, _SMALLEST_CAMERA_PX),
        max(height, _SMALLEST_CAMERA_PX),
        (float(width), float(width)),
        (width / 2, height / 2),
        frame_rate=frame_rate or info.frame_rate or DEFAULT_RATE,
    )


def track_boxes(
    detections: MotTable,
    camera: CameraGeometry,
    last_frame: int,
    config: MotTrackingConfig = _DEFAULT,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Tracked:
    """Track boxes with the ImagePlane model.

    Parameters
    ----------
    detections
        Boxes; a frame without any is an image in which nobody was found.
    camera
        See `image_of`.
    last_frame
        Frames 1..last_frame are tracked.
    config
        See `MotTrackingConfig`.
    progress
        Called with the fraction done.

    Returns
    -------
    Tracked
        Boxes of the active tracks whose centers lie in the image.
    """
    head = HeadProfile('image plane', camera=camera)
    faces = [Face(box, 1.0, _NO_LANDMARKS, _NO_POSITION, _NO_COVARIANCE) for box in detections.box]
    tracker = Tracker(config.tracker, head, model=ImagePlane(config.plane, head))
    rows = detections.frames(last_frame)
    frames, step_s = _run(tracker, faces, rows, camera.frame_rate, progress)
    numbers, ids, means = _columns(frames)
    boxes = [box_of(mean[:4]) for mean in means]
    tracks = within_image(MotTable.of(numbers, ids, boxes), camera)
    return Tracked(tracks, step_s, +tracker.counters)


def track_positions(
    detections: MotTable,
    covariances: np.ndarray,
    head: HeadProfile,
    last_frame: int,
    config: MotTrackingConfig = _DEFAULT,
) -> Tracked:
    """Track positions with the CartesianHead model.

    Parameters
    ----------
    detections
        B boxes with positions in the base frame [m].
    covariances
        (B, 3, 3) [m^2] in the left optical frame.
    head
        With a camera.
    last_frame, config
        As of `track_boxes`, and so is the result.

    Raises
    ------
    ValueError
        For a head without a camera.
    """
    camera = head.camera
    if camera is None:
        raise ValueError('positions are tracked with a head that has a camera')
    optical = camera.base_from_optical.inverse().apply(detections.position)
    faces = [
        Face(box, 1.0, _NO_LANDMARKS, position, covariance)
        for box, position, covariance in zip(detections.box, optical, covariances)
    ]
    tracker = Tracker(config.tracker, head)
    frames, step_s = _run(tracker, faces, detections.frames(last_frame), camera.frame_rate)
    numbers, ids, means = _columns(frames)
    tracks = located(numbers, ids, [mean[:3] for mean in means], camera)
    return Tracked(tracks, step_s, +tracker.counters)


def _columns(frames: list[TrackFrame]) -> tuple[list[int], list[int], list[np.ndarray]]:
    """Frame number from 1, id and mean of every active track, as `evaluate` takes them."""
    numbers, ids, means = [], [], []
    for index, frame in enumerate(frames):
        for track in _active(frame):
            numbers.append(index + 1)
            ids.append(track.id)
            means.append(track.mean)
    return numbers, ids, means


def located(
    frames: Sequence[int],
    ids: Sequence[int],
    positions: Sequence[np.ndarray],
    camera: CameraGeometry,
) -> MotTable:
    """Make a table of positions, those in the image; with boxes of no size.

    Parameters
    ----------
    frames, ids
        (B,).
    positions
        (B, 3) in the base frame [m].
    camera
        Which sees the image.

    Returns
    -------
    MotTable
        At most B rows.
    """
    places = np.array(positions, float).reshape(-1, 3)
    optical = camera.base_from_optical.inverse().apply(places)
    ahead = optical[:, 2] > _NEAREST_M
    optical[~ahead] = 1.0
    boxes = np.concatenate([camera.project(optical), np.zeros((len(optical), 2))], axis=1)
    return within_image(MotTable.of(frames, ids, boxes, position=places).take(ahead), camera)


def within_image(tracks: MotTable, camera: CameraGeometry) -> MotTable:
    """Keep the rows whose center lies in the image: only there can anybody say who is right."""
    center = centers(tracks.box)
    return tracks.take(((center >= 0) & (center < [camera.width, camera.height])).all(1))


def box_of(centered: np.ndarray) -> np.ndarray:
    """Box (4,) left, top, width, height of center and size (4,) [px]; at least a pixel large."""
    return from_center_and_size(centered, _LEAST_SIZE_PX)


def _run(
    tracker: Tracker,
    faces: list[Face],
    rows_of_frames: list[slice],
    rate: float,
    progress: Callable[[float], None] = lambda fraction: None,
) -> tuple[list[TrackFrame], np.ndarray]:
    """Track all frames; returns the TrackFrame of each, and the seconds that each step took.

    Where nobody is and was for a while, frames without detections are passed over: nothing can
    come of them, and a stray frame number makes very many.
    """
    frames: list[TrackFrame] = []
    step_s = []
    quiet = 0
    for index, rows in enumerate(rows_of_frames):
        is_empty = frames and rows.start == rows.stop and not frames[-1].tracks
        quiet = quiet + 1 if is_empty else 0
        if quiet > _QUIET_FRAMES:
            frames.append(frames[-1])
            continue
        stamp_ns = nanoseconds((index + 1) / rate)
        visual = VisualFeatures(stamp_ns, tuple(faces[rows]))
        started = time.perf_counter()
        frames.append(tracker.step(stamp_ns, visual, None))
        step_s.append(time.perf_counter() - started)
        progress((index + 1) / len(rows_of_frames))
    return frames, np.array(step_s)


def _active(frame: TrackFrame) -> list[TrackEstimate]:
    """Who is said to be there, as `evaluate` has it."""
    return [track for track in frame.tracks if track.state == LifeState.ACTIVE]
