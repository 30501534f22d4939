# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The node `web_view` over DDS: what a real browser shows, and that it works on demand only."""

from __future__ import annotations

import http.client
import itertools
import re
import shutil
import subprocess
from urllib.parse import urlsplit

import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

av = pytest.importorskip('av_perception_msgs.msg')

from av_perception.interfaces import (  # noqa: E402
    LifeState,
    SpeakingFrame,
    SpeakingStatus,
    TrackEstimate,
    TrackFrame,
)
from av_perception.nodes.web_view import WebViewNode  # noqa: E402
from av_perception.ros import qos  # noqa: E402
from av_perception.ros.conversions import (  # noqa: E402
    image_to_msg,
    speaking_frame_to_msg,
    track_frame_to_msg,
)

START_NS = 1_000_000_000
PERIOD_NS = 40_000_000
INPUTS = {
    'tracks': av.TrackArray,
    'speaking_status': av.SpeakingStatusArray,
}
OVERLAY = 'overlay/image_raw'
BROWSER = shutil.which('chromium') or shutil.which('google-chrome')
SHOWN_MS = (6000, 30_000, 120_000)  # how long a browser looks before it tells what it shows


def people(k):
    """Person 3 speaks two meters ahead, person 4 is silent, half a meter further."""
    stamp_ns = START_NS + k * PERIOD_NS
    tracks = tuple(
        TrackEstimate(
            key,
            LifeState.ACTIVE,
            np.array([2.0 + 0.5 * (key - 3), 0.0, 0.3, 0.0, 0.0, 0.0]),
            np.eye(6) * 0.01,
            True,
            False,
            False,
            1,
            0,
            0.0,
        )
        for key in (3, 4)
    )
    statuses = (
        SpeakingStatus(3, True, 0.9, START_NS),
        SpeakingStatus(4, False, 0.1, START_NS),
    )
    return TrackFrame(stamp_ns, tracks, True), SpeakingFrame(stamp_ns, statuses)


@pytest.fixture()
def node(bench):
    return bench(WebViewNode, INPUTS, port=0)


def play(node, k):
    frame, speaking = people(k)
    node.send('tracks', track_frame_to_msg(frame, 'base_link'))
    node.send('speaking_status', speaking_frame_to_msg(speaking, 'base_link'))


def address(node):
    return urlsplit(node.node._server.address)


def rows_in_a_browser(node, shown_ms, frames):
    """(id, content) of the table's rows after so long."""
    looks = [f'--timeout={shown_ms}', '--dump-dom', node.node._server.address]
    browser = subprocess.Popen(
        [BROWSER, '--headless', '--no-sandbox', '--disable-gpu', *looks],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    while browser.poll() is None:
        play(node, next(frames))
        node.spin(0.05)
    return re.findall(r'<tr data-id="(\d+)">(.*?)</tr>', browser.stdout.read(), re.DOTALL)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason='there is no chromium')
def test_a_real_browser_shows_who_is_there_and_who_speaks(node):
    frames = itertools.count()
    # A browser beside busy processes may not have come so far when it has to tell.
    for shown_ms in SHOWN_MS:
        if rows := rows_in_a_browser(node, shown_ms, frames):
            break
    assert [key for key, _ in rows] == ['3', '4']
    assert '2.0 m, 0° left' in rows[0][1] and 'class="speaks"' in rows[0][1]
    assert '2.5 m, 0° left' in rows[1][1] and 'class="speaks"' not in rows[1][1]


@pytest.mark.slow
def test_images_are_listened_to_only_while_a_page_shows_them(node):
    def listeners():
        return node.client.count_subscribers(OVERLAY)

    images = node.client.create_publisher(Image, OVERLAY, qos.IMAGES_OUT)
    node.spin(1.2)
    assert listeners() == 0
    where = address(node)
    page = http.client.HTTPConnection(where.hostname, where.port, timeout=60.0)
    page.request('GET', '/image')
    assert node.until(lambda: listeners() == 1)
    node.until(images.get_subscription_count)
    images.publish(image_to_msg(np.zeros((8, 8, 3), np.uint8), START_NS, 'left'))
    assert node.until(lambda: node.node._next_image_ns > START_NS)
    answer = page.getresponse()
    head = b''.join(iter(answer.readline, b'\r\n'))
    assert b'image/jpeg' in head
    page.close()
    answer.close()
    assert node.until(lambda: listeners() == 0)


@pytest.mark.slow
def test_a_port_that_is_taken_refuses_the_start_and_says_what_to_do(ros_context, node):
    taken = Parameter('port', value=address(node).port)
    second = WebViewNode(context=ros_context, parameter_overrides=[taken])
    assert not second.start()
    assert 'choose another port' in second.refusal
    second.destroy_node()
