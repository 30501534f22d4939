# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the tracker does with sound: who is heard, what is known noise, and whose voices belong to nobody yet."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass

import numpy as np

from av_perception.geometry.rigid_transform import angles_from_direction, wrap_angle
from av_perception.interfaces import AudioFeatures
from av_perception.numerics.gaussian import propagate_covariance
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.tracking.association.audio_association import AudioAssociation, AudioConfig
from av_perception.tracking.association.audio_statistics import AudioEvidence, AudioStatistics
from av_perception.tracking.association.heard_direction import (
    HeardDirection,
    azimuth_deviation,
    locate,
)
from av_perception.tracking.association.noise_model import NoiseConfig, NoiseModel
from av_perception.tracking.input_validation import usable_audio
from av_perception.tracking.state_space.interface import LinearMap
from av_perception.tracking.track_management.audio_birth import AudioBirth, AudioBirthConfig


@dataclass(frozen=True)
class AudioObservation:
    """The usable sound of one frame. new_clutter: (K,) share of the density of clutter that no known noise explains, of the sub-bands in
    the evidence.
    """

    features: AudioFeatures
    evidence: AudioEvidence
    new_clutter: np.ndarray


class AudioBranch:
    """One per tracker. Directions are unit vectors in the array frame.

    Raises ValueError when the sub-bands of the acoustic map do not share their pieces.
    """

    def __init__(
        self,
        acoustic_map,
        array: MicrophoneArray,
        audio: AudioConfig,
        noise: NoiseConfig,
        birth: AudioBirthConfig,
    ):
        if not (np.ptp(np.asarray(acoustic_map.center), axis=0) == 0).all():
            raise ValueError('the sub-bands of this acoustic map do not share their pieces')
        self._array, self._config, self._noise_config, self._birth_config = (
            array,
            audio,
            noise,
            birth,
        )
        self._tables = AudioStatistics(acoustic_map, audio.tempering)
        self._noise, self._birth = (
            NoiseModel(noise, acoustic_map, audio.tempering),
            AudioBirth(birth),
        )
        self.num_subbands = self._tables.num_subbands
        self.reset()

    def reset(self):
        """Forgets voices that are no person yet; what is known of the noise stays."""
        self._birth.reset()
        self._last_voice_ns: int | None = None

    def take(
        self,
        stamp_ns: int,
        audio: AudioFeatures,
        people: LinearMap,
        poses: SensorPoses,
        counters: Counter,
    ) -> AudioObservation | None:
        """Checks the features of one frame; None without voice. What sounds then is learnt as noise, unless it comes from where one of the
        people is.
        """
        features = usable_audio(audio, self._tables, counters)
        if audio.voice_activity >= self._config.vad_threshold:
            self._last_voice_ns = stamp_ns
        if features is None:
            return None
        if features.voice_activity >= self._config.vad_threshold:
            return self._explain(features)
        if np.count_nonzero(features.valid) >= self._birth_config.min_subbands:
            self._take_background(stamp_ns, features, people, poses)
        return None

    def _take_background(
        self, stamp_ns: int, features: AudioFeatures, people: LinearMap, poses: SensorPoses
    ):
        """Sound that is no voice: doubt about voices from there, and noise to learn."""
        evidence = self._tables.evidence(features)
        heard = locate(evidence, np.ones(len(evidence.log_clutter)))
        if self._is_clear(heard):
            self._birth.doubt(stamp_ns, self._turned(heard, poses), features.voice_activity)
        quiet = (
            self._last_voice_ns is None
            or stamp_ns - self._last_voice_ns >= self._noise_config.quiet_s * 1e9
        )
        if quiet and not _near(heard.mean, people, self._noise_config.away_from_people_deg):
            self._noise.learn(features)

    def _explain(self, features: AudioFeatures) -> AudioObservation:
        evidence = self._tables.evidence(features)
        clutter = np.logaddexp(
            evidence.log_clutter, self._noise.log_density(features)[features.valid]
        )
        return AudioObservation(
            features,
            dataclasses.replace(evidence, log_clutter=clutter),
            np.exp(evidence.log_clutter - clutter),
        )

    def associate(
        self, sound: AudioObservation, people: LinearMap, shares: np.ndarray
    ) -> AudioAssociation:
        """The sub-bands against everybody: (N,) shares of the last frame. Sleepers too: who is silent and out of view may speak again."""
        return AudioAssociation(
            self._config, sound.evidence, people, np.ones(len(shares), bool), shares
        )

    def find_stranger(
        self,
        stamp_ns: int,
        sound: AudioObservation,
        clutter: np.ndarray,
        people: LinearMap,
        poses: SensorPoses,
    ) -> HeardDirection | None:
        """The direction, in axes of the reference frame, of a person who was never met, once there is evidence enough.

        clutter: (K,) responsibility of clutter for the sub-bands in the evidence.
        """
        config = self._birth_config
        unexplained = clutter * sound.new_clutter
        if unexplained.sum() < config.min_subbands:
            return None
        heard = locate(sound.evidence, unexplained)
        if not self._is_clear(heard) or _near(heard.mean, people, config.away_from_people_deg):
            return None
        return self._birth.step(
            stamp_ns, self._turned(heard, poses), sound.features.voice_activity
        )

    def _is_clear(self, heard: HeardDirection) -> bool:
        config = self._birth_config
        precise = azimuth_deviation(heard.mean, heard.covariance) < np.radians(
            config.max_azimuth_sd_deg
        )
        return (
            precise
            and heard.weight >= config.min_weight
            and heard.log_ratio >= config.min_frame_log_ratio
        )

    def _turned(self, heard: HeardDirection, poses: SensorPoses) -> HeardDirection:
        """With the axes of the reference frame."""
        rotation = poses.reference_from_array.rotation
        return dataclasses.replace(
            heard,
            mean=rotation @ heard.mean,
            covariance=propagate_covariance(rotation, heard.covariance),
        )


def _near(direction: np.ndarray, people: LinearMap, limit_deg: float) -> bool:
    """Whether somebody's azimuth is less than limit_deg from that of a direction (an array hears elevation far less well)."""
    difference = wrap_angle(
        angles_from_direction(people.value)[0] - angles_from_direction(direction)[0]
    )
    return bool((np.abs(difference) < np.radians(limit_deg))[people.usable].any())
