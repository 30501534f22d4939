# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound: chunks of samples, and the features of sub-bands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from av_perception_msgs import msg as av

from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk, AudioFeatures
from av_perception.robot_head.plausibility import check_sample_rate
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.ros.conversions.arrays import typed_array
from av_perception.ros.conversions.headers import driver_stamp_ns, header, ns_from_time

MAX_CHUNK_S = 5.0  # older sound is of no use, and a minute of it would hold up everything else


def audio_chunk_to_msg(chunk: AudioChunk, frame_id: str) -> av.AudioChunk:
    """Convert an AudioChunk to its message."""
    return av.AudioChunk(
        header=header(chunk.stamp_ns, frame_id),
        sample_rate=chunk.sample_rate,
        channels=chunk.samples.shape[1],
        first_sample=chunk.first_sample,
        samples=typed_array('f', chunk.samples),
    )


def audio_chunk_from_msg(message: av.AudioChunk) -> AudioChunk:
    """Convert a message to an AudioChunk.

    Raises
    ------
    ValueError
        When the number of samples does not fit the channels, or there are no samples or more
        than MAX_CHUNK_S of them, no stamp, or no rate that a device has.
    """
    samples = np.frombuffer(message.samples, np.float32)
    if message.channels == 0 or samples.size % message.channels:
        raise ValueError(f'{samples.size} samples do not divide into {message.channels} channels')
    if not samples.size:
        raise ValueError('it is empty: the driver sends chunks without samples')
    if message.sample_rate == 0:
        raise ValueError('its sample rate is 0: the driver does not fill it in')
    check_sample_rate(message.sample_rate, 'its sample rate')
    chunk_s = samples.size / message.channels / message.sample_rate
    if chunk_s > MAX_CHUNK_S:
        raise ValueError(
            f'it holds {chunk_s:.0f} s of sound: the driver is to send it as it comes'
        )
    return AudioChunk(
        driver_stamp_ns(message.header, 'sound'),
        message.sample_rate,
        message.first_sample,
        samples.reshape(-1, message.channels),
    )


def microphones_of(chunk: AudioChunk, microphones: MicrophoneArray, source: str) -> AudioChunk:
    """Keep the microphones' channels of a chunk.

    Parameters
    ----------
    chunk : AudioChunk
        As recorded: the microphones alone, or all channels of the device.
    microphones : MicrophoneArray
        Of the head profile.
    source : str
        Where the chunk came from, for the message.

    Raises
    ------
    UserError
        When the channels cannot be the head profile's.
    """
    try:
        samples = microphones.pick_recorded(chunk.samples)
    except UserError as error:
        raise UserError(f'{source} carries {error}') from error
    return chunk if samples is chunk.samples else replace(chunk, samples=samples)


def audio_features_to_msg(features: AudioFeatures, frame_id: str) -> av.AudioFeatures:
    """Convert AudioFeatures to their message."""
    # Converted at once, and cut into sub-bands then.
    vectors = typed_array('f', features.vectors)
    present = typed_array('B', features.present)
    size = features.vectors.shape[1]
    subbands = [
        av.SubbandFeature(
            index=k,
            vector=vectors[k * size : (k + 1) * size],
            present=present[k * size : (k + 1) * size],
            energy=energy,
            valid=valid,
        )
        for k, (energy, valid) in enumerate(
            zip(features.energy.tolist(), features.valid.tolist(), strict=True)
        )
    ]
    return av.AudioFeatures(
        header=header(features.stamp_ns, frame_id),
        voice_activity=float(features.voice_activity),
        subbands=subbands,
    )


def audio_features_from_msg(message: av.AudioFeatures) -> AudioFeatures:
    """Convert a message to AudioFeatures.

    Raises
    ------
    ValueError
        When there are no sub-bands, or they differ in size.
    """
    subbands = message.subbands
    sizes = {len(field) for s in subbands for field in (s.vector, s.present)}
    if len(sizes) != 1:
        raise ValueError('the sub-bands must all have vectors of one size')
    vectors = np.frombuffer(b''.join(s.vector for s in subbands), np.float32)
    present = np.frombuffer(b''.join(s.present for s in subbands), np.uint8)
    shape = (len(subbands), -1) if vectors.size else (len(subbands), 0)
    return AudioFeatures(
        ns_from_time(message.header.stamp),
        message.voice_activity,
        vectors.astype(float).reshape(shape),
        present.astype(bool).reshape(shape),
        np.array([s.energy for s in subbands], float),
        np.array([s.valid for s in subbands], bool),
    )
