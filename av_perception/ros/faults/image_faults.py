# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with images and with the calibration of the cameras."""

from __future__ import annotations

import array
import math
from collections.abc import Callable
from functools import partial

import numpy as np
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from av_perception.ros.faults import alterations
from av_perception.ros.faults.alterations import SINCE_1970_S, STEP_S, Alteration
from av_perception.ros.faults.fault import FRAME_S, Fault
from av_perception.ros.faults.planted_sensors import CAMERA_INFOS, IMAGES

LATE_S = 0.5
_LEFT, _RIGHT = IMAGES


def _altered(
    topics: tuple[str, ...],
    name: str,
    what: str,
    make: Callable[[], Alteration],
    *told: str,
    **options,
) -> Fault:
    return Fault(name, what, lambda graph: graph.sensors.altered(topics, make), told, **options)


def _both(name: str, what: str, make: Callable[[], Alteration], *told: str, **options) -> Fault:
    return _altered(IMAGES, f'images-{name}', what, make, *told, **options)


def _pixels(change: Callable[[np.ndarray], np.ndarray], encoding: str = 'bgr8'):
    """Make an alteration of the pixels, (H, W, 3) uint8 BGR; encoding: of what comes of them."""

    def alter(message: Image, number: int) -> list[Image]:
        pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        changed = np.ascontiguousarray(change(pixels))
        data = array.array('B')
        data.frombytes(changed.tobytes())
        return [
            Image(
                header=message.header,
                height=changed.shape[0],
                width=changed.shape[1],
                encoding=encoding,
                step=changed.strides[0],
                data=data,
            )
        ]

    return lambda: alter


def _field(**fields) -> Callable[[], Alteration]:
    """Make an alteration of fields of a message."""

    def alter(message, number: int) -> list:
        changed = {name: getattr(message, name) for name in message.get_fields_and_field_types()}
        return [type(message)(**{**changed, **fields})]

    return lambda: alter


def _noise(pixels: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, pixels.shape, dtype=np.uint8)


def _without_carry(message: Image) -> None:
    message.header.stamp.nanosec = 4_000_000_000


def _by_turns(stamp_ns: int, number: int) -> int:
    return stamp_ns + (number % 2) * 3600 * 10**9


_MISSING = 'images missing'
IMAGE_FAULTS = (
    _both('stop', 'no images', alterations.stopped, 'no message on /left/image_raw'),
    _both(
        'stop-longer',
        'no images for 5 s',
        alterations.stopped,
        'no message on /left/image_raw',
        frames=125,
    ),
    _altered(
        (_LEFT,),
        'left-stops',
        'no left images',
        alterations.stopped,
        'no message on /left/image_raw',
    ),
    _altered(
        (_RIGHT,),
        'right-stops',
        'no right images',
        alterations.stopped,
        'no message on /right/image_raw',
    ),
    Fault(
        'images-driver-gone',
        'the driver of the cameras ends',
        lambda graph: graph.sensors.silenced(IMAGES),
        ('no message on /left/image_raw .* its publisher is gone',),
    ),
    _both('stutter', 'images come and go', partial(alterations.stuttering, 10), _MISSING),
    _both(
        'in-bursts', 'eight images at a time', partial(alterations.in_bursts, 8), is_harmless=True
    ),
    _both('lose-1', '1 % is lost', partial(alterations.lost, 0.01), _MISSING),
    _both('lose-10', '10 % is lost', partial(alterations.lost, 0.1), _MISSING),
    _both('lose-50', '50 % is lost', partial(alterations.lost, 0.5), _MISSING),
    _altered(
        (_RIGHT,),
        'right-loses-50',
        'half of the right images are lost',
        partial(alterations.lost, 0.5),
        'no partner with the same stamp',
    ),
    _both(
        'late',
        'images are late by 0.5 s',
        partial(alterations.late, round(LATE_S / FRAME_S)),
        'images are .* behind the sound',
    ),
    _altered(
        (_RIGHT,),
        'right-late',
        'right images are late by 0.5 s',
        partial(alterations.late, round(LATE_S / FRAME_S)),
        'no partner with the same stamp',
    ),
    _both(
        'clock-ahead',
        "the cameras' clock is set 1 s ahead, and back",
        partial(alterations.shifted, STEP_S),
        'sound is .* behind the images',
    ),
    _both(
        'clock-behind',
        "the cameras' clock is set 1 s back, and ahead",
        partial(alterations.shifted, -STEP_S),
        'images are .* behind the sound',
        'jumps back',
    ),
    _both(
        'since-1970',
        'the cameras count from 1970, all else from a start',
        partial(alterations.shifted, SINCE_1970_S),
        'since the machine started',
        keeps_ids=False,  # stamps that go back are a recording that begins anew
    ),
    _altered(
        (_RIGHT,),
        'right-rolls',
        'right stamps are 5 to 30 ms behind the left ones',
        partial(alterations.rolling, 0.005, 0.03),
        'set sync_tolerance',
    ),
    _both(
        'stamps-of-three',
        'three images have one stamp',
        partial(alterations.held, 3),
        'its stamp is that of the image before',
    ),
    _both(
        'drift',
        "the cameras' clock is 200 ppm too fast",
        partial(alterations.drifting, 200.0, FRAME_S),
        is_harmless=True,
    ),
    _altered(
        (_RIGHT,),
        'right-drifts',
        "the right camera's clock is 200 ppm too fast",
        partial(alterations.drifting, 200.0, FRAME_S),
        'no partner with the same stamp',
    ),
    _both('black', 'black images', _pixels(np.zeros_like), 'constant: is the lens covered'),
    _altered(
        (_LEFT,),
        'left-covered',
        'the left lens is covered',
        _pixels(np.zeros_like),
        'constant: is the lens covered',
    ),
    _both('noise', 'images of noise', _pixels(_noise), 'images of noise'),
    _both(
        'saturated',
        'white images',
        _pixels(lambda p: np.full_like(p, 254)),
        'constant|over-exposed',
    ),
    _both(
        'truncated',
        'images cut short',
        _field(height=960),
        'bytes are too few',
    ),
    _both('wrong-encoding', 'an encoding that nobody knows', _field(encoding='32FC1'), '32FC1'),
    _both(
        'half-size',
        'another resolution',
        _pixels(lambda p: p[::2, ::2]),
        'image has 320x240 pixels',
    ),
    _both('empty', 'images without pixels', _field(height=0, width=0, step=0), '0x0 pixels'),
    _both('gray', 'gray images', _pixels(lambda p: p[..., 1], 'mono8'), is_harmless=True),
    _both(
        'stamp-zero',
        'stamps of 0',
        partial(alterations.stamped, lambda stamp_ns, number: 0),
        'its stamp is 0',
    ),
    _both(
        'stamp-malformed',
        'stamps with four seconds of nanoseconds',
        lambda: alterations.edited(_without_carry),
        '4000000000 nanoseconds',
    ),
    _both(
        'two-clocks',
        'stamps of two clocks by turns, an hour apart',
        partial(alterations.stamped, _by_turns),
        'was the clock set',
    ),
    _both(
        'one-stamp',
        'all images have one stamp',
        lambda: _frozen_stamp(),
        'its stamp is that of the image before',
    ),
    _both(
        'twice',
        'every image comes twice',
        alterations.repeated,
        'its stamp is that of the image before',
    ),
    _both(
        'swapped', 'images come in the wrong order', alterations.swapped, 'its stamp jumps back'
    ),
    Fault(
        'left-two-drivers',
        'two nodes publish left images',
        lambda graph: graph.sensors.rivaled(_LEFT, partial(alterations.shifted, 0.005)),
        ('2 nodes publish /left/image_raw',),
    ),
    Fault(
        'left-wrong-type',
        'a driver with messages of another type',
        lambda graph: graph.sensors.replaced(_LEFT, String, String(data='image')),
        ('std_msgs/msg/String',),
    ),
)


def _frozen_stamp() -> Alteration:
    first: list[int] = []

    def move(stamp_ns: int, number: int) -> int:
        first.append(stamp_ns)
        return first[0]

    return alterations.stamped(move)


def _calibrated(
    name: str, what: str, make: Callable[[], Alteration], *told: str, **options
) -> Fault:
    return _altered(
        CAMERA_INFOS, f'calibration-{name}', what, make, *told, setup='robot', **options
    )


def _in_millimeters(message: CameraInfo) -> None:
    message.p[3] *= 1000.0


def _without_rotation(message: CameraInfo) -> None:
    message.r[:] = np.zeros(9)


CALIBRATION_FAULTS = (
    _calibrated('stops', 'no calibration', alterations.stopped, 'no message on /left/camera_info'),
    _calibrated(
        'zeros', 'K and P of zeros', _field(k=[0.0] * 9, p=[0.0] * 12), 'focal length is 0'
    ),
    _calibrated(
        'nan', 'NaN in the calibration', _field(k=[math.nan] * 9, p=[math.nan] * 12), 'not finite'
    ),
    _calibrated('size', 'of another resolution', _field(width=1280, height=960), '1280x960'),
    _calibrated(
        'millimeters',
        'a baseline in millimeters',
        lambda: alterations.edited(_in_millimeters),
        'a baseline of',
    ),
    _calibrated(
        'no-rotation',
        'R of zeros',
        lambda: alterations.edited(_without_rotation),
        'R is all zeros',
    ),
    _calibrated(
        'model', 'a model that nobody knows', _field(distortion_model='none'), "model 'none'"
    ),
)
