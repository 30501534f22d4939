# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the tracker does with sound: who is heard, what is known noise, and who is new."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass

import numpy as np

from av_perception.geometry.rigid_transform import angles_from_direction, wrap_angle
from av_perception.geometry.time import seconds
from av_perception.interfaces import AudioFeatures
from av_perception.numerics.gaussian import propagate_covariance
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.tracking.association.audio_association import AudioAssociation, AudioConfig
from av_perception.tracking.association.audio_statistics import AudioEvidence, AudioStatistics
from av_perception.tracking.association.heard_direction import HeardDirection, azimuth_std, locate
from av_perception.tracking.association.noise_model import NoiseConfig, NoiseModel
from av_perception.tracking.input_validation import usable_audio
from av_perception.tracking.state_space.interface import LinearMap
from av_perception.tracking.track_management.audio_birth import AudioBirth, AudioBirthConfig
from av_perception.tracking.track_management.life_cycle import IN_VIEW
from av_perception.tracking.track_management.track_set import TrackSet
from av_perception.tracking.voice_directions import VoicesOfFrame

_SLEEPER_GATE = 2.5  # standard deviations
_ONE_DIRECTION_DEG = 8.0  # in azimuth: nearer to each other, two voices are not told apart


@dataclass(frozen=True)
class AudioObservation:
    """The usable voice of one frame, K sub-bands in the evidence.

    new_clutter: (K,) share of the density of clutter that no known noise explains; directions:
    where the array hears the tracks, about their predicted means.
    """

    features: AudioFeatures
    evidence: AudioEvidence
    new_clutter: np.ndarray
    directions: LinearMap


@dataclass(frozen=True)
class SoundShares:
    """Whose the sound of one frame is.

    energy: (N,) share of the loudness; subbands: (N, K) responsibilities of the tracks for all
    sub-bands of the map, 0 for the unused; K = 0 without voice.
    """

    energy: np.ndarray
    subbands: np.ndarray

    @classmethod
    def of_nobody(cls, num_tracks: int, num_subbands: int = 0) -> SoundShares:
        """Sound that belongs to no track."""
        return cls(np.zeros(num_tracks), np.zeros((num_tracks, num_subbands)))


class AudioBranch:
    """One per tracker of a head that hears. Directions are unit vectors in the array frame.

    Parameters
    ----------
    acoustic_map
        An AcousticMap of the head.
    audio, noise, birth
        See the configurations.

    Raises
    ------
    ValueError
        When the sub-bands of the acoustic map do not share their pieces.
    """

    def __init__(
        self, acoustic_map, audio: AudioConfig, noise: NoiseConfig, birth: AudioBirthConfig
    ):
        if not (np.ptp(np.asarray(acoustic_map.center), axis=0) == 0).all():
            raise ValueError('the sub-bands of this acoustic map do not share their pieces')
        self._config, self._noise_config, self._birth_config = audio, noise, birth
        self._statistics = AudioStatistics(acoustic_map, audio.tempering)
        self._noise = NoiseModel(noise, acoustic_map, audio.tempering)
        self._birth = AudioBirth(birth)
        self.num_subbands = self._statistics.num_subbands
        self.reset()

    def reset(self) -> None:
        """Forget voices that are no person yet; what is known of the noise stays."""
        self._birth.reset()
        self._last_voice_ns: int | None = None

    def observe(
        self,
        stamp_ns: int,
        audio: AudioFeatures,
        directions: LinearMap,
        poses: SensorPoses,
        counters: Counter,
    ) -> AudioObservation | None:
        """Check the sound of one frame.

        Sound without voice is learned as noise, unless it comes from where one of the tracks is.

        Parameters
        ----------
        stamp_ns
            Of the frame.
        audio
            Its features.
        directions
            Where the array hears the tracks.
        poses
            Of the sensors.
        counters
            What is dropped is counted here.

        Returns
        -------
        AudioObservation or None
            None without voice.
        """
        features = usable_audio(audio, self._statistics, counters)
        if audio.voice_activity >= self._config.vad_threshold:
            self._last_voice_ns = stamp_ns
        if features is None:
            return None
        if features.voice_activity >= self._config.vad_threshold:
            return self._explain_noise(features, directions)
        if np.count_nonzero(features.valid) >= self._birth_config.min_subbands:
            self._observe_background(stamp_ns, features, directions, poses)
        return None

    def _observe_background(
        self,
        stamp_ns: int,
        features: AudioFeatures,
        directions: LinearMap,
        poses: SensorPoses,
    ) -> None:
        """Sound that is no voice: doubt about voices from there, and noise to learn."""
        evidence = self._statistics.evidence(features)
        heard = locate(evidence, np.ones(len(evidence.log_clutter)))
        if self._is_clear(heard):
            in_reference = _rotated(heard, poses)
            self._birth.doubt(stamp_ns, in_reference, features.voice_activity)
        margin_deg = self._noise_config.away_from_people_deg
        if self._is_quiet(stamp_ns) and not _is_near(heard.mean, directions, margin_deg):
            self._noise.learn(features)

    def _is_quiet(self, stamp_ns: int) -> bool:
        """Whether the last word has faded out."""
        if self._last_voice_ns is None:
            return True
        return seconds(stamp_ns - self._last_voice_ns) >= self._noise_config.quiet_s

    def _explain_noise(self, features: AudioFeatures, directions: LinearMap) -> AudioObservation:
        """Add the known noises to the density of clutter."""
        evidence = self._statistics.evidence(features)
        noise = self._noise.log_density(features)[features.valid]
        clutter = np.logaddexp(evidence.log_clutter, noise)
        new_clutter = np.exp(evidence.log_clutter - clutter)
        evidence = dataclasses.replace(evidence, log_clutter=clutter)
        return AudioObservation(features, evidence, new_clutter, directions)

    def associate(
        self,
        observation: AudioObservation,
        tracks: TrackSet,
        informs: np.ndarray,
        sleepers_std: np.ndarray,
    ) -> AudioAssociation:
        """Set up the E-Z step of sound (T3, T4, T6).

        Sleepers are candidates too, near where they were: who is silent and out of view may speak
        again. But from where somebody is seen, nobody else is heard who was lost from sight.

        Parameters
        ----------
        observation
            Of this frame.
        tracks
            N people, with their share of the last frame's sound.
        informs
            (N,) bool, whose states the sub-bands tell.
        sleepers_std
            (N,) standard deviation of the azimuth of who sleeps [rad], 0 of who does not.

        Returns
        -------
        AudioAssociation
            About the predicted means.
        """
        eligible = self._may_speak(observation, sleepers_std)
        eligible &= ~_is_behind_another(tracks, observation.directions)
        return AudioAssociation(
            self._config,
            observation.evidence,
            observation.directions,
            eligible,
            tracks.audio_share,
            informs,
        )

    def _may_speak(self, observation: AudioObservation, sleepers_std: np.ndarray) -> np.ndarray:
        """(N,) bool: who is awake, and the sleepers near where one voice is clearly heard."""
        eligible = np.ones(len(sleepers_std), bool)
        if not sleepers_std.any():
            return eligible
        heard = locate(observation.evidence, np.ones(len(observation.evidence.log_clutter)))
        if not self._is_clear(heard):
            return sleepers_std == 0
        azimuths = angles_from_direction(observation.directions.value)[0]
        away = np.abs(wrap_angle(azimuths - angles_from_direction(heard.mean)[0]))
        least = np.radians(self._birth_config.away_from_people_deg)
        most = np.radians(self._config.sleeper_reach_deg)
        reach = np.clip(_SLEEPER_GATE * sleepers_std, least, most)
        return (sleepers_std == 0) | (away <= reach)

    def shares(
        self, observation: AudioObservation, association: AudioAssociation | None, beta: np.ndarray
    ) -> SoundShares:
        """Sum up the responsibilities (K, 1 + N P) of one frame over the pieces (T16).

        association None: there are no tracks.
        """
        if association is None:
            return SoundShares.of_nobody(0, self.num_subbands)
        energy = association.energy_share(beta)
        subbands = np.zeros((len(energy), self.num_subbands))
        by_track = association.track_responsibilities(beta)
        subbands[:, observation.features.valid] = by_track[:, 1:].T
        return SoundShares(energy, subbands)

    def find_birth(
        self,
        stamp_ns: int,
        observation: AudioObservation,
        clutter: np.ndarray,
        poses: SensorPoses,
    ) -> HeardDirection | None:
        """Test the sequences of voices that belong to no track (T14).

        Parameters
        ----------
        stamp_ns
            Of the frame.
        observation
            Of this frame.
        clutter
            (K,) responsibility of clutter for the sub-bands in the evidence.
        poses
            Of the sensors.

        Returns
        -------
        HeardDirection or None
            Where somebody new is, in axes of the reference frame, once there is evidence enough.
        """
        unexplained = clutter * observation.new_clutter
        if unexplained.sum() < self._birth_config.min_subbands:
            return None
        heard = locate(observation.evidence, unexplained)
        margin_deg = self._birth_config.away_from_people_deg
        if not self._is_clear(heard) or _is_near(heard.mean, observation.directions, margin_deg):
            return None
        in_reference = _rotated(heard, poses)
        return self._birth.step(stamp_ns, in_reference, observation.features.voice_activity)

    def strangers(self, voices: VoicesOfFrame, poses: SensorPoses) -> list[HeardDirection]:
        """Voices of bins that no track explains, in axes of the reference frame."""
        found = []
        for voice in voices.strangers:
            heard = HeardDirection(voice.direction, voice.covariance, voice.share, np.inf)
            found.append(_rotated(heard, poses))
        return found

    def _is_clear(self, heard: HeardDirection) -> bool:
        """Whether a frame is an observation of one direction."""
        config = self._birth_config
        std = azimuth_std(heard.mean, heard.covariance)
        return (
            std < np.radians(config.max_azimuth_sd_deg)
            and heard.weight >= config.min_weight
            and heard.log_ratio >= config.min_frame_log_ratio
        )


def _rotated(heard: HeardDirection, poses: SensorPoses) -> HeardDirection:
    """With the axes of the reference frame."""
    if poses.reference_from_array is None:
        raise ValueError('the poses of a head that hears must hold that of its array')
    rotation = poses.reference_from_array.rotation
    covariance = propagate_covariance(rotation, heard.covariance)
    return dataclasses.replace(heard, mean=rotation @ heard.mean, covariance=covariance)


def _is_near(direction: np.ndarray, directions: LinearMap, limit_deg: float) -> bool:
    """Whether a track's azimuth is less than limit_deg from that of a direction.

    Elevation does not count: an array hears it far less well.
    """
    azimuths = angles_from_direction(directions.value)[0]
    difference = np.abs(wrap_angle(azimuths - angles_from_direction(direction)[0]))
    return bool((difference < np.radians(limit_deg))[directions.usable].any())


def _is_behind_another(tracks: TrackSet, directions: LinearMap) -> np.ndarray:
    """(N,) bool: lost from sight, and in the direction of somebody who is in view."""
    in_view = tracks.visibility > IN_VIEW
    lost = ~in_view & ~tracks.never_seen
    if not (lost.any() and in_view.any()):
        return np.zeros(len(tracks), bool)
    azimuth = angles_from_direction(directions.value)[0]
    difference = np.abs(wrap_angle(azimuth[:, None] - azimuth[in_view]))
    return lost & (difference < np.radians(_ONE_DIRECTION_DEG)).any(1)
