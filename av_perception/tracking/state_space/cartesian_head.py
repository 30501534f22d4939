# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The default state space on a robot: head center and velocity in metric space.

Camera and array observe it through non-linear functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from av_perception.numerics.gaussian import limit_leading, matvec, propagate_covariance, symmetrize
from av_perception.robot_head.profile import HeadProfile
from av_perception.tracking.state_space.interface import LinearMap, Measurements, Prediction, View
from av_perception.tracking.state_space.motion import axis_motion
from av_perception.tracking.state_space.occlusion import view_of

_STATE = 6
_EYE = np.eye(3)
_AXES = np.arange(3)
_UPRIGHT_DAMPING_S = 0.2
_INSIDE_HEAD_M = 0.05  # nobody is nearer to the array
_LEAST_DISTANCE_M = 1e-6


@dataclass(frozen=True)
class CartesianHeadConfig:
    """How heads move, how far the sensors reach, and what is known of somebody new."""

    #: How abruptly people move: spectral density of the acceleration, in m^2/s^3.
    acceleration_density: float = 0.5
    #: [s] an unseen person's velocity decays as exp(-t / damping_time_s)
    damping_time_s: float = 1.5
    #: [m] bound on the standard deviation of the position along any axis
    max_position_sd: float = 1.0
    #: [m/s] standard deviation of a new person's velocity
    birth_speed_sd: float = 0.7
    #: [m/s] gate between detections of one new person
    max_speed: float = 3.0
    #: [m] nearest and farthest depth at which faces are detected
    depth_range: tuple[float, float] = (0.25, 10.0)
    #: [m] people farther away have left
    max_range: float = 12.0
    #: [1/m] standard deviation of the inverse depth of a new face that may have been matched with
    #: something else, such as the head before it
    other_depth_sd: float = 1.5
    #: [m] and of its place across the ray: the box of a half-hidden face is shifted
    other_depth_offset: float = 0.03
    #: [m] nearer than this to each other, seen from above, there are no two heads
    head_distance: float = 0.22
    #: [m/s] how fast people walk whom nobody sees
    walking_speed: float = 1.6
    #: [m] nearest and farthest place of people whom nobody sees
    unseen_range: tuple[float, float] = (0.5, 6.0)
    #: [deg] in (0, 90), how far above and below the base frame they are
    unseen_elevation_deg: float = 30.0
    #: Height of the head's base frame above the floor in meters, 0 where it is not known; where it
    #: is, people out of view have their heads 0.8 to 2 m above the floor.
    base_height: float = 0.0
    #: [m] lowest and highest head of people above the floor
    head_heights: tuple[float, float] = (0.8, 2.0)
    #: [m] mean and standard deviation of the distance of people who were never seen
    heard_range: tuple[float, float] = (2.0, 1.2)
    #: [deg] in (0, 45), their direction is never known better (echoes and the map err alike in
    #: every frame)
    heard_direction_sd_deg: float = 2.5

    def __post_init__(self):
        positive = (
            self.acceleration_density,
            self.damping_time_s,
            self.max_position_sd,
            self.birth_speed_sd,
            self.max_speed,
            self.max_range,
            self.other_depth_sd,
            self.other_depth_offset,
            self.head_distance,
            self.walking_speed,
        )
        if not all(np.isfinite(value) and value > 0 for value in positive):
            raise ValueError(
                'acceleration_density, damping_time_s, max_position_sd, walking_speed, other '
                'speeds, max_range, other_depth_sd, other_depth_offset and head_distance must be '
                'positive'
            )
        if not 0 < self.depth_range[0] < self.depth_range[1]:
            raise ValueError('depth_range must be two increasing positive depths in meters')
        if not 0 < self.unseen_range[0] < self.unseen_range[1]:
            raise ValueError('unseen_range must be two increasing positive distances in meters')
        if not 0 < self.unseen_elevation_deg < 90:
            raise ValueError('unseen_elevation_deg must lie in 0..90')
        if self.base_height < 0 or not self.head_heights[0] < self.head_heights[1]:
            raise ValueError('base_height must not be negative and head_heights must increase')
        if min(self.heard_range) <= 0 or not 0 < self.heard_direction_sd_deg < 45:
            raise ValueError(
                'heard_range must be a positive mean and deviation, heard_direction_sd_deg lie '
                'in 0..45'
            )


class CartesianHead:
    """State `s = (p, v)`: position [m] and velocity [m/s] of the head in the reference frame.

    Dynamics: `dv = -v / tau dt + sqrt(q) dW` with tau infinite for people in view (white
    acceleration), integrated exactly over dt. Vision: `h(s) = (x/z, y/z, 1/z)` of p in the left
    optical frame (normalized image coordinates and inverse depth, in which stereo errors are
    nearly Gaussian). Sound: `u(s) = (p - a) / |p - a|`, a the array's origin, in the array frame.

    Parameters
    ----------
    config
        See `CartesianHeadConfig`.
    head
        Its camera tells the volume of the visual observations.
    """

    state_size = _STATE
    location = slice(0, 3)
    needs_positions = True

    def __init__(self, config: CartesianHeadConfig, head: HeadProfile):
        self._config = config
        self._camera = head.camera
        self.log_visual_volume = self._log_visual_volume()

    def _log_visual_volume(self) -> float:
        """Log volume of image coordinates and inverse depth; 0 without a camera."""
        if self._camera is None:
            return 0.0
        near, far = self._config.depth_range
        width = self._camera.width / self._camera.focal[0]
        image = width * self._camera.height / self._camera.focal[1]
        return float(np.log(image * (1 / near - 1 / far)))

    def predict(self, mean, covariance, dt_s, unseen):
        """T1: exact discretization of the dynamics; see the class."""
        config = self._config
        transitions, noises = _motion(config.acceleration_density, config.damping_time_s, dt_s)
        which = np.asarray(unseen, int)
        transition = transitions[which]
        noise = noises[which]
        moved = (transition @ mean[..., None])[..., 0]
        return Prediction(moved, propagate_covariance(transition, covariance), noise)

    def measure(self, faces):
        """T2: noise by the Jacobian of (x/z, y/z, 1/z) at the detection."""
        noise = propagate_covariance(_image_jacobian(faces.positions), faces.covariances)
        return Measurements(_image_coordinates(faces.positions), noise)

    def ray_noise(self, measurements):
        """Any depth in depth_range is alike."""
        near, far = self._config.depth_range
        offset = self._config.other_depth_offset * measurements.value[:, 2]
        across = (offset**2)[:, None, None] * _EYE[:2, :2]
        return measurements.noise[:, :2, :2] + across, -float(np.log(1 / near - 1 / far))

    def vague(self, measurements, which):
        """Keep the depth as the best guess."""
        noise = measurements.noise.copy()
        noise[which, :2, :2] = self.ray_noise(measurements)[0][which]
        noise[which, :2, 2] = noise[which, 2, :2] = 0.0
        noise[which, 2, 2] = self._config.other_depth_sd**2
        return Measurements(measurements.value, noise)

    def initial_states(self, measurements, poses):
        """Position from the detection, zero velocity with the birth prior."""
        inverse_depth = measurements.value[:, 2:]
        ray = np.concatenate([measurements.value[:, :2], np.ones_like(inverse_depth)], axis=1)
        optical = ray / inverse_depth
        reference_from_optical = poses.reference_from_optical
        to_position = reference_from_optical.rotation @ _point_jacobian(optical)
        mean = np.zeros((len(optical), _STATE))
        covariance = np.zeros((len(optical), _STATE, _STATE))
        mean[:, :3] = reference_from_optical.apply(optical)
        covariance[:, :3, :3] = propagate_covariance(to_position, measurements.noise)
        covariance[:, 3:, 3:] = self._config.birth_speed_sd**2 * _EYE
        return mean, covariance

    def visual_map(self, mean, poses):
        """T2: usable where the depth is positive and not absurdly small."""
        pose = poses.reference_from_optical
        optical = (mean[:, :3] - pose.translation) @ pose.rotation
        usable = optical[:, 2] > 0.5 * self._config.depth_range[0]
        optical[~usable] = (0.0, 0.0, 1.0)
        matrix = np.zeros((len(mean), 3, _STATE))
        matrix[:, :, :3] = _image_jacobian(optical) @ pose.rotation.T
        return LinearMap(_image_coordinates(optical), matrix, usable)

    def direction_map(self, mean, poses):
        """T3: `J = (I - u u') R / |p - a|`; usable outside the head."""
        pose = poses.reference_from_array
        relative = (mean[:, :3] - pose.translation) @ pose.rotation
        distance = np.sqrt((relative * relative).sum(-1))
        usable = distance > _INSIDE_HEAD_M
        distance = np.where(usable, distance, 1.0)
        direction = relative / distance[:, None]
        tangent = (_EYE - direction[:, :, None] * direction[:, None, :]) / distance[:, None, None]
        matrix = np.zeros((len(mean), 3, _STATE))
        matrix[:, :, :3] = tangent @ pose.rotation.T
        return LinearMap(direction, matrix, usable)

    def bearing_only_states(self, directions, covariances, poses):
        """Take points at the prior range, as uncertain as the directions; velocity as at birth."""
        typical_range = self._config.heard_range[0]
        mean = np.zeros((len(directions), _STATE))
        covariance = np.zeros((len(directions), _STATE, _STATE))
        mean[:, :3] = poses.reference_from_array.translation + typical_range * directions
        covariance[:, :3, :3] = typical_range**2 * covariances
        covariance[:, 3:, 3:] = self._config.birth_speed_sd**2 * _EYE
        return self.reset_range(mean, covariance, poses)

    def reset_range(self, mean, covariance, poses):
        """Scale states along their bearings to the prior range: directions and rates stay.

        Otherwise every turn of a bearing would be taken for news about the range (the filter
        linearizes at a range it does not know).
        """
        origin = poses.reference_from_array.translation
        typical, range_std = self._config.heard_range
        relative = mean[:, :3] - origin
        distance = np.sqrt((relative * relative).sum(-1, keepdims=True))
        distance = np.maximum(distance, _LEAST_DISTANCE_M)
        direction = relative / distance
        # What lies across the bearing scales with the range.
        along = direction[:, :, None] * direction[:, None, :]
        across = (typical / distance)[..., None] * (_EYE - along)
        position = origin + typical * direction
        settled = np.concatenate([position, matvec(across, mean[:, 3:])], axis=1)
        scaling = np.zeros_like(covariance)
        scaling[:, :3, :3] = scaling[:, 3:, 3:] = across
        spread = propagate_covariance(scaling, covariance)
        # Across, the direction is never known better than its floor; along, the prior is put back.
        values, vectors = np.linalg.eigh(spread[:, :3, :3])
        floor = (typical * np.radians(self._config.heard_direction_sd_deg)) ** 2
        raised = vectors * np.maximum(values, floor)[:, None, :]
        spread[:, :3, :3] = raised @ vectors.swapaxes(1, 2) + (range_std**2 - floor) * along
        spread[:, 3:, 3:] += self._config.birth_speed_sd**2 * along
        return settled, symmetrize(spread)

    def gate(self, mean_a, covariance_a, mean_b, covariance_b, dt_s):
        """Within max_speed * dt plus three standard deviations of the difference."""
        difference = mean_a[:, None, :3] - mean_b[None, :, :3]
        variance_a = np.trace(covariance_a[:, :3, :3], axis1=1, axis2=2)
        variance_b = np.trace(covariance_b[:, :3, :3], axis1=1, axis2=2)
        distance = np.sqrt((difference * difference).sum(-1))
        std = np.sqrt(variance_a[:, None] + variance_b)
        return distance < self._config.max_speed * dt_s + 3 * std

    def same_place(self, mean_a, mean_b):
        """Nearer to each other than head_distance, seen from above."""
        difference = mean_a[:, None, :2] - mean_b[None, :, :2]
        return (difference * difference).sum(-1) < self._config.head_distance**2

    def view(self, mean, covariance, in_view, poses):
        """By the image and by the heads and trunks of who is in view."""
        if self._camera is None:
            return View.unknown(len(mean))
        pose = poses.reference_from_optical
        optical = (mean[:, :3] - pose.translation) @ pose.rotation
        spread = propagate_covariance(pose.rotation.T, covariance[:, :3, :3])
        return view_of(optical, spread, in_view, self._camera)

    def stopped(self, mean):
        """Without velocity."""
        at_rest = mean.copy()
        at_rest[:, 3:] = 0.0
        return at_rest

    def turned(self, predicted, mean, poses):
        """Azimuth and its rate of `mean`, the rest as predicted.

        An array hears neither range nor height. The linearized direction would tell of both where
        a turn is large or the place is uncertain along another line than the bearing.
        """
        if poses.reference_from_array is None:
            return mean
        origin = poses.reference_from_array.translation[:2]
        before, distance = _bearings(predicted[:, :2] - origin)
        after, _ = _bearings(mean[:, :2] - origin)
        # Counter-clockwise across the bearing.
        across = np.stack([-after[:, 1], after[:, 0]], axis=1)
        outward = (predicted[:, 3:5] * before).sum(-1, keepdims=True)
        sideways = (mean[:, 3:5] * across).sum(-1, keepdims=True)
        turned = predicted.copy()
        turned[:, :2] = origin + distance * after
        turned[:, 3:5] = outward * after + sideways * across
        return turned

    def bound_unseen(self, mean, poses):
        """Within range, at the height of a head, no faster than people walk."""
        config = self._config
        base = poses.reference_from_base
        bounded = mean.copy()
        relative = mean[:, :3] - base.translation
        distance = np.sqrt((relative[:, :2] ** 2).sum(-1))
        nearest, farthest = config.unseen_range
        walked = np.minimum(np.maximum(distance, nearest), farthest)
        scale = walked / np.maximum(distance, _LEAST_DISTANCE_M)
        flat = relative[:, :2] * scale[:, None]
        if config.base_height:
            lowest, highest = (height - config.base_height for height in config.head_heights)
        else:
            highest = distance * scale * np.tan(np.radians(config.unseen_elevation_deg))
            lowest = -highest
        bounded[:, :2] = base.translation[:2] + flat
        bounded[:, 2] = base.translation[2] + np.clip(relative[:, 2], lowest, highest)
        speed = np.sqrt((mean[:, 3:] ** 2).sum(-1))
        slower = config.walking_speed / np.maximum(speed, config.walking_speed)
        bounded[:, 3:] *= slower[:, None]
        return bounded

    def bound_covariance(self, covariance):
        """No position is less certain than max_position_sd along any axis."""
        return limit_leading(covariance, 3, self._config.max_position_sd)

    def random_walk_covariance(self, mean, distance_m):
        """Walk alike along every axis."""
        return (distance_m**2)[:, None, None] * _EYE

    def implausible(self, mean, covariance, poses):
        """Whether tracks are farther than max_range by two standard deviations."""
        relative = mean[:, :3] - poses.reference_from_base.translation
        distance = np.sqrt((relative * relative).sum(-1))
        far = distance > self._config.max_range
        if not far.any():
            return far
        std = np.sqrt(np.trace(covariance[:, :3, :3], axis1=1, axis2=2))
        return distance - 2 * std > self._config.max_range


def _bearings(relative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) points -> (N, 2) unit vectors and (N, 1) distances [m]."""
    distance = np.sqrt((relative * relative).sum(-1, keepdims=True))
    return relative / np.maximum(distance, _LEAST_DISTANCE_M), distance


@lru_cache(maxsize=16)
def _motion(density: float, damping_time_s: float, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
    """(2, 6, 6) transitions and noises of who is in view, and of who is not.

    Kept, as steps are mostly as long as the last one, and births take the same.
    """
    steps = axis_motion(density, damping_time_s, dt_s)
    # Unseen people do not rise or sink: that velocity decays at once.
    upright = axis_motion(density, _UPRIGHT_DAMPING_S, dt_s)
    transitions, noises = (_per_axis(*pair) for pair in zip(steps, upright))
    return transitions, noises


def _per_axis(level: np.ndarray, upright: np.ndarray) -> np.ndarray:
    """(B, 2, 2) coefficients of x and y, and of z -> (B, 6, 6): the axes do not mix."""
    apart = np.zeros((len(level), 2, 3, 2, 3))
    apart[:, :, _AXES, :, _AXES] = np.stack([level, level, upright])
    return apart.reshape(-1, _STATE, _STATE)


def _image_coordinates(optical: np.ndarray) -> np.ndarray:
    """(M, 3) points in the optical frame -> (M, 3) rows x/z, y/z, 1/z."""
    inverse_depth = 1 / optical[:, 2:]
    return np.concatenate([optical[:, :2] * inverse_depth, inverse_depth], axis=1)


def _image_jacobian(optical: np.ndarray) -> np.ndarray:
    """(M, 3, 3) derivative of `_image_coordinates`."""
    inverse_depth = 1 / optical[:, 2]
    jacobian = np.zeros((len(optical), 3, 3))
    jacobian[:, 0, 0] = jacobian[:, 1, 1] = inverse_depth
    jacobian[:, :2, 2] = -optical[:, :2] * (inverse_depth**2)[:, None]
    jacobian[:, 2, 2] = -(inverse_depth**2)
    return jacobian


def _point_jacobian(optical: np.ndarray) -> np.ndarray:
    """(M, 3, 3) derivative of points by image coordinates, the inverse of `_image_jacobian`."""
    depth = optical[:, 2]
    jacobian = np.zeros((len(optical), 3, 3))
    jacobian[:, 0, 0] = jacobian[:, 1, 1] = depth
    jacobian[:, :, 2] = -optical * depth[:, None]
    return jacobian
