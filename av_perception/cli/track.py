"""Run the tracker offline on a recording folder, as fast as the machine can, without ROS.

  av-perception track my_recording                         writes my_recording/tracks.csv
  av-perception track my_recording -o tracks.csv --plot timeline.png
  av-perception evaluate tracks.csv my_recording           the figures against the recording's truth
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from av_perception.cli.output import check_writable, write_json
from av_perception.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument('recording', type=Path, metavar='RECORDING', help='recording folder (recording.yaml, audio, left/right images)')
    parser.add_argument('-o', '--output', type=Path, help='CSV to write (default: tracks.csv in the recording folder)')
    parser.add_argument('--map', type=Path, help='acoustic map (default: learnt from the geometry of the head)')
    parser.add_argument('--mode', choices=('full', 'minimal', 'events'), default='full',
                        help='full: the variational tracker; minimal: faces and two microphones (face_itd_fusion); events: clusters on the ITD line '
                             '(av_events)')
    parser.add_argument('--plot', type=Path, help='write a picture of who was where and who spoke')
    parser.add_argument('--json', type=Path, help='write the figures of the run to this file')


def run(options: argparse.Namespace) -> int:
    """Track, write, say what came out."""
    import cv2
    from rich.console import Console
    from rich.progress import Progress

    from av_perception.pipeline import START_NS
    from av_perception.recording import Recording
    from av_perception.recording.collect import collect_tracks

    for path in (options.json, options.output, options.plot):
        check_writable(path)
    cv2.setNumThreads(1)
    recording = Recording.open(options.recording)
    if options.plot and recording.truth is None:
        raise UserError(f'--plot compares with the truth, and {options.recording} has no truth.csv')
    pipeline = _make_pipeline(options, recording)
    started = time.monotonic()
    with Progress() as progress:
        task = progress.add_task('track', total=1.0)
        frames = pipeline.run(lambda fraction: progress.update(task, completed=fraction))
    elapsed_s = time.monotonic() - started
    tracks = collect_tracks(frames, START_NS)
    output = options.output or options.recording / 'tracks.csv'
    tracks.write(output)
    figures = {'frames': len(frames), 'people': sorted({int(i) for i in tracks.id}), 'elapsed_s': elapsed_s,
               'real_time_factor': elapsed_s / recording.duration_s, 'dropped': dict(pipeline.counters)}
    Console().print(f'{figures["frames"]} frames, people {figures["people"]}, {elapsed_s:.1f} s for {recording.duration_s:.1f} s; wrote {output}')
    if pipeline.counters:
        Console().print('dropped or repaired: ' + ', '.join(f'{k}: {v}' for k, v in sorted(pipeline.counters.items())))
    if options.plot:
        from av_perception.evaluation.timeline import plot_timeline
        plot_timeline(tracks, recording.truth, options.plot, title=options.recording.name)
    if options.json:
        write_json(options.json, figures)
    return 0 if len(tracks) else 1


def _make_pipeline(options: argparse.Namespace, recording):
    """The stages of the chosen mode."""
    from av_perception.audio.acoustic_map import AcousticMap
    from av_perception.clustering.pipeline import TwoMicrophonePipeline
    from av_perception.pipeline import OfflinePipeline, PipelineConfig

    if options.mode != 'full':
        if options.map:
            raise UserError(f'--map is for the full mode, --mode {options.mode} has no use for it')
        return TwoMicrophonePipeline(recording, options.mode)
    if not options.map:
        return OfflinePipeline(recording)
    acoustic_map = AcousticMap.load(options.map)
    acoustic_map.check(recording.head.microphones, PipelineConfig().audio)
    return OfflinePipeline(recording, acoustic_map=acoustic_map)
