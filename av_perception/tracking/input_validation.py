# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Which sound and which poses the tracker can use; the rest is dropped, with a count per reason.

Faces are checked in `synchronization/detected_faces.py`.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import AudioFeatures
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.tracking.association.audio_statistics import AudioStatistics

_LARGEST_FEATURE = 1e6  # a feature beyond this is a mistake
_ROTATION_ERROR = 1e-3  # largest entry of |R R' - I| of a rotation


def usable_audio(
    audio: AudioFeatures, statistics: AudioStatistics, counters: Counter
) -> AudioFeatures | None:
    """Mark broken sub-bands invalid.

    Parameters
    ----------
    audio
        The features of one analysis window, K sub-bands of G components.
    statistics
        Of the acoustic map: it tells K and G.
    counters
        `bad_audio` and `bad_subbands` are counted here.

    Returns
    -------
    AudioFeatures or None
        None when no sub-band can be used.
    """
    if not _has_shapes(audio, statistics) or not np.isfinite(audio.voice_activity):
        counters['bad_audio'] += 1
        return None
    present = np.asarray(audio.present, bool)
    valid = np.asarray(audio.valid, bool)
    vectors = np.asarray(audio.vectors, float)
    energy = np.asarray(audio.energy, float)
    plausible = (np.abs(vectors) < _LARGEST_FEATURE).all(1) & np.isfinite(energy) & (energy >= 0)
    counters['bad_subbands'] += int((valid & ~plausible).sum())
    valid = valid & plausible & present.any(1)
    if not valid.any():
        return None
    voice_activity = float(audio.voice_activity)
    return AudioFeatures(audio.stamp_ns, voice_activity, vectors, present, energy, valid)


def _has_shapes(audio: AudioFeatures, statistics: AudioStatistics) -> bool:
    shape = (statistics.num_subbands, statistics.feature_size)
    return (
        np.shape(audio.vectors) == shape
        and np.shape(audio.present) == shape
        and np.shape(audio.energy) == shape[:1]
        and np.shape(audio.valid) == shape[:1]
    )


def usable_poses(poses: SensorPoses) -> bool:
    """Whether all transforms are finite and their rotations orthonormal."""
    return all(_is_usable(pose) for pose in poses.all)


def _is_usable(pose: RigidTransform) -> bool:
    rotation = np.asarray(pose.rotation, float)
    translation = np.asarray(pose.translation, float)
    if rotation.shape != (3, 3) or translation.shape != (3,) or not np.isfinite(translation).all():
        return False
    return bool(np.abs(rotation @ rotation.T - np.eye(3)).max() < _ROTATION_ERROR)
