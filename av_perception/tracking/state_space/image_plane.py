# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The state space of the publication: boxes in the image, in pixels. It needs no calibrated camera, so it tracks what any detector gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import limit_leading, propagate_covariance
from av_perception.robot_head.profile import HeadProfile
from av_perception.tracking.state_space.interface import LinearMap, Measurements, Prediction
from av_perception.tracking.state_space.motion import axis_motion

_STATE, _BOX = 6, 4
_CENTER, _SIZE = slice(0, 2), slice(2, 4)
_EYE = np.eye(3)
_LEAST_SIZE_PX = 1.0


@dataclass(frozen=True)
class ImagePlaneConfig:
    """object_size [m]: what the boxes enclose, as the geometric mean of width and height (a head 0.2, a standing person 0.9). It tells
    the pixels per metre at every person, so what follows is physical and holds for near and far people and any resolution.

    acceleration_density [m^2/s^3], damping_time_s, birth_speed_sd [m/s], max_speed [m/s]: as in CartesianHeadConfig, in the image plane;
    depth_density [m^2/s]: spectral density of the random walk in depth, by which the size changes; center_error, size_error: standard
    deviations of a box's centre and size, as fractions of its width and height; max_size_ratio: gate between boxes of one new person;
    size_range: smallest and largest width and height of boxes, as fractions of the image's height; max_position_sd: bound on the
    uncertainty of the centre along any axis, as a fraction of the image's width; field_margin: how far outside of the image people are
    still followed, as a fraction of its width and height.
    """

    object_size: float = 0.2
    acceleration_density: float = 0.1
    damping_time_s: float = 1.5
    birth_speed_sd: float = 0.7
    max_speed: float = 3.0
    depth_density: float = 0.2
    center_error: float = 0.05
    size_error: float = 0.1
    max_size_ratio: float = 1.5
    size_range: tuple[float, float] = (0.02, 1.0)
    max_position_sd: float = 0.33
    field_margin: float = 0.5

    def __post_init__(self):
        positive = (
            self.object_size,
            self.acceleration_density,
            self.damping_time_s,
            self.birth_speed_sd,
            self.max_speed,
            self.depth_density,
            self.center_error,
            self.size_error,
            self.max_position_sd,
        )
        if not all(np.isfinite(value) and value > 0 for value in positive):
            raise ValueError(
                'object_size, densities, damping_time_s, speeds, errors and max_position_sd must be positive'
            )
        if not self.max_size_ratio > 1:
            raise ValueError('max_size_ratio must be greater than 1')
        if not 0 < self.size_range[0] < self.size_range[1]:
            raise ValueError('size_range must be two increasing positive fractions')
        if self.field_margin < 0:
            raise ValueError('field_margin must not be negative')


class ImagePlane:
    """State `s = (x, w, y)`: centre (2) and size (2) of the box [px] and velocity of the centre (2) [px/s].

    Dynamics: that of CartesianHead for the centre, with a process noise in proportion to the pixels per metre at the person; the size is a
    random walk. Vision: the box itself, `P_f = [I4 0]`. Sound: the direction to the point at the depth that the size tells, with the
    depth taken as known. The published constants (process noise and image of one size) become functions of the box.
    The image is the reference frame: the pose of the head is ignored, a head that turns moves everybody.
    """

    state_size = _STATE
    location = slice(0, _BOX)
    needs_positions = False

    def __init__(self, config: ImagePlaneConfig, head: HeadProfile):
        """head: its camera tells size and focal length of the image, its microphones where sound comes from."""
        self._config, self._camera, self._array = config, head.camera, head.microphones
        self._image = np.array([head.camera.width, head.camera.height], float)
        self._focal = float(np.sqrt(np.prod(head.camera.focal)))
        low, high = np.array(config.size_range) * head.camera.height
        self.log_visual_volume = float(np.log(self._image).sum() + 2 * np.log(high - low))

    def _pixels_per_meter(self, mean: np.ndarray) -> np.ndarray:
        """(N,) at people in (N, D) states."""
        return np.sqrt(_size(mean).prod(1)) / self._config.object_size

    def predict(self, mean, covariance, dt_s, unseen):
        """Exact discretisation of the dynamics; see the class."""
        config, scale = self._config, self._pixels_per_meter(mean)
        transitions, noises = axis_motion(config.acceleration_density, config.damping_time_s, dt_s)
        chosen = np.asarray(unseen, int)
        transition, noise = (
            np.tile(np.eye(_STATE), (len(mean), 1, 1)),
            np.zeros((len(mean), _STATE, _STATE)),
        )
        axis_noise = noises[chosen] * (scale**2)[:, None, None]
        for center, velocity in ((0, 4), (1, 5)):
            axis = np.ix_(np.arange(len(mean)), (center, velocity), (center, velocity))
            transition[axis], noise[axis] = transitions[chosen], axis_noise
        noise[:, (2, 3), (2, 3)] = self._size_variance(mean, scale, config.depth_density * dt_s)
        return Prediction(
            (transition @ mean[..., None])[..., 0],
            propagate_covariance(transition, covariance),
            noise,
        )

    def _size_variance(self, mean: np.ndarray, scale: np.ndarray, depth_variance) -> np.ndarray:
        """(N, 2) of width and height when the depth has a variance [m^2]: size = focal length times object size over depth."""
        relative_variance = depth_variance * (scale / self._focal) ** 2
        return relative_variance[:, None] * _size(mean) ** 2

    def measure(self, faces):
        """Centre and size, with noise in proportion to the size."""
        size = faces.boxes[:, 2:]
        deviation = np.concatenate(
            [self._config.center_error * size, self._config.size_error * size], axis=1
        )
        return Measurements(
            np.concatenate([faces.boxes[:, :2] + size / 2, size], axis=1),
            deviation[:, :, None] ** 2 * np.eye(_BOX),
        )

    def initial_states(self, measurements, poses):
        """The box, at rest with the birth prior of the velocity."""
        mean = np.concatenate([measurements.value, np.zeros((len(measurements.value), 2))], axis=1)
        covariance = np.zeros((len(mean), _STATE, _STATE))
        covariance[:, :_BOX, :_BOX] = measurements.noise
        covariance[:, (4, 5), (4, 5)] = (
            (self._config.birth_speed_sd * self._pixels_per_meter(mean)) ** 2
        )[:, None]
        return mean, covariance

    def visual_map(self, mean, poses):
        """`P_f = [I4 0]`, exact."""
        return LinearMap(
            mean[:, :_BOX],
            np.tile(np.eye(_BOX, _STATE), (len(mean), 1, 1)),
            np.ones(len(mean), bool),
        )

    def direction_map(self, mean, poses):
        """`J = (I - u u') R diag(1/fx, 1/fy, 0) z / |p|` with the point p at depth z in the optical frame; always usable."""
        camera, array_from_optical = (
            self._camera,
            self._array.base_from_array.inverse() @ self._camera.base_from_optical,
        )
        depth = self._focal / self._pixels_per_meter(mean)
        ray = np.concatenate(
            [(mean[:, _CENTER] - camera.center) / camera.focal, np.ones((len(mean), 1))], axis=1
        )
        relative = array_from_optical.apply(depth[:, None] * ray)
        distance = np.linalg.norm(relative, axis=1)
        direction = relative / distance[:, None]
        tangent = (
            _EYE - direction[:, :, None] * direction[:, None, :]
        ) @ array_from_optical.rotation
        matrix = np.zeros((len(mean), 3, _STATE))
        matrix[:, :, _CENTER] = (
            tangent[:, :, :2] / camera.focal * (depth / distance)[:, None, None]
        )
        return LinearMap(direction, matrix, np.ones(len(mean), bool))

    def rays(self, directions, covariances, poses):
        """A box of middling size, its size uncertain by all of it. Directions that are not before the camera have no place in the image."""
        optical_from_reference = poses.reference_from_optical.rotation.T
        before = directions @ optical_from_reference[2] > 0.1
        ray, spread = (
            directions[before] @ optical_from_reference.T,
            propagate_covariance(optical_from_reference, covariances[before]),
        )
        depth = ray[:, 2:]
        slope = np.concatenate(
            [np.tile(np.eye(2), (len(ray), 1, 1)), -(ray[:, :2] / depth)[:, :, None]], axis=2
        )
        slope *= (self._camera.focal / depth)[:, :, None]
        mean, covariance = np.zeros((len(ray), _STATE)), np.zeros((len(ray), _STATE, _STATE))
        mean[:, _CENTER], mean[:, _SIZE] = (
            self._camera.center + self._camera.focal * ray[:, :2] / depth,
            self._middling_size(),
        )
        covariance[:, _CENTER, _CENTER] = propagate_covariance(slope, spread)
        covariance[:, (4, 5), (4, 5)] = (
            (self._config.birth_speed_sd * self._pixels_per_meter(mean)) ** 2
        )[:, None]
        return self.settle_rays(mean, covariance, poses)

    def settle_rays(self, mean, covariance, poses):
        """The size is what tells the range."""
        settled, spread = mean.copy(), covariance.copy()
        settled[:, _SIZE] = self._middling_size()
        spread[:, _SIZE], spread[:, :, _SIZE] = 0.0, 0.0
        spread[:, (2, 3), (2, 3)] = self._middling_size() ** 2
        return settled, spread

    def _middling_size(self) -> float:
        """[px], on a logarithmic scale."""
        return float(np.sqrt(np.prod(self._config.size_range)) * self._image[1])

    def reachable(self, mean_a, covariance_a, mean_b, covariance_b, dt_s):
        """Centres within max_speed * dt plus three standard deviations of the difference, and sizes within the ratio."""
        distance = np.linalg.norm(mean_a[:, None, _CENTER] - mean_b[None, :, _CENTER], axis=-1)
        variance_a, variance_b = (
            np.trace(c[:, _CENTER, _CENTER], axis1=1, axis2=2)
            for c in (covariance_a, covariance_b)
        )
        reach = self._config.max_speed * dt_s * self._pixels_per_meter(mean_a)[
            :, None
        ] + 3 * np.sqrt(variance_a[:, None] + variance_b)
        ratio = np.abs(np.log(_size(mean_a)[:, None] / _size(mean_b))).max(-1)
        return (distance < reach) & (ratio < np.log(self._config.max_size_ratio))

    def bound(self, covariance):
        """No centre is less certain than max_position_sd along any axis."""
        return limit_leading(covariance, 2, self._config.max_position_sd * self._image[0])

    def wander(self, mean, distance_m):
        """The same to the sides, up and down, and in depth, by which the size changes."""
        scale = self._pixels_per_meter(mean)
        variance = np.repeat(((scale * distance_m) ** 2)[:, None], _BOX, axis=1)
        variance[:, _SIZE] = self._size_variance(mean, scale, distance_m**2)
        return variance[:, :, None] * np.eye(_BOX)

    def implausible(self, mean, covariance, poses):
        """The centre is outside of the extended field by two standard deviations."""
        outside = (
            np.abs(mean[:, _CENTER] - self._image / 2)
            - (0.5 + self._config.field_margin) * self._image
        )
        return (outside > 2 * np.sqrt(covariance[:, (0, 1), (0, 1)])).any(1)


def _size(mean: np.ndarray) -> np.ndarray:
    """(N, 2) width and height of (N, D) states, never less than a pixel: the filter's Gaussian knows no such bound."""
    return np.maximum(mean[:, _SIZE], _LEAST_SIZE_PX)
