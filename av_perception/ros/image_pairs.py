# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images of one or two cameras, paired by their stamps; what is missing is counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from av_perception.ros.compat import make_stamp_pairs
from av_perception.ros.conversions import ns_from_time
from av_perception.ros.image_source import ImageSource
from av_perception.ros.node import PerceptionNode
from av_perception.synchronization.stamp_gaps import StampGaps

# As far apart [s] two stamps of one moment may be; sync_tolerance allows no more.
_ONE_MOMENT_S = 0.1
_LATELY = 8  # images of a side

UNPAIRED = 'images dropped: no partner with the same stamp'

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
    offsets = PairOffsets()

    def listen(side: str, receive: Callable[[Any], None]) -> None:
        watched = _watched(node, side, receive, offsets)
        node.subscribe(source.kind, source.topic(side), watched, source.profile)

    if not is_stereo:
        listen('left', lambda left: take((left, None)))
        return
    pairs = make_stamp_pairs(
        lambda left, right: take((left, right)),
        lambda: node.diagnostics.count(UNPAIRED, offsets.reason(node.value('sync_tolerance'))),
        node.value('sync_tolerance'),
    )
    listen('left', pairs.first)
    listen('right', pairs.second)


class PairOffsets:
    """How far the stamps of left and right images lie apart that find no partner."""

    def __init__(self) -> None:
        self._stamps: dict[str, deque[int]] = {}  # the last ones by side [ns]

    def note(self, side: str, stamp_ns: int) -> None:
        """Take the stamp of an image."""
        self._stamps.setdefault(side, deque(maxlen=_LATELY)).append(stamp_ns)

    def reason(self, tolerance_s: float) -> str:
        """Say what to do; '' where stamps of the two sides are equal, or nothing is known.

        Parameters
        ----------
        tolerance_s
            How far the stamps of a pair may be apart now.
        """
        if len(self._stamps) < 2:
            return 'images of the other side do not come'
        left, right = (np.array(stamps) for stamps in self._stamps.values())
        apart_s = 1e-9 * np.abs(left[:, None] - right).min(axis=1)
        typical_s = float(np.median(apart_s))
        if typical_s <= tolerance_s:
            return ''  # single ones are lost
        if typical_s > _ONE_MOMENT_S:
            return f'left and right are {typical_s:.1f} s apart: do both cameras use one clock?'
        return (
            f'left and right are {1e3 * typical_s:.0f} ms apart: let one clock trigger both, or '
            f'set sync_tolerance to {np.ceil(1e3 * apart_s.max()) / 1e3:.3f} (people who move '
            'then have a wrong depth)'
        )


def _watched(
    node: PerceptionNode, side: str, take: Callable[[Any], None], offsets: PairOffsets
) -> Callable[[Any], None]:
    """Count the images that are missing from a side, and hand on those that come."""
    gaps = StampGaps()

    def receive(image: Image | CompressedImage) -> None:
        stamp_ns = ns_from_time(image.header.stamp)
        offsets.note(side, stamp_ns)
        num_missing = gaps.push(stamp_ns)
        if num_missing:
            node.diagnostics.count(f'{side} images missing', gaps.reason, num_missing)
        take(image)

    return receive
