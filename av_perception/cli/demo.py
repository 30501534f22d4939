# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Three talkers in a simulated room with real voices and real photographs, all nodes over real DDS, nothing on a screen.

  av-perception demo                          30 s; the first run fetches voices and photographs and renders the scene
  av-perception demo --seed 7                 other turns of speech, the same again with the same seed
  av-perception demo --scene grid             talking faces filmed on video (needs AV_PERCEPTION_DATA)
  av-perception demo --recording FOLDER       your own recording instead of a scene

Writes timeline.png (who was where and who spoke, against the truth), overlay.mp4, metrics.json, tracks.csv, an MCAP bag and the logs.
They can be read by their user only, and the nodes open no network socket.
The exit status is 0 when the people were tracked as they should be: every id kept, MOTA at least 85 %, DER at most 25 %.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from av_perception.cli.output import check_writable, write_json

MINIMUM_MOTA, MAXIMUM_DER = 0.85, 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument(
        '--scene',
        default='three_talkers',
        help='a name of config/scenes or the path of a YAML file (default: three_talkers)',
    )
    parser.add_argument(
        '--recording', type=Path, help='play this recording folder instead of a scene'
    )
    parser.add_argument('--seed', type=int, help="seed of the scene (default: the scene's own)")
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        default=Path('demo_output'),
        help='folder for what is written (default: demo_output)',
    )
    parser.add_argument('--json', type=Path, help='write the figures to this file too')


def run(options: argparse.Namespace) -> int:
    """Render, play, evaluate, show."""
    check_writable(options.json, made_folder=options.output)
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from av_perception.ros.bringup.environment import is_closed, prepare_environment, reach
    from av_perception.ros.bringup.session import play_through_graph
    from av_perception.visualization.people import write_overlay

    if not is_closed(prepare_environment()):
        print(f'av-perception: {reach()}', flush=True)
    with Progress(
        TextColumn('{task.description:<12}'),
        BarColumn(),
        TextColumn('{task.percentage:>3.0f}%'),
        TimeRemainingColumn(),
        TextColumn('{task.fields[text]}'),
    ) as progress:
        recording = _prepare(options, progress)
        output = _fresh_output(options.output)
        task = progress.add_task('play', total=1.0, text='')
        result = play_through_graph(
            recording,
            output / 'logs',
            output / 'bag',
            lambda fraction, text: progress.update(task, completed=fraction, text=text),
        )
        task = progress.add_task('draw', total=1.0, text='overlay.mp4')
        write_overlay(
            recording,
            result.frames,
            result.origin_ns,
            output / 'overlay.mp4',
            lambda fraction: progress.update(task, completed=fraction),
        )
    return _report(recording, result, output, options.json)


def _prepare(options: argparse.Namespace, progress):
    from av_perception.recording import Recording
    from av_perception.simulation.cache import simulated_recording

    if options.recording:
        return Recording.open(options.recording)
    task = progress.add_task('render', total=1.0, text='')
    recording = simulated_recording(
        options.scene,
        options.seed,
        lambda fraction, text: progress.update(task, completed=fraction, text=text),
    )
    progress.update(task, completed=1.0, text=str(recording.folder.name))
    return recording


def _fresh_output(folder: Path) -> Path:
    """An empty output folder; only what an earlier demo wrote is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ('bag', 'logs'):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ('timeline.png', 'overlay.mp4', 'metrics.json', 'tracks.csv', 'truth.csv'):
        (folder / name).unlink(missing_ok=True)
    return folder


def _report(recording, result, output: Path, json_file: Path | None) -> int:
    import numpy as np
    from rich.console import Console

    from av_perception.cli.evaluate import figures_table, summary
    from av_perception.evaluation.metrics import evaluate
    from av_perception.recording.collect import answered_times, collect_tracks
    from av_perception.visualization.timeline import plot_timeline

    tracks = collect_tracks(result.frames, result.origin_ns)
    tracks.write(output / 'tracks.csv')
    console = Console()
    images_tracked = count_images(recording, result.frames, result.origin_ns)
    console.print(f'{images_tracked} of {recording.num_frames} images tracked; wrote {output}/')
    if recording.truth is None:
        console.print('The recording has no truth: nothing to compare with.')
        return 0 if len(tracks) else 1
    recording.truth.write(output / 'truth.csv')
    answered_s = answered_times(result.frames, result.origin_ns)
    metrics = evaluate(tracks, recording.truth, answered_s=answered_s)
    figures = metrics.to_dict() | {
        'latency_median_ms': float(np.median(result.latency_ms)) if result.latency_ms else None,
        'latency_p99_ms': float(np.percentile(result.latency_ms, 99))
        if result.latency_ms
        else None,
        'images': recording.num_frames,
        'images_tracked': images_tracked,
        'exit_statuses': result.exit_statuses,
    }
    plot_timeline(
        tracks,
        recording.truth,
        output / 'timeline.png',
        title=recording.origin.get('scene', recording.folder.name),
        metrics=metrics,
        head=recording.head,
        answered_s=answered_s,
    )
    for path in filter(None, (output / 'metrics.json', json_file)):
        write_json(path, figures)
    console.print(figures_table(metrics))
    console.print(summary(metrics), soft_wrap=True)
    if result.latency_ms:
        console.print(
            f'From image to speaking status in another process: median {figures["latency_median_ms"]:.0f} ms, '
            f'99 % within {figures["latency_p99_ms"]:.0f} ms.',
            soft_wrap=True,
        )
    problems = _problems(figures)
    console.print(
        '[bold green]It worked.[/]'
        if not problems
        else f'[bold red]It did not work:[/] {"; ".join(problems)}.',
        soft_wrap=True,
    )
    return 1 if problems else 0


def count_images(recording, frames: list, origin_ns: int) -> int:
    """How many images there is a track frame for; once the images have ended, sound alone makes frames too."""
    from av_perception.recording.timing import image_stamp_ns

    stamps = {frame.stamp_ns for frame, _ in frames}
    return sum(
        origin_ns + image_stamp_ns(recording, index) in stamps
        for index in range(recording.num_frames)
    )


def _problems(figures: dict) -> list[str]:
    """What keeps the demo from having worked, in words."""
    problems = []
    if not figures['truth_rows']:
        if figures['false_positives']:
            problems.append(f'{figures["false_positives"]} rows of ghosts in an empty room')
    elif figures['mota'] is None or figures['mota'] < MINIMUM_MOTA:
        problems.append(f'MOTA {figures["mota"]} is below {MINIMUM_MOTA}')
    if figures['der'] is not None and figures['der'] > MAXIMUM_DER:
        problems.append(f'DER {figures["der"]:.3f} is above {MAXIMUM_DER}')
    lost = [str(person) for person, kept in figures['ids_kept'].items() if not kept]
    if lost:
        problems.append(f'the ids of {", ".join(lost)} were not kept')
    failed = [
        f'{name} (exit status {status})'
        for name, status in figures['exit_statuses'].items()
        if status != 0
    ]
    if failed:
        problems.append(f'{", ".join(failed)} did not stop cleanly')
    return problems
