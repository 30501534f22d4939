# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Fixtures that the tests of nodes share."""

from ros_bench import bench

__all__ = ['bench']
