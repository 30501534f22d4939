# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A head profile: where the microphones and cameras of a robot's head are.

Profiles are YAML files, those that are shipped in `config/heads/`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from av_perception.config import config_from_mapping, read_yaml
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import BODY_FROM_OPTICAL, RigidTransform
from av_perception.paths import resolve_resource
from av_perception.robot_head.plausibility import (
    check_baseline,
    check_center,
    check_frame_rate,
    check_image_size,
    check_lens,
    check_microphones,
    check_position,
    check_sample_rate,
)
from av_perception.robot_head.pose_check import (
    check_frames,
    check_not_upright,
    check_orientation,
)
from av_perception.robot_head.profile_calibration import require_inside, with_calibration

Vector3 = tuple[float, float, float]
# [m]; what is nearer has the same place in `geometry_hash` and hears no direction.
CLOSEST_MICROPHONES = 1e-4
MAX_MICROPHONES = 16
DEEPEST = 0.2  # that a microphone may lie in the sphere, as part of its radius


@dataclass(frozen=True)
class RigidSphere:
    """A sphere that stands for the head in the sound field."""

    #: [m] 0.01 to 0.5
    radius: float
    #: (3,) [m] in the array frame
    center: Vector3 = (0.0, 0.0, 0.0)

    def __post_init__(self):
        _require_finite(self, 'radius', 'center')
        if not 0.01 <= self.radius <= 0.5:
            raise ValueError(f'the radius of a sphere must lie in 0.01..0.5 m, not {self.radius}')


@dataclass(frozen=True)
class MicrophoneArray:
    """The microphones of a head, one channel each."""

    #: (x, y, z) [m] of each microphone in the array frame, in channel order; 1 to 16
    coordinates: tuple[Vector3, ...]
    #: name of the array frame
    frame: str = 'microphone_array'
    #: (3,) [m] of the array frame in the head's base frame
    position: Vector3 = (0.0, 0.0, 0.0)
    #: roll, pitch, yaw [deg] of the array frame in the head's base frame
    orientation_rpy_deg: Vector3 = (0.0, 0.0, 0.0)
    #: [Hz] 8000 to 192000
    sample_rate: int = 16000
    #: the head that shadows the microphones; none: free field
    sphere: RigidSphere | None = None
    #: [s] how late the robot delivers sound, beyond what a sound card does, 0 to 2; images wait
    #: that much longer for it
    delivery_s: float = 0.0
    #: which channels of the device, counted from 0, are the microphones, in the order of
    #: `coordinates`; none: all of them (see `pick_recorded` for recorded sound)
    device_channels: tuple[int, ...] = ()
    #: where each microphone sits, in the words of NAOqi (front_left, rear_center...), for drivers
    #: that say so of their channels
    channel_map: tuple[str, ...] = ()
    #: a file made by `av-perception calibrate acoustic`, beside the profile; it takes the place of
    #: the geometry
    acoustic_map: str = ''

    def __post_init__(self):
        count = len(self.coordinates)
        if not 1 <= count <= MAX_MICROPHONES:
            raise ValueError(f'an array has 1 to 16 microphones, not {count}')
        check_sample_rate(self.sample_rate)
        _require_finite(self, 'coordinates', 'position', 'orientation_rpy_deg')
        for name in ('device_channels', 'channel_map'):
            entries = getattr(self, name)
            if entries and not len(set(entries)) == len(entries) == count:
                raise ValueError(
                    f'{name} must name one channel for each of the {count} microphones'
                )
        if not 0 <= self.delivery_s <= 2:
            raise ValueError(f'delivery_s must lie in 0..2 s, not {self.delivery_s}')
        if any(channel < 0 for channel in self.device_channels):
            raise ValueError('device_channels count from 0')
        self._check_places()

    def _check_places(self) -> None:
        """Raise ValueError for microphones that no head has there."""
        distances = np.linalg.norm(self.positions[:, None] - self.positions, axis=2)
        for first, second in np.argwhere(np.triu(distances < CLOSEST_MICROPHONES, 1)):
            raise ValueError(
                f'coordinates: the microphones of channels {first} and {second} are at the same '
                'place'
            )
        check_microphones(self.positions)
        check_position(self.position, 'array of microphones')
        check_orientation(self.orientation_rpy_deg, 'array of microphones')
        check_not_upright(self.base_from_array.rotate(self.positions))
        if self.sphere is None:
            return
        from_center = np.linalg.norm(self.positions - np.array(self.sphere.center), axis=1)
        depth = self.sphere.radius - from_center
        for channel in np.flatnonzero(depth > DEEPEST * self.sphere.radius):
            raise ValueError(
                f'the microphone of channel {channel} lies {depth[channel]:.3f} m inside the '
                'sphere'
            )

    @cached_property
    def positions(self) -> np.ndarray:
        """(channels, 3) microphone positions [m] in the array frame."""
        return np.array(self.coordinates, float)

    @property
    def num_device_channels(self) -> int:
        """How many channels a device must have."""
        return max(self.device_channels) + 1 if self.device_channels else len(self.coordinates)

    def channel_name(self, index: int) -> str:
        """Tell how a person finds the channel of microphone `index` of `coordinates`."""
        if index >= len(self.device_channels):
            return f'channel {index}'
        return f'microphone {index} (channel {self.device_channels[index]} of the device)'

    def pick(self, samples: np.ndarray) -> np.ndarray:
        """Pick the microphones of what a device delivers.

        Parameters
        ----------
        samples
            (N, channels of the device).

        Returns
        -------
        np.ndarray
            (N, M), one column per microphone, in the order of `coordinates`.

        Raises
        ------
        UserError
            When the device cannot be this head's.
        """
        channels = samples.shape[1]
        wanted = len(self.coordinates)
        if self.device_channels and channels < self.num_device_channels:
            raise UserError(
                f'{channels} channels, but device_channels of the head profile go up to '
                f'{max(self.device_channels)}, counted from 0: choose the right head or device'
            )
        if self.device_channels:
            return samples[:, list(self.device_channels)]
        if channels != wanted:
            advice = 'choose the right head or device'
            if channels > wanted:
                advice += ", or name the microphones' channels under microphones, device_channels"
            raise UserError(
                f'{channels} channels, the head profile has {wanted} microphones: {advice}'
            )
        return samples

    def pick_recorded(self, samples: np.ndarray) -> np.ndarray:
        """Pick the microphones of a file, a recording, a bag or the audio topic.

        Such sound holds the microphones alone, in the profile's order, as the suite itself writes
        it, and is then taken as it is; or all channels of the device, of which the profile names
        the microphones' (device_channels). See `pick`, which this calls for the latter.
        """
        return samples if samples.shape[1] == len(self.coordinates) else self.pick(samples)

    def require_recorded(self, channels: int, path: str | Path) -> None:
        """Refuse a file of so many channels that `pick_recorded` would refuse.

        Raises
        ------
        UserError
            It names the file.
        """
        try:
            self.pick_recorded(np.zeros((0, channels), np.float32))
        except UserError as error:
            raise UserError(f'{path} has {error}') from error

    @cached_property
    def base_from_array(self) -> RigidTransform:
        """Pose of the array frame in the head's base frame."""
        return RigidTransform.from_xyz_rpy(self.position, np.radians(self.orientation_rpy_deg))

    @property
    def geometry_hash(self) -> str:
        """Name of the geometry (positions to 0.1 mm, channel order).

        A map learned for another geometry is refused.
        """
        tenths_mm = np.round(self.positions * 1e4).astype('<i4')
        return hashlib.sha256(tenths_mm.tobytes()).hexdigest()[:16]


@dataclass(frozen=True)
class CameraGeometry:
    """A rectified camera or stereo pair."""

    #: [px] of the images
    width: int
    #: [px] of the images
    height: int
    #: (fx, fy) [px]
    focal: tuple[float, float]
    #: (cx, cy) [px] principal point
    center: tuple[float, float]
    #: [m] from the left to the right camera, 0 with one camera
    baseline: float = 0.0
    #: name of the left camera's optical frame
    frame: str = 'left_camera_optical'
    #: (3,) [m] of the left camera's body frame (x forward, y left, z up) in the head's base frame
    position: Vector3 = (0.0, 0.0, 0.0)
    #: roll, pitch, yaw [deg] of that body frame in the head's base frame
    orientation_rpy_deg: Vector3 = (0.0, 0.0, 0.0)
    #: [Hz] 0.5 to 1000
    frame_rate: float = 25.0
    #: camera_info YAML files of the camera, or of left and right; the images are then raw and
    #: rectified by them. In a head profile they stand in place of width, height, focal, center and
    #: baseline, with paths in the profile's folder, or absolute ones
    calibration: tuple[str, ...] = ()

    def __post_init__(self):
        check_image_size(self.width, self.height)
        _require_finite(
            self, 'focal', 'center', 'baseline', 'position', 'orientation_rpy_deg', 'frame_rate'
        )
        check_lens(self.focal, self.center, (self.width, self.height))
        check_position(self.position, 'left camera')
        check_orientation(self.orientation_rpy_deg, 'left camera', is_camera=True)
        if self.baseline < 0:
            raise ValueError(
                'baseline must be 0 (one camera) or positive, in meters: are left and right '
                'swapped?'
            )
        if self.baseline:
            check_baseline(self.baseline)
        check_frame_rate(self.frame_rate)

    @cached_property
    def base_from_optical(self) -> RigidTransform:
        """Pose of the left camera's optical frame (z forward) in the head's base frame."""
        body = RigidTransform.from_xyz_rpy(self.position, np.radians(self.orientation_rpy_deg))
        return body @ RigidTransform(BODY_FROM_OPTICAL)

    def project(self, points_optical: np.ndarray) -> np.ndarray:
        """Project points into the left image.

        Parameters
        ----------
        points_optical
            (..., 3) [m] in the left optical frame; z must be positive.

        Returns
        -------
        np.ndarray
            (..., 2) [px].
        """
        points = np.asarray(points_optical, float)
        return points[..., :2] / points[..., 2:] * np.array(self.focal) + np.array(self.center)

    def disparity(self, depth_m: float) -> float:
        """Compute x_left - x_right [px] of a point at depth z [m]."""
        return self.focal[0] * self.baseline / depth_m


@dataclass(frozen=True)
class HeadProfile:
    """Everything the suite needs to know of a robot's head."""

    #: of the head
    name: str
    #: none: the head is deaf
    microphones: MicrophoneArray | None = None
    #: none: the head is blind
    camera: CameraGeometry | None = None
    #: name of the frame in which positions and orientations are given
    base_frame: str = 'base_link'
    #: joints that turn the head, as in joint_states
    head_joints: tuple[str, ...] = ()
    #: some number has no source, see `notes`
    approximate: bool = False
    #: where the numbers come from
    notes: str = ''

    def __post_init__(self):
        if self.microphones is None and self.camera is None:
            raise ValueError('a head needs microphones, a camera or both')
        frames = {'base_frame': (self.base_frame, RigidTransform())}
        if self.microphones is not None:
            array = self.microphones
            frames['microphones.frame'] = (array.frame, array.base_from_array)
        if self.camera is not None:
            frames['camera.frame'] = (self.camera.frame, self.camera.base_from_optical)
        check_frames(frames)

    @property
    def can_hear_directions(self) -> bool:
        """Whether there are microphones enough to tell where sound comes from."""
        return self.microphones is not None and len(self.microphones.coordinates) >= 2


def load_head(name_or_path: str) -> HeadProfile:
    """Load a head profile.

    Parameters
    ----------
    name_or_path
        Name of a shipped profile (`simulated`), or the path of a YAML file.

    Returns
    -------
    HeadProfile
        The path of its acoustic map made absolute.

    Raises
    ------
    UserError
        When there is no such profile, or it does not describe a head.
    """
    path = resolve_resource(name_or_path, 'heads')
    where = f'head profile {path}'
    mapping = with_calibration(read_yaml(path), path.parent, where)
    head = config_from_mapping(HeadProfile, mapping, where)
    _check_written_center(head.camera, where)
    if head.microphones is None or not head.microphones.acoustic_map:
        return head
    require_inside(where, head.microphones.acoustic_map)
    acoustic_map = str(path.parent / head.microphones.acoustic_map)
    return replace(head, microphones=replace(head.microphones, acoustic_map=acoustic_map))


def _check_written_center(camera: CameraGeometry | None, where: str) -> None:
    """Raise UserError for a principal point that fits no image of that size.

    One that a calibration gave is not asked: cameras that squint are rectified far off the middle.
    """
    if camera is None or camera.calibration:
        return
    try:
        check_center(camera.center, (camera.width, camera.height))
    except ValueError as error:
        raise UserError(f'{where}: camera: {error}') from error


def _require_finite(config: object, *names: str) -> None:
    for name in names:
        if not np.isfinite(np.array(getattr(config, name), float)).all():
            raise ValueError(f'{name} must be finite, not {getattr(config, name)}')
