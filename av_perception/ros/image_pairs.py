# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images of one or two cameras, paired by their stamps; what is missing is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import CompressedImage, Image

from av_perception.ros.compat import make_stamp_pairs
from av_perception.ros.conversions import ns_from_time
from av_perception.ros.image_source import ImageSource
from av_perception.ros.node import PerceptionNode
from av_perception.synchronization.stamp_gaps import StampGaps

ImagePair = tuple[Any, Any]  # left, and right or None; messages


def listen_to_image_pairs(
    node: PerceptionNode,
    source: ImageSource,
    is_stereo: bool,
    take: Callable[[ImagePair], None],
) -> None:
    """Subscribe to the images as the node's parameters say.

    Parameters
    ----------
    node
        With the parameter sync_tolerance; it listens and counts.
    source
        Raw or compressed images.
    is_stereo
        Whether there is a right camera.
    take
        Called with each pair.
    """

    def listen(side: str, receive: Callable[[Any], None]) -> None:
        watched = _watched(node, side, receive)
        node.subscribe(source.kind, source.topic(side), watched, source.profile)

    if not is_stereo:
        listen('left', lambda left: take((left, None)))
        return
    pairs = make_stamp_pairs(
        lambda left, right: take((left, right)),
        lambda: node.diagnostics.count('images dropped: no partner with the same stamp'),
        node.value('sync_tolerance'),
    )
    listen('left', pairs.first)
    listen('right', pairs.second)


def _watched(
    node: PerceptionNode, side: str, take: Callable[[Any], None]
) -> Callable[[Any], None]:
    """Count the images that are missing from a side, and hand on those that come."""
    gaps = StampGaps()

    def receive(image: Image | CompressedImage) -> None:
        num_missing = gaps.push(ns_from_time(image.header.stamp))
        if num_missing:
            node.diagnostics.count(f'{side} images missing', gaps.reason, num_missing)
        take(image)

    return receive
