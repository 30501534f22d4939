"""The tracker on MOT-challenge text: detections of every frame in, boxes with ids out. Without images, sound or appearance."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from av_perception.data import Face, LifeState, TrackFrame, VisualFeatures
from av_perception.heads.profile import CameraGeometry, HeadProfile
from av_perception.recording.mot_text import MotTable, SequenceInfo
from av_perception.tracking.image_plane import ImagePlane, ImagePlaneConfig
from av_perception.tracking.life_cycle import LifeConfig
from av_perception.tracking.tracker import Tracker, TrackerConfig
from av_perception.tracking.visual_birth import BirthConfig

HEAD_M, PERSON_M = 0.2, 0.9   # what boxes enclose: geometric mean of width and height
_SLENDER = 1.6                # height by width from which boxes hold whole people
DEFAULT_RATE = 25.0
_NANO = 1e9
_NO_POSITION, _NO_COVARIANCE, _NO_LANDMARKS = np.full(3, np.nan), np.full((3, 3), np.nan), np.zeros((5, 2))


@dataclass(frozen=True)
class BoxTrackingConfig:
    """Boxes without sound and appearance tell less than faces in space do: people are taken to sleep sooner, and are found in fewer images.

    coast_s: somebody not detected for longer is no output any more, as the box is a guess then.
    """

    plane: ImagePlaneConfig = ImagePlaneConfig()
    tracker: TrackerConfig = TrackerConfig(life=LifeConfig(sleep_after_s=0.5), birth=BirthConfig(sequence_length=3))
    coast_s: float = 0.4

    def __post_init__(self):
        if not self.coast_s >= 0:
            raise ValueError('coast_s must not be negative')


@dataclass(frozen=True)
class TrackedBoxes:
    """tracks: who was where; step_s: (frames,) seconds that each frame took; dropped: detections that could not be used, by reason."""

    tracks: MotTable
    step_s: np.ndarray
    dropped: Counter


def guess_object_size(detections: MotTable) -> float:
    """What boxes of this shape enclose [m]: heads, or whole people when they are slender."""
    width, height = np.maximum(detections.box[:, 2:], 1e-6).T
    return PERSON_M if len(detections) and np.median(height / width) > _SLENDER else HEAD_M


def image_of(info: SequenceInfo, detections: MotTable, frame_rate: float | None = None) -> CameraGeometry:
    """A camera with the image size of the sequence, or the smallest that holds all boxes, and a focal length of one image width.

    The focal length only sets how fast sizes may change. frame_rate [Hz]: instead of the sequence's.
    """
    corners = detections.box[:, :2] + detections.box[:, 2:]
    seen = np.maximum(corners.max(0, initial=64.0), 64.0) if len(detections) else np.array([640.0, 480.0])
    width, height = int(info.width or np.ceil(seen[0])), int(info.height or np.ceil(seen[1]))
    return CameraGeometry(max(width, 16), max(height, 16), (float(width),) * 2, (width / 2, height / 2),
                          frame_rate=frame_rate or info.frame_rate or DEFAULT_RATE)


def track_boxes(detections: MotTable, camera: CameraGeometry, last_frame: int, config: BoxTrackingConfig = BoxTrackingConfig(),
                progress=lambda fraction: None) -> TrackedBoxes:
    """Tracks frames 1..last_frame at the camera's rate; a frame without detections is an image in which nobody was found."""
    head = HeadProfile('image plane', camera=camera)
    tracker = Tracker(config.tracker, head, model=ImagePlane(config.plane, head))
    found, step_s = [], np.zeros(last_frame)
    for index, rows in enumerate(detections.frames(last_frame)):
        stamp_ns = round((index + 1) / camera.frame_rate * _NANO)
        faces = VisualFeatures(stamp_ns, tuple(Face(box, score, _NO_LANDMARKS, _NO_POSITION, _NO_COVARIANCE)
                                               for box, score in zip(detections.box[rows], detections.confidence[rows].tolist())))
        started = time.perf_counter()
        frame = tracker.step(stamp_ns, faces, None)
        step_s[index] = time.perf_counter() - started
        found += [(index + 1, track.id, _box(track.mean)) for track in output(frame, config.coast_s) if _within(track.mean, camera)]
        progress((index + 1) / last_frame)
    return TrackedBoxes(MotTable.of(*zip(*found)) if found else MotTable.of([], [], []), step_s, +tracker.counters)


def output(frame: TrackFrame, coast_s: float) -> list:
    """The people of a frame who are surely there: active, and detected at most coast_s ago."""
    return [track for track in frame.tracks
            if track.state == LifeState.ACTIVE and (frame.stamp_ns - track.last_seen_ns) <= coast_s * _NANO]


def _box(mean: np.ndarray) -> np.ndarray:
    size = np.maximum(mean[2:4], 1.0)
    return np.concatenate([mean[:2] - size / 2, size])


def _within(mean: np.ndarray, camera: CameraGeometry) -> bool:
    """Whether the centre is in the image."""
    return 0 <= mean[0] < camera.width and 0 <= mean[1] < camera.height


def with_object_size(config: BoxTrackingConfig, size_m: float) -> BoxTrackingConfig:
    """The configuration for boxes that enclose something of another size."""
    return replace(config, plane=replace(config.plane, object_size=size_m))
