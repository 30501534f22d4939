# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Mouths of the faces of an image."""

from __future__ import annotations

import numpy as np
from av_perception_msgs import msg as av

from av_perception.interfaces import MouthCrop, MouthFrame
from av_perception.ros.conversions.headers import header, ns_from_time

_COLUMNS = 67


def mouth_frame_to_msg(frame: MouthFrame, frame_id: str) -> av.MouthCrops:
    """Convert a MouthFrame to its message."""
    mouths = [
        av.Mouth(
            box=np.asarray(crop.box, np.float32),
            mouth=np.ascontiguousarray(crop.mouth, np.uint8).ravel(),
            eyes=np.ascontiguousarray(crop.eyes, np.uint8).ravel(),
            reliability=float(crop.reliability),
            opening=float(crop.opening),
        )
        for crop in frame.mouths
    ]
    return av.MouthCrops(header=header(frame.stamp_ns, frame_id), mouths=mouths)


def mouth_frame_from_msg(message: av.MouthCrops) -> MouthFrame:
    """Convert a message to a MouthFrame; a reliability that is no number is none."""
    mouths = tuple(
        MouthCrop(
            np.array(mouth.box, float),
            np.array(mouth.mouth, np.uint8).reshape(-1, _COLUMNS),
            np.array(mouth.eyes, np.uint8).reshape(-1, _COLUMNS),
            float(np.clip(np.nan_to_num(mouth.reliability), 0.0, 1.0)),
            mouth.opening,
        )
        for mouth in message.mouths
        if np.isfinite(mouth.box).all()
    )
    return MouthFrame(ns_from_time(message.header.stamp), mouths)
