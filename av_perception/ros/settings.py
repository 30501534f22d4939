# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The parameters by which users tune the core, and how they become its configurations.

Default and description of each stand in the core alone: the default of a configuration's field,
and the comment above it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from av_perception.attention.config import AttentionConfig
from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.map_learning import AcousticMapConfig, checked_map, head_map
from av_perception.config import field_comment
from av_perception.diarization.speaking_estimator import METHODS, SpeakingEstimatorConfig
from av_perception.diarization.speaking_filter import SpeakingConfig
from av_perception.errors import UserError
from av_perception.head_pose.estimator import HeadPoseConfig
from av_perception.motion_forecast.forecaster import METHODS as FORECAST_METHODS
from av_perception.motion_forecast.forecaster import ForecastConfig
from av_perception.robot_head import HeadProfile
from av_perception.ros.parameters import Parameter, ReadParameter
from av_perception.separation.person_streams import OUTPUTS, PersonStreamsConfig
from av_perception.synchronization.frame_assembler import FrameAssemblerConfig
from av_perception.tracking.tracker import TrackerConfig
from av_perception.tracking.tracker_config import SOUND_BIRTHS
from av_perception.two_microphones.event_detector import EventDetectorConfig
from av_perception.two_microphones.face_itd_fusion import FusionConfig
from av_perception.two_microphones.microphone_pair import frontal_pair
from av_perception.two_microphones.time_differences import TimeDifferenceConfig
from av_perception.vision.face_detector import DETECTORS
from av_perception.vision.face_embedding import KINDS
from av_perception.vision.front_end import VisualFrontEndConfig

Config = TypeVar('Config')


@dataclass(frozen=True)
class TunedParameter(Parameter):
    """A parameter that sets a field of a configuration of the core."""

    #: Path of the field in the configuration, as in audio.tempering.
    path: str = ''


def tuned(
    name: str,
    kind: type,
    path: str,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> TunedParameter:
    """Make the parameter of a configuration's field.

    Parameters
    ----------
    name : str
        The ROS parameter.
    kind : type
        Configuration, a dataclass with a default for every field.
    path : str
        The field in it: names of nested configurations and positions in tuples, with dots.
    minimum, maximum, choices, live
        See `Parameter`.

    Returns
    -------
    TunedParameter
        With the field's default, described by the field's comment.

    Raises
    ------
    LookupError
        When the field has no comment.
    """
    default: Any = kind()
    for step in path.split('.'):
        if not step.isdecimal():
            owner, field = type(default), step
        default = _member(default, step)
    description = field_comment(owner, field)
    return TunedParameter(name, default, description, minimum, maximum, choices, live, path)


def _member(config: Any, step: str) -> Any:
    return config[int(step)] if isinstance(config, tuple) else getattr(config, step)


SPEAKING_PARAMETERS = (
    tuned('on_threshold', SpeakingConfig, 'on', 0.0, 1.0, live=True),
    tuned('off_threshold', SpeakingConfig, 'off', 0.0, 1.0, live=True),
    tuned('on_delay', SpeakingConfig, 'on_delay_s', 0.0, 2.0, live=True),
    tuned('off_delay', SpeakingConfig, 'off_delay_s', 0.0, 2.0, live=True),
)
SPEAKING_METHOD_PARAMETERS = (
    tuned('method', SpeakingEstimatorConfig, 'method', choices=METHODS),
    tuned('look_ahead', SpeakingEstimatorConfig, 'joint.look_ahead_s', 0.0, 1.0, live=True),
    tuned('lips', SpeakingEstimatorConfig, 'lips'),
    tuned('audio_wait', SpeakingEstimatorConfig, 'audio_wait_s', 0.0, 1.0),
)
VOICE_PARAMETERS = (
    tuned('output', PersonStreamsConfig, 'output', choices=OUTPUTS),
    tuned('track_delay', PersonStreamsConfig, 'track_delay_s', 0.0, 1.0),
    tuned('track_wait', PersonStreamsConfig, 'track_wait_s', 0.0, 1.0),
    tuned('pre_roll', PersonStreamsConfig, 'pre_roll_s', 0.0, 2.0),
    tuned('activity_floor', PersonStreamsConfig, 'masks.activity_floor', 0.0, 1.0),
    tuned('mask_floor', PersonStreamsConfig, 'masks.floor', 0.0, 1.0),
)
FORECAST_PARAMETERS = (
    tuned('method', ForecastConfig, 'method', choices=FORECAST_METHODS, live=True),
    tuned('horizon', ForecastConfig, 'horizon_s', 0.1, 5.0, live=True),
    tuned('step', ForecastConfig, 'step_s', 0.05, 1.0, live=True),
    tuned('samples', ForecastConfig, 'samples', 0, 200, live=True),
    tuned('max_gap', ForecastConfig, 'max_gap_s', 0.1, 5.0, live=True),
    tuned('max_speed', ForecastConfig, 'max_speed', 0.5, 20.0, live=True),
)
PAIRING_PARAMETERS = (
    tuned('audio_wait', FrameAssemblerConfig, 'audio_wait_s', 0.0, 1.0),
    tuned('visual_timeout', FrameAssemblerConfig, 'visual_timeout_s', 0.05, 10.0),
)
INFERENCE_PARAMETERS = (
    tuned('iterations', TrackerConfig, 'inference.iterations', 1, 20),
    tuned('acceleration_density', TrackerConfig, 'motion.acceleration_density', 0.001, 50.0),
    tuned('vad_threshold', TrackerConfig, 'audio.vad_threshold', 0.0, 1.0),
    tuned('sound_births', TrackerConfig, 'sound_births', choices=SOUND_BIRTHS),
    tuned('audio_tempering', TrackerConfig, 'audio.tempering', 0.001, 1.0),
    tuned('birth_log_ratio', TrackerConfig, 'birth.log_ratio', 0.0, 100.0),
    tuned('sleep_after', TrackerConfig, 'life.sleep_after_s', 0.1, 60.0),
    tuned('use_appearance', TrackerConfig, 'identity.use_appearance'),
    tuned('dead_after', TrackerConfig, 'life.dead_after_s', 0.1, 3600.0),
    tuned('base_height', TrackerConfig, 'motion.base_height', 0.0, 3.0),
)
TRACKER_PARAMETERS = (*INFERENCE_PARAMETERS, *PAIRING_PARAMETERS)
PAIR_PARAMETERS = (
    Parameter(
        'first_microphone',
        -1,
        'Channel of the first microphone of the pair; -1 chooses the pair that tells best between '
        'directions ahead.',
        -1,
        15,
    ),
    Parameter(
        'second_microphone',
        -1,
        'Channel of the second microphone of the pair; -1 with the first.',
        -1,
        15,
    ),
)
TIME_DIFFERENCE_PARAMETERS = (
    *PAIR_PARAMETERS,
    tuned('min_peak', TimeDifferenceConfig, 'min_peak', 0.0, 0.99),
    tuned('vad_threshold', TimeDifferenceConfig, 'min_voice', 0.0, 1.0),
    tuned('window', TimeDifferenceConfig, 'window_s', 0.1, 2.0),
)
FUSION_PARAMETERS = (
    tuned('recent', FusionConfig, 'recent_s', 0.04, 2.0),
    tuned('typical_spread', FusionConfig, 'typical_sd', 15e-6, 120e-6),
    tuned('ambiguous_below', FusionConfig, 'ambiguous_s', 1e-6, 1e-3),
    tuned('face_gate', FusionConfig, 'faces.gate_m', 0.05, 2.0),
    tuned('keep_face', FusionConfig, 'faces.keep_s', 0.05, 10.0),
)
EVENT_PARAMETERS = (
    tuned('max_events', EventDetectorConfig, 'events.max_events', 1, 20),
    tuned('visual_balance', EventDetectorConfig, 'events.visual_balance', 0.01, 100.0),
)
ATTENTION_PARAMETERS = (
    tuned('speech_threshold', AttentionConfig, 'speech_threshold', 0.01, 1.0, live=True),
    tuned('min_speech', AttentionConfig, 'min_speech_s', 0.01, 10.0, live=True),
    tuned('found_by_voice', AttentionConfig, 'found_by_voice_s', 0.0, 10.0, live=True),
    tuned('yield_after', AttentionConfig, 'yield_s', 0.0, 10.0, live=True),
    tuned('min_dwell', AttentionConfig, 'min_dwell_s', 0.0, 60.0, live=True),
    tuned('hold', AttentionConfig, 'hold_s', 0.1, 3600.0, live=True),
    tuned('lost', AttentionConfig, 'lost_s', 0.0, 60.0, live=True),
    tuned('arrival', AttentionConfig, 'arrival_s', 0.0, 60.0, live=True),
    tuned('facing_threshold', AttentionConfig, 'facing_threshold', 0.01, 1.0, live=True),
)
VISION_PARAMETERS = (
    tuned('detector', VisualFrontEndConfig, 'detector.kind', choices=DETECTORS),
    tuned('detector_model', VisualFrontEndConfig, 'detector.model_file'),
    tuned('detector_width', VisualFrontEndConfig, 'detector.input_size.0', 96, 1920),
    tuned('detector_height', VisualFrontEndConfig, 'detector.input_size.1', 96, 1088),
    tuned('detect_every', VisualFrontEndConfig, 'search.every', 1, 100),
    tuned('detector_score', VisualFrontEndConfig, 'detector.score_threshold', 0.0, 0.99),
    tuned('embedding', VisualFrontEndConfig, 'embedder.kind', choices=KINDS),
    tuned('embedding_model', VisualFrontEndConfig, 'embedder.model_file'),
    tuned('appearance', VisualFrontEndConfig, 'appearance.enabled'),
    tuned('disparity_floor', VisualFrontEndConfig, 'matching.disparity_floor_px', 0.01, 2.0),
    tuned(
        'head_depth_offset', VisualFrontEndConfig, 'triangulation.head_depth_offset_m', 0.0, 0.2
    ),
)
HEAD_POSE_PARAMETERS = (
    tuned('facing_angle', HeadPoseConfig, 'facing_angle_deg', 1.0, 60.0, live=True),
    tuned('facing_on', HeadPoseConfig, 'facing_on', 0.0, 1.0, live=True),
    tuned('facing_off', HeadPoseConfig, 'facing_off', 0.0, 1.0, live=True),
    tuned('longest_gap', HeadPoseConfig, 'longest_gap_s', 0.1, 2.0),
    tuned('least_face', HeadPoseConfig, 'least_face_px', 16.0, 200.0, live=True),
    tuned('faces_per_image', HeadPoseConfig, 'faces_per_image', 1, 20, live=True),
    tuned('largest_residual', HeadPoseConfig, 'largest_residual', 0.05, 1.0, live=True),
)


def speaking_config(value: ReadParameter) -> SpeakingConfig:
    """SpeakingConfig from a function that reads parameters. Raises UserError."""
    return _configured(SpeakingConfig(), _changes(SPEAKING_PARAMETERS, value))


def speaking_estimator_config(
    value: ReadParameter, head: HeadProfile | None
) -> SpeakingEstimatorConfig:
    """SpeakingEstimatorConfig for a head.

    Parameters
    ----------
    value : callable
        Reads a parameter; thresholds and delays serve both methods.
    head : HeadProfile
        How long its microphones deliver late is waited for beyond `audio_wait`, as is the
        look-ahead. None: only to see whether the parameters fit together.

    Raises
    ------
    UserError
        When the parameters do not fit together.
    """
    changes = _changes(SPEAKING_METHOD_PARAMETERS, value)
    for path, setting in _changes(SPEAKING_PARAMETERS, value).items():
        changes[f'joint.{path}'] = setting
        changes[f'vavit.{path}'] = setting
    changes['audio_wait_s'] += changes['joint.look_ahead_s']
    if head is not None and head.microphones is not None:
        changes['audio_wait_s'] += head.microphones.delivery_s
    return _configured(SpeakingEstimatorConfig(), changes)


def person_streams_config(value: ReadParameter) -> PersonStreamsConfig:
    """PersonStreamsConfig from a function that reads parameters. Raises UserError."""
    return _configured(PersonStreamsConfig(), _changes(VOICE_PARAMETERS, value))


def chosen_map(value: ReadParameter, head: HeadProfile) -> AcousticMap | None:
    """Give the acoustic map of a head, learnt from its geometry unless `acoustic_map` names one.

    None for a head that hears no directions. Raises UserError for a map that does not fit.
    """
    if head.microphones is None or not head.can_hear_directions:
        return None
    if not value('acoustic_map'):
        return head_map(head.microphones, AcousticMapConfig(), AudioFrontEndConfig())
    return checked_map(value('acoustic_map'), head.microphones, AudioFrontEndConfig())


def tracker_config(value: ReadParameter) -> TrackerConfig:
    """TrackerConfig from a function that reads parameters. Raises UserError."""
    return _configured(TrackerConfig(), _changes(INFERENCE_PARAMETERS, value))


def assembler_config(value: ReadParameter, head: HeadProfile) -> FrameAssemblerConfig:
    """FrameAssemblerConfig for the rates of a head.

    Parameters
    ----------
    value : callable
        Reads a parameter.
    head : HeadProfile
        Its camera gives the spacing of the images; how long its microphones deliver late is
        waited for beyond `audio_wait`. Nothing is waited for where it hears no directions.

    Raises
    ------
    UserError
        When the parameters do not fit together.
    """
    changes = _changes(PAIRING_PARAMETERS, value)
    if head.camera is not None:
        changes['video_period_s'] = 1.0 / head.camera.frame_rate
    if head.microphones is not None and head.can_hear_directions:
        changes['audio_wait_s'] += head.microphones.delivery_s
    else:
        changes['audio_wait_s'] = 0.0
    return _configured(FrameAssemblerConfig(), changes)


def microphone_pair(value: ReadParameter, head: HeadProfile) -> tuple[int, int]:
    """Choose the channels of the pair, by parameters or by the geometry of the microphones.

    Raises
    ------
    UserError
        When the head does not have the two microphones.
    """
    if head.microphones is None or not head.can_hear_directions:
        raise UserError(f"head '{head.name}' has not two microphones")
    pair = value('first_microphone'), value('second_microphone')
    if pair == (-1, -1):
        return frontal_pair(head.microphones)
    last = len(head.microphones.coordinates) - 1
    if not all(0 <= channel <= last for channel in pair) or pair[0] == pair[1]:
        raise UserError(
            f'first_microphone and second_microphone must be two of the channels 0..{last}, '
            f'not {pair[0]} and {pair[1]}'
        )
    return pair


def time_difference_config(value: ReadParameter) -> TimeDifferenceConfig:
    """TimeDifferenceConfig from a function that reads parameters. Raises UserError."""
    changes = _changes(TIME_DIFFERENCE_PARAMETERS, value)
    changes['voice_activity'] = changes['min_voice'] > 0
    return _configured(TimeDifferenceConfig(), changes)


def fusion_config(value: ReadParameter) -> FusionConfig:
    """FusionConfig from a function that reads parameters. Raises UserError."""
    changes = _changes(FUSION_PARAMETERS, value)
    changes['window_s'] = value('window')
    return _configured(FusionConfig(), changes)


def event_config(value: ReadParameter) -> EventDetectorConfig:
    """EventDetectorConfig from a function that reads parameters. Raises UserError."""
    changes = _changes(EVENT_PARAMETERS, value)
    changes['window_s'] = value('window')
    return _configured(EventDetectorConfig(), changes)


def attention_config(value: ReadParameter) -> AttentionConfig:
    """AttentionConfig from a function that reads parameters. Raises UserError."""
    return _configured(AttentionConfig(), _changes(ATTENTION_PARAMETERS, value))


def forecast_config(value: ReadParameter) -> ForecastConfig:
    """ForecastConfig from a function that reads parameters. Raises UserError."""
    return _configured(ForecastConfig(), _changes(FORECAST_PARAMETERS, value))


def vision_config(value: ReadParameter) -> VisualFrontEndConfig:
    """VisualFrontEndConfig from a function that reads parameters. Raises UserError."""
    return _configured(VisualFrontEndConfig(), _changes(VISION_PARAMETERS, value))


def head_pose_config(value: ReadParameter) -> HeadPoseConfig:
    """HeadPoseConfig from a function that reads parameters. Raises UserError."""
    return _configured(HeadPoseConfig(), _changes(HEAD_POSE_PARAMETERS, value))


def _changes(parameters: Iterable[Parameter], value: ReadParameter) -> dict[str, Any]:
    """Value by path of the parameters that set a field."""
    return {p.path: value(p.name) for p in parameters if isinstance(p, TunedParameter)}


def _configured(config: Config, changes: dict[str, Any]) -> Config:
    """Put values at paths of a configuration. Raises UserError when they contradict each other."""
    try:
        return _replaced(config, changes)
    except ValueError as error:
        raise UserError(f'parameters do not fit together: {error}') from error


def _replaced(config: Any, changes: dict[str, Any]) -> Any:
    """Copy a nested configuration or tuple; each is made once, with all of its values."""
    values: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for path, value in changes.items():
        step, _, rest = path.partition('.')
        if rest:
            nested.setdefault(step, {})[rest] = value
        else:
            values[step] = value
    for step, inner in nested.items():
        values[step] = _replaced(_member(config, step), inner)
    if isinstance(config, tuple):
        return tuple(values.get(str(position), item) for position, item in enumerate(config))
    return replace(config, **values)
