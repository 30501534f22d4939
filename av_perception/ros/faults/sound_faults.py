# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with sound."""

from __future__ import annotations

import array
from collections.abc import Callable
from functools import partial

import numpy as np
from av_perception_msgs.msg import AudioChunk
from std_msgs.msg import String

from av_perception.ros.conversions.arrays import typed_array
from av_perception.ros.faults import alterations
from av_perception.ros.faults.alterations import SINCE_1970_S, STEP_S, Alteration
from av_perception.ros.faults.fault import Fault
from av_perception.ros.faults.planted_scene import CHUNK_S

LATE_S = 0.5


def _altered(name: str, what: str, make: Callable[[], Alteration], *told: str, **options) -> Fault:
    return Fault(
        f'sound-{name}',
        what,
        lambda graph: graph.sensors.altered(('audio',), make),
        told,
        **options,
    )


def _samples(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Alteration]:
    """Make an alteration of the samples, (N, channels) float32."""

    def edit(message: AudioChunk) -> None:
        samples = np.frombuffer(message.samples, np.float32).reshape(-1, message.channels)
        changed = change(samples.copy())
        message.channels = changed.shape[1]
        message.samples = typed_array('f', changed)

    return lambda: alterations.edited(edit)


def _noise(samples: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.normal(0.0, 0.2, samples.shape).astype(np.float32)


def _first_silent(samples: np.ndarray) -> np.ndarray:
    samples[:, 0] = 0.0
    return samples


def _torn(message: AudioChunk) -> None:
    message.samples = array.array('f', message.samples[:-3])


def _of_rate(rate: int) -> Callable[[AudioChunk], None]:
    def edit(message: AudioChunk) -> None:
        message.sample_rate = rate

    return edit


def _without_index(message: AudioChunk) -> None:
    message.first_sample = 0


def _at_48_khz() -> Alteration:
    """As of a device of the triple rate: each sample three times."""

    def edit(message: AudioChunk) -> None:
        samples = np.frombuffer(message.samples, np.float32).reshape(-1, message.channels)
        message.samples = typed_array('f', np.repeat(samples, 3, axis=0))
        message.sample_rate *= 3
        message.first_sample *= 3

    return alterations.edited(edit)


def _of_two_minutes() -> Alteration:
    """Now and then two minutes at once, as of a recorder that flushes."""

    def edit(message: AudioChunk) -> None:
        num_values = 120 * message.sample_rate * message.channels
        message.samples = typed_array('f', np.zeros(num_values, np.float32))

    whole = alterations.edited(edit)
    return lambda message, number: [message] if number % 10 else whole(message, number)


_LAST_NS = (2**31 - 1) * 10**9  # of what a stamp can tell: in the year 2038
_FRAMES_LATE = round(LATE_S / CHUNK_S)
_GAPS = 'gaps in the sound'
SOUND_FAULTS = (
    _altered('stops', 'no sound', alterations.stopped, 'no message on /audio'),
    Fault(
        'sound-driver-gone',
        'the driver of the microphones ends',
        lambda graph: graph.sensors.silenced(('audio',)),
        ('no message on /audio .* its publisher is gone',),
    ),
    _altered('stutters', 'sound comes and goes', partial(alterations.stuttering, 10), _GAPS),
    _altered(
        'in-bursts',
        'half a second at a time',
        partial(alterations.in_bursts, 25),
        is_harmless=True,
    ),
    _altered('loses-1', '1 % is lost', partial(alterations.lost, 0.01), _GAPS),
    _altered('loses-10', '10 % is lost', partial(alterations.lost, 0.1), _GAPS),
    _altered('loses-50', '50 % is lost', partial(alterations.lost, 0.5), _GAPS),
    _altered(
        'late',
        'sound is late by 0.5 s',
        partial(alterations.late, _FRAMES_LATE),
        'sound is 0.* behind',
    ),
    _altered(
        'clock-ahead',
        "the sound's clock is set 1 s ahead, and back",
        partial(alterations.shifted, STEP_S),
        'stamps.*future',
    ),
    _altered(
        'clock-behind',
        "the sound's clock is set 1 s back, and ahead",
        partial(alterations.shifted, -STEP_S),
        'sound is .* behind the images',
        'backward audio stamps',
    ),
    _altered(
        'since-1970',
        'the sound counts from 1970, all else from a start',
        partial(alterations.shifted, SINCE_1970_S),
        'since the machine started',
    ),
    _altered(
        'drifts',
        "the sound's clock is 200 ppm too fast",
        partial(alterations.drifting, 200.0, CHUNK_S),
        is_harmless=True,
    ),
    _altered(
        'drifted',
        'the same after half an hour: 0.36 s off',
        partial(alterations.drifting, 200.0, CHUNK_S, -0.36),
        'sound is .* behind the images',
    ),
    _altered('nan', 'NaN', _samples(lambda s: np.full_like(s, np.nan)), 'NaN'),
    _altered(
        'huge', 'samples of 1e30', _samples(lambda s: np.full_like(s, 1e30)), 'absurd samples'
    ),
    _altered('zeros', 'zeros', _samples(np.zeros_like), 'silent chunks'),
    _altered('noise', 'loud noise of each microphone', _samples(_noise), 'loud noise'),
    _altered(
        'saturated',
        'saturated',
        _samples(lambda s: np.clip(1000 * s, -1, 1)),
        'clipped chunks',
    ),
    _altered(
        'channel-dead', 'one microphone gives zeros', _samples(_first_silent), 'dead microphone'
    ),
    _altered(
        'truncated',
        'chunks cut short',
        lambda: alterations.edited(_torn),
        'do not divide into 4 channels',
    ),
    _altered('empty', 'chunks without samples', _samples(lambda s: s[:0]), 'empty'),
    _altered('three-channels', 'a channel less', _samples(lambda s: s[:, :3]), '3 channels'),
    _altered(
        'six-channels',
        'two channels more',
        _samples(lambda s: np.hstack([s, s[:, :2]])),
        '6 channels',
    ),
    _altered('rate-48k', 'another device, of 48 kHz', _at_48_khz, 'changes of sample rate'),
    _altered(
        'rate-wrong',
        'a sample rate that is not true',
        lambda: alterations.edited(_of_rate(44100)),
        'changes of sample rate',
    ),
    _altered(
        'rate-zero',
        'a sample rate of 0',
        lambda: alterations.edited(_of_rate(0)),
        'sample rate is 0',
    ),
    _altered(
        'rate-one',
        'a sample rate of 1 Hz',
        lambda: alterations.edited(_of_rate(1)),
        'sample rate must lie in',
    ),
    _altered('minutes', 'two minutes of sound in a message', _of_two_minutes, '120 s of sound'),
    _altered(
        'stamp-2038',
        'stamps of the year 2038',
        partial(alterations.stamped, lambda stamp_ns, number: _LAST_NS),
        'stamps.*future',
    ),
    _altered(
        'stamp-zero',
        'stamps of 0',
        lambda: alterations.stamped(lambda stamp_ns, number: 0),
        'its stamp is 0',
    ),
    _altered(
        'no-index',
        'first_sample is left at 0',
        lambda: alterations.edited(_without_index),
        'first_sample does not count|first sample does not count',
    ),
    _altered('twice', 'every chunk comes twice', alterations.repeated, 'chunks that came twice'),
    _altered(
        'swapped', 'chunks come in the wrong order', alterations.swapped, 'backward audio stamps'
    ),
    Fault(
        'sound-two-drivers',
        'two nodes publish sound',
        lambda graph: graph.sensors.rivaled('audio', partial(alterations.shifted, 0.005)),
        ('2 nodes publish /audio',),
    ),
    Fault(
        'sound-wrong-type',
        'a driver with messages of another type',
        lambda graph: graph.sensors.replaced('audio', String, String(data='sound')),
        ('std_msgs/msg/String',),
    ),
)
