# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What rviz and Foxglove are told to show is what the nodes publish; what markers look like."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from human_frames import frames, person
from visualization_msgs.msg import Marker

from av_perception.interfaces import LifeState
from av_perception.ros.markers import HALO_RADIUS_M, NAMESPACES, people_markers

ROOT = Path(__file__).resolve().parents[2]
RVIZ = yaml.safe_load((ROOT / 'config' / 'rviz' / 'av_perception.rviz').read_text())
FOXGLOVE = json.loads((ROOT / 'config' / 'foxglove' / 'av_perception.json').read_text())
PUBLISHED = {
    name
    for path in (ROOT / 'av_perception' / 'nodes').glob('*.py')
    for name in re.findall(r"self\.publisher\(\w+, '([\w/]+)'", path.read_text())
} | {'diagnostics'}


def displays(kind):
    return [
        d
        for d in RVIZ['Visualization Manager']['Displays']
        if d['Class'] == f'rviz_default_plugins/{kind}'
    ]


def markers(*people, **options):
    """(namespace, id) -> Marker."""
    array = people_markers(*frames(40, *people), 'base_link', **options)
    return {(m.ns, m.id): m for m in array.markers}


def test_rviz_shows_topics_that_are_published_in_its_own_namespace():
    topics = [d['Topic']['Value'] for kind in ('MarkerArray', 'Image') for d in displays(kind)]
    assert set(topics) <= PUBLISHED
    assert {'markers', 'overlay/image_raw'} <= set(topics)
    assert not any(t.startswith('/') for t in topics)
    assert displays('TF') and displays('Grid')


def test_rviz_lets_every_kind_of_marker_be_ticked():
    people = next(d for d in displays('MarkerArray') if d['Topic']['Value'] == 'markers')
    assert set(people['Namespaces']) == set(NAMESPACES)
    assert all(people['Namespaces'].values())


def test_foxglove_shows_topics_that_are_published():
    text = json.dumps(FOXGLOVE)
    topics = {t.strip('/') for t in re.findall(r'"(/[a-z_/]+)', text)}
    assert topics <= PUBLISHED
    assert {'markers', 'overlay/image_raw', 'speaking_status', 'tracks', 'diagnostics'} <= topics


def test_foxglove_shows_gaze_who_faces_the_robot_and_whom_it_looks_at():
    panels = FOXGLOVE['configById']
    shown = panels['3D!people']['topics']
    assert shown['/markers']['visible'] and shown['/look_at']['visible']
    facing = [path['value'] for path in panels['Plot!facing']['paths']]
    assert facing and all('/head_poses' in v and '.facing_probability' in v for v in facing)
    assert panels['RawMessages!attention']['topicPath'] == '/attention'


def test_every_panel_of_foxglove_has_its_place():
    def panels(node):
        return [node] if isinstance(node, str) else panels(node['first']) + panels(node['second'])

    assert sorted(panels(FOXGLOVE['layout'])) == sorted(FOXGLOVE['configById'])


def test_who_speaks_has_a_halo_and_says_so():
    shown = markers(person(1, speaks=True), person(2))
    halo = shown['speaking', 1]
    assert halo.type == Marker.LINE_STRIP
    assert ('speaking', 2) not in shown
    assert shown['label', 1].text == 'person 1 speaks'
    assert all(np.hypot(p.x, p.y) == pytest.approx(HALO_RADIUS_M) for p in halo.points)
    assert halo.pose.position.x == 2.0
    assert shown['head', 1].scale.x > shown['head', 2].scale.x


def test_who_is_only_heard_is_a_ray_from_the_microphones():
    ray = markers(person(1, seen=False, speaks=True), origin=(0.1, 0.0, 0.3))['heard', 1]
    assert ray.type == Marker.ARROW
    assert [(p.x, p.z) for p in ray.points] == [
        (0.1, 0.3),
        (2.0, 0.1),
    ]
    assert ('heard', 2) not in markers(person(2, speaks=True)), 'who is seen needs no ray'


def test_the_ellipsoid_is_two_standard_deviations():
    track, status = person(1)
    turn = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    track.covariance[:3, :3] = turn @ np.diag([0.01, 0.04, 0.09]) @ turn.T
    ellipsoid = markers((track, status))['covariance', 1]
    assert sorted([ellipsoid.scale.x, ellipsoid.scale.y, ellipsoid.scale.z]) == pytest.approx(
        [0.4, 0.8, 1.2]
    )
    assert ellipsoid.color.a < 0.5, 'the head inside stays visible'


def test_who_sleeps_is_pale_and_colors_stay():
    awake, asleep = markers(person(1)), markers(person(1, seen=False, state=LifeState.SLEEPING))
    assert asleep['head', 1].color.a < awake['head', 1].color.a
    assert [getattr(asleep['head', 1].color, c) for c in 'rgb'] == [
        getattr(awake['head', 1].color, c) for c in 'rgb'
    ]
    assert {ns for ns, _ in awake} <= set(NAMESPACES)
