# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Faces of an image."""

from __future__ import annotations

import numpy as np
from av_perception_msgs import msg as av

from av_perception.interfaces import Face, VisualFeatures
from av_perception.ros.conversions.arrays import typed_array
from av_perception.ros.conversions.headers import header, ns_from_time


def visual_features_to_msg(features: VisualFeatures, frame_id: str) -> av.VisualFeatures:
    """Convert VisualFeatures to their message."""
    faces = [
        av.Face(
            box=np.asarray(face.box, np.float32),
            score=float(face.score),
            landmarks=np.asarray(face.landmarks, np.float32).ravel(),
            position=np.asarray(face.position, float),
            covariance=np.asarray(face.covariance, float).ravel(),
            embedding=typed_array('f', face.embedding),
            appearance=typed_array('f', face.appearance),
        )
        for face in features.faces
    ]
    return av.VisualFeatures(header=header(features.stamp_ns, frame_id), faces=faces)


def visual_features_from_msg(message: av.VisualFeatures) -> VisualFeatures:
    """Convert a message to VisualFeatures."""
    faces = tuple(
        Face(
            np.array(face.box, float),
            face.score,
            np.array(face.landmarks, float).reshape(5, 2),
            np.array(face.position, float),
            np.array(face.covariance, float).reshape(3, 3),
            np.array(face.embedding, float),
            np.array(face.appearance, float),
        )
        for face in message.faces
    )
    return VisualFeatures(ns_from_time(message.header.stamp), faces)
