# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Simulated recordings with truth: rooms, talkers who move and speak, microphones and cameras."""

from av_perception.simulation.scene import Scene, load_scene
from av_perception.simulation.simulator import simulate

__all__ = ['Scene', 'load_scene', 'simulate']
