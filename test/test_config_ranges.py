# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Every configuration's ranges: what lies outside is named, what lies on the border is taken."""

from __future__ import annotations

import dataclasses
import math
import typing

import pytest

from av_perception.audio.channel_faults import ChannelCheckConfig
from av_perception.audio.direction_bins import DirectionBinsConfig
from av_perception.audio.direction_mixture import DirectionMixtureConfig
from av_perception.audio.dp_rtf import DpRtfConfig
from av_perception.audio.driver_stream import DriverStreamConfig
from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.source_search import LocalizationConfig
from av_perception.audio.sub_bands import SubbandConfig
from av_perception.audio.training_examples import AcousticMapConfig
from av_perception.audio.vessl import VesslConfig
from av_perception.calibration.microphone_calibration import CalibrationConfig
from av_perception.config import config_from_mapping
from av_perception.diarization.joint_activity_config import JointActivityConfig
from av_perception.diarization.speaking_filter import SpeakingConfig
from av_perception.errors import UserError
from av_perception.hri.people import HumansConfig
from av_perception.numerics.gllim import GllimConfig
from av_perception.simulation.box_scenes import BoxSceneConfig
from av_perception.simulation.scene import ConversationConfig, RoomConfig
from av_perception.spectral.stft import StftConfig
from av_perception.synchronization.frame_assembler import FrameAssemblerConfig
from av_perception.tracking.association.audio_association import AudioConfig
from av_perception.tracking.association.noise_model import NoiseConfig
from av_perception.tracking.association.other_depth import OtherDepthConfig
from av_perception.tracking.association.visual_association import AppearanceConfig
from av_perception.tracking.inference.dynamics_update import DynamicsConfig
from av_perception.tracking.inference.variational_frame import InferenceConfig
from av_perception.tracking.state_space.cartesian_head import CartesianHeadConfig
from av_perception.tracking.state_space.image_plane import ImagePlaneConfig
from av_perception.tracking.track_management.audio_birth import AudioBirthConfig
from av_perception.tracking.track_management.life_cycle import LifeConfig
from av_perception.tracking.track_management.re_identification import ReIdentificationConfig
from av_perception.tracking.track_management.visual_birth import BirthConfig
from av_perception.tracking.tracker_config import TrackerConfig
from av_perception.two_microphones.av_events import EventConfig
from av_perception.two_microphones.event_detector import EventDetectorConfig
from av_perception.two_microphones.face_itd_fusion import FusionConfig
from av_perception.two_microphones.face_list import FaceListConfig
from av_perception.two_microphones.time_differences import TimeDifferenceConfig
from av_perception.vision.face_detector import FaceDetectorConfig
from av_perception.vision.face_embedding import FaceEmbedderConfig
from av_perception.vision.front_end import VisualFrontEndConfig
from av_perception.vision.stereo_matching import StereoMatchConfig
from av_perception.vision.triangulation import TriangulationConfig

TINY = 1e-9
NOT_POSITIVE = (0.0, -1.0)
NEGATIVE = (-TINY,)
INF = math.inf

# Of each configuration: field, values that are refused, values on the border that are taken and,
# where the message does not name the field itself, what it says instead.
RANGES = {
    ChannelCheckConfig: [
        ('quiet_db', (0.0, 50.0), (TINY, 49.9)),
        ('loud_db', NOT_POSITIVE, (TINY,)),
        ('lowest_hz', (0.0, 4000.0), (TINY, 3999.0)),
        ('clipped_share', NOT_POSITIVE, (TINY,)),
        ('constant_ratio', NOT_POSITIVE, (TINY,)),
        ('least_fit', NOT_POSITIVE, (TINY,)),
        ('order_margin', NOT_POSITIVE, (TINY,)),
        ('angle_deg', NOT_POSITIVE, (TINY,)),
    ],
    DirectionBinsConfig: [
        ('frames_per_block', (0, -1), (1,)),
        ('lowest_hz', (0.0, 4500.0), (TINY, 4499.0)),
        ('highest_hz', (100.0, 8001.0), (100.1, 8000.0)),
        ('onset_fade', (-TINY, 1.1), (0.0, 1.0)),
        ('onset_ratio', NEGATIVE, (0.0,)),
        ('noise_window_s', NOT_POSITIVE, (TINY,)),
        ('dead_channel_db', NOT_POSITIVE, (TINY,)),
        ('stft', (StftConfig(sample_rate=44100),), (StftConfig(),), 'sample_rate'),
    ],
    DirectionMixtureConfig: [
        ('window_s', NOT_POSITIVE, (TINY,)),
        ('max_bins', (255,), (256,)),
        ('iterations', (0,), (1,)),
        ('temper', NOT_POSITIVE, (TINY,)),
        ('refresh', (0.0, 1.0), (TINY, 1 - TINY)),
        ('min_share', (0.0, 1.0), (TINY, 1 - TINY)),
        ('min_voice', (-TINY, 1 + TINY), (0.0, 1.0)),
        ('min_dominance', (-TINY, 1.0), (0.0, 1 - TINY)),
        ('peak_radius_deg', (0.0, 25.1), (TINY, 25.0)),
        ('separation_deg', (11.9, 180.0), (12.0, 179.9)),
        ('known_radius_deg', NEGATIVE, (0.0,)),
        ('min_bins', NEGATIVE, (0.0,)),
        ('min_age_s', NEGATIVE, (0.0,)),
    ],
    DpRtfConfig: [
        ('num_taps', (0, 33), (1, 32)),
        ('memory_s', NOT_POSITIVE, (TINY,)),
        ('loading', NEGATIVE, (0.0,)),
    ],
    DriverStreamConfig: [
        ('stamps', ('', 'last'), ('first', 'receipt')),
        ('latency_s', (-TINY, 10.1), (0.0, 10.0)),
        ('gap_s', NOT_POSITIVE, (TINY,)),
        ('correction', (0.0, 1.1), (TINY, 1.0)),
    ],
    AudioFrontEndConfig: [
        ('frames_per_block', (0,), (1,)),
        ('subbands', (SubbandConfig(count=17),), (SubbandConfig(count=16),), '17 sub-bands of 8'),
        ('stft', (StftConfig(sample_rate=48000),), (StftConfig(),), 'sample_rate'),
        ('dead_channel_db', NOT_POSITIVE, (TINY,)),
    ],
    LocalizationConfig: [
        ('max_sources', (0,), (1,)),
        ('separation_deg', (0.0, 180.0), (TINY, 179.9)),
        ('min_share', (-TINY, 1.0), (0.0, 1 - TINY)),
        ('min_gain', NEGATIVE, (0.0,)),
        ('onset_fade', (-TINY, 1.0), (0.0, 1 - TINY)),
        ('onset_ratio', NEGATIVE, (0.0,)),
        ('max_reflections', (-1,), (0,)),
        ('min_gain_reflection', NEGATIVE, (0.0,)),
        ('lowest_hz', NEGATIVE, (0.0,)),
        ('band_db', NEGATIVE, (0.0,)),
        ('highest_deg', (0.0, 90.1), (TINY, 90.0)),
        ('num_directions', (99, 20001), (100, 20000)),
        ('candidates', (0,), (1,)),
        ('iterations', (0,), (1,)),
        ('most_observations', (0,), (1,)),
    ],
    SubbandConfig: [
        ('count', (0,), (1,)),
        ('width', (0,), (4,)),
        ('min_bins', (0, 9), (1, 8)),
        ('max_residual', (0.0, 1.1), (TINY, 1.0)),
        ('noise_window_s', NOT_POSITIVE, (TINY,)),
    ],
    AcousticMapConfig: [
        ('num_pieces', (0, 181), (1, 180)),
        ('elevation_range_deg', ((10.0, 10.0), (-91.0, 0.0)), (None, (-90.0, 90.0))),
        ('azimuth_range_deg', ((5.0, -5.0), (0.0, 181.0)), (None, (-180.0, 180.0))),
        ('elevation_std_deg', NOT_POSITIVE, (TINY,)),
        ('feature_noise', NOT_POSITIVE, (TINY,)),
        ('thickness', NOT_POSITIVE, (TINY,)),
        ('ridge', NOT_POSITIVE, (TINY,)),
        ('variance', ('full',), ('isotropic', 'tied')),
        ('latent_size', (-1,), (0, 2)),
    ],
    VesslConfig: [
        ('novelty', (0.0, 1.1), (TINY, 1.0)),
        ('iterations', (0,), (1,)),
        ('tolerance', NEGATIVE, (0.0,)),
        ('least_share', (0.0, 0.1), (TINY, 0.0999)),
    ],
    CalibrationConfig: [
        ('distance_sd', NOT_POSITIVE, (TINY,)),
        ('position_sd', NOT_POSITIVE, (TINY,)),
        ('huber', NOT_POSITIVE, (TINY,)),
        ('sound_speed', NOT_POSITIVE, (TINY,)),
        ('accept_rms', NOT_POSITIVE, (TINY,)),
        ('iterations', (0,), (1,)),
    ],
    JointActivityConfig: [
        ('start', (0.0, 0.5), (TINY, 0.4999)),
        ('stop', (0.0, 0.5), (TINY, 0.4999)),
        ('on', (0.29, 1.0), (0.3, 1 - TINY)),
        ('off', (0.0, 0.61), (TINY, 0.6)),
        ('evidence_weight', NOT_POSITIVE, (TINY,)),
        ('evidence_limit', NOT_POSITIVE, (TINY,)),
        ('speaker_cost', NEGATIVE, (0.0,)),
        ('silence_limit', NEGATIVE, (0.0,)),
        ('look_ahead_s', NEGATIVE, (0.0,)),
        ('quiet_bins', (-1,), (0,)),
        ('quiet_cost', NEGATIVE, (0.0,)),
        ('absence_cost', NEGATIVE, (0.0,)),
        ('absence_bins', NOT_POSITIVE, (TINY,)),
        ('max_people', (0, 11), (1, 10)),
    ],
    SpeakingConfig: [
        ('stay_speaking', (0.5, 1.0), (0.5 + TINY, 1 - TINY)),
        ('stay_silent', (0.5, 1.0), (0.5 + TINY, 1 - TINY)),
        ('speaking_beta', ((0.0, 1.0), (1.0, -1.0)), ((TINY, TINY),), 'Beta parameters'),
        ('silent_beta', ((0.0, 1.0), (1.0, -1.0)), ((TINY, TINY),), 'Beta parameters'),
        ('evidence_limit', NOT_POSITIVE, (TINY,)),
        ('on', (0.39, 1.0), (0.4, 1 - TINY)),
        ('off', (0.0, 0.61), (TINY, 0.6)),
        ('on_delay_s', NEGATIVE, (0.0,), 'delays'),
        ('off_delay_s', NEGATIVE, (0.0,), 'delays'),
    ],
    HumansConfig: [
        ('face_gap_s', NOT_POSITIVE, (TINY,), 'gaps'),
        ('voice_gap_s', NOT_POSITIVE, (TINY,), 'gaps'),
        ('location_scale_m', NOT_POSITIVE, (TINY,)),
        ('match_step', NOT_POSITIVE, (TINY,)),
        ('match_period_s', NOT_POSITIVE, (TINY,), 'positive'),
        ('reset_after_s', NEGATIVE, (0.0,)),
        ('seen_before_confidence', (0.0, 1.0), (TINY, 1 - TINY)),
        ('voice_memory', (-TINY, 1.0), (0.0, 1 - TINY)),
    ],
    GllimConfig: [
        ('num_pieces', (0,), (1,)),
        ('iterations', (0,), (1,)),
        ('latent_size', (-1,), (0,)),
        ('variance', ('', 'full'), ('diagonal', 'isotropic', 'tied')),
        ('input_noise', NOT_POSITIVE, (TINY,)),
        ('ridge', NOT_POSITIVE, (TINY,)),
        ('tolerance', NEGATIVE, (0.0,)),
    ],
    BoxSceneConfig: [
        ('people', (-1,), (0,)),
        ('duration_s', (0.0, 3600.1), (TINY, 3600.0)),
        ('depth', ((0.0, 1.0), (2.0, 1.0)), ((1.0, 1.0),)),
        ('speed', ((0.0, 1.0), (2.0, 1.0)), ((1.0, 1.0),)),
        ('pause_s', NEGATIVE, (0.0,)),
        ('reach', NOT_POSITIVE, (TINY,)),
        ('detection_probability', (-TINY, 1 + TINY), (0.0, 1.0)),
        ('hidden_below', (-TINY, 1 + TINY), (0.0, 1.0)),
        ('duplicate_probability', (-TINY, 1 + TINY), (0.0, 1.0)),
        ('clutter', NEGATIVE, (0.0,)),
        ('center_error', (-TINY, 0.5), (0.0, 0.4999)),
        ('size_error', (-TINY, 0.3), (0.0, 0.2999)),
    ],
    RoomConfig: [
        ('size', ((0.99, 5.0, 2.8), (6.0, 50.1, 2.8)), ((50.0, 5.0, 2.8), (6.0, 50.0, 2.8))),
        ('head_position', ((0.09, 1.0, 1.0), (1.0, 4.91, 1.0)), ((0.1, 4.9, 2.69),)),
        ('t60', (-TINY, 1.51), (0.0, 1.5)),
        ('snr_db', (-20.1, 100.1), (-20.0, 100.0)),
    ],
    ConversationConfig: [
        ('turn', ((0.29, 1.0), (2.0, 1.0)), ((0.3, 0.3),)),
        ('overlap', (-TINY, 0.26), (0.0, 0.25)),
        ('pause', (-TINY, 30.1), (0.0, 30.0)),
    ],
    StftConfig: [
        ('sample_rate', (0, -1), (1,)),
        ('window', (2, 255), (128, 256)),
        ('hop', (0, 257), (1, 256)),
    ],
    FrameAssemblerConfig: [
        ('video_period_s', NOT_POSITIVE, (TINY,), 'periods'),
        ('audio_period_s', NOT_POSITIVE, (TINY,), 'periods'),
        ('visual_timeout_s', NOT_POSITIVE, (TINY,)),
        ('audio_wait_s', (-TINY, math.nan), (0.0, INF)),
        ('reset_after_s', NEGATIVE, (0.0,)),
    ],
    AudioConfig: [
        ('vad_threshold', (-TINY, 1 + TINY), (0.0, 1.0)),
        ('tempering', (0.0, 1 + TINY), (TINY, 1.0)),
        ('direction_error_deg', (-TINY, 45.1), (0.0, 45.0)),
        ('pieces_per_person', (0,), (1,)),
        ('share_prior', NOT_POSITIVE, (TINY,)),
        ('share_memory', NEGATIVE, (0.0,)),
    ],
    NoiseConfig: [
        ('sources', (-1,), (0,)),
        ('mature_frames', (0, 5001), (1, 5000)),
        ('memory_frames', (11,), (12,)),
        ('quiet_s', NEGATIVE, (0.0,)),
        ('away_from_people_deg', (-TINY, 180.0), (0.0, 179.9)),
    ],
    AppearanceConfig: [
        ('weight', NEGATIVE, (0.0,)),
        ('update_rate', (-TINY, 1 + TINY), (0.0, 1.0)),
        ('update_confidence', (-TINY, 1 + TINY), (0.0, 1.0)),
        ('isolation_overlap', (-TINY, 1 + TINY), (0.0, 1.0)),
    ],
    DynamicsConfig: [
        ('prior_weight', NOT_POSITIVE, (TINY, INF)),
        ('lowest', (0.0, 1.1), (TINY, 1.0)),
        ('highest', (0.9, INF), (1.0,)),
    ],
    InferenceConfig: [('iterations', (0, 51), (1, 50)), ('tolerance', NEGATIVE, (0.0,))],
    CartesianHeadConfig: [
        ('acceleration_density', (0.0, -1.0, INF), (TINY,)),
        ('damping_time_s', (0.0, INF), (TINY,)),
        ('max_position_sd', (0.0, INF), (TINY,)),
        ('birth_speed_sd', (0.0, INF), (TINY,), 'speeds'),
        ('max_speed', (0.0, INF), (TINY,), 'speeds'),
        ('max_range', (0.0, INF), (TINY,)),
        ('depth_range', ((0.0, 1.0), (1.0, 1.0)), ((TINY, 2 * TINY),)),
        ('heard_range', ((0.0, 1.0), (1.0, 0.0)), ((TINY, TINY),)),
        ('other_depth_sd', (0.0, INF), (TINY,)),
        ('other_depth_offset', (0.0, INF), (TINY,)),
        ('head_distance', (0.0, INF), (TINY,)),
        ('walking_speed', (0.0, INF), (TINY,)),
        ('unseen_range', ((0.0, 1.0), (1.0, 1.0)), ((TINY, 2 * TINY),)),
        ('unseen_elevation_deg', (0.0, 90.0), (TINY, 89.9)),
        ('base_height', NEGATIVE, (0.0,)),
        ('head_heights', ((1.0, 1.0),), ((0.8, 2.0),)),
        ('heard_direction_sd_deg', (0.0, 45.0), (TINY, 44.9)),
    ],
    ImagePlaneConfig: [
        ('object_size', (0.0, INF), (TINY,)),
        ('acceleration_density', (0.0, INF), (TINY,), 'densities'),
        ('damping_time_s', (0.0, INF), (TINY,)),
        ('birth_speed_sd', (0.0, INF), (TINY,), 'speeds'),
        ('max_speed', (0.0, INF), (TINY,), 'speeds'),
        ('depth_density', (0.0, INF), (TINY,), 'densities'),
        ('center_error', (0.0, INF), (TINY,), 'errors'),
        ('size_error', (0.0, INF), (TINY,), 'errors'),
        ('width_error_ratio', (0.0, INF), (TINY,), 'ratio'),
        ('max_position_sd', (0.0, INF), (TINY,)),
        ('max_size_ratio', (1.0, 0.5), (1 + TINY,)),
        ('size_range', ((0.0, 1.0), (1.0, 1.0)), ((TINY, 1.0),)),
        ('field_margin', NEGATIVE, (0.0,)),
    ],
    AudioBirthConfig: [
        ('min_subbands', NOT_POSITIVE, (TINY,)),
        ('min_weight', (0.0, 1.0), (TINY, 1 - TINY)),
        ('min_voice', (-TINY, 1 + TINY), (0.0, 1.0)),
        ('min_observations', (1,), (2,)),
        ('window_s', (0.0, 3.1), (TINY, 3.0)),
        ('memory_s', (0.9,), (1.0,)),
        ('max_azimuth_sd_deg', NOT_POSITIVE, (TINY,)),
        ('max_gap_s', NOT_POSITIVE, (TINY,)),
        ('speed_deg', NOT_POSITIVE, (TINY,)),
        ('direction_error_deg', NOT_POSITIVE, (TINY,)),
    ],
    LifeConfig: [
        ('visible_persistence', (0.49, 1.0), (0.5, 1 - TINY)),
        ('visible_rate', NOT_POSITIVE, (TINY,)),
        ('confirm_hits', (0, 4), (1, 3)),
        ('sleep_after_s', NOT_POSITIVE, (TINY,)),
        ('hidden_sleep_after_s', NOT_POSITIVE, (TINY,)),
        ('clear_sleep_after_s', NOT_POSITIVE, (TINY,)),
        ('dead_after_s', NOT_POSITIVE, (TINY,)),
        ('unseen_dead_after_s', NOT_POSITIVE, (TINY,)),
        ('wake_heard_frames', (0,), (1,)),
        ('young_images', (0,), (1,)),
        ('heard_share', (0.0, 1.1), (TINY, 1.0)),
    ],
    ReIdentificationConfig: [
        ('wake_probability', (0.0, 1.0), (TINY, 1 - TINY)),
        ('wake_similarity', (-1.1, 1.1), (-1.0, 1.0)),
        ('wake_speed', NEGATIVE, (0.0,), 'speeds'),
        ('wake_memory_s', NEGATIVE, (0.0,), 'times'),
        ('bearing_error_deg', NEGATIVE, (0.0,), 'angles'),
        ('elevation_error_deg', NEGATIVE, (0.0,), 'angles'),
        ('same_bearing_deg', NEGATIVE, (0.0,), 'angles'),
        ('same_place_m', NOT_POSITIVE, (TINY,)),
        ('duplicate_frames', (0,), (1,)),
    ],
    OtherDepthConfig: [
        ('free_probability', (0.0, 1.0), (TINY, 1 - TINY)),
        ('beside_probability', (0.0, 1.0), (TINY, 1 - TINY)),
        ('believe_images', (0,), (1,)),
        ('lost_place_sd', NOT_POSITIVE, (TINY,)),
    ],
    BirthConfig: [
        ('doubt_s', NEGATIVE, (0.0,)),
        ('sequence_length', (1, 21), (2, 20)),
        ('end_missed', (0,), (1,)),
        ('false_pair_rate', (0.0, 1.0), (TINY, 1 - TINY)),
        ('duplicate_overlap', (0.0, 1.1), (TINY, 1.0)),
        ('max_hypotheses', (0,), (1,)),
        ('max_gap_s', NOT_POSITIVE, (TINY,)),
    ],
    TrackerConfig: [
        ('reset_after_s', NEGATIVE, (0.0,)),
        ('long_step_s', NOT_POSITIVE, (TINY,)),
    ],
    EventConfig: [
        ('max_events', (0, 21), (1, 20)),
        ('iterations', (0,), (1,)),
        ('min_sd', NOT_POSITIVE, (TINY,)),
        ('visual_balance', NOT_POSITIVE, (TINY,)),
        ('min_count', NOT_POSITIVE, (TINY,)),
        ('tolerance', NEGATIVE, (0.0,)),
        ('min_share', (-TINY, 1.0), (0.0, 1 - TINY)),
    ],
    EventDetectorConfig: [
        ('window_s', NOT_POSITIVE, (TINY,)),
        ('max_points', (0,), (1,)),
        ('speed_sd', NOT_POSITIVE, (TINY,)),
        ('reset_after_s', NEGATIVE, (0.0,)),
    ],
    FusionConfig: [
        ('concentration', (0.9,), (1.0,)),
        ('iterations', (0,), (1,)),
        ('typical_sd', (1.4e-5, 1.3e-4), (1.5e-5, 1.2e-4)),
        ('recent_s', (0.0, 0.41), (TINY, 0.4)),
        ('min_count', NOT_POSITIVE, (TINY,)),
        ('ambiguous_s', NOT_POSITIVE, (TINY,)),
        ('unseen_sd', NOT_POSITIVE, (TINY,)),
        ('prior_count', NEGATIVE, (0.0,)),
        ('reset_after_s', NEGATIVE, (0.0,)),
        ('min_weight', (0.0, 1.0), (TINY, 1 - TINY)),
    ],
    FaceListConfig: [
        ('gate_m', NOT_POSITIVE, (TINY,)),
        ('keep_s', NOT_POSITIVE, (TINY,)),
        ('speed_sd', NOT_POSITIVE, (TINY,)),
        ('confirm_hits', (0,), (1,)),
    ],
    TimeDifferenceConfig: [
        ('band_hz', ((-1.0, 99.0), (9.0, 9.0), (0.0, 8001.0), (26.0, 27.0)), ((0.0, 8000.0),)),
        ('steps_per_sample', (0,), (1,)),
        ('frames_per_block', (0,), (1,)),
        ('window_s', NOT_POSITIVE, (TINY,)),
        ('noise_window_s', NOT_POSITIVE, (TINY,)),
        ('min_bins', (0.0, 1.1), (TINY, 1.0)),
        ('min_peak', (-TINY, 1.0), (0.0, 1 - TINY)),
        ('min_voice', (-TINY, 1.1), (0.0, 1.0)),
    ],
    FaceDetectorConfig: [
        ('kind', ('', 'none'), ('centerface',)),
        ('input_size', ((31, 64), (64, 4097)), ((32, 4096),)),
        ('score_threshold', (-TINY, 1.0), (0.0, 1 - TINY)),
        ('overlap_threshold', (0.0, 1.0), (TINY, 1 - TINY)),
    ],
    FaceEmbedderConfig: [
        ('kind', ('', 'onnx'), ('auto', 'none')),
        ('every', (0,), (1,)),
        ('min_face_px', NEGATIVE, (0.0,)),
    ],
    VisualFrontEndConfig: [('max_faces', (0,), (1,))],
    StereoMatchConfig: [
        ('min_range_m', (0.0, 8.0), (TINY, 7.9)),
        ('size_tolerance', (1.0,), (1 + TINY,)),
        ('patch_fraction', ((0.0, 0.5), (0.5, 1.1)), ((TINY, 1.0),)),
        ('min_correlation', (0.0, 1.0), (TINY, 1 - TINY)),
        ('ambiguity_margin', (-TINY, 1.0), (0.0, 1 - TINY)),
        ('vertical_search_px', (-1, 11), (0, 10)),
        ('min_contrast', NOT_POSITIVE, (TINY,)),
        ('consistency_px', NOT_POSITIVE, (TINY,)),
        ('disparity_floor_px', NOT_POSITIVE, (TINY,)),
    ],
    TriangulationConfig: [
        ('face_width_m', (0.009, 1.1), (0.01, 1.0)),
        ('landmark_span_m', (0.009, 1.1), (0.01, 1.0)),
        ('size_spread', (0.0, 1.0), (TINY, 1 - TINY)),
        ('head_depth_spread_m', NEGATIVE, (0.0,)),
        ('head_depth_offset_m', (-TINY, 0.51), (0.0, 0.5)),
    ],
}
# Fields whose limits depend on each other stand here, so that no default moves a limit above.
COUPLED = {
    ChannelCheckConfig: {'quiet_db': 20.0, 'dead_db': 50.0, 'highest_hz': 4000.0},
    DirectionBinsConfig: {'lowest_hz': 100.0, 'highest_hz': 4500.0},
    DirectionMixtureConfig: {'peak_radius_deg': 12.0, 'separation_deg': 25.0},
    SubbandConfig: {'width': 8, 'min_bins': 4},
    AcousticMapConfig: {'num_azimuths': 120, 'num_elevations': 15},
    JointActivityConfig: {'on': 0.6, 'off': 0.3},
    SpeakingConfig: {'on': 0.6, 'off': 0.4},
    RoomConfig: {'size': (6.0, 5.0, 2.8)},
    NoiseConfig: {'mature_frames': 12, 'memory_frames': 5000},
    AudioBirthConfig: {'window_s': 1.0, 'memory_s': 3.0},
    LifeConfig: {'confirm_hits': 2, 'confirm_images': 3},
    FusionConfig: {'sd_range': (1.5e-5, 1.2e-4), 'recent_s': 0.08, 'window_s': 0.4},
    StereoMatchConfig: {'min_range_m': 0.3, 'max_range_m': 8.0},
}
CASES = [(kind, *row) for kind, rows in RANGES.items() for row in rows]
NAMES = [f'{kind.__name__}.{row[0]}' for kind, *row in CASES]


@pytest.mark.parametrize(
    'kind, name, refused, taken, told', [(*c, c[1])[:5] for c in CASES], ids=NAMES
)
def test_a_value_outside_its_range_is_named_and_the_border_is_taken(
    kind, name, refused, taken, told
):
    for value in refused:
        with pytest.raises(ValueError) as caught:
            kind(**{**COUPLED.get(kind, {}), name: value})
        assert told in str(caught.value) and '\n' not in str(caught.value)
    for value in taken:
        config = kind(**{**COUPLED.get(kind, {}), name: value})
        assert getattr(config, name) == value


def float_fields():
    for kind in RANGES:
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            if hints[field.name] is float:
                yield pytest.param(kind, field.name, id=f'{kind.__name__}.{field.name}')


@pytest.mark.parametrize('kind, name', list(float_fields()))
def test_no_configuration_takes_nan(kind, name):
    """Regression: NaN is in no range and in no order, and most checks of ranges let it pass."""
    told = {row[0]: row[-1] for row in RANGES[kind] if len(row) > 3}.get(name, name)
    with pytest.raises(UserError) as caught:
        config_from_mapping(kind, {name: math.nan}, 'mine.yaml')
    message = str(caught.value)
    assert message.startswith('mine.yaml: ') and (told in message or name in message)


def test_nan_within_a_list_is_refused_too():
    with pytest.raises(UserError, match='^mine.yaml: heard_range must be a number, not nan$'):
        config_from_mapping(CartesianHeadConfig, {'heard_range': [2.0, math.nan]}, 'mine.yaml')


@pytest.mark.parametrize('kind', RANGES, ids=lambda kind: kind.__name__)
def test_an_error_of_a_range_names_the_file_it_comes_from(kind):
    name, refused, _, *_ = RANGES[kind][0]
    mapping = {**COUPLED.get(kind, {}), name: refused[0]}
    with pytest.raises(UserError, match='^robot.yaml: '):
        config_from_mapping(kind, mapping, 'robot.yaml')


def test_every_field_of_the_table_is_a_field():
    for kind, rows in RANGES.items():
        known = {field.name for field in dataclasses.fields(kind)}
        names = [row[0] for row in rows]
        assert set(names) <= known and len(set(names)) == len(names), kind
