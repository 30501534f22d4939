# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Tracks, and who of them speaks."""

from __future__ import annotations

import numpy as np
from av_perception_msgs import msg as av
from geometry_msgs.msg import Point, Vector3

from av_perception.interfaces import (
    LifeState,
    SpeakingFrame,
    SpeakingStatus,
    TrackEstimate,
    TrackFrame,
)
from av_perception.ros.conversions.arrays import typed_array
from av_perception.ros.conversions.headers import header, ns_from_time, time_from_ns

MOST_PEOPLE = 200  # around one robot; each may get topics and threads of their own


def track_frame_to_msg(frame: TrackFrame, frame_id: str) -> av.TrackArray:
    """Convert a TrackFrame to its message."""
    return av.TrackArray(
        header=header(frame.stamp_ns, frame_id),
        tracks=[_track_to_msg(track) for track in frame.tracks],
        voice_active=frame.voice_active,
    )


def _track_to_msg(track: TrackEstimate) -> av.Track:
    x, y, z, *velocity = track.mean.tolist()
    message = av.Track(
        id=track.id,
        state=int(track.state),
        position=Point(x=x, y=y, z=z),
        velocity=Vector3(**dict(zip('xyz', velocity, strict=True))),
        covariance=np.asarray(track.covariance, float).ravel(),
        seen=bool(track.seen),
        heard=bool(track.heard),
        predicted=bool(track.predicted),
        last_seen=time_from_ns(track.last_seen_ns),
        last_heard=time_from_ns(track.last_heard_ns),
        visibility=float(track.visibility),
        audio_responsibility=float(track.audio_responsibility),
        subband_responsibility=typed_array('f', track.subband_responsibility),
        has_box=track.box is not None,
    )
    if track.box is not None:
        message.box = np.asarray(track.box, np.float32)
    return message


def track_frame_from_msg(message: av.TrackArray) -> TrackFrame:
    """Convert a message to a TrackFrame.

    Raises
    ------
    ValueError
        For more people than there can be, ids below 0, states that are none and places that are
        no numbers: a stranger has published it.
    """
    _check_number(len(message.tracks), 'tracks')
    return TrackFrame(
        ns_from_time(message.header.stamp),
        tuple(_track_from_msg(track) for track in message.tracks),
        message.voice_active,
    )


def _check_number(count: int, what: str) -> None:
    if count > MOST_PEOPLE:
        raise ValueError(f'{count} {what} at once, more than the {MOST_PEOPLE} that can be')


def _track_from_msg(message: av.Track) -> TrackEstimate:
    position, velocity = message.position, message.velocity
    mean = np.array([position.x, position.y, position.z, velocity.x, velocity.y, velocity.z])
    if message.id < 0:
        raise ValueError(f'a track has the id {message.id}: ids count from 0')
    if not np.isfinite(mean).all():
        raise ValueError(f'the place or the velocity of the track {message.id} is not finite')
    return TrackEstimate(
        message.id,
        LifeState(message.state),
        mean,
        np.array(message.covariance, float).reshape(6, 6),
        message.seen,
        message.heard,
        message.predicted,
        ns_from_time(message.last_seen),
        ns_from_time(message.last_heard),
        message.audio_responsibility,
        np.array(message.box, float) if message.has_box else None,
        np.array(message.subband_responsibility, float),
        message.visibility,
    )


def speaking_frame_to_msg(frame: SpeakingFrame, frame_id: str) -> av.SpeakingStatusArray:
    """Convert a SpeakingFrame to its message."""
    statuses = [
        av.SpeakingStatus(
            id=status.id,
            speaking=bool(status.speaking),
            probability=float(status.probability),
            since=time_from_ns(status.since_ns),
        )
        for status in frame.statuses
    ]
    return av.SpeakingStatusArray(header=header(frame.stamp_ns, frame_id), statuses=statuses)


def speaking_frame_from_msg(message: av.SpeakingStatusArray) -> SpeakingFrame:
    """Convert a message to a SpeakingFrame. ValueError for more people than there can be."""
    _check_number(len(message.statuses), 'statuses')
    statuses = tuple(
        SpeakingStatus(status.id, status.speaking, status.probability, ns_from_time(status.since))
        for status in message.statuses
    )
    return SpeakingFrame(ns_from_time(message.header.stamp), statuses)
