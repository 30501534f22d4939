# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The closed loop without ROS: a scene, the stages, the policy, and the neck that it turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from av_perception.attention.look_control import LookController
from av_perception.benchmarks.sensors import microphones_of
from av_perception.evaluation.attention import LookHistory
from av_perception.evaluation.look_recorder import LookRecorder
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AudioChunk
from av_perception.pipelines.full import START_NS
from av_perception.pipelines.turning_head import Result, TurningHeadConfig, TurningHeadPipeline
from av_perception.robot_head import CameraGeometry
from av_perception.simulation.turning_scene import STEP_S, Moment, TurningScene

See = Callable[[TurningHeadPipeline, int, Moment], None]


@dataclass(frozen=True)
class LoopResult:
    """What happened.

    Attributes
    ----------
    history
        For `evaluation.attention`.
    results
        What the stages said, in order.
    lag_s
        [s] from the stamps of the answers to when they came, the longest.
    """

    history: LookHistory
    results: list[Result]
    lag_s: float


def see_images(pipeline: TurningHeadPipeline, stamp_ns: int, moment: Moment) -> None:
    """Give the drawn images to the pipeline."""
    if moment.images is not None:
        pipeline.see(stamp_ns, moment.images.left, moment.images.right)


def run_loop(
    scene: TurningScene,
    config: TurningHeadConfig | None = None,
    see: See = see_images,
    progress: Callable[[float], None] = lambda fraction: None,
) -> LoopResult:
    """Play a scene to its end; the neck follows whom the policy looks at.

    Parameters
    ----------
    scene
        At its begin.
    config
        Of the stages.
    see
        Gives what the cameras see to the pipeline.
    progress
        Called with the fraction that is done.
    """
    pipeline = TurningHeadPipeline(scene.head, config)
    controller = LookController()
    recorder = LookRecorder()
    results: list[Result] = []
    lag_s = 0.0
    while not scene.is_over:
        moment = scene.step(*controller.goals)
        stamp_ns = stamp_of(moment)
        feel_and_hear(pipeline, moment, microphones_of(scene.head).sample_rate)
        see(pipeline, stamp_ns, moment)
        note_step(recorder, moment)
        for result in pipeline.poll(stamp_ns):
            results.append(result)
            tracks, _, attention = result
            recorder.note_answer(step_of(attention.stamp_ns), attention, tracks)
            lag_s = max(lag_s, 1e-9 * (stamp_ns - attention.stamp_ns))
            controller.look_at(attention.target)
        progress(moment.time_s / scene.scene.duration)
    return LoopResult(recorder.history(), results, lag_s)


def feel_and_hear(pipeline: TurningHeadPipeline, moment: Moment, sample_rate: int) -> None:
    """Give the neck's readings and the sound of a moment to the pipeline."""
    for reading in moment.joints:
        reading_ns = START_NS + nanoseconds(reading.time_s)
        pipeline.note_pose(reading_ns, reading.base_from_head, reading.rates)
    start_s = moment.time_s - STEP_S
    first = round(start_s * sample_rate)
    start_ns = START_NS + nanoseconds(start_s)
    pipeline.hear(AudioChunk(start_ns, sample_rate, first, moment.sound))


def half_view_deg(camera: CameraGeometry | None) -> float:
    """Tell how far a camera sees to either side [deg]; without one, nobody is in view."""
    if camera is None:
        return 0.0
    return float(np.degrees(np.arctan(camera.width / 2 / camera.focal[0])))


def note_step(recorder: LookRecorder, moment: Moment) -> None:
    """Note a moment of a scene."""
    axis = moment.head.base_from_head.rotate(np.array([1.0, 0.0, 0.0]))
    recorder.note_step(moment.time_s, axis, moment.positions, moment.speaking)


def stamp_of(moment: Moment, origin_ns: int = START_NS) -> int:
    """Give the stamp [ns] of a moment's image; origin_ns: of the scene's second 0."""
    return origin_ns + nanoseconds(moment.time_s)


def step_of(stamp_ns: int, origin_ns: int = START_NS) -> int:
    """Give the step, counted from 0, at whose end a stamp lies."""
    return round(1e-9 * (stamp_ns - origin_ns) / STEP_S) - 1
