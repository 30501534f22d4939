# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A head profile: where the microphones and cameras of a robot's head are (a YAML file of `config/heads/`)."""

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
from av_perception.robot_head.camera_calibration import read_calibrations, rectified_geometry
from av_perception.robot_head.plausibility import (
    check_baseline,
    check_image_size,
    check_lens,
    check_microphones,
    check_position,
)

Vector3 = tuple[float, float, float]
CLOSEST_MICROPHONES = (
    1e-4  # [m]; what is nearer has the same place in `geometry_hash` and hears no direction
)


@dataclass(frozen=True)
class RigidSphere:
    """A sphere that stands for the head in the sound field: radius and center [m], in the array frame."""

    radius: float
    center: Vector3 = (0.0, 0.0, 0.0)

    def __post_init__(self):
        _require_finite(self, 'radius', 'center')
        if not 0.01 <= self.radius <= 0.5:
            raise ValueError(f'the radius of a sphere must lie in 0.01..0.5 m, not {self.radius}')


@dataclass(frozen=True)
class MicrophoneArray:
    """The array: `coordinates` [m] in the array's own frame, one row per channel and in channel order.

    position [m] and orientation_rpy_deg place the array frame in the head's base frame. sphere: the head that shadows the microphones (none:
    free field). delivery_s: how late the robot delivers sound, beyond what a sound card does; images wait that much longer for it.
    device_channels: which channels of the device are the microphones, in the order of
    `coordinates` (none: all of them), see `pick_recorded` for recorded sound. channel_map: where
    each microphone sits, in the words of NAOqi (front_left, rear_center...), for drivers that say so of their channels. acoustic_map: a
    file made by `av-perception calibrate acoustic`, beside the profile; it takes the place of the geometry.
    """

    coordinates: tuple[Vector3, ...]
    frame: str = 'microphone_array'
    position: Vector3 = (0.0, 0.0, 0.0)
    orientation_rpy_deg: Vector3 = (0.0, 0.0, 0.0)
    sample_rate: int = 16000
    sphere: RigidSphere | None = None
    delivery_s: float = 0.0
    device_channels: tuple[int, ...] = ()
    channel_map: tuple[str, ...] = ()
    acoustic_map: str = ''

    def __post_init__(self):
        if not 1 <= len(self.coordinates) <= 16:
            raise ValueError(f'an array has 1 to 16 microphones, not {len(self.coordinates)}')
        if not 8000 <= self.sample_rate <= 192000:
            raise ValueError(f'sample_rate must lie in 8000..192000 Hz, not {self.sample_rate}')
        _require_finite(self, 'coordinates', 'position', 'orientation_rpy_deg')
        for name in ('device_channels', 'channel_map'):
            entries = getattr(self, name)
            if entries and (
                len(entries) != len(self.coordinates) or len(set(entries)) != len(entries)
            ):
                raise ValueError(
                    f'{name} must name one channel for each of the {len(self.coordinates)} microphones'
                )
        if not 0 <= self.delivery_s <= 2:
            raise ValueError(f'delivery_s must lie in 0..2 s, not {self.delivery_s}')
        if any(channel < 0 for channel in self.device_channels):
            raise ValueError('device_channels count from 0')
        distances = np.linalg.norm(self.positions[:, None] - self.positions, axis=2)
        for first, second in np.argwhere(np.triu(distances < CLOSEST_MICROPHONES, 1)):
            raise ValueError(
                f'coordinates: the microphones of channels {first} and {second} are at the same place'
            )
        check_microphones(self.positions)
        check_position(self.position, 'array of microphones')
        if self.sphere:
            depth = self.sphere.radius - np.linalg.norm(
                self.positions - np.array(self.sphere.center), axis=1
            )
            for channel in np.flatnonzero(depth > 0.2 * self.sphere.radius):
                raise ValueError(
                    f'the microphone of channel {channel} lies {depth[channel]:.3f} m inside the sphere'
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
        """How a person finds the channel of microphone `index` of `coordinates`."""
        if index >= len(self.device_channels):
            return f'channel {index}'
        return f'microphone {index} (channel {self.device_channels[index]} of the device)'

    def pick(self, samples: np.ndarray) -> np.ndarray:
        """The microphones of what a device delivers.

        Parameters
        ----------
        samples : (N, channels of the device) array

        Returns
        -------
        (N, M) array
            One column per microphone, in the order of `coordinates`.

        Raises
        ------
        UserError
            When the device cannot be this head's.
        """
        channels, wanted = samples.shape[1], len(self.coordinates)
        if self.device_channels and channels < self.num_device_channels:
            raise UserError(
                f'{channels} channels, but device_channels of the head profile go up '
                f'to {max(self.device_channels)}, counted from 0: choose the right '
                'head or device'
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
        """The microphones of a file, a recording, a bag or the audio topic.

        Such sound holds the microphones alone, in the profile's order, as the suite itself writes
        it, and is then taken as it is; or all channels of the device, of which the profile names
        the microphones' (device_channels). See `pick`, which this calls for the latter.
        """
        return samples if samples.shape[1] == len(self.coordinates) else self.pick(samples)

    def require_recorded(self, channels: int, path) -> None:
        """Raises UserError for a file of so many channels that `pick_recorded` would refuse."""
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
        """Names the geometry (positions to 0.1 mm, channel order): a map learnt for another one is refused."""
        return hashlib.sha256(np.round(self.positions * 1e4).astype('<i4').tobytes()).hexdigest()[
            :16
        ]


@dataclass(frozen=True)
class CameraGeometry:
    """A rectified camera or stereo pair. focal, center [px]; baseline [m] to the right camera, 0 with one camera.

    calibration: the camera_info YAML files of the camera, or of left and right; the images are then raw and rectified by them. In a head
    profile they stand in place of width, height, focal, center and baseline, with paths relative to the profile's folder.
    position [m] and orientation_rpy_deg place the left camera's body frame (x forward, y left, z up) in the head's base frame.
    """

    width: int
    height: int
    focal: tuple[float, float]
    center: tuple[float, float]
    baseline: float = 0.0
    frame: str = 'left_camera_optical'
    position: Vector3 = (0.0, 0.0, 0.0)
    orientation_rpy_deg: Vector3 = (0.0, 0.0, 0.0)
    frame_rate: float = 25.0
    calibration: tuple[str, ...] = ()

    def __post_init__(self):
        check_image_size(self.width, self.height)
        _require_finite(
            self, 'focal', 'center', 'baseline', 'position', 'orientation_rpy_deg', 'frame_rate'
        )
        check_lens(self.focal, self.center, (self.width, self.height))
        check_position(self.position, 'left camera')
        if self.baseline < 0:
            raise ValueError(
                'baseline must be 0 (one camera) or positive, in metres: are left '
                'and right swapped?'
            )
        if self.baseline:
            check_baseline(self.baseline)
        if self.frame_rate <= 0:
            raise ValueError('frame_rate must be positive, in Hz')

    @cached_property
    def base_from_optical(self) -> RigidTransform:
        """Pose of the left camera's optical frame (z forward) in the head's base frame."""
        body = RigidTransform.from_xyz_rpy(self.position, np.radians(self.orientation_rpy_deg))
        return body @ RigidTransform(BODY_FROM_OPTICAL)

    def project(self, points_optical: np.ndarray) -> np.ndarray:
        """(..., 3) points [m] in the left optical frame -> (..., 2) pixels of the left image (z must be positive)."""
        points = np.asarray(points_optical, float)
        return points[..., :2] / points[..., 2:] * np.array(self.focal) + np.array(self.center)

    def disparity(self, depth_m):
        """Horizontal shift [px] between left and right image of a point at depth z [m]: x_left - x_right."""
        return self.focal[0] * self.baseline / depth_m


@dataclass(frozen=True)
class HeadProfile:
    """Everything the suite needs to know of a head. head_joints: joints that turn it, in joint_states; approximate: some number has no source,
    see `notes`.
    """

    name: str
    microphones: MicrophoneArray | None = None
    camera: CameraGeometry | None = None
    base_frame: str = 'base_link'
    head_joints: tuple[str, ...] = ()
    approximate: bool = False
    notes: str = ''

    def __post_init__(self):
        if self.microphones is None and self.camera is None:
            raise ValueError('a head needs microphones, a camera or both')

    @property
    def can_hear_directions(self) -> bool:
        """Whether there are microphones enough to tell where sound comes from."""
        return self.microphones is not None and len(self.microphones.coordinates) >= 2


def load_head(name_or_path: str) -> HeadProfile:
    """A shipped profile by name (`simulated`) or a YAML file by path; its acoustic map's path becomes absolute. Raises UserError."""
    path = resolve_resource(name_or_path, 'heads')
    where = f'head profile {path}'
    head = config_from_mapping(
        HeadProfile, _with_calibration(read_yaml(path), path.parent, where), where
    )
    if head.microphones is None or not head.microphones.acoustic_map:
        return head
    return replace(
        head,
        microphones=replace(
            head.microphones, acoustic_map=str(path.parent / head.microphones.acoustic_map)
        ),
    )


def _with_calibration(mapping: dict, folder: Path, where: str) -> dict:
    """The profile with what its camera's calibration files say of the rectified images filled in."""
    camera = mapping.get('camera')
    if not isinstance(camera, dict) or not camera.get('calibration'):
        return mapping
    names = camera['calibration']
    if (
        not isinstance(names, list)
        or not 1 <= len(names) <= 2
        or not all(isinstance(name, str) for name in names)
    ):
        raise UserError(
            f'{where}: camera.calibration must list the camera_info files of the left and, with two cameras, of the right one'
        )
    files = [str((folder / name).resolve()) for name in names]
    try:
        known = rectified_geometry(read_calibrations(files))
    except ValueError as error:
        raise UserError(f'{where}: {error}') from error
    twice = [name for name in known if name in camera]
    if twice:
        raise UserError(
            f'{where}: camera.{twice[0]} and camera.calibration both say it: remove camera.{twice[0]}'
        )
    return {**mapping, 'camera': {**camera, **known, 'calibration': files}}


def _require_finite(config, *names: str) -> None:
    for name in names:
        if not np.isfinite(np.array(getattr(config, name), float)).all():
            raise ValueError(f'{name} must be finite, not {getattr(config, name)}')
