# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with transforms, joints, the IMU and all clocks at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from geometry_msgs.msg import Vector3
from sensor_msgs.msg import Imu, JointState
from tf2_msgs.msg import TFMessage

from av_perception.ros.faults import alterations
from av_perception.ros.faults.alterations import STEP_S, Alteration
from av_perception.ros.faults.fault import FRAME_S, Fault
from av_perception.ros.faults.planted_sensors import CAMERA_INFOS, IMAGES, POSES

ALL = ('audio', *IMAGES)
_NO_TRANSFORM = 'no transform|transforms? older'


def _altered(
    topic: str, name: str, what: str, make: Callable[[], Alteration], *told: str, **options
) -> Fault:
    return Fault(
        name,
        what,
        lambda graph: graph.sensors.altered((topic,), make),
        told,
        setup='robot',
        **options,
    )


def _tf(name: str, what: str, make: Callable[[], Alteration], *told: str, **options) -> Fault:
    return _altered('/tf', f'tf-{name}', what, make, *told, **options)


def _translated(x: float) -> Callable[[], Alteration]:
    def edit(message: TFMessage) -> None:
        for transform in message.transforms:
            transform.transform.translation.x = x

    return lambda: alterations.edited(edit)


def _without_rotation(message: TFMessage) -> None:
    for transform in message.transforms:
        transform.transform.rotation.w = 0.0


def _renamed(message: TFMessage) -> None:
    for transform in message.transforms:
        transform.header.frame_id += '_of_before'


def _joints_nan(message: JointState) -> None:
    message.position = [math.nan] * len(message.name)
    message.velocity = [math.nan] * len(message.name)


def _joints_short(message: JointState) -> None:
    message.position = message.position[:1]
    message.velocity = []


def _turned_round(message: TFMessage) -> None:
    """Hang the first frame of a pair on the second one: with the true ones that is a loop."""
    first = message.transforms[0]
    parent = first.header.frame_id
    first.header.frame_id = first.child_frame_id
    first.child_frame_id = parent


def _hung_elsewhere(message: TFMessage) -> None:
    message.transforms[0].header.frame_id = 'elsewhere'


def _joints_of_an_arm(message: JointState) -> None:
    message.name = [f'elbow_{k}' for k in range(len(message.name))]


def _not_measured(message: Imu) -> None:
    message.angular_velocity_covariance[0] = -1.0


def _rival(name: str, what: str, edit: Callable[[TFMessage], None], told: str) -> Fault:
    """Let a second node publish transforms of its own, while the first one goes on."""
    return Fault(
        f'tf-{name}',
        what,
        lambda graph: graph.sensors.rivaled('/tf', partial(alterations.edited, edit)),
        (told,),
        setup='robot',
    )


def _imu_of(rate: float) -> Callable[[], Alteration]:
    def edit(message: Imu) -> None:
        message.angular_velocity = Vector3(x=rate, y=rate, z=rate)

    return lambda: alterations.edited(edit)


_LATE = round(0.5 / FRAME_S)
POSE_FAULTS = (
    _tf('stops', 'no transforms', alterations.stopped, _NO_TRANSFORM),
    _tf('stutters', 'transforms come and go', partial(alterations.stuttering, 10), _NO_TRANSFORM),
    _tf('loses-50', '50 % is lost', partial(alterations.lost, 0.5), is_harmless=True),
    _tf('late', 'transforms are late by 0.5 s', partial(alterations.late, _LATE), _NO_TRANSFORM),
    _tf(
        'clock-ahead',
        'stamps of transforms are 1 s ahead, then right again',
        partial(alterations.shifted, STEP_S),
        'transforms of the future',
    ),
    _tf(
        'clock-behind',
        'stamps of transforms are 1 s behind, then right again',
        partial(alterations.shifted, -STEP_S),
        _NO_TRANSFORM,
    ),
    _tf('nan', 'NaN', _translated(math.nan), 'transforms refused'),
    _tf(
        'no-rotation',
        'quaternions of zeros',
        lambda: alterations.edited(_without_rotation),
        'transforms refused',
    ),
    _tf('renamed', 'frames of other names', lambda: alterations.edited(_renamed), _NO_TRANSFORM),
    Fault(
        'tf-two-publishers',
        'a second node publishes the same frames half a second late',
        lambda graph: graph.sensors.rivaled('/tf', partial(alterations.late, _LATE)),
        (),
        setup='robot',
        is_harmless=True,
    ),
    _tf('far', 'translations of 1e30 m', _translated(1e30), 'leads off the Earth'),
    _rival('loop', 'a second node closes a loop of frames', _turned_round, 'hang on itself'),
    _rival(
        'second-parent',
        'a second node hangs the base on another frame',
        _hung_elsewhere,
        'said to hang on .*two nodes publish it',
    ),
    _altered(
        'joint_states',
        'joints-others',
        'joints of other names',
        lambda: alterations.edited(_joints_of_an_arm),
        'without the joints of the head',
    ),
    _altered(
        'joint_states',
        'joints-stop',
        'no joint states',
        alterations.stopped,
        'no message on /joint_states',
    ),
    _altered(
        'joint_states', 'joints-nan', 'NaN', lambda: alterations.edited(_joints_nan), 'no angle'
    ),
    _altered(
        'joint_states',
        'joints-short',
        'fewer angles than names',
        lambda: alterations.edited(_joints_short),
        'no angle and no velocity',
    ),
    Fault(
        'joints-two-publishers',
        'two nodes publish joint states',
        lambda graph: graph.sensors.rivaled('joint_states', partial(alterations.lost, 0.3)),
        ('two nodes publish /joint_states',),
        setup='robot',
    ),
    _altered('imu', 'imu-stops', 'no IMU', alterations.stopped, 'no message on /imu'),
    _altered(
        'imu',
        'imu-not-measured',
        'marked as not measured',
        lambda: alterations.edited(_not_measured),
        'measures no angular velocity',
    ),
    _altered('imu', 'imu-nan', 'NaN', _imu_of(math.nan), 'velocity is not finite'),
    _altered('imu', 'imu-spins', 'says that the head spins', _imu_of(50.0), 'the head turns'),
)


def _all(name: str, what: str, make: Callable[[], Alteration], *told: str, **options) -> Fault:
    return Fault(
        f'all-{name}', what, lambda graph: graph.sensors.altered(ALL, make), told, **options
    )


CLOCK_FAULTS = (
    _all('stop', 'neither sound nor images', alterations.stopped, 'no message on /audio'),
    _all(
        'stop-longer',
        'neither sound nor images for 5 s: a link that dropped',
        alterations.stopped,
        'no message on /audio',
        frames=125,
    ),
    _all('stutter', 'all comes and goes', partial(alterations.stuttering, 10), 'gaps|missing'),
    _all(
        'ahead',
        'the clock of all sensors is set 1 s ahead, and back',
        partial(alterations.shifted, STEP_S),
        'was the clock set|jumps back|backward',
    ),
    Fault(
        'all-an-hour-ahead',
        'the clock of all sensors is set an hour ahead, and 2 s later that of the nodes',
        lambda graph: graph.sensors.set_ahead(3600.0),
        ('was the clock set',),
    ),
    _all(
        'behind',
        'the clock of all sensors is set 1 s back, and ahead',
        partial(alterations.shifted, -STEP_S),
        'jumps back|backward',
    ),
    Fault(
        'clock-stops',
        'simulated time stands still',
        lambda graph: graph.sensors.altered(('/clock',), alterations.stopped),
        (),
    ),
    Fault(
        'clock-set-back',
        'simulated time goes 15 minutes back, and on again',
        lambda graph: graph.sensors.altered(('/clock',), partial(alterations.shifted, -900.0)),
        ('stamps.*future',),
    ),
    Fault(
        'clock-two-publishers',
        'a second node publishes simulated time, 50 s behind',
        lambda graph: graph.sensors.rivaled('/clock', partial(alterations.shifted, -50.0)),
        ('2 nodes publish /clock',),
    ),
    Fault(
        'robot-calibration-and-poses-stop',
        'neither transforms nor calibration',
        lambda graph: graph.sensors.altered((*CAMERA_INFOS, *POSES), alterations.stopped),
        ('no message on /left/camera_info',),
        setup='robot',
    ),
)
