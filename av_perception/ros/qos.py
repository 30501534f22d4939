# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Quality of service of the suite's topics: one home for each decision."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

FEATURES = QoSProfile(depth=50)  # two seconds of features at 25 Hz, reliable
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Drivers of inertial sensors are best effort by custom.
MOTION = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
# The word of the next image makes up for one that is lost.
RECEIPTS = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
IMAGES_OUT = QoSProfile(depth=5)  # reliable: best-effort subscribers match too


def audio(chunk_s: float) -> QoSProfile:
    """Make a reliable profile, deep enough for two seconds of chunks of `chunk_s` seconds."""
    return QoSProfile(depth=max(2, round(2.0 / chunk_s)))


def voice(chunk_s: float) -> QoSProfile:
    """Make the profile of a person's sound: who comes late may still get the last two seconds."""
    depth = max(2, round(2.0 / chunk_s))
    return QoSProfile(depth=depth, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def images_in(reliable: bool) -> QoSProfile:
    """Make the profile for subscribers of images.

    Camera drivers differ, so the reliability is a parameter of the node.
    """
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=5, reliability=reliability)
