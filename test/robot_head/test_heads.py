# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Head profiles: numbers that no head can have are one clear line."""

import dataclasses
import re

import numpy as np
import pytest
import yaml
from streaming_regression import InverseRegression

from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.map_learning import head_map, learn_geometric_map
from av_perception.audio.training_examples import AcousticMapConfig, geometric_features
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import (
    angles_from_direction,
    direction_from_angles,
    wrap_angle,
)
from av_perception.paths import share_directory
from av_perception.robot_head import load_head
from av_perception.robot_head.profile import CameraGeometry, MicrophoneArray, RigidSphere

HEADS = sorted(path.stem for path in (share_directory() / 'config' / 'heads').glob('*.yaml'))
SMALL = AcousticMapConfig(num_pieces=24, num_azimuths=90, num_elevations=5, iterations=4)
FRONT_END = AudioFrontEndConfig(voice_activity=False)

CORNERS = ((0.1, 0.1, 0.0), (-0.1, 0.1, 0.0), (-0.1, -0.1, 0.0))
CAMERA = {'width': 64, 'height': 48, 'focal': (50.0, 50.0), 'center': (31.5, 23.5)}
BAD = (float('nan'), float('inf'), -float('inf'))


def test_the_wanted_heads_are_shipped():
    assert {'nao', 'pepper', 'respeaker', 'popeye', 'kemar', 'ari', 'simulated'} <= set(HEADS)


@pytest.mark.parametrize('name', HEADS)
def test_shipped_heads_say_what_is_not_sourced(name):
    head = load_head(name)
    assert head.name == name and head.can_hear_directions
    assert head.notes
    assert not head.approximate or re.search('[Cc]alibrate|doctor', head.notes)


@pytest.mark.parametrize('name', HEADS)
def test_a_small_map_of_every_head_points_home(name):
    """Noiseless features of the head's own geometry.

    They come from the front half at a height that all heads cover.
    """
    array = load_head(name).microphones
    taught = learn_geometric_map(array, SMALL, FRONT_END)
    azimuths = np.radians(np.arange(-75, 76, 15))
    directions = array.base_from_array.inverse().rotate(direction_from_angles(azimuths, 0.05))
    assert taught.covers(directions).all()
    errors = []
    for azimuth, features in zip(azimuths, geometric_features(array, directions, FRONT_END)):
        regression = InverseRegression(taught)
        regression.add(features, np.ones(features.shape, bool), np.ones(len(features)))
        direction = array.base_from_array.rotate(regression.posterior().direction())
        found, _ = angles_from_direction(direction)
        errors.append(abs(np.degrees(wrap_angle(found - azimuth))))
    assert np.median(errors) < 3 and max(errors) < 15


def test_nao_has_its_microphones_on_its_sphere():
    array = load_head('nao').microphones
    distance = np.linalg.norm(array.positions - np.array(array.sphere.center), axis=1)
    np.testing.assert_allclose(distance, array.sphere.radius, atol=2e-4)


def test_the_chest_array_of_ari_looks_ahead():
    """Its plane is upright: up is up and left is left in the base frame."""
    array = load_head('ari').microphones
    placed = array.base_from_array.rotate(array.positions)
    assert placed[0, 1] > 0.02 > -0.02 > placed[1, 1]
    assert placed[0, 2] > 0.02 > -0.02 > placed[3, 2]
    taught = learn_geometric_map(array, SMALL, FRONT_END)
    behind = direction_from_angles(np.radians([150.0, 180.0, -150.0]), 0.0)
    assert not taught.covers(array.base_from_array.inverse().rotate(behind)).any()


def test_a_profile_may_name_its_map(tmp_path):
    array = load_head('kemar').microphones
    taught = learn_geometric_map(array, dataclasses.replace(SMALL, num_pieces=6), FRONT_END)
    taught.save(tmp_path / 'mine.npz')
    path = tmp_path / 'mine.yaml'

    def map_of(coordinates):
        microphones = {'coordinates': coordinates, 'acoustic_map': 'mine.npz'}
        path.write_text(yaml.safe_dump({'name': 'mine', 'microphones': microphones}))
        return head_map(load_head(str(path)).microphones, AcousticMapConfig(), FRONT_END)

    coordinates = [list(place) for place in array.coordinates]
    np.testing.assert_array_equal(map_of(coordinates).slope, taught.slope)
    with pytest.raises(UserError, match='geometry_hash'):
        map_of(coordinates[::-1])


@pytest.mark.parametrize(
    'sphere, word',
    [
        (dict(radius=0.0), 'radius'),
        (dict(radius=2.0), 'radius'),
        (dict(radius=0.1, center=(float('nan'), 0, 0)), 'finite'),
    ],
)
def test_impossible_spheres_are_refused(sphere, word):
    with pytest.raises(ValueError, match=word):
        RigidSphere(**sphere)


def test_a_microphone_deep_inside_the_sphere_is_refused():
    with pytest.raises(ValueError, match='channel 1 lies 0.050 m inside'):
        MicrophoneArray(((0.1, 0.0, 0.0), (0.0, 0.05, 0.0)), sphere=RigidSphere(0.1))


@pytest.mark.parametrize('bad', BAD)
@pytest.mark.parametrize('name', ['coordinates', 'position', 'orientation_rpy_deg'])
def test_microphones_with_numbers_that_are_not_finite_are_refused(name, bad):
    place = (0.0, bad, 0.0)
    changed = (*CORNERS, place) if name == 'coordinates' else place
    with pytest.raises(ValueError, match=f'{name} must be finite'):
        MicrophoneArray(**{'coordinates': CORNERS, name: changed})


@pytest.mark.parametrize('bad', BAD)
@pytest.mark.parametrize(
    'name', ['focal', 'center', 'baseline', 'position', 'orientation_rpy_deg', 'frame_rate']
)
def test_camera_with_numbers_that_are_not_finite_is_refused(name, bad):
    value = {
        'focal': (50.0, bad),
        'center': (bad, 3.0),
        'position': (0.0, 0.0, bad),
        'orientation_rpy_deg': (bad, 0.0, 0.0),
    }.get(name, bad)
    with pytest.raises(ValueError, match=f'{name} must be finite'):
        CameraGeometry(**{**CAMERA, name: value})


def test_coinciding_microphones_are_refused_and_named():
    with pytest.raises(ValueError, match='channels 1 and 3'):
        MicrophoneArray((*CORNERS, (-0.1, 0.1, 0.00005)))
    assert len(MicrophoneArray((*CORNERS, (-0.1, 0.1, 0.001))).positions) == 4
    assert len(MicrophoneArray(CORNERS[:1]).positions) == 1


@pytest.mark.parametrize(
    'part, words',
    [
        (
            {'microphones': {'coordinates': [[0.1, float('nan'), 0.0], [0.0, 0.0, 0.0]]}},
            'coordinates must be finite',
        ),
        ({'microphones': {'coordinates': [[0.1, 0.0, 0.0], [0.1, 0.0, 0.0]]}}, 'channels 0 and 1'),
        (
            {
                'camera': {
                    **{key: list(v) if isinstance(v, tuple) else v for key, v in CAMERA.items()},
                    'baseline': float('inf'),
                }
            },
            'baseline',
        ),
    ],
)
def test_head_file_with_impossible_geometry_is_one_line_that_names_the_file(part, words, tmp_path):
    (tmp_path / 'mine.yaml').write_text(yaml.safe_dump({'name': 'mine', **part}))
    with pytest.raises(UserError, match=words) as caught:
        load_head(str(tmp_path / 'mine.yaml'))
    assert 'mine.yaml' in str(caught.value) and '\n' not in str(caught.value)
