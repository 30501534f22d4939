"""Simulated recordings with truth: rooms, talkers who move and speak, microphones and cameras."""

from av_perception.simulation.scene import Scene, load_scene
from av_perception.simulation.simulator import simulate

__all__ = ['Scene', 'load_scene', 'simulate']
