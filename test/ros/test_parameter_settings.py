# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How ROS parameters become the core's configurations, without a graph."""

from __future__ import annotations

import dataclasses
import math

import pytest

from av_perception.diarization.speaking_filter import SpeakingConfig
from av_perception.errors import UserError
from av_perception.robot_head import load_head
from av_perception.ros import settings
from av_perception.ros.parameters import Parameter
from av_perception.tracking.tracker import TrackerConfig

GROUPS = {
    'speaking': (settings.SPEAKING_PARAMETERS, settings.speaking_config),
    'tracker': (settings.INFERENCE_PARAMETERS, settings.tracker_config),
    'time differences': (settings.TIME_DIFFERENCE_PARAMETERS, settings.time_difference_config),
    'fusion': (
        (*settings.FUSION_PARAMETERS, *settings.TIME_DIFFERENCE_PARAMETERS),
        settings.fusion_config,
    ),
    'events': (
        (*settings.EVENT_PARAMETERS, *settings.TIME_DIFFERENCE_PARAMETERS),
        settings.event_config,
    ),
    'vision': (settings.VISION_PARAMETERS, settings.vision_config),
}


def reader(parameters, **changes):
    """What reads a parameter: its default, unless it is changed."""
    values = {parameter.name: parameter.default for parameter in parameters}
    assert set(changes) <= set(values)
    return {**values, **changes}.__getitem__


def at_path(config, path):
    """The value at a path such as detector.input_size.0."""
    for step in path.split('.'):
        config = config[int(step)] if step.isdecimal() else getattr(config, step)
    return config


@pytest.mark.parametrize('group', GROUPS)
def test_defaults_of_parameters_make_the_default_configuration(group):
    parameters, make = GROUPS[group]
    config = make(reader(parameters))
    if group == 'fusion' or group == 'events':
        window_s = reader(parameters)('window')
        assert config == dataclasses.replace(type(config)(), window_s=window_s)
    else:
        assert config == type(config)()


@pytest.mark.parametrize('group', GROUPS)
def test_each_tuned_parameter_reaches_its_field_and_no_other(group):
    parameters, make = GROUPS[group]
    own = {'fusion': settings.FUSION_PARAMETERS, 'events': settings.EVENT_PARAMETERS}
    before = make(reader(parameters))
    for parameter in own.get(group, parameters):
        if not isinstance(parameter, settings.TunedParameter) or parameter.minimum is None:
            continue
        default = parameter.default
        step = 1 if isinstance(default, int) else 0.03 * default + 1e-7
        changed = default - step if default + step > parameter.maximum else default + step
        config = make(reader(parameters, **{parameter.name: changed}))
        assert at_path(config, parameter.path) == changed
        assert at_path(before, parameter.path) == default
        differing = [
            other.name
            for other in own.get(group, parameters)
            if isinstance(other, settings.TunedParameter)
            and at_path(config, other.path) != at_path(before, other.path)
        ]
        assert differing == [parameter.name]


@pytest.mark.parametrize('group', GROUPS)
def test_both_ends_of_every_advertised_range_are_taken_or_told_why(group):
    parameters, make = GROUPS[group]
    for parameter in parameters:
        for value in (parameter.minimum, parameter.maximum):
            if value is None:
                continue
            kind = type(parameter.default)
            try:
                make(reader(parameters, **{parameter.name: kind(value)}))
            except UserError as error:
                assert str(error).startswith('parameters do not fit together: ')
                # A threshold at 0 or 1, or a pair of values whose order breaks; never a crash.
                assert parameter.name in (
                    'on_threshold',
                    'off_threshold',
                    'recent',
                )


def test_a_description_is_the_comment_of_the_field():
    (parameter,) = (p for p in settings.SPEAKING_PARAMETERS if p.name == 'on_threshold')
    descriptor = parameter.descriptor()
    assert descriptor.name == 'on_threshold' and len(descriptor.description) > 20
    (limits,) = descriptor.floating_point_range
    assert (limits.from_value, limits.to_value, limits.step) == (0.0, 1.0, 0.0)
    assert not descriptor.integer_range and parameter.default == SpeakingConfig().on


def test_whole_numbers_get_an_integer_range():
    (parameter,) = (p for p in settings.INFERENCE_PARAMETERS if p.name == 'iterations')
    (limits,) = parameter.descriptor().integer_range
    assert (limits.from_value, limits.to_value, limits.step) == (1, 20, 1)
    assert not parameter.descriptor().floating_point_range
    assert parameter.default == TrackerConfig().inference.iterations


def test_choices_are_told_in_the_description_and_in_the_refusal():
    parameter = Parameter('mode', 'a', 'How it works.', choices=('a', 'b'))
    assert parameter.descriptor().description == 'How it works. One of: a, b.'
    assert parameter.refusal('b') == ''
    assert parameter.refusal('c') == "mode must be one of a, b, not 'c'"
    assert parameter.expectation() == 'one of a, b'


@pytest.mark.parametrize(
    'parameter, expected',
    [
        (Parameter('rate', 1.0, ''), 'float (write 1.0, not 1)'),
        (Parameter('rate', 1.0, '', 0.0, 2.0), 'float in 0.0..2.0 (write 1.0, not 1)'),
        (Parameter('count', 1, '', 0, 2), 'int in 0..2'),
        (Parameter('name', '', ''), 'str'),
        (Parameter('active', True, ''), 'bool'),
    ],
)
def test_expectations_are_told_in_words(parameter, expected):
    assert parameter.expectation() == expected


def test_a_parameter_that_is_nan_is_refused():
    """Regression: NaN is neither below nor above the range of a parameter, and passed."""
    for parameters, _ in GROUPS.values():
        for parameter in parameters:
            if isinstance(parameter.default, float):
                assert parameter.refusal(math.nan) == f'{parameter.name} must be a number, not nan'
                assert parameter.refusal(parameter.default) == ''


def test_a_field_without_a_comment_makes_no_parameter():
    @dataclasses.dataclass(frozen=True)
    class Silent:
        level: float = 1.0

    with pytest.raises(LookupError, match='Silent.level has no comment'):
        settings.tuned('level', Silent, 'level')


@pytest.mark.parametrize(
    'changes', [{'on_threshold': 0.3, 'off_threshold': 0.4}, {'off_threshold': 0.0}]
)
def test_thresholds_in_the_wrong_order_do_not_fit_together(changes):
    with pytest.raises(UserError, match='do not fit together: .*0 < off <= on < 1'):
        settings.speaking_config(reader(settings.SPEAKING_PARAMETERS, **changes))


def test_a_voice_threshold_of_zero_switches_voice_activity_off():
    parameters = settings.TIME_DIFFERENCE_PARAMETERS
    assert not settings.time_difference_config(
        reader(parameters, vad_threshold=0.0)
    ).voice_activity
    assert settings.time_difference_config(reader(parameters, vad_threshold=0.1)).voice_activity


def with_sensors(camera=True, microphones=2, delivery_s=0.0):
    """The simulated head with a choice of its sensors."""
    head = load_head('simulated')
    array = dataclasses.replace(
        head.microphones,
        coordinates=head.microphones.coordinates[: max(microphones, 1)],
        delivery_s=delivery_s,
    )
    return dataclasses.replace(
        head,
        microphones=array if microphones else None,
        camera=dataclasses.replace(head.camera, frame_rate=12.5) if camera else None,
    )


def test_images_come_as_the_heads_camera_sends_them():
    value = reader(settings.PAIRING_PARAMETERS)
    assert settings.assembler_config(value, with_sensors()).video_period_s == 0.08
    alone = settings.assembler_config(value, with_sensors(camera=False))
    assert alone.video_period_s == type(alone)().video_period_s


@pytest.mark.parametrize(
    'sensors, waited_s',
    [
        (dict(), 0.25),
        (dict(delivery_s=0.5), 0.75),
        (dict(microphones=1, delivery_s=0.5), 0.0),
        (dict(microphones=0), 0.0),
    ],
)
def test_late_microphones_are_waited_for_and_those_that_hear_no_directions_are_not(
    sensors, waited_s
):
    value = reader(settings.PAIRING_PARAMETERS, audio_wait=0.25)
    assert settings.assembler_config(value, with_sensors(**sensors)).audio_wait_s == waited_s


def test_a_pair_is_two_different_channels_of_the_head():
    head = with_sensors(microphones=4)
    for first, second in ((0, 3), (3, 0), (1, 2)):
        value = reader(settings.PAIR_PARAMETERS, first_microphone=first, second_microphone=second)
        assert settings.microphone_pair(value, head) == (first, second)
    for first, second in ((0, 0), (0, 4), (-1, 1), (1, -1)):
        value = reader(settings.PAIR_PARAMETERS, first_microphone=first, second_microphone=second)
        with pytest.raises(UserError, match=r'two of the channels 0\.\.3, not'):
            settings.microphone_pair(value, head)


def test_a_pair_that_is_not_named_lies_across_what_is_ahead():
    head = with_sensors(microphones=4)
    first, second = settings.microphone_pair(reader(settings.PAIR_PARAMETERS), head)
    places = head.microphones.coordinates
    widest = max(abs(a[1] - b[1]) for a in places for b in places)
    assert abs(places[first][1] - places[second][1]) == pytest.approx(widest)


@pytest.mark.parametrize('microphones', [0, 1])
def test_a_head_of_one_microphone_has_no_pair(microphones):
    with pytest.raises(UserError, match="head 'simulated' has not two microphones"):
        settings.microphone_pair(
            reader(settings.PAIR_PARAMETERS), with_sensors(microphones=microphones)
        )
