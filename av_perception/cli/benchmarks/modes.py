# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Which mode for which robot: the variational tracker, the two-microphone face fusion and audio-visual events on the same scenes.

Every mode gets the same images' faces and the same sound. Accuracy is against the truth of the scene; time is processor time per image of
everything after the faces were found (sound, tracking, who speaks). The live figures are those of the nodes' processes over DDS while a scene
plays, faces not counted. The last line is the minimal mode with four faces at 30 Hz.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark modes --scenes short three_talkers --json modes.json
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.evaluation.metrics import evaluate
from av_perception.interfaces import AudioChunk, Face, VisualFeatures
from av_perception.pipelines.full import START_NS, OfflinePipeline
from av_perception.pipelines.two_microphones import TwoMicrophonePipeline
from av_perception.recording import Recording
from av_perception.recording.collect import collect_tracks
from av_perception.recording.timing import image_stamp_ns
from av_perception.robot_head import load_head
from av_perception.simulation.cache import simulated_recording
from av_perception.vision.front_end import VisualFrontEnd, VisualFrontEndConfig

MODES = {
    'full': 'full: variational tracker',
    'minimal': 'minimal: faces and two microphones',
    'events': 'events: clusters on the ITD line',
}
_NODES = {
    'full': ('audio_features', 'tracker', 'speaking_status'),
    'minimal': ('face_itd_fusion',),
    'events': ('av_events',),
}
_RATE_HZ, _CORE_SHARE = 30.0, 0.05


@dataclass(frozen=True)
class Result:
    """One mode on one scene: fractions, metres, degrees; None where undefined. cpu_ms, of an image: mean of all, 99th percentile of tracking."""

    scene: str
    mode: str
    mota: float | None
    id_switches: int
    position_rmse_m: float | None
    azimuth_error_deg: float | None
    der: float | None
    cpu_ms: float
    tracking_p99_ms: float


@dataclass(frozen=True)
class Live:
    """The processes of one mode while a scene plays. cores: processor time over time; mib: sum of the peaks; latency from image to status."""

    mode: str
    cores: float
    mib: float
    latency_median_ms: float | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the benchmark."""
    parser.add_argument(
        '--scenes',
        nargs='+',
        default=['short', 'three_talkers'],
        metavar='SCENE',
        help='names of config/scenes or YAML files (default: %(default)s)',
    )
    parser.add_argument(
        '--live',
        default='short',
        metavar='SCENE',
        help='scene that is played through the nodes; an empty word leaves it out (default: %(default)s)',
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Measures, prints the tables, writes the file."""
    import cv2

    check_writable(args.json)
    cv2.setNumThreads(1)
    results, live, console = [], [], wide_console()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('', total=1.0)

        def report(fraction, text):
            progress.update(task, completed=fraction, description=text)

        for scene in args.scenes:
            recording = simulated_recording(
                scene, None, lambda f, text: report(f, f'{scene}: {text}')
            )
            features = _faces(recording, lambda f: report(f, f'{scene}: finding the faces'))
            results += [
                measure(recording, scene, mode, features, lambda f: report(f, f'{scene}: {mode}'))
                for mode in MODES
            ]
        if args.live:
            live = _play(simulated_recording(args.live), report)
        nominal = nominal_load(lambda f: report(f, 'four faces at 30 Hz'))
    _print(console, results, live, nominal)
    if args.json:
        write_json(
            args.json,
            {
                'scenes': [asdict(r) for r in results],
                'live': [asdict(entry) for entry in live],
                'four_faces_at_30_hz': nominal,
                'target_core_share': _CORE_SHARE,
            },
        )
    return 0


def measure(
    recording: Recording,
    scene: str,
    mode: str,
    features: dict[int, VisualFeatures],
    progress=lambda fraction: None,
) -> Result:
    """One mode on one recording whose faces (by stamp) are known."""
    pipeline = (
        _Measured(recording, features)
        if mode == 'full'
        else _MeasuredTwoMicrophones(recording, mode, features)
    )
    frames = pipeline.run(progress)
    metrics = evaluate(collect_tracks(frames, START_NS), recording.truth)
    total = sum(map(sum, pipeline.spent.values()))
    return Result(
        scene,
        mode,
        metrics.mota,
        metrics.id_switches,
        metrics.position_rmse_m,
        metrics.azimuth_error_deg,
        metrics.der,
        1e3 * total / len(features),
        1e3 * float(np.percentile(pipeline.spent['step'], 99)),
    )


class _Stopwatch:
    """Replays known faces and takes the processor time of what hears, tracks and tells who speaks."""

    def __init__(self, recording: Recording, *arguments):
        *arguments, self._features = arguments
        self.spent: dict[str, list[float]] = {}
        super().__init__(recording, *arguments)
        self._speaking.step = self._timed(self._speaking.step, 'speaking')

    def _make_stages(self, config, acoustic_map):
        hearing, tracker = super()._make_stages(config, acoustic_map)
        hearing.push, tracker.step = (
            self._timed(hearing.push, 'push'),
            self._timed(tracker.step, 'step'),
        )
        return hearing, tracker

    def see(self, stamp_ns, left, right):
        self.take_visual(self._features[stamp_ns])

    def _timed(self, method, name: str):
        spent = self.spent.setdefault(name, [])

        def call(*arguments):
            started = time.thread_time()
            result = method(*arguments)
            spent.append(time.thread_time() - started)
            return result

        return call


class _Measured(_Stopwatch, OfflinePipeline):
    pass


class _MeasuredTwoMicrophones(_Stopwatch, TwoMicrophonePipeline):
    pass


def _faces(recording: Recording, progress) -> dict[int, VisualFeatures]:
    front_end, features = VisualFrontEnd(VisualFrontEndConfig(), recording.head.camera), {}
    for index, _, left, right in recording.images():
        stamp_ns = START_NS + image_stamp_ns(recording, index)
        features[stamp_ns] = front_end.process(stamp_ns, left, right)
        progress((index + 1) / recording.num_frames)
    return features


def _play(recording: Recording, report) -> list[Live]:
    """The nodes of all modes over DDS: the full graph, then the minimal one with the events beside it."""
    from av_perception.ros.bringup.graph import Selection
    from av_perception.ros.bringup.session import play_through_graph

    live = []
    with tempfile.TemporaryDirectory() as folder:
        for mode, events in (('full', False), ('minimal', True)):
            session = play_through_graph(
                recording,
                Path(folder) / mode,
                progress=lambda f, text, m=mode: report(f, f'live, {m}: {text}'),
                selection=Selection(mode, events=events),
            )
            latency = float(np.median(session.latency_ms)) if session.latency_ms else None
            for name in (mode, 'events') if events else (mode,):
                usage = [session.usage[node] for node in _NODES[name]]
                live.append(
                    Live(
                        name,
                        sum(u.cpu_s for u in usage) / recording.duration_s,
                        sum(u.peak_mib for u in usage),
                        None if name == 'events' else latency,
                    )
                )
    return live


def nominal_load(progress=lambda fraction: None, seconds: float = 10.0) -> dict[str, float]:
    """The minimal mode with four faces in view, one of them talking, at 30 Hz: share of a core, milliseconds per image, highest rate."""
    from av_perception.diarization.speaking_filter import SpeakingFilter
    from av_perception.two_microphones.face_itd_fusion import FaceItdFusion, FusionConfig
    from av_perception.two_microphones.microphone_pair import MicrophonePair, frontal_pair
    from av_perception.two_microphones.time_differences import (
        TimeDifferenceConfig,
        TimeDifferenceExtractor,
    )

    head, rng = load_head('simulated'), np.random.default_rng(0)
    channels = frontal_pair(head.microphones)
    pair = MicrophonePair.of_array(head.microphones, channels)
    extractor = TimeDifferenceExtractor(TimeDifferenceConfig(), channels, pair.max_itd, 4, 16000)
    fusion, speaking = FaceItdFusion(FusionConfig(), head.camera, pair), SpeakingFilter()
    people = np.array([[1.8, y, 0.1] for y in (0.75, 0.25, -0.25, -0.75)])
    itd, sound, spent, images, heard = pair.itd(people[:1])[0], None, 0.0, 0, 0
    chunk, total = 512, int(seconds * 16000)
    for start in range(0, total, chunk):
        noise = rng.normal(0, 0.05, (chunk, 4)).astype(np.float32) * (
            start // 16000 % 2
        )  # one second of sound, one of silence
        faces = _four_faces(people, head, rng)
        started = time.thread_time()
        for block in extractor.push(AudioChunk(START_NS + start * 62500, 16000, start, noise)):
            values = itd + rng.normal(0, 30e-6, 20)  # as many as a voice gives: noise is none
            sound = type(block)(
                block.stamp_ns,
                values,
                np.linspace(block.stamp_ns - 4e8, block.stamp_ns, 20).astype(np.int64),
            )
        while images / _RATE_HZ < (start + chunk) / 16000:
            stamp_ns = START_NS + round(1e9 * images / _RATE_HZ)
            frame = fusion.step(stamp_ns, VisualFeatures(stamp_ns, faces), sound)
            speaking.step(frame)
            images, heard = images + 1, heard + len(frame.tracks)
        spent += time.thread_time() - started
        progress(start / total)
    return {
        'core_share': spent / seconds,
        'cpu_ms_per_image': 1e3 * spent / images,
        'highest_rate_hz': images / spent,
        'faces': heard / images,
    }


def _four_faces(people: np.ndarray, head, rng) -> tuple[Face, ...]:
    optical = head.camera.base_from_optical.inverse().apply(
        people + rng.normal(0, 0.01, people.shape)
    )
    corners = head.camera.project(optical) - 25
    return tuple(
        Face(np.array([*corner, 50.0, 50.0]), 0.9, np.zeros((5, 2)), position, 1e-4 * np.eye(3))
        for corner, position in zip(corners, optical)
    )


def _print(
    console: Console, results: list[Result], live: list[Live], nominal: dict[str, float]
) -> None:
    table = Table(title='accuracy and processor time per image (after the faces)')
    for heading in (
        'scene',
        'mode',
        'MOTA',
        'id switches',
        'position RMSE',
        'azimuth error',
        'DER',
        'CPU per image',
        'tracking, 99 %',
    ):
        table.add_column(heading, justify='left' if heading in ('scene', 'mode') else 'right')
    for r in results:
        table.add_row(
            r.scene,
            MODES[r.mode],
            _text(r.mota, '{:.1%}'),
            str(r.id_switches),
            _text(r.position_rmse_m, '{:.2f} m'),
            _text(r.azimuth_error_deg, '{:.1f}°'),
            _text(r.der, '{:.1%}'),
            f'{r.cpu_ms:.2f} ms',
            f'{r.tracking_p99_ms:.2f} ms',
        )
    console.print(table)
    if live:
        table = Table(title='live, the nodes that differ (25 images a second)')
        for heading in ('mode', 'of a core', 'memory', 'image to status'):
            table.add_column(heading, justify='left' if heading == 'mode' else 'right')
        for entry in live:
            table.add_row(
                MODES[entry.mode],
                f'{entry.cores:.1%}',
                f'{entry.mib:.0f} MiB',
                _text(entry.latency_median_ms, '{:.0f} ms'),
            )
        console.print(table)
    reached = nominal['core_share'] <= _CORE_SHARE and nominal['highest_rate_hz'] >= _RATE_HZ
    console.print(
        f'minimal mode, {nominal["faces"]:.0f} faces at {_RATE_HZ:.0f} Hz: {nominal["core_share"]:.1%} of a core '
        f'({"[green]" if reached else "[red]"}to reach: {_CORE_SHARE:.0%}[/]), {nominal["cpu_ms_per_image"]:.2f} ms per image, '
        f'at most {nominal["highest_rate_hz"]:.0f} Hz'
    )


def _text(value: float | None, form: str) -> str:
    return '-' if value is None else form.format(value)
