# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Three talkers in a simulated room with real voices and photographs, all nodes over real DDS.

  av-perception demo
      30 s; the first run fetches voices and photographs and renders the scene
  av-perception demo --seed 7
      other turns of speech, the same again with the same seed
  av-perception demo --scene grid
      talking faces filmed on video (needs AV_PERCEPTION_DATA)
  av-perception demo --recording FOLDER
      your own recording instead of a scene
  av-perception demo --attention
      a head that turns to who speaks: attention.png, overlay.mp4, metrics.json; the exit status is
      0 when it faced who spoke out of its view within a second in the median, kept every id and
      turned to nobody else

Nothing is shown on a screen. Writes timeline.png (who was where and who spoke, against the truth),
overlay.mp4, metrics.json, tracks.csv, an MCAP bag and the logs. They can be read by their user
only, and the nodes open no network socket. The exit status is 0 when the people were tracked as
they should be: every id kept, MOTA at least 85 %, DER at most 25 %.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from av_perception.cli.output import check_writable, staged_progress, write_json
from av_perception.cli.simulate import seed
from av_perception.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from av_perception.evaluation.metrics import Metrics
    from av_perception.recording import Recording
    from av_perception.ros.bringup.machine_load import MachineLoad

DEFAULT_SCENE = 'three_talkers'
MINIMUM_MOTA = 0.85
MAXIMUM_DER = 0.25
TOLD_LOST = 0.02  # of the images: from then on that is said to be a cause of bad figures
TOLD_STOLEN = 0.05  # processors that the host of a virtual machine takes
# Words of the counters of what an image can be lost to.
LOST = ('dropped', 'left out', 'refused', 'late visual', 'images missing')
_FOLDERS = ('bag', 'logs')
_FILES = (
    'timeline.png',
    'attention.png',
    'overlay.mp4',
    'metrics.json',
    'tracks.csv',
    'truth.csv',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument(
        '--scene',
        help='a name of config/scenes or the path of a YAML file (default: three_talkers; with '
        '--attention: attention)',
    )
    parser.add_argument(
        '--attention', action='store_true', help='close the loop: the head turns to who speaks'
    )
    parser.add_argument(
        '--recording', type=Path, help='play this recording folder instead of a scene'
    )
    parser.add_argument(
        '--seed', type=seed, help="seed of the scene, 0 or more (default: the scene's own)"
    )
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        default=Path('demo_output'),
        help='folder for what is written (default: demo_output)',
    )
    parser.add_argument(
        '--processes', action='store_true', help='a process for each node instead of one for all'
    )
    parser.add_argument('--json', type=Path, help='write the figures to this file too')


def run(options: argparse.Namespace) -> int:
    """Render, play, evaluate, show."""
    if options.output.exists() and not options.output.is_dir():
        raise UserError(f'cannot write to {options.output}: it is a file, name a folder')
    check_writable(options.json, made_folder=options.output)
    from av_perception.ros.bringup.availability import require_ros
    from av_perception.ros.bringup.environment import is_closed, prepare_environment, reach

    require_ros()
    if not is_closed(prepare_environment()):
        print(f'av-perception: {reach()}', flush=True)
    if options.attention:
        from av_perception.cli.attention_demo import run_attention

        return run_attention(options, _fresh_output(options.output))
    return _run_scene(options)


def _run_scene(options: argparse.Namespace) -> int:
    """Play a recording or a rendered scene through the graph, and report."""
    from av_perception.evaluation.scoring_packages import require_scoring
    from av_perception.ros.bags.bag_file import rosbags
    from av_perception.ros.bringup.session import play_through_graph
    from av_perception.visualization.people import write_overlay

    require_scoring()
    rosbags()  # raises where bags cannot be written
    with staged_progress() as progress:
        recording = _prepare(options, progress)
        output = _fresh_output(options.output)
        task = progress.add_task('play', total=1.0, text='')
        result = play_through_graph(
            recording,
            output / 'logs',
            output / 'bag',
            lambda fraction, text: progress.update(task, completed=fraction, text=text),
            composed=not options.processes,
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


def _prepare(options: argparse.Namespace, progress: Progress) -> Recording:
    """Open the recording, or render the scene where the cache lacks it."""
    from av_perception.recording import Recording
    from av_perception.simulation.cache import simulated_recording

    if options.recording:
        return Recording.open(options.recording)
    task = progress.add_task('render', total=1.0, text='')
    recording = simulated_recording(
        options.scene or DEFAULT_SCENE,
        options.seed,
        lambda fraction, text: progress.update(task, completed=fraction, text=text),
    )
    progress.update(task, completed=1.0, text=str(recording.folder.name))
    return recording


def _fresh_output(folder: Path) -> Path:
    """Make an empty output folder; only what an earlier demo wrote is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    return folder


def _report(recording: Recording, result, output: Path, json_file: Path | None) -> int:
    """Write tracks, figures and the picture, say how it went; the exit status."""
    from rich.console import Console

    from av_perception.evaluation.metrics import evaluate
    from av_perception.recording.collect import answered_times, collect_tracks
    from av_perception.visualization.timeline import plot_timeline

    tracks = collect_tracks(result.frames, result.origin_ns)
    tracks.write(output / 'tracks.csv')
    console = Console()
    images_tracked = count_images(recording, result.frames, result.origin_ns)
    console.print(f'{images_tracked} of {recording.num_frames} images tracked; wrote {output}/')
    if images_tracked < recording.num_frames:
        _print_losses(console, result.diagnostics)
    if recording.truth is None:
        console.print('The recording has no truth: nothing to compare with.')
        return 0 if len(tracks) else 1
    recording.truth.write(output / 'truth.csv')
    answered_s = answered_times(result.frames, result.origin_ns)
    metrics = evaluate(tracks, recording.truth, answered_s=answered_s)
    figures = {
        **metrics.to_dict(),
        **_latency(result.latency_ms_by_stamp, result.origin_ns, result.load),
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
    return _verdict(console, metrics, figures)


def _print_losses(console: Console, diagnostics: dict[str, dict[str, str]]) -> None:
    """Say where images were lost, and what to do."""
    console.print(
        f'Lost on the way: {losses(diagnostics)}. Try again while nothing else keeps the '
        'processors busy.',
        soft_wrap=True,
    )


def _latency(
    latency_ms_by_stamp: dict[int, float], origin_ns: int, load: MachineLoad | None = None
) -> dict:
    """Median and 99th percentile, None without any; how many were late, and in which bursts.

    With the load of the machine, who had the processors in each burst.
    """
    import numpy as np

    from av_perception.evaluation.lateness import LATE_MS, late_bursts
    from av_perception.geometry.time import seconds

    if not latency_ms_by_stamp:
        return {'latency_median_ms': None, 'latency_p99_ms': None}
    times_s = np.array([seconds(stamp - origin_ns) for stamp in latency_ms_by_stamp])
    latency_ms = np.array(list(latency_ms_by_stamp.values()))
    median, p99 = np.percentile(latency_ms, (50, 99))
    bursts = late_bursts(times_s, latency_ms)
    return {
        'latency_median_ms': float(median),
        'latency_p99_ms': float(p99),
        'late_images': int((latency_ms > LATE_MS).sum()),
        'late_bursts_s': bursts,
        'late_bursts_load': [_load_of(burst, origin_ns, load) for burst in bursts],
    }


def _load_of(
    burst: tuple[float, float], origin_ns: int, load: MachineLoad | None
) -> dict[str, float] | None:
    """Tell how many processors who kept busy in a burst; None where nobody knows."""
    from av_perception.geometry.time import nanoseconds

    if load is None:
        return None
    first_ns, last_ns = (origin_ns + nanoseconds(time_s) for time_s in burst)
    found = load.during(first_ns, last_ns)
    return None if found is None else asdict(found)


def told_lateness(figures: dict) -> str:
    """Say how long it took from image to speaking status, and when it took long."""
    from av_perception.evaluation.lateness import LATE_MS

    text = (
        f'From image to speaking status in another process: '
        f'median {figures["latency_median_ms"]:.0f} ms, '
        f'99 % within {figures["latency_p99_ms"]:.0f} ms.'
    )
    bursts = figures['late_bursts_s']
    if bursts:
        loads = figures['late_bursts_load']
        spells = '; '.join(map(_told_burst, bursts, loads))
        text += (
            f' {figures["late_images"]} images took over {LATE_MS:.0f} ms, most of them in bursts '
            f'({spells}): other programs, or a slow machine.'
        )
    return text


def _told_burst(burst: tuple[float, float], load: dict[str, float] | None) -> str:
    """Say when a burst was, and who else had the processors."""
    text = f'{burst[0]:.1f} to {burst[1]:.1f} s'
    if load is None:
        return text
    text += f', while the suite used {load["own"]:.1f} processors, others {load["others"]:.1f}'
    if load['stolen'] >= TOLD_STOLEN:
        text += f", the machine's host {load['stolen']:.1f}"
    return text


def _verdict(console: Console, metrics: Metrics, figures: dict) -> int:
    """Print the figures and whether it worked; the exit status."""
    from av_perception.cli.evaluate import figures_table, summary

    console.print(figures_table(metrics))
    console.print(summary(metrics), soft_wrap=True)
    if figures['latency_median_ms'] is not None:
        console.print(told_lateness(figures), soft_wrap=True)
    problems = _problems(figures)
    if problems:
        problems += _lost_images(figures)
        text = f'[bold red]It did not work:[/] {"; ".join(problems)}.'
    else:
        text = '[bold green]It worked.[/]'
    console.print(text, soft_wrap=True)
    return 1 if problems else 0


def _lost_images(figures: dict) -> list[str]:
    """Say that many images were lost, where bad figures may come of that."""
    images = figures['images']
    num_lost = images - figures['images_tracked']
    if num_lost <= TOLD_LOST * images:
        return []
    return [
        f'{num_lost} of {images} images were lost, and who was there then counts as missed: the '
        'processors are too busy, or too slow'
    ]


def count_images(recording: Recording, frames: list, origin_ns: int) -> int:
    """Count the images that there is a track frame for.

    Parameters
    ----------
    recording
        What was played.
    frames
        Pairs of track frame and speaking frame; once the images have ended, sound alone makes
        frames too.
    origin_ns
        Stamp [ns] of the recording's start.

    Returns
    -------
    int
        How many images were tracked.
    """
    from av_perception.recording.timing import image_stamp_ns

    stamps = {frame.stamp_ns for frame, _ in frames}
    return sum(
        origin_ns + image_stamp_ns(recording, index) in stamps
        for index in range(recording.num_frames)
    )


def losses(diagnostics: dict[str, dict[str, str]]) -> str:
    """Say what the nodes have counted as dropped or left out.

    Parameters
    ----------
    diagnostics
        Counters and message of each node.

    Returns
    -------
    str
        Node, event and number, with commas between them.
    """
    told = [
        f'{node} {event} ({number})'
        for node, values in sorted(diagnostics.items())
        for event, number in values.items()
        if any(word in event for word in LOST) and number.isdigit() and int(number)
    ]
    return ', '.join(told) or 'no node has counted a loss: the machine is too slow or busy'


def _percent(share: float | None) -> str:
    return 'without a value' if share is None else f'{100 * share:.1f} %'


def _problems(figures: dict) -> list[str]:
    """Say what keeps the demo from having worked."""
    problems = []
    if not figures['truth_rows']:
        if figures['false_positives']:
            problems.append(f'{figures["false_positives"]} rows of ghosts in an empty room')
    elif figures['mota'] is None or figures['mota'] < MINIMUM_MOTA:
        problems.append(f'MOTA {_percent(figures["mota"])} is below {_percent(MINIMUM_MOTA)}')
    if figures['der'] is not None and figures['der'] > MAXIMUM_DER:
        problems.append(f'DER {_percent(figures["der"])} is above {_percent(MAXIMUM_DER)}')
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
