# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The sound of a room at the microphones of a head that turns, hop by hop as it turns.

As in `room_audio`, blocks of 80 ms every 40 ms are convolved with the response from where the
talker is to where the microphones are then. Responses are those of a grid of the neck's angles,
computed where one is needed and kept: a still head, and one that looks to and fro, costs little.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from scipy.signal import fftconvolve

from av_perception.simulation.neck import base_from_head
from av_perception.simulation.room_audio import (
    RESPONSE_STEP_M,
    SPEECH_LEVEL,
    MovingSource,
    RoomSimulator,
    hop_of,
)
from av_perception.simulation.scene import RoomConfig

# Within half a step the microphones of a head move by less than half a millimeter.
ANGLE_STEP_RAD = float(np.radians(1.0))
_MAX_RESPONSES = 400
_LEVEL_S = 4.0  # of speech tell how loud it is at the microphones


class TurningRoom:
    """A stream of sound. It comes 2.5 ms late: so long begins a response before its time zero.

    Parameters
    ----------
    room
        Where the head is; its `snr_db` counts.
    microphones
        (channels, 3) [m] in the head's base frame, which pan and tilt turn about its origin.
    sources
        What sounds, with positions in the room.
    active
        (N,) bool each: when the source counts for the level.
    sample_rate
        [Hz]
    seed
        Of the microphones' noise.
    """

    def __init__(
        self,
        room: RoomConfig,
        microphones: np.ndarray,
        sources: list[MovingSource],
        active: Sequence[np.ndarray],
        sample_rate: int,
        seed: int,
    ):
        self._head = np.array(room.head_position)
        self._microphones = np.asarray(microphones, float)
        self._simulator = RoomSimulator(room, self._microphones + self._head, sample_rate)
        self._hop = hop_of(sample_rate)
        rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(self._hop) + 0.5) / self._hop)
        self._window = np.concatenate([rise, rise[::-1]])
        self._sources = sources
        self._dry = [_padded(source.samples, self._hop) for source in sources]
        self._responses: OrderedDict[tuple, np.ndarray] = OrderedDict()
        self._future = np.zeros((len(self._microphones), 0))
        self._block = 0
        self._random = np.random.default_rng([seed, 4])
        self._noise = SPEECH_LEVEL * 10 ** (-room.snr_db / 20)
        self._gain = self._find_gain(active, sample_rate)
        self._begin()

    def _begin(self) -> None:
        """Let the first block sound, whose second half is the first hop."""
        self._add_block(0.0, 0.0)
        self._future = self._future[:, self._hop :]

    def next(self, pan_rad: float, tilt_rad: float) -> np.ndarray:
        """Render the next hop of 40 ms, at the end of which the neck has these angles.

        Returns
        -------
        np.ndarray
            (hop, channels) float
        """
        self._block += 1
        self._add_block(pan_rad, tilt_rad)
        ready = self._future[:, : self._hop]
        self._future = self._future[:, self._hop :]
        noise = self._random.normal(0.0, self._noise, (self._hop, len(ready)))
        return ready.T * self._gain + noise

    def _add_block(self, pan_rad: float, tilt_rad: float) -> None:
        """Add what is heard of the block about the present, from one hop before it on."""
        start = self._block * self._hop  # in the padded sound
        for index, dry in enumerate(self._dry):
            segment = dry[start : start + 2 * self._hop]
            if len(segment) < 2 * self._hop or not segment.any():
                continue
            place = self._sources[index].positions
            position = place[min(self._block, len(place) - 1)]
            response = self._response(index, position, pan_rad, tilt_rad)
            wet = fftconvolve((segment * self._window)[None], response, axes=1)
            self._reach(wet.shape[1])
            self._future[:, : wet.shape[1]] += wet
        self._reach(2 * self._hop)

    def _reach(self, length: int) -> None:
        missing = length - self._future.shape[1]
        if missing > 0:
            self._future = np.pad(self._future, ((0, 0), (0, missing)))

    def _response(
        self, index: int, position: np.ndarray, pan_rad: float, tilt_rad: float
    ) -> np.ndarray:
        """(channels, taps) from a source to the head at the nearest angles of the grid."""
        place = tuple(np.round(position / RESPONSE_STEP_M).astype(int).tolist())
        angles = round(pan_rad / ANGLE_STEP_RAD), round(tilt_rad / ANGLE_STEP_RAD)
        key = (index, place, angles)
        if key not in self._responses:
            pan, tilt = (angle * ANGLE_STEP_RAD for angle in angles)
            turned = base_from_head(pan, tilt).apply(self._microphones)
            self._simulator.move_microphones(turned + self._head)
            self._responses[key] = self._simulator.response(position)
            if len(self._responses) > _MAX_RESPONSES:
                self._responses.popitem(last=False)
        self._responses.move_to_end(key)
        return self._responses[key]

    def _find_gain(self, active: Sequence[np.ndarray], sample_rate: int) -> float:
        """Find what brings speech to SPEECH_LEVEL, as `finish_sound` does."""
        powers = []
        for index, (source, is_active) in enumerate(zip(self._sources, active)):
            sounding = np.flatnonzero(is_active)
            if not len(sounding):
                continue
            first = int(sounding[0])
            part = slice(first, first + int(_LEVEL_S * sample_rate))
            position = source.positions[min(first // self._hop, len(source.positions) - 1)]
            response = self._response(index, position, 0.0, 0.0)
            wet = fftconvolve(source.samples[None, part], response, axes=1)
            heard = wet[:, self._simulator.delay :][:, : len(source.samples[part])]
            powers.append(np.mean(heard[:, is_active[part]] ** 2))
        level = np.sqrt(np.mean(powers)) if powers else 0.0
        return SPEECH_LEVEL / level if level > 0 else 1.0


def _padded(samples: np.ndarray, hop: int) -> np.ndarray:
    """Put a hop of silence before the sound and three behind it."""
    return np.concatenate([np.zeros(hop), samples, np.zeros(3 * hop)])
