# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The state space of the publication: boxes in the image, in pixels.

It needs no calibrated camera, so it tracks what any detector gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.geometry.boxes import center_and_size
from av_perception.numerics.gaussian import limit_leading, propagate_covariance
from av_perception.robot_head.profile import HeadProfile
from av_perception.tracking.state_space.interface import LinearMap, Measurements, Prediction, View
from av_perception.tracking.state_space.motion import axis_motion

_STATE, _BOX = 6, 4
_CENTER, _SIZE = slice(0, 2), slice(2, 4)
_CENTERS, _SIZES, _VELOCITIES = (0, 1), (2, 3), (4, 5)  # the same as indices, for diagonals
_EYE = np.eye(3)
_LEAST_SIZE_PX = 1.0
_LEAST_AHEAD = 0.1  # least cosine to the optical axis of a direction that has a place in the image


@dataclass(frozen=True)
class ImagePlaneConfig:
    """How boxes move.

    `object_size` tells the pixels per meter at every person, so what is given in meters is
    physical and holds for near and far people and any resolution.
    """

    #: [m] what the boxes enclose, as the geometric mean of width and height (a head 0.2, a
    #: standing person 0.9)
    object_size: float = 0.2
    #: [m^2/s^3] power spectral density of the white acceleration in the image plane
    acceleration_density: float = 0.1
    #: [s] an unseen person's velocity decays as exp(-t / damping_time_s)
    damping_time_s: float = 1.5
    #: [m/s] standard deviation of a new person's velocity
    birth_speed_sd: float = 0.7
    #: [m/s] gate between boxes of one new person
    max_speed: float = 3.0
    #: [m^2/s] spectral density of the random walk in depth, by which the size changes
    depth_density: float = 0.2
    #: standard deviation of a box's center, as a fraction of its width and height
    center_error: float = 0.05
    #: standard deviation of a box's size, as a fraction of its width and height
    size_error: float = 0.1
    #: how many times as large both errors are along the width as along the height (legs that walk
    #: make boxes wider and narrower: 2.2; heads 1)
    width_error_ratio: float = 1.0
    #: greater than 1, gate between boxes of one new person
    max_size_ratio: float = 1.5
    #: smallest and largest width and height of boxes, as fractions of the image's height
    size_range: tuple[float, float] = (0.02, 1.0)
    #: bound on the standard deviation of the center along any axis, as a fraction of the image's
    #: width
    max_position_sd: float = 0.33
    #: how far outside of the image people are still followed, as a fraction of its width and
    #: height
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
            self.width_error_ratio,
            self.max_position_sd,
        )
        if not all(np.isfinite(value) and value > 0 for value in positive):
            raise ValueError(
                'object_size, densities, damping_time_s, speeds, errors, their ratio and '
                'max_position_sd '
                'must be positive'
            )
        if not self.max_size_ratio > 1:
            raise ValueError('max_size_ratio must be greater than 1')
        if not 0 < self.size_range[0] < self.size_range[1]:
            raise ValueError('size_range must be two increasing positive fractions')
        if self.field_margin < 0:
            raise ValueError('field_margin must not be negative')


class ImagePlane:
    """State `s = (x, w, y)`: center (2) and size (2) of the box [px], velocity (2) [px/s].

    Dynamics: that of CartesianHead for the center, with a process noise in proportion to the
    pixels per meter at the person; the size is a random walk. Vision: the box itself,
    `P_f = [I4 0]`.
    Sound: the direction to the point at the depth that the size tells, with the depth taken as
    known. The published constants (process noise and image of one size) become functions of the
    box. The image is the reference frame: the pose of the head is ignored, a head that turns moves
    everybody.

    Parameters
    ----------
    config
        See `ImagePlaneConfig`.
    head
        Its camera tells size and focal length of the image, its microphones where sound comes
        from.

    Raises
    ------
    ValueError
        For a head without a camera.
    """

    state_size = _STATE
    location = slice(0, _BOX)
    needs_positions = False

    def __init__(self, config: ImagePlaneConfig, head: HeadProfile):
        if head.camera is None:
            raise ValueError('the image plane needs a head with a camera')
        self._config, self._camera, self._array = config, head.camera, head.microphones
        self._image = np.array([head.camera.width, head.camera.height], float)
        self._focal = float(np.sqrt(np.prod(head.camera.focal)))
        low, high = (fraction * head.camera.height for fraction in config.size_range)
        self.log_visual_volume = float(np.log(self._image).sum() + 2 * np.log(high - low))

    def _pixels_per_meter(self, mean: np.ndarray) -> np.ndarray:
        """(N,) at people in (N, D) states."""
        return np.sqrt(_size(mean).prod(1)) / self._config.object_size

    def predict(self, mean, covariance, dt_s, unseen):
        """T1: exact discretization of the dynamics; see the class."""
        config, scale = self._config, self._pixels_per_meter(mean)
        transitions, noises = axis_motion(config.acceleration_density, config.damping_time_s, dt_s)
        chosen = np.asarray(unseen, int)
        transition = np.tile(np.eye(_STATE), (len(mean), 1, 1))
        noise = np.zeros((len(mean), _STATE, _STATE))
        axis_noise = noises[chosen] * (scale**2)[:, None, None]
        for center, velocity in zip(_CENTERS, _VELOCITIES):
            axis = np.ix_(np.arange(len(mean)), (center, velocity), (center, velocity))
            transition[axis] = transitions[chosen]
            noise[axis] = axis_noise
        noise[:, _SIZES, _SIZES] = self._size_variance(mean, scale, config.depth_density * dt_s)
        moved = (transition @ mean[..., None])[..., 0]
        return Prediction(moved, propagate_covariance(transition, covariance), noise)

    def _size_variance(self, mean: np.ndarray, scale: np.ndarray, depth_variance) -> np.ndarray:
        """(N, 2) of width and height when the depth has a variance [m^2].

        The size is the focal length times the object's size over the depth.
        """
        relative_variance = depth_variance * (scale / self._focal) ** 2
        return relative_variance[:, None] * _size(mean) ** 2

    def _velocity_variance(self, mean: np.ndarray) -> np.ndarray:
        """(N, 1) [px^2/s^2] of a new person, along both axes."""
        return ((self._config.birth_speed_sd * self._pixels_per_meter(mean)) ** 2)[:, None]

    def measure(self, faces):
        """T2: center and size, with noise in proportion to the size."""
        size = faces.boxes[:, 2:] * [self._config.width_error_ratio, 1.0]
        errors = [self._config.center_error * size, self._config.size_error * size]
        std = np.concatenate(errors, axis=1)
        return Measurements(center_and_size(faces.boxes), std[:, :, None] ** 2 * np.eye(_BOX))

    def ray_noise(self, measurements):
        """Boxes have no depth that could be another's."""
        return None

    def vague(self, measurements, which):
        """Boxes stay as they are."""
        return measurements

    def initial_states(self, measurements, poses):
        """Take the boxes, at rest with the birth prior of the velocity."""
        mean = np.concatenate([measurements.value, np.zeros((len(measurements.value), 2))], axis=1)
        covariance = np.zeros((len(mean), _STATE, _STATE))
        covariance[:, :_BOX, :_BOX] = measurements.noise
        covariance[:, _VELOCITIES, _VELOCITIES] = self._velocity_variance(mean)
        return mean, covariance

    def visual_map(self, mean, poses):
        """T2: `P_f = [I4 0]`, exact."""
        matrix = np.tile(np.eye(_BOX, _STATE), (len(mean), 1, 1))
        return LinearMap(mean[:, :_BOX], matrix, np.ones(len(mean), bool))

    def direction_map(self, mean, poses):
        """T3: `J = (I - u u') R diag(1/fx, 1/fy, 0) z / |p|`; always usable.

        p is the point at depth z in the optical frame.
        """
        camera = self._camera
        array_from_optical = self._array.base_from_array.inverse() @ camera.base_from_optical
        depth = self._focal / self._pixels_per_meter(mean)
        slope = (mean[:, _CENTER] - camera.center) / camera.focal
        ray = np.concatenate([slope, np.ones((len(mean), 1))], axis=1)
        relative = array_from_optical.apply(depth[:, None] * ray)
        distance = np.linalg.norm(relative, axis=1)
        direction = relative / distance[:, None]
        tangent = _EYE - direction[:, :, None] * direction[:, None, :]
        of_optical = tangent @ array_from_optical.rotation
        matrix = np.zeros((len(mean), 3, _STATE))
        matrix[:, :, _CENTER] = of_optical[:, :, :2] / camera.focal
        matrix[:, :, _CENTER] *= (depth / distance)[:, None, None]
        return LinearMap(direction, matrix, np.ones(len(mean), bool))

    def bearing_only_states(self, directions, covariances, poses):
        """Take boxes of middling size, their size uncertain by all of it.

        Directions that are not before the camera have no place in the image.
        """
        optical_from_reference = poses.reference_from_optical.rotation.T
        ahead = directions @ optical_from_reference[2] > _LEAST_AHEAD
        ray = directions[ahead] @ optical_from_reference.T
        spread = propagate_covariance(optical_from_reference, covariances[ahead])
        # The projection f (x, y) / z and its derivative.
        focal, depth = self._camera.focal, ray[:, 2:]
        unit = np.tile(np.eye(2), (len(ray), 1, 1))
        jacobian = np.concatenate([unit, -(ray[:, :2] / depth)[:, :, None]], axis=2)
        jacobian *= (focal / depth)[:, :, None]
        mean = np.zeros((len(ray), _STATE))
        covariance = np.zeros((len(ray), _STATE, _STATE))
        mean[:, _CENTER] = self._camera.center + focal * ray[:, :2] / depth
        mean[:, _SIZE] = self._middling_size()
        covariance[:, _CENTER, _CENTER] = propagate_covariance(jacobian, spread)
        covariance[:, _VELOCITIES, _VELOCITIES] = self._velocity_variance(mean)
        return self.reset_range(mean, covariance, poses)

    def reset_range(self, mean, covariance, poses):
        """Forget the size, which is what tells the range."""
        settled, spread = mean.copy(), covariance.copy()
        settled[:, _SIZE] = self._middling_size()
        spread[:, _SIZE] = 0.0
        spread[:, :, _SIZE] = 0.0
        spread[:, _SIZES, _SIZES] = self._middling_size() ** 2
        return settled, spread

    def _middling_size(self) -> float:
        """[px], on a logarithmic scale."""
        return float(np.sqrt(np.prod(self._config.size_range)) * self._image[1])

    def gate(self, mean_a, covariance_a, mean_b, covariance_b, dt_s):
        """Sizes within the ratio, and centers within reach.

        That is max_speed * dt plus three standard deviations of the difference.
        """
        distance = np.linalg.norm(mean_a[:, None, _CENTER] - mean_b[None, :, _CENTER], axis=-1)
        variance_a = np.trace(covariance_a[:, _CENTER, _CENTER], axis1=1, axis2=2)
        variance_b = np.trace(covariance_b[:, _CENTER, _CENTER], axis1=1, axis2=2)
        std = np.sqrt(variance_a[:, None] + variance_b)
        walked = self._config.max_speed * dt_s * self._pixels_per_meter(mean_a)
        reach = walked[:, None] + 3 * std
        ratio = np.abs(np.log(_size(mean_a)[:, None] / _size(mean_b))).max(-1)
        return (distance < reach) & (ratio < np.log(self._config.max_size_ratio))

    def same_place(self, mean_a, mean_b):
        """Boxes may lie on each other."""
        return np.zeros((len(mean_a), len(mean_b)), bool)

    def view(self, mean, covariance, in_view, poses):
        """Boxes do not tell who is before whom."""
        return View.unknown(len(mean))

    def stopped(self, mean):
        """Without velocity."""
        at_rest = mean.copy()
        at_rest[:, _VELOCITIES] = 0.0
        return at_rest

    def turned(self, predicted, mean, poses):
        """Directions are all there is."""
        return mean

    def bound_unseen(self, mean, poses):
        """Anywhere in the image."""
        return mean

    def bound_covariance(self, covariance):
        """No center is less certain than max_position_sd along any axis."""
        return limit_leading(covariance, 2, self._config.max_position_sd * self._image[0])

    def random_walk_covariance(self, mean, distance_m):
        """Walk alike to the sides, up and down, and in depth, by which the size changes."""
        scale = self._pixels_per_meter(mean)
        variance = np.repeat(((scale * distance_m) ** 2)[:, None], _BOX, axis=1)
        variance[:, _SIZE] = self._size_variance(mean, scale, distance_m**2)
        return variance[:, :, None] * np.eye(_BOX)

    def implausible(self, mean, covariance, poses):
        """Whether centers are outside of the extended field by two standard deviations."""
        from_middle = np.abs(mean[:, _CENTER] - self._image / 2)
        outside = from_middle - (0.5 + self._config.field_margin) * self._image
        return (outside > 2 * np.sqrt(covariance[:, _CENTERS, _CENTERS])).any(1)


def _size(mean: np.ndarray) -> np.ndarray:
    """(N, 2) width and height of (N, D) states, never less than a pixel.

    The filter's Gaussian knows no such bound.
    """
    return np.maximum(mean[:, _SIZE], _LEAST_SIZE_PX)
