# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The services of the tracker: everybody forgotten, or one person; ids are never given again."""

from __future__ import annotations

import numpy as np
import pytest
from av_perception_msgs.msg import TrackArray, VisualFeatures
from std_srvs.srv import Trigger
from tracking_scenes import HEAD, face_at, image

services = pytest.importorskip('av_perception_msgs.srv')

from av_perception.nodes import tracker as tracker_node  # noqa: E402
from av_perception.nodes.tracker import TrackerNode  # noqa: E402
from av_perception.ros.conversions import visual_features_to_msg  # noqa: E402
from av_perception.ros.id_memory import IdMemory  # noqa: E402

PLACES = np.array([[2.0, 0.4, 0.1], [2.0, -0.4, 0.1]])


@pytest.fixture()
def node(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(
        tracker_node, 'IdMemory', lambda name, domain: IdMemory(name, domain, tmp_path)
    )
    return bench(
        TrackerNode,
        {'visual_features': VisualFeatures},
        ('tracks', TrackArray),
        head='simulated',
        audio_wait=0.0,
        publish_tf=False,
    )


def watch(node, frames):
    """Two people stand there in these frames; their ids at the end, from left to right."""
    for f in frames:
        faces = [face_at(place, np.random.default_rng(f)) for place in PLACES]
        node.send('visual_features', visual_features_to_msg(image(f, *faces), HEAD.camera.frame))
    return [t.id for t in sorted(node.heard[-1].tracks, key=lambda t: -t.position.y)]


def call(node, kind, name, request):
    client = node.client.create_client(kind, f'/tracker/{name}')
    assert node.until(client.service_is_ready)
    future = client.call_async(request)
    assert node.until(future.done)
    return future.result()


@pytest.mark.slow
def test_one_person_is_forgotten_and_found_anew_under_another_id(node):
    left, right = watch(node, range(12))
    request = services.ForgetPerson.Request(id=left)
    assert call(node, services.ForgetPerson, 'forget_person', request).success
    new_left, same_right = watch(node, range(12, 30))
    assert same_right == right and new_left == max(left, right) + 1
    again = call(node, services.ForgetPerson, 'forget_person', request)
    assert not again.success and f'nobody has the id {left}' in again.message


@pytest.mark.slow
def test_everybody_is_forgotten_and_no_id_comes_again(node):
    before = watch(node, range(12))
    assert call(node, Trigger, 'reset', Trigger.Request()).success
    after = watch(node, range(12, 30))
    assert len(after) == 2 and min(after) > max(before)
