# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Which nodes run for which head and arguments, as one table."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools

import pytest

from av_perception.errors import UserError
from av_perception.robot_head import load_head
from av_perception.ros.bringup.graph import (
    ARGUMENTS,
    CHOICES,
    DRIVER_AUDIO,
    NODES,
    SELECTION,
    Argument,
    Selection,
    nodes_for,
    source_of,
)

HEADS = {'both': (True, True), 'ears': (True, False), 'eyes': (False, True)}
HEARING = {'microphone_array', 'audio_features'}
SEEING = {'stereo_camera', 'visual_features'}
ALWAYS = {'tracker', 'speaking_status', 'visualizer'}


def head_with(microphones, camera):
    """The simulated head with some of its sensors."""
    head = load_head('simulated')
    return dataclasses.replace(
        head,
        microphones=head.microphones if microphones else None,
        camera=head.camera if camera else None,
    )


def names(head, **fields):
    nodes = nodes_for(head_with(*HEADS[head]), Selection(**fields))
    return {node.name for node in nodes}


@pytest.mark.parametrize(
    'head, fields, expected',
    [
        ('both', {}, HEARING | SEEING | ALWAYS),
        ('ears', {}, HEARING | ALWAYS),
        ('eyes', {}, SEEING | ALWAYS),
        ('both', {'microphones': 'none'}, SEEING | ALWAYS),
        ('both', {'camera': 'none'}, HEARING | ALWAYS),
        ('both', {'microphones': 'none', 'camera': 'none'}, ALWAYS),
        ('both', {'microphones': 'others'}, {'audio_features'} | SEEING | ALWAYS),
        ('both', {'camera': 'others'}, {'visual_features'} | HEARING | ALWAYS),
        ('both', {'microphones': 'naoqi'}, {'audio_bridge', 'audio_features'} | SEEING | ALWAYS),
        ('eyes', {'microphones': 'naoqi'}, SEEING | ALWAYS),
        ('ears', {'camera': 'others'}, HEARING | ALWAYS),
        ('both', {'visualizer': False}, HEARING | SEEING | ALWAYS - {'visualizer'}),
        ('both', {'events': True}, HEARING | SEEING | ALWAYS | {'av_events'}),
        ('both', {'ros4hri': True}, HEARING | SEEING | ALWAYS | {'ros4hri_bridge'}),
        ('both', {'head_pose': True}, HEARING | SEEING | ALWAYS | {'head_pose'}),
        ('ears', {'head_pose': True}, HEARING | ALWAYS),
        ('both', {'truth': True}, HEARING | SEEING | ALWAYS | {'truth'}),
        ('both', {'voices': True}, HEARING | SEEING | ALWAYS | {'voices'}),
        ('eyes', {'voices': True}, SEEING | ALWAYS),
        (
            'ears',
            {'mode': 'minimal', 'voices': True},
            {'microphone_array', 'face_itd_fusion', 'visualizer'},
        ),
        (
            'both',
            {'mode': 'minimal'},
            SEEING | {'microphone_array', 'face_itd_fusion', 'visualizer'},
        ),
        ('ears', {'mode': 'minimal'}, {'microphone_array', 'face_itd_fusion', 'visualizer'}),
        (
            'eyes',
            {'mode': 'minimal', 'visualizer': False},
            SEEING | {'face_itd_fusion'},
        ),
    ],
)
def test_the_nodes_of_a_head_and_a_choice_of_arguments(head, fields, expected):
    assert names(head, **fields) == expected


@pytest.mark.parametrize(
    'given, absent',
    [
        ({'audio'}, {'microphone_array'}),
        ({'left/image_raw'}, {'stereo_camera'}),
        ({'audio_features'}, {'audio_features'}),
        ({'visual_features'}, {'visual_features'}),
        ({'audio', 'audio_features'}, HEARING),
        ({'right/image_raw', 'unknown'}, set()),
    ],
)
def test_who_would_publish_what_others_give_stays_away(given, absent):
    everybody = HEARING | SEEING | ALWAYS
    assert names('both', given=frozenset(given)) == everybody - absent


def test_the_empty_topic_is_given_by_nobody():
    assert names('both', **{'given': Selection.from_words(given='').given}) == names('both')
    assert Selection.from_words(given=',audio,').given == {'audio'}


def every_selection():
    flags = ('events', 'ros4hri', 'head_pose', 'visualizer', 'truth')
    for chosen in itertools.product(*CHOICES.values()):
        for switched in itertools.product((False, True), repeat=len(flags)):
            yield Selection(**dict(zip(CHOICES, chosen)), **dict(zip(flags, switched)))


@pytest.mark.parametrize('head', HEADS)
def test_properties_of_every_choice(head):
    microphones, camera = HEADS[head]
    profile = head_with(microphones, camera)
    for selection in every_selection():
        nodes = {node.name for node in nodes_for(profile, selection)}
        if selection.where != 'all':
            whole = dataclasses.replace(selection, where='all')
            assert nodes <= {node.name for node in nodes_for(profile, whole)}
            continue
        # Exactly one node says who speaks, and nothing hears or sees without what it needs.
        assert len(nodes & {'speaking_status', 'face_itd_fusion'}) == 1
        assert len(nodes & {'microphone_array', 'audio_bridge'}) <= 1
        hears = microphones and selection.microphones != 'none'
        sees = camera and selection.camera != 'none'
        assert ('visual_features' in nodes) == sees
        assert ('audio_features' in nodes) == (hears and selection.mode == 'full')
        assert ('audio_bridge' in nodes) == (hears and selection.microphones in DRIVER_AUDIO)
        assert ('microphone_array' in nodes) == (hears and selection.microphones == 'ours')
        assert ('head_pose' in nodes) == bool(sees and selection.head_pose)
        assert ('stereo_camera' in nodes) == (sees and selection.camera == 'ours')
        for name, node in (
            ('events', 'av_events'),
            ('ros4hri', 'ros4hri_bridge'),
            ('visualizer', 'visualizer'),
            ('truth', 'truth'),
            ('attention', 'attention'),
            ('forecast', 'motion_forecast'),
        ):
            assert (node in nodes) == getattr(selection, name)


def test_words_there_and_back_for_every_choice():
    for selection in every_selection():
        words = selection.words()
        assert set(words) == set(SELECTION) and all(isinstance(w, str) for w in words.values())
        assert Selection.from_words(**words) == selection
    given = Selection(given=frozenset({'b', 'a'}))
    assert given.words()['given'] == 'a,b' and Selection.from_words(**given.words()) == given


@pytest.mark.parametrize(
    'name, word',
    [
        ('mode', 'fast'),
        ('mode', 'Full'),
        ('microphones', ''),
        ('microphones', 'true'),
        ('camera', 'naoqi'),
        ('events', 'yes'),
        ('truth', ''),
        ('visualizer', '1'),
    ],
)
def test_a_word_that_is_no_choice_is_refused_with_the_choices(name, word):
    with pytest.raises(UserError) as caught:
        Selection.from_words(**{name: word})
    choices = CHOICES.get(name, ('true', 'false'))
    assert str(caught.value) == f"{name} must be one of {', '.join(choices)}, not '{word}'"


@pytest.mark.parametrize('word, value', [('true', True), ('True', True), ('FALSE', False)])
def test_flags_are_read_as_python_and_launch_files_write_them(word, value):
    assert Selection.from_words(truth=word).truth is value


def test_defaults_of_the_launch_arguments_are_those_of_the_selection():
    defaults = {name: argument.text for name, argument in SELECTION.items()}
    assert Selection.from_words(**defaults) == Selection()
    assert [field.name for field in dataclasses.fields(Selection)] == list(SELECTION)


@pytest.mark.parametrize(
    'value, text', [(True, 'true'), (False, 'false'), (0.0, '0.0'), (-1, '-1'), ('True', 'True')]
)
def test_defaults_are_written_as_launch_files_do(value, text):
    assert Argument(value, '').text == text


def test_every_choice_is_described():
    for name, choices in CHOICES.items():
        for choice in choices:
            assert choice in SELECTION[name].description


def test_nodes_name_arguments_fields_and_modules_that_are_there():
    for node in NODES:
        assert set(node.arguments) <= {*ARGUMENTS, *SELECTION}
        assert importlib.util.find_spec(node.module) is not None
        assert node.needs in ('', 'microphones', 'camera')
        if node.when:
            field, values = node.when
            allowed = CHOICES.get(field, (True, False))
            assert values and set(values) <= set(allowed)


@pytest.mark.parametrize(
    'source, head, meaning',
    [
        ('auto', 'simulated', 'simulated'),
        ('auto', 'nao', 'device'),
        ('auto', '/robots/simulated', 'device'),
        ('file', 'simulated', 'file'),
        ('device', 'simulated', 'device'),
    ],
)
def test_where_sound_and_images_come_from(source, head, meaning):
    assert source_of(source, head) == meaning
