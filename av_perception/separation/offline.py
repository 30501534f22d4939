# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Voices of a whole recording in which it is known where people are: the live masks, and Wiener.

The masks are those of the live streams (`person_streams`), fed with directions instead of tracks.
Wiener filters take the powers of these streams, and for each person the covariance between the
microphones where the person is loud, within half a second before and after (Duong, Vincent and
Gribonval, IEEE Trans. ASLP 18(7), 2010, with covariances that move).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter1d

from av_perception.audio.steering import Steering
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AudioChunk, LifeState, TrackEstimate, TrackFrame
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.separation.person_streams import PersonStreams, PersonStreamsConfig
from av_perception.separation.stream_synthesis import VoiceChunk
from av_perception.separation.vemove import VemoveConfig, check_finite, separate
from av_perception.spectral.pieces import join_pieces
from av_perception.spectral.transform import ShortTimeFourier
from av_perception.spectral.wiener import multichannel_filters

RATE = 16000
DIRECTION_STEP_S = 0.04  # from one direction of a person to the next
_DISTANCE_M = 1.5  # at which a direction becomes a place: masks ask for directions alone
_START_NS = 10**9
_WIENER = ShortTimeFourier(512, 128)
_WIENER_SPAN_S = 1.0  # over which a covariance is averaged
_LEAST_NOISE = 1e-3  # of the microphones, in units of the mean power of a bin


def mask_streams(
    sound: np.ndarray,
    array: MicrophoneArray,
    directions: np.ndarray,
    steering: Steering | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> np.ndarray:
    """Separate by masks, as the live streams do.

    Parameters
    ----------
    sound, array
        (N, I) of the microphones at 16 kHz, and where they are.
    directions
        (T, J, 3) unit vectors in the array frame, every `DIRECTION_STEP_S`; NaN while unknown.
    steering, progress
        How sound arrives (None: as the geometry says); called with the fraction that is done.

    Returns
    -------
    np.ndarray
        (N, J) what each person gives the first microphone.

    Raises
    ------
    UserError
        When a sample is not finite, or the array has not 2 to 16 microphones.
    """
    check_finite(sound, 'sound')
    config = replace(PersonStreamsConfig(), track_delay_s=0.0)
    streams = PersonStreams(array, RATE, config, steering)
    voices = np.zeros((len(sound), directions.shape[1]))
    step = round(DIRECTION_STEP_S * RATE)
    for index, start in enumerate(range(0, len(sound), step)):
        people = directions[min(index, len(directions) - 1)]
        samples = np.asarray(sound[start : start + step], np.float32)
        add_pieces(voices, _step(streams, start, people, samples))
        progress(min(1.0, (start + step) / len(sound)))
    add_pieces(voices, streams.flush())
    return voices


def _step(
    streams: PersonStreams, start: int, directions: np.ndarray, samples: np.ndarray
) -> list[VoiceChunk]:
    """Give the streams where people are, and then the sound that begins there."""
    stamp_ns = _START_NS + nanoseconds(start / RATE)
    pieces = streams.follow(track_frame(stamp_ns, directions), RigidTransform(), stamp_ns)
    return pieces + streams.push(AudioChunk(stamp_ns, RATE, start, samples), stamp_ns)


def wiener_streams(sound: np.ndarray, streams: np.ndarray) -> np.ndarray:
    """Filter the sound of all microphones by what streams say of the sources.

    Parameters
    ----------
    sound
        (N, I) of the microphones at 16 kHz.
    streams
        (N, J) what each source gives the first microphone, by masks.

    Returns
    -------
    np.ndarray
        (N, J), smoother than the streams.
    """
    spectra = _WIENER.forward(sound)  # (L, F, I)
    power = np.abs(_WIENER.forward(streams)) ** 2  # (L, F, J)
    everything = np.mean(np.abs(spectra) ** 2, axis=2)
    span = round(_WIENER_SPAN_S * RATE / _WIENER.hop)
    outer = spectra[..., :, None] * spectra[..., None, :].conj()
    noise = _LEAST_NOISE * everything.mean(axis=0) + np.finfo(float).tiny
    own = noise[:, None, None] * np.eye(sound.shape[1])
    parts = [np.broadcast_to(own, outer.shape)]
    for j in range(streams.shape[1]):
        share = power[..., j] / np.maximum(power.sum(axis=2), everything + noise)
        covariance = _average(share[..., None, None] * outer, span)
        trace = np.trace(covariance, axis1=2, axis2=3).real / sound.shape[1]
        shape = covariance / np.maximum(trace, np.finfo(float).tiny)[..., None, None]
        parts.append(power[..., j, None, None] * shape)
    filters = multichannel_filters(np.array(parts))[1:, :, :, 0]  # (J, L, F, I)
    images = np.einsum('jlfi,lfi->lfj', filters, spectra)
    return _WIENER.inverse(images, len(sound))


def vemove_streams(
    sound: np.ndarray,
    streams: np.ndarray,
    config: VemoveConfig,
    progress: Callable[[float], None] = lambda fraction: None,
) -> np.ndarray:
    """Refine streams by VEMOVE, in pieces that fade into each other.

    Parameters
    ----------
    sound
        (N, I) of the microphones at 16 kHz.
    streams
        (N, J) what each source gives the first microphone, by masks.
    config
        Of VEMOVE.
    progress
        Called with the fraction that is done.

    Returns
    -------
    np.ndarray
        (N, J).
    """

    def refine(piece: np.ndarray, start: np.ndarray) -> np.ndarray:
        return separate(piece, start, config)[:, 0]

    return in_pieces(refine, sound, streams, progress=progress)


def in_pieces(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    sound: np.ndarray,
    streams: np.ndarray,
    length: int = 10 * RATE,
    fade: int = RATE,
    progress: Callable[[float], None] = lambda fraction: None,
) -> np.ndarray:
    """Apply a function to pieces of a long sound, so that memory is bounded.

    Parameters
    ----------
    function
        From (n, I) sound and (n, J) streams to (n, J).
    sound, streams
        (N, I) and (N, J).
    length, fade
        Of a piece, and how much of it fades into the next [samples]; fade < length.
    progress
        Called with the fraction that is done.

    Returns
    -------
    np.ndarray
        (N, J).
    """
    count = len(sound)

    def piece(start: int, end: int) -> np.ndarray:
        made = function(sound[start:end], streams[start:end])
        progress(end / max(count, 1))
        return made

    return join_pieces(piece, count, length, fade)


def _average(values: np.ndarray, span: int) -> np.ndarray:
    """Mean over `span` frames around each, frames first; less at the ends."""
    real = uniform_filter1d(values.real, span, axis=0, mode='nearest')
    return real + 1j * uniform_filter1d(values.imag, span, axis=0, mode='nearest')


def track_frame(
    stamp_ns: int, directions: np.ndarray, rates: np.ndarray | None = None
) -> TrackFrame:
    """Make tracks of directions.

    Parameters
    ----------
    stamp_ns
        Of the moment.
    directions
        (J, 3) unit vectors in the array frame; who has NaN is not tracked. Ids are their indices.
    rates
        (J, 3) how they change [1/s]; None: people stand.
    """
    rates = np.zeros_like(directions) if rates is None else rates
    tracks = tuple(
        TrackEstimate(
            id=index,
            state=LifeState.ACTIVE,
            mean=_DISTANCE_M * np.concatenate([direction, rates[index]]),
            covariance=1e-4 * np.eye(6),
            seen=True,
            heard=False,
            predicted=False,
            last_seen_ns=stamp_ns,
            last_heard_ns=0,
            audio_responsibility=0.0,
        )
        for index, direction in enumerate(directions)
        if np.isfinite(direction).all() and np.isfinite(rates[index]).all()
    )
    return TrackFrame(stamp_ns, tracks, False)


def add_pieces(voices: np.ndarray, pieces: list[VoiceChunk]) -> None:
    """Write pieces of streams, of which each has its place and column, into (N, J)."""
    for piece in pieces:
        start = piece.chunk.first_sample
        end = min(start + len(piece.chunk.samples), len(voices))
        voices[max(start, 0) : end, piece.id] = piece.chunk.samples[
            max(-start, 0) : end - start, 0
        ]
