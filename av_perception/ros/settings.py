# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The parameters by which users tune the core, and how they become its configurations: defaults live in the core alone."""

from __future__ import annotations

from dataclasses import replace

from av_perception.diarization.speaking_filter import SpeakingConfig
from av_perception.errors import UserError
from av_perception.robot_head import HeadProfile
from av_perception.ros.parameters import Parameter
from av_perception.synchronization.frame_assembler import FrameAssemblerConfig
from av_perception.tracking.tracker import TrackerConfig
from av_perception.two_microphones.event_detector import EventDetectorConfig
from av_perception.two_microphones.face_itd_fusion import FusionConfig
from av_perception.two_microphones.microphone_pair import frontal_pair
from av_perception.two_microphones.time_differences import TimeDifferenceConfig
from av_perception.vision.face_detector import DETECTORS
from av_perception.vision.face_embedding import KINDS
from av_perception.vision.front_end import VisualFrontEndConfig

_SPEAKING, _TRACKER, _ASSEMBLER, _VISION = (
    SpeakingConfig(),
    TrackerConfig(),
    FrameAssemblerConfig(),
    VisualFrontEndConfig(),
)
_DIFFERENCES, _FUSION, _EVENTS = TimeDifferenceConfig(), FusionConfig(), EventDetectorConfig()

SPEAKING_PARAMETERS = (
    Parameter(
        'on_threshold',
        _SPEAKING.on,
        'Probability above which a person counts as speaking.',
        0.0,
        1.0,
        live=True,
    ),
    Parameter(
        'off_threshold',
        _SPEAKING.off,
        'Probability below which a person counts as silent; not above on_threshold.',
        0.0,
        1.0,
        live=True,
    ),
    Parameter(
        'on_delay',
        _SPEAKING.on_delay_s,
        'How long on_threshold must stay exceeded, in seconds: drops short bursts.',
        0.0,
        2.0,
        live=True,
    ),
    Parameter(
        'off_delay',
        _SPEAKING.off_delay_s,
        'How long the probability must stay below off_threshold, in seconds: bridges short pauses.',
        0.0,
        2.0,
        live=True,
    ),
)
PAIRING_PARAMETERS = (
    Parameter(
        'audio_wait',
        _ASSEMBLER.audio_wait_s,
        'How long an image waits for its sound, in seconds.',
        0.0,
        1.0,
    ),
    Parameter(
        'visual_timeout',
        _ASSEMBLER.visual_timeout_s,
        'Without images for this long, the tracker goes on with sound alone, in seconds.',
        0.05,
        10.0,
    ),
)
TRACKER_PARAMETERS = (
    Parameter(
        'iterations', _TRACKER.inference.iterations, 'Variational iterations per frame.', 1, 20
    ),
    Parameter(
        'acceleration_density',
        _TRACKER.motion.acceleration_density,
        'How abruptly people move: spectral density of the acceleration, in m^2/s^3.',
        0.001,
        50.0,
    ),
    Parameter(
        'vad_threshold',
        _TRACKER.audio.vad_threshold,
        'Voice activity below which sound is ignored.',
        0.0,
        1.0,
    ),
    Parameter(
        'audio_tempering',
        _TRACKER.audio.tempering,
        'Weight of the sound: below 1 because neighbouring frequencies are not independent.',
        0.001,
        1.0,
    ),
    Parameter(
        'birth_log_ratio',
        _TRACKER.birth.log_ratio,
        'Log likelihood ratio against clutter above which faces become a new person.',
        0.0,
        100.0,
    ),
    Parameter(
        'sleep_after',
        _TRACKER.life.sleep_after_s,
        'Neither seen nor heard for this long, a person sleeps, in seconds.',
        0.1,
        60.0,
    ),
    Parameter(
        'dead_after',
        _TRACKER.life.dead_after_s,
        'Asleep for this long, a person is forgotten, in seconds.',
        0.1,
        3600.0,
    ),
    *PAIRING_PARAMETERS,
)
TIME_DIFFERENCE_PARAMETERS = (
    Parameter(
        'first_microphone',
        -1,
        'Channel of the first microphone of the pair; -1 chooses the pair that tells best between directions ahead.',
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
    Parameter(
        'min_peak',
        _DIFFERENCES.min_peak,
        'Height of the correlation below which a frame of sound is not used: it has no dominant source.',
        0.0,
        0.99,
    ),
    Parameter(
        'vad_threshold',
        _DIFFERENCES.min_voice,
        'Voice activity below which sound is ignored; 0 uses any sound.',
        0.0,
        1.0,
    ),
    Parameter('window', _DIFFERENCES.window_s, 'How far back sound counts, in seconds.', 0.1, 2.0),
)
FUSION_PARAMETERS = (
    Parameter(
        'recent',
        _FUSION.recent_s,
        "How far back sound counts for a face's share, in seconds; at most the window.",
        0.04,
        2.0,
    ),
    Parameter(
        'typical_spread',
        _FUSION.typical_sd,
        'Standard deviation of the time differences of one talker, in seconds.',
        15e-6,
        120e-6,
    ),
    Parameter(
        'ambiguous_below',
        _FUSION.ambiguous_s,
        'Faces whose time differences are nearer than this share their sound, in seconds.',
        1e-6,
        1e-3,
    ),
    Parameter(
        'face_gate',
        _FUSION.faces.gate_m,
        'Farthest a face moves between two images, in metres.',
        0.05,
        2.0,
    ),
    Parameter(
        'keep_face',
        _FUSION.faces.keep_s,
        'How long a face that is not found stays, in seconds.',
        0.05,
        10.0,
    ),
)
EVENT_PARAMETERS = (
    Parameter('max_events', _EVENTS.events.max_events, 'Largest number of events.', 1, 20),
    Parameter(
        'visual_balance',
        _EVENTS.events.visual_balance,
        'How much the visual points count against the sound, however many they are.',
        0.01,
        100.0,
    ),
)
VISION_PARAMETERS = (
    Parameter('detector', _VISION.detector.kind, 'Face detector.', choices=DETECTORS),
    Parameter(
        'detector_model',
        _VISION.detector.model_file,
        'Model file of the detector; empty takes the one that a package ships (CenterFace and BlazeFace).',
    ),
    Parameter(
        'detector_width',
        _VISION.detector.input_size[0],
        'Width the image is scaled to for detection: smaller is faster and misses small faces. BlazeFace has its own.',
        96,
        1920,
    ),
    Parameter(
        'detector_height',
        _VISION.detector.input_size[1],
        'Height the image is scaled to for detection.',
        96,
        1088,
    ),
    Parameter(
        'detector_score',
        _VISION.detector.score_threshold,
        "Score below which a detection is dropped; 0 takes the detector's own.",
        0.0,
        0.99,
    ),
    Parameter(
        'embedding',
        _VISION.embedder.kind,
        'How faces are described to tell people apart: auto takes what is there, the named file or the package of dlib.',
        choices=KINDS,
    ),
    Parameter(
        'embedding_model',
        _VISION.embedder.model_file,
        "Model file for embedding onnx (112x112 pixels, aligned as ArcFace's); empty for the one that a package ships (dlib).",
    ),
    Parameter(
        'disparity_floor',
        _VISION.matching.disparity_floor_px,
        'Standard deviation of the disparity without image noise, in pixels: the epipolar error that the calibration reports.',
        0.01,
        2.0,
    ),
    Parameter(
        'head_depth_offset',
        _VISION.triangulation.head_depth_offset_m,
        'From the visible face to the centre of the head along the ray, in metres.',
        0.0,
        0.2,
    ),
)


def speaking_config(value) -> SpeakingConfig:
    """SpeakingConfig from a function that reads parameters. Raises UserError."""
    return _checked(
        lambda: replace(
            _SPEAKING,
            on=value('on_threshold'),
            off=value('off_threshold'),
            on_delay_s=value('on_delay'),
            off_delay_s=value('off_delay'),
        )
    )


def tracker_config(value) -> TrackerConfig:
    """TrackerConfig from a function that reads parameters. Raises UserError."""
    return _checked(
        lambda: replace(
            _TRACKER,
            inference=replace(_TRACKER.inference, iterations=value('iterations')),
            motion=replace(_TRACKER.motion, acceleration_density=value('acceleration_density')),
            audio=replace(
                _TRACKER.audio,
                vad_threshold=value('vad_threshold'),
                tempering=value('audio_tempering'),
            ),
            birth=replace(_TRACKER.birth, log_ratio=value('birth_log_ratio')),
            life=replace(
                _TRACKER.life, sleep_after_s=value('sleep_after'), dead_after_s=value('dead_after')
            ),
        )
    )


def assembler_config(value, head: HeadProfile) -> FrameAssemblerConfig:
    """FrameAssemblerConfig for a head's frame rate, from a function that reads parameters. Raises UserError."""
    period_s = 1.0 / head.camera.frame_rate if head.camera else _ASSEMBLER.video_period_s
    audio_wait_s = (
        value('audio_wait') + head.microphones.delivery_s if head.can_hear_directions else 0.0
    )
    return _checked(
        lambda: replace(
            _ASSEMBLER,
            video_period_s=period_s,
            audio_wait_s=audio_wait_s,
            visual_timeout_s=value('visual_timeout'),
        )
    )


def microphone_pair(value, head: HeadProfile) -> tuple[int, int]:
    """The channels of the pair, from a function that reads parameters. Raises UserError."""
    pair = value('first_microphone'), value('second_microphone')
    return frontal_pair(head.microphones) if pair == (-1, -1) else pair


def time_difference_config(value) -> TimeDifferenceConfig:
    """TimeDifferenceConfig from a function that reads parameters. Raises UserError."""
    return _checked(
        lambda: replace(
            _DIFFERENCES,
            min_peak=value('min_peak'),
            voice_activity=value('vad_threshold') > 0,
            min_voice=value('vad_threshold'),
            window_s=value('window'),
        )
    )


def fusion_config(value) -> FusionConfig:
    """FusionConfig from a function that reads parameters. Raises UserError."""
    return _checked(
        lambda: replace(
            _FUSION,
            window_s=value('window'),
            recent_s=value('recent'),
            typical_sd=value('typical_spread'),
            ambiguous_s=value('ambiguous_below'),
            faces=replace(_FUSION.faces, gate_m=value('face_gate'), keep_s=value('keep_face')),
        )
    )


def event_config(value) -> EventDetectorConfig:
    """EventDetectorConfig from a function that reads parameters. Raises UserError."""
    events = _checked(
        lambda: replace(
            _EVENTS.events, max_events=value('max_events'), visual_balance=value('visual_balance')
        )
    )
    return _checked(lambda: replace(_EVENTS, window_s=value('window'), events=events))


def vision_config(value) -> VisualFrontEndConfig:
    """VisualFrontEndConfig from a function that reads parameters. Raises UserError."""
    return _checked(
        lambda: replace(
            _VISION,
            detector=replace(
                _VISION.detector,
                kind=value('detector'),
                model_file=value('detector_model'),
                score_threshold=value('detector_score'),
                input_size=(value('detector_width'), value('detector_height')),
            ),
            embedder=replace(
                _VISION.embedder, kind=value('embedding'), model_file=value('embedding_model')
            ),
            matching=replace(_VISION.matching, disparity_floor_px=value('disparity_floor')),
            triangulation=replace(
                _VISION.triangulation, head_depth_offset_m=value('head_depth_offset')
            ),
        )
    )


def _checked(make):
    try:
        return make()
    except ValueError as error:
        raise UserError(f'parameters do not fit together: {error}') from error
