# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Run the tracker offline on a recording folder or a bag, as fast as it can, without any node.

  av-perception track my_recording                      writes my_recording/tracks.csv
  av-perception track my_recording -o tracks.csv --plot timeline.png
  av-perception track my_bag --head nao -o tracks.csv   a bag does not know its head
  av-perception track my_recording --voices voices
      also the voice of each person, as FLAC, and who spoke when (turns.csv, turns.rttm)
  av-perception track my_recording --mot boxes.txt --rttm turns.rttm
      also faces as MOT-challenge text, and who spoke when as RTTM, for other tools
  av-perception track my_recording --gaze gaze.csv      who looks at the robot, and at whom
  av-perception track my_recording --mouths mouths      the mouth of each person, image by image
  av-perception track recordings --jobs 4 --resume      all in a folder; a table at the end
  av-perception evaluate tracks.csv my_recording        the figures against the recording's truth

The same bag gives the same tracks, bit for bit. Of several recordings, each gets its files in its
own folder, or in OUTPUT/<its name>: -o names a folder then, the other options names in it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from av_perception.cli.many import (
    Columns,
    Job,
    add_many_arguments,
    check_folder_of_several,
    name_within,
    run_many,
    run_one_or_many,
)
from av_perception.cli.output import check_picture, check_writable, make_folder, write_json
from av_perception.errors import UserError
from av_perception.recording.collection import (
    Found,
    find_recordings,
    input_files,
    is_bag,
    own_folder,
)

_COLUMNS: Columns = {
    'people': lambda figures: ' '.join(map(str, figures['people'])),
    'images': lambda figures: str(figures['frames']),
    'real-time factor': lambda figures: f'{figures["real_time_factor"]:.2f}',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument(
        'recordings',
        type=Path,
        nargs='+',
        metavar='RECORDING',
        help='recording folder (recording.yaml, audio, left/right images), a bag, or a folder of '
        'such',
    )
    _add_bag_arguments(parser)
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        help='CSV to write (default: tracks.csv in the recording folder); of several a folder',
    )
    parser.add_argument(
        '--map', type=Path, help='acoustic map (default: learned from the geometry of the head)'
    )
    parser.add_argument(
        '--mode',
        choices=('full', 'minimal', 'events'),
        default='full',
        help='full: the variational tracker; minimal: faces and two microphones '
        '(face_itd_fusion); events: clusters on the ITD line (av_events)',
    )
    _add_outputs(parser)
    add_many_arguments(parser)


def _add_bag_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--head',
        default='',
        help='with a bag: the head it was recorded with, a profile name or file',
    )
    parser.add_argument(
        '--remap',
        action='append',
        default=[],
        metavar='FROM:=TO',
        help='with a bag: a topic that was recorded under another name, '
        '/camera/image:=left/image_raw; repeatable',
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--voices',
        type=Path,
        metavar='FOLDER',
        help='also separate the voices: a FLAC per person, turns.csv and turns.rttm',
    )
    parser.add_argument(
        '--mot',
        type=Path,
        metavar='FILE',
        help='of a recording folder: also write the boxes of faces as MOT-challenge text '
        '(frame,id,left,top,width,height,confidence,x,y,z)',
    )
    parser.add_argument(
        '--rttm', type=Path, metavar='FILE', help='also write who spoke when, as RTTM'
    )
    parser.add_argument(
        '--gaze',
        type=Path,
        metavar='CSV',
        help='of a recording folder: also write how heads are turned and who faces whom',
    )
    parser.add_argument(
        '--mouths',
        type=Path,
        metavar='FOLDER',
        help='also write the mouth of each person, image by image (person_<id>.npz)',
    )
    parser.add_argument(
        '--plot',
        type=Path,
        help='write a picture of who was where and who spoke, beside the truth where there is one',
    )
    parser.add_argument('--json', type=Path, help='write the figures of the run to this file')


def run(options: argparse.Namespace) -> int:
    """Track one recording or several."""
    return run_one_or_many(options, find_recordings(options.recordings), _run_one, _run_many)


def _run_many(found: list[Found], options: argparse.Namespace) -> int:
    """Track each in a process of its own."""
    check_writable(options.json)
    check_folder_of_several(options.output)
    names = {
        name: name_within(f'--{name}', getattr(options, name))
        for name in ('voices', 'gaze', 'mouths', 'plot', 'mot', 'rttm')
    }
    jobs = []
    for one in found:
        folder = options.output / one.name if options.output else own_folder(one.path)
        if options.output and one.path.exists():
            make_folder(folder)
        own = {key: name and folder / name for key, name in names.items()}
        output = folder / 'tracks.csv'
        inputs = [*input_files(one.path), *filter(None, [options.map])]
        changed = {'recordings': [one.path], 'output': output, 'resume': False, **own}
        single = argparse.Namespace(**{**vars(options), **changed})
        jobs.append(Job(one.name, single, inputs, output))
    return run_many(jobs, options, _COLUMNS)


def _run_one(options: argparse.Namespace) -> int:
    """Track, write, say what came out."""
    import cv2

    from av_perception.recording.collect import collect_tracks

    cv2.setNumThreads(1)
    recording, origin_ns = _checked(options)
    pipeline = _make_pipeline(options, recording)
    voices = _separate(pipeline, options, origin_ns)
    mouths = _watch_mouths(pipeline, options)
    frames, elapsed_s = _run(pipeline)
    if options.mouths:
        _write_mouths(options.mouths, frames, mouths, origin_ns)
    if voices is not None:
        voices.finish([speaking for _, speaking in frames], options.recording.name)
    tracks = collect_tracks(frames, origin_ns)
    output = _output_file(options)
    tracks.write(output)
    if options.gaze:
        _write_gaze(options.gaze, recording, frames, origin_ns)
    _write_for_others(options, recording, frames, origin_ns)
    figures = {
        'frames': len(frames),
        'people': sorted({int(i) for i in tracks.id}),
        'elapsed_s': elapsed_s,
        'real_time_factor': elapsed_s / recording.duration_s,
        'dropped': dict(pipeline.counters),
        'problems': pipeline.problems,
    }
    _print(figures, recording.duration_s, output)
    if options.plot:
        _plot(options, tracks, recording)
    if options.json:
        write_json(options.json, figures)
    return 0 if len(tracks) else 1


def _separate(pipeline, options: argparse.Namespace, origin_ns: int):
    """Have the pipeline write the voices as they become complete; None where nobody asks."""
    if not options.voices:
        return None
    from av_perception.recording.voice_files import VoiceFiles

    if options.mode != 'full':
        raise UserError(f'--voices is for the full mode, --mode {options.mode} tells none apart')
    voices = VoiceFiles(options.voices, origin_ns)

    def write(pieces) -> None:
        for piece in pieces:
            voices.write(piece.id, piece.chunk)

    pipeline.separate(write)
    return voices


def _watch_mouths(pipeline, options: argparse.Namespace) -> list:
    """Have the pipeline cut out mouths; what it cuts out comes into the list."""
    found: list = []
    if options.mouths:
        if options.mode != 'full' or not hasattr(pipeline, 'watch_mouths'):
            raise UserError(f'--mouths is for the full mode, not --mode {options.mode}')
        pipeline.watch_mouths(found.append)
    return found


def _write_mouths(folder: Path, frames: list, mouths: list, origin_ns: int) -> None:
    from av_perception.lips.mouth_tracks import mouths_by_track
    from av_perception.recording.mouth_files import write_mouths

    found = mouths_by_track((tracks for tracks, _ in frames), mouths)
    print(f'mouths: wrote {len(write_mouths(folder, found, origin_ns))} files to {folder}')


def _checked(options: argparse.Namespace) -> tuple:
    """Open what `_open` does, and refuse what cannot be done with it. Raises UserError."""
    check_picture(options.plot)
    for path in (options.json, options.output, options.gaze, options.mot, options.rttm):
        check_writable(path)
    if options.gaze and is_bag(options.recording):
        raise UserError(
            '--gaze is for recording folders; play a bag with replay.launch.py head_pose:=true'
        )
    if options.mot and is_bag(options.recording):
        raise UserError('--mot is for recording folders: the images of a bag have no numbers')
    return _open(options)


def _run(pipeline) -> tuple[list, float]:
    """Run with a progress bar; the frames and the seconds it took."""
    from rich.progress import Progress

    started = time.monotonic()
    with Progress() as progress:
        task = progress.add_task('track', total=1.0)
        frames = pipeline.run(lambda fraction: progress.update(task, completed=fraction))
    return frames, time.monotonic() - started


def _write_gaze(path: Path, recording, frames: list, origin_ns: int) -> None:
    from av_perception.pipelines.head_poses import head_poses_of, write_head_poses

    tracks = (frame for frame, _ in frames)
    write_head_poses(head_poses_of(recording, tracks, origin_ns), path, origin_ns)


def _write_for_others(
    options: argparse.Namespace, recording, frames: list, origin_ns: int
) -> None:
    """Write what tools of tracking and of diarization read."""
    from av_perception.recording.collect import collect_boxes
    from av_perception.recording.timing import image_stamp_ns
    from av_perception.recording.voice_files import turns_of, write_rttm

    if options.mot:
        first_ns = origin_ns + image_stamp_ns(recording, 0)
        collect_boxes(frames, first_ns, recording.frame_rate).write(options.mot)
    if options.rttm:
        turns = turns_of((speaking for _, speaking in frames), origin_ns)
        write_rttm(options.rttm, turns, options.recording.name)


def _plot(options: argparse.Namespace, tracks, recording) -> None:
    """Draw the timeline, with the voices where they were separated."""
    from av_perception.recording.voice_files import voice_peaks
    from av_perception.visualization.timeline import plot_timeline

    voices = voice_peaks(options.voices) if options.voices else None
    plot_timeline(
        tracks,
        recording.truth,
        options.plot,
        title=options.recording.name,
        head=recording.head,
        voices=voices,
    )


def _output_file(options: argparse.Namespace) -> Path:
    """Choose the CSV to write: tracks.csv in the folder unless said otherwise."""
    if options.output:
        return options.output
    return own_folder(options.recording) / 'tracks.csv'


def _print(figures: dict, duration_s: float, output: Path) -> None:
    from rich.console import Console

    console = Console()
    console.print(
        f'{figures["frames"]} frames, people {figures["people"]}, '
        f'{figures["elapsed_s"]:.1f} s for {duration_s:.1f} s; wrote {output}'
    )
    if figures['dropped']:
        counts = ', '.join(f'{k}: {v}' for k, v in sorted(figures['dropped'].items()))
        console.print(f'dropped or repaired: {counts.replace("_", " ")}', soft_wrap=True)
    for problem in figures['problems']:
        print(f'problem: {problem}', file=sys.stderr)
    if not figures['people']:
        print(
            'nobody was found: look at the images and the sound of the recording; '
            "'av-perception doctor' says whether the face detector is installed",
            file=sys.stderr,
        )


def _open(options: argparse.Namespace):
    """Open a recording or a bag; also the stamp [ns] from which its tracks count."""
    from av_perception.pipelines.full import START_NS
    from av_perception.recording import Recording

    if is_bag(options.recording):
        if not options.head:
            raise UserError(
                f'{options.recording} is a bag, which does not know its head: add --head NAME'
            )
        from av_perception.ros.bringup.environment import prepare_environment

        prepare_environment()
        from av_perception.ros.bags.bag_offline import BagRecording

        recording = BagRecording(options.recording, options.head, options.remap)
        return recording, recording.start_ns
    if options.head:
        raise UserError('--head is for bags: a recording folder names its head in recording.yaml')
    if options.remap:
        raise UserError('--remap is for bags: a recording folder has no topics')
    return Recording.open(options.recording), START_NS


def _make_pipeline(options: argparse.Namespace, recording):
    """Make the chosen mode's stages, fed from a recording folder or a bag."""
    stages = _make_stages(options, recording)
    if not hasattr(recording, 'inputs'):
        return stages
    from av_perception.ros.bags.bag_offline import BagRunner

    return BagRunner(recording, stages)


def _make_stages(options: argparse.Namespace, recording):
    """Make the stages of the chosen mode."""
    from av_perception.audio.acoustic_map import AcousticMap
    from av_perception.pipelines.full import OfflinePipeline, PipelineConfig
    from av_perception.pipelines.two_microphones import TwoMicrophonePipeline

    if options.mode != 'full':
        if options.map:
            raise UserError(f'--map is for the full mode, --mode {options.mode} has no use for it')
        return TwoMicrophonePipeline(recording, options.mode)
    if not options.map:
        return OfflinePipeline(recording)
    acoustic_map = AcousticMap.load(options.map)
    acoustic_map.check(recording.head.microphones, PipelineConfig().audio)
    return OfflinePipeline(recording, acoustic_map=acoustic_map)
