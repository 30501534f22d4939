# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The configuration of the tracker: that of every stage, and what stamps that jump mean."""

from __future__ import annotations

from dataclasses import dataclass, field

from av_perception.tracking.association.audio_association import AudioConfig
from av_perception.tracking.association.noise_model import NoiseConfig
from av_perception.tracking.association.other_depth import OtherDepthConfig
from av_perception.tracking.association.visual_association import AppearanceConfig
from av_perception.tracking.inference.dynamics_update import DynamicsConfig
from av_perception.tracking.inference.variational_frame import InferenceConfig
from av_perception.tracking.state_space.cartesian_head import CartesianHeadConfig
from av_perception.tracking.track_management.audio_birth import AudioBirthConfig
from av_perception.tracking.track_management.life_cycle import LifeConfig
from av_perception.tracking.track_management.re_identification import ReIdentificationConfig
from av_perception.tracking.track_management.visual_birth import BirthConfig
from av_perception.tracking.voice_directions import VoiceDirectionsConfig

BINS = 'bins'
SUBBANDS = 'subbands'
SOUND_BIRTHS = (BINS, SUBBANDS)


@dataclass(frozen=True)
class TrackerConfig:
    """One entry per stage of the tracker."""

    #: the state space of a robot's head
    motion: CartesianHeadConfig = field(default_factory=CartesianHeadConfig)
    #: rounds of the variational inference
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    #: what embeddings of faces say
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    #: faces at the depth of something else
    other_depth: OtherDepthConfig = field(default_factory=OtherDepthConfig)
    #: which sound counts, and how much it says
    audio: AudioConfig = field(default_factory=AudioConfig)
    #: learned noise
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    #: the M step of the process noise
    dynamics: DynamicsConfig = field(default_factory=DynamicsConfig)
    #: births from faces
    birth: BirthConfig = field(default_factory=BirthConfig)
    #: Where people come from who are only heard: the mixture of directions of single bins (bins),
    #: which finds several voices at once, or the published sub-bands (subbands), which need no
    #: topic `audio`; without bins the sub-bands serve.
    sound_births: str = BINS
    #: voices by the directions of single bins
    voices: VoiceDirectionsConfig = field(default_factory=VoiceDirectionsConfig)
    #: births from voices in sub-bands
    sound_birth: AudioBirthConfig = field(default_factory=AudioBirthConfig)
    #: confirmation, sleep and death
    life: LifeConfig = field(default_factory=LifeConfig)
    #: who comes back, and duplicates
    identity: ReIdentificationConfig = field(default_factory=ReIdentificationConfig)
    #: [s] a stamp that jumps back by more starts a new session (a looped bag), by less is dropped
    reset_after_s: float = 1.0
    #: [s] after a longer step everybody counts as unseen
    long_step_s: float = 0.5

    def __post_init__(self):
        if self.sound_births not in SOUND_BIRTHS:
            choices = ', '.join(SOUND_BIRTHS)
            raise ValueError(f"sound_births must be one of {choices}, not '{self.sound_births}'")
        if self.reset_after_s < 0 or self.long_step_s <= 0:
            raise ValueError('reset_after_s must not be negative and long_step_s must be positive')
