# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The part of the demo in which the head turns: the closed loop over the whole graph."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from av_perception.cli.output import staged_progress, write_json
from av_perception.errors import UserError
from av_perception.recording.images import ImageWriter
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.visualization.overlay import draw_overlay
from av_perception.visualization.people import people_to_draw

if TYPE_CHECKING:
    from av_perception.evaluation.attention import LookScores
    from av_perception.robot_head import HeadProfile
    from av_perception.ros.bringup.attention_session import Answer, AttentionResult
    from av_perception.simulation.turning_scene import TurningScene

DEFAULT_SCENE = 'attention'
MAXIMUM_DELAY_S = 1.0


class OverlayVideo:
    """Writes what the turning camera sees, with the people drawn on it."""

    def __init__(self, head: HeadProfile, path: Path):
        """Start the file; nothing is written for a head without a camera."""
        self._head = head
        self._writer: ImageWriter | None = None
        if head.camera is not None:
            size = (head.camera.width, head.camera.height)
            self._writer = ImageWriter(path, size, head.camera.frame_rate)

    def add(self, answer: Answer) -> None:
        """Add one image."""
        camera, images = self._head.camera, answer.moment.images
        if self._writer is None or camera is None or images is None:
            return
        poses = SensorPoses.of_head(self._head, answer.moment.head.base_from_head)
        people = people_to_draw(
            answer.tracks,
            answer.speaking,
            camera,
            poses.reference_from_optical,
            answer.attention.id,
        )
        self._writer.write(draw_overlay(images.left, people))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


def run_attention(options: argparse.Namespace, output: Path) -> int:
    """Play, evaluate, show; the exit status."""
    from av_perception.simulation.scene import load_scene
    from av_perception.simulation.turning_scene import TurningScene

    if options.recording is not None:
        raise UserError('--attention renders a scene as the head turns: no recording can do that')
    scene = TurningScene(load_scene(options.scene or DEFAULT_SCENE), seed=options.seed)
    result = _play(scene, output)
    scores = _evaluate(scene, result, output)
    figures = {**scores.to_dict(), 'exit_statuses': result.exit_statuses}
    for path in filter(None, (output / 'metrics.json', options.json)):
        write_json(path, figures)
    return _verdict(scores, result.exit_statuses, output)


def _play(scene: TurningScene, output: Path) -> AttentionResult:
    """Play the scene through the graph; bag, logs and the video go to the output folder."""
    from av_perception.ros.bringup.attention_session import play_attention

    video = OverlayVideo(scene.head, output / 'overlay.mp4')
    with staged_progress() as progress:
        task = progress.add_task('turn', total=1.0, text='')
        result = play_attention(
            scene,
            output / 'logs',
            output / 'bag',
            lambda fraction, text: progress.update(task, completed=fraction, text=text),
            video.add,
        )
    video.close()
    return result


def _evaluate(scene: TurningScene, result: AttentionResult, output: Path) -> LookScores:
    """Compute the figures and draw the picture."""
    from av_perception.benchmarks.attention_loop import half_view_deg
    from av_perception.evaluation.attention import score_looks
    from av_perception.visualization.attention_picture import plot_attention

    view_deg = half_view_deg(scene.head.camera)
    scores = score_looks([result.history], view_deg)
    people = [talker.id for talker in scene.scene.talkers]
    path = output / 'attention.png'
    plot_attention(result.history, people, view_deg, path, scene.scene.name, scores)
    return scores


def _verdict(scores: LookScores, exit_statuses: dict[str, int], output: Path) -> int:
    """Print the figures and whether it worked; the exit status."""
    from rich.console import Console

    console = Console()
    for name, value in scores.to_dict().items():
        text = f'{value:.2f}' if isinstance(value, float) else value
        console.print(f'{name.replace("_", " "):<30} {text}')
    console.print(f'Wrote {output}/attention.png, overlay.mp4, metrics.json and a bag.')
    problems = problems_of(scores)
    problems += [f'{name} did not stop cleanly' for name, s in exit_statuses.items() if s != 0]
    if problems:
        console.print(f'[bold red]It did not work:[/] {"; ".join(problems)}.', soft_wrap=True)
    else:
        console.print('[bold green]It worked.[/]')
    return 1 if problems else 0


def problems_of(scores: LookScores) -> list[str]:
    """Say what keeps the demo from having worked."""
    problems = []
    delay_s = scores.delay_out_of_view_median_s
    if scores.out_of_view and (delay_s is None or delay_s > MAXIMUM_DELAY_S):
        took = 'for ever' if delay_s is None else f'{delay_s:.2f} s'
        problems.append(f'it took {took} in the median to face who spoke out of view')
    if scores.false_turns:
        problems.append(f'{scores.false_turns} false turns')
    if scores.ids_changed:
        problems.append(f'{scores.ids_changed} ids changed')
    return problems
