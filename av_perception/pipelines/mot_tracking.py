# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The tracker on MOT-challenge text: detections of every frame in, people with ids out. Without images, sound or appearance."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from av_perception.interfaces import Face, LifeState, TrackEstimate, TrackFrame, VisualFeatures
from av_perception.recording.mot_text import MotTable, SequenceInfo
from av_perception.robot_head.profile import CameraGeometry, HeadProfile
from av_perception.tracking.state_space.image_plane import ImagePlane, ImagePlaneConfig
from av_perception.tracking.track_management.life_cycle import LifeConfig
from av_perception.tracking.track_management.visual_birth import BirthConfig
from av_perception.tracking.tracker import Tracker, TrackerConfig

HEAD_M, PERSON_M = 0.2, 0.9  # what boxes enclose: geometric mean of width and height
_SLENDER = 1.6  # height by width from which boxes hold whole people
DEFAULT_RATE = 25.0
_NANO = 1e9
_QUIET = 50  # frames, longer than a birth remembers
_NEAREST_M = 0.1
_NO_POSITION, _NO_COVARIANCE, _NO_LANDMARKS = (
    np.full(3, np.nan),
    np.full((3, 3), np.nan),
    np.zeros((5, 2)),
)


@dataclass(frozen=True)
class MotTrackingConfig:
    """tracker: without sound and appearance people are believed after four images, and sleep sooner than on a robot, as the place of
    somebody who is not detected is soon a guess.
    """

    plane: ImagePlaneConfig = ImagePlaneConfig()
    tracker: TrackerConfig = TrackerConfig(
        life=LifeConfig(sleep_after_s=0.8, confirm_hits=1),
        birth=BirthConfig(sequence_length=3, log_ratio=10.0),
    )


@dataclass(frozen=True)
class Tracked:
    """tracks: who was where; step_s: seconds that each frame took, without those in which nobody was; dropped: detections that could not be used, by reason."""

    tracks: MotTable
    step_s: np.ndarray
    dropped: Counter


def guess_object_size(detections: MotTable) -> float:
    """What boxes of this shape enclose [m]: heads, or whole people when they are slender."""
    width, height = np.maximum(detections.box[:, 2:], 1e-6).T
    return PERSON_M if len(detections) and np.median(height / width) > _SLENDER else HEAD_M


def image_of(
    info: SequenceInfo, detections: MotTable, frame_rate: float | None = None
) -> CameraGeometry:
    """A camera with the image size of the sequence, or the smallest that holds all boxes, and a focal length of one image width.

    The focal length only sets how fast sizes may change. frame_rate [Hz]: instead of the sequence's.
    """
    corners = detections.box[:, :2] + detections.box[:, 2:]
    seen = (
        np.maximum(corners.max(0, initial=64.0), 64.0)
        if len(detections)
        else np.array([640.0, 480.0])
    )
    width, height = int(info.width or np.ceil(seen[0])), int(info.height or np.ceil(seen[1]))
    return CameraGeometry(
        max(width, 16),
        max(height, 16),
        (float(width),) * 2,
        (width / 2, height / 2),
        frame_rate=frame_rate or info.frame_rate or DEFAULT_RATE,
    )


def track_boxes(
    detections: MotTable,
    camera: CameraGeometry,
    last_frame: int,
    config: MotTrackingConfig = MotTrackingConfig(),
    progress=lambda fraction: None,
) -> Tracked:
    """Boxes in frames 1..last_frame through the ImagePlane model; a frame without detections is an image in which nobody was found."""
    head = HeadProfile('image plane', camera=camera)
    faces = [Face(box, 1.0, _NO_LANDMARKS, _NO_POSITION, _NO_COVARIANCE) for box in detections.box]
    tracker = Tracker(config.tracker, head, model=ImagePlane(config.plane, head))
    frames, step_s = _run(
        tracker, faces, detections.frames(last_frame), camera.frame_rate, progress
    )
    rows = [
        (index + 1, track.id, box_of(track.mean[:4]))
        for index, frame in enumerate(frames)
        for track in _output(frame)
    ]
    return Tracked(
        within_image(MotTable.of(*(zip(*rows) if rows else ([], [], []))), camera),
        step_s,
        +tracker.counters,
    )


def track_positions(
    detections: MotTable,
    covariances: np.ndarray,
    head: HeadProfile,
    last_frame: int,
    config: MotTrackingConfig = MotTrackingConfig(),
) -> Tracked:
    """Positions in the base frame, with (B, 3, 3) covariances [m^2] in the left optical frame, through the CartesianHead model."""
    optical = head.camera.base_from_optical.inverse().apply(detections.position)
    faces = [
        Face(box, 1.0, _NO_LANDMARKS, position, covariance)
        for box, position, covariance in zip(detections.box, optical, covariances)
    ]
    tracker = Tracker(config.tracker, head)
    frames, step_s = _run(tracker, faces, detections.frames(last_frame), head.camera.frame_rate)
    rows = [
        (index + 1, track.id, track.mean[:3])
        for index, frame in enumerate(frames)
        for track in _output(frame)
    ]
    return Tracked(
        located(*(zip(*rows) if rows else ([], [], [])), head.camera), step_s, +tracker.counters
    )


def located(frames, ids, positions, camera: CameraGeometry) -> MotTable:
    """The table of (B,) frames and ids and (B, 3) positions in the base frame, those in the image; with boxes of no size."""
    positions = np.array(positions, float).reshape(-1, 3)
    optical = camera.base_from_optical.inverse().apply(positions)
    ahead = optical[:, 2] > _NEAREST_M
    optical[~ahead] = 1.0
    boxes = np.concatenate([camera.project(optical), np.zeros((len(optical), 2))], axis=1)
    return within_image(MotTable.of(frames, ids, boxes, position=positions).take(ahead), camera)


def within_image(tracks: MotTable, camera: CameraGeometry) -> MotTable:
    """The rows whose centre lies in the image: only there can anybody say who is right."""
    center = tracks.box[:, :2] + tracks.box[:, 2:] / 2
    return tracks.take(((center >= 0) & (center < [camera.width, camera.height])).all(1))


def box_of(centered: np.ndarray) -> np.ndarray:
    """(4,) left, top, width, height of (4,) centre and size."""
    size = np.maximum(centered[2:], 1.0)
    return np.concatenate([centered[:2] - size / 2, size])


def with_object_size(config: MotTrackingConfig, size_m: float) -> MotTrackingConfig:
    """The configuration for boxes that enclose something of another size."""
    return replace(config, plane=replace(config.plane, object_size=size_m))


def _run(
    tracker: Tracker,
    faces: list[Face],
    frames: list[slice],
    rate: float,
    progress=lambda fraction: None,
):
    """The TrackFrame of every frame, and the seconds that each step took.

    Where nobody is and was for a while, frames without detections are passed over: nothing can come
    of them, and a stray frame number makes very many.
    """
    found, step_s, quiet = [], [], 0
    for index, rows in enumerate(frames):
        nothing = found and rows.start == rows.stop and not found[-1].tracks
        quiet = quiet + 1 if nothing else 0
        if quiet > _QUIET:
            found.append(found[-1])
            continue
        stamp_ns = round((index + 1) / rate * _NANO)
        visual = VisualFeatures(stamp_ns, tuple(faces[rows]))
        started = time.perf_counter()
        found.append(tracker.step(stamp_ns, visual, None))
        step_s.append(time.perf_counter() - started)
        progress((index + 1) / len(frames))
    return found, np.array(step_s)


def _output(frame: TrackFrame) -> list[TrackEstimate]:
    """Who is said to be there, as `evaluate` has it."""
    return [track for track in frame.tracks if track.state == LifeState.ACTIVE]
