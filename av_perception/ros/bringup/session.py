# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Plays one recording through the whole graph, in real time, and gathers what comes out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lifecycle_msgs.msg import State

from av_perception.errors import UserError
from av_perception.geometry.time import seconds
from av_perception.interfaces import SpeakingFrame, TrackFrame
from av_perception.recording import Recording
from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.bringup.graph import DEFAULT_SELECTION, Selection, nodes_for
from av_perception.ros.bringup.machine_load import MachineLoad
from av_perception.ros.bringup.runner import GraphRunner
from av_perception.ros.bringup.usage import Usage
from av_perception.ros.observer import GraphObserver
from av_perception.ros.privacy import free_domain

Progress = Callable[[float, str], None]  # takes a fraction and a text

START_TIMEOUT_S = 90.0
TAIL_S = 1.0  # the last image needs a moment to travel through the graph


@dataclass(frozen=True)
class SessionResult:
    """What the graph said."""

    #: Tracks and speaking status of each stamp.
    frames: list[tuple[TrackFrame, SpeakingFrame]]
    #: The ROS time of second 0 of the recording [ns].
    origin_ns: int
    #: By stamp [ns]: from it to the arrival of its speaking status [ms].
    latency_ms_by_stamp: dict[int, float]
    #: How old the oldest sample of each chunk of a voice was when it came [ms].
    voice_latency_ms: list[float]
    #: How many messages of the truth came.
    truth_messages: int
    #: Of the nodes and the bag's recorder, after SIGINT.
    exit_statuses: dict[str, int]
    #: Last counters and message of each node.
    diagnostics: dict[str, dict[str, str]]
    #: Of each node while the recording played.
    usage: dict[str, Usage]
    #: The same as diagnostics, before the recording played; {} where nothing was rehearsed.
    rehearsal: dict[str, dict[str, str]] = field(default_factory=dict)
    #: Who had the processors while the recording played.
    load: MachineLoad = field(default_factory=MachineLoad)

    def counted(self) -> dict[str, int]:
        """Give all counters ('node, event'), and how much each grew while the recording played."""
        growths = {}
        for node, values in self.diagnostics.items():
            before = self.rehearsal.get(node, {})
            for event, number in values.items():
                if number.isdigit() and '[' not in event:
                    growths[f'{node}, {event}'] = int(number) - int(before.get(event, 0))
        return growths

    @property
    def latency_ms(self) -> list[float]:
        """The latencies of all frames [ms]."""
        return list(self.latency_ms_by_stamp.values())


def play_through_graph(
    recording: Recording,
    log_folder: Path,
    bag: Path | None = None,
    progress: Progress = lambda fraction, text: None,
    selection: Selection = DEFAULT_SELECTION,
    composed: bool = True,
    truth: bool = True,
) -> SessionResult:
    """Play a recording once, in real time, through a graph on a DDS domain of its own.

    Parameters
    ----------
    recording, log_folder, bag
        What to play, where one log for each node goes, and folder of an MCAP bag to record.
    progress
        Called with a fraction and a text.
    selection, composed, truth
        Of the nodes; all in one process, or each in its own; publish the truth, if there is one.
        UserError when a node fails.
    """
    domain_id = free_domain()  # whatever is set: a demo must not talk to a robot
    selection = _that_fits(selection, recording, truth)
    nodes = nodes_for(recording.head, selection)
    sensors = [node.name for node in nodes if node.sensor]
    progress(0.0, 'starting the nodes')
    runner = GraphRunner(
        nodes,
        _playing(recording),
        overrides={name: {'autostart': False} for name in sensors},  # they start together
        log_folder=log_folder,
        environment={**prepare_environment(), 'ROS_DOMAIN_ID': str(domain_id)},
        composed=selection if composed else None,
    )
    with GraphObserver('', domain_id, selection.voices) as observer, runner as graph:
        if bag is not None:
            words = ['record', '-o', str(bag)]
            graph.start_module('bag_recorder', 'av_perception.cli.main', words, niceness=10)
        _wait_until_up(observer, graph, [n.name for n in nodes], sensors, progress)
        return _play(observer, graph, sensors, recording.duration_s, progress)


def _that_fits(selection: Selection, recording: Recording, truth: bool) -> Selection:
    """Leave out of the selection what the recording has not."""
    camera = selection.camera if recording.num_frames else 'none'
    return replace(selection, truth=truth and recording.truth is not None, camera=camera)


def _playing(recording: Recording) -> dict[str, str]:
    """Arguments of nodes that play a recording."""
    folder = str(recording.folder.resolve())
    return {'head': recording.head_name, 'source': 'file', 'recording': folder}


def _play(
    observer: GraphObserver,
    graph: GraphRunner,
    sensors: list[str],
    duration_s: float,
    progress: Progress,
) -> SessionResult:
    before = graph.usage()  # starting up is not playing
    load = MachineLoad()
    origin_ns = observer.start_together(sensors)
    _wait_until_played(observer, graph, load, origin_ns, duration_s, progress)
    usage = {
        name: after.since(before[name]) for name, after in graph.usage().items() if name in before
    }
    exit_statuses = graph.stop()
    return SessionResult(
        frames=observer.frames(),
        origin_ns=origin_ns,
        latency_ms_by_stamp={s: 1e-6 * latency for s, latency in observer.latency_ns.items()},
        voice_latency_ms=[1e-6 * latency for latency in observer.voice_latency_ns],
        truth_messages=len(observer.truth_stamps),
        exit_statuses=exit_statuses,
        diagnostics=observer.diagnostics,
        usage=usage,
        load=load,
    )


def _wait_until_up(
    observer: GraphObserver,
    graph: GraphRunner,
    names: list[str],
    sensors: list[str],
    progress: Progress,
) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    for number, name in enumerate(names):
        wanted = State.PRIMARY_STATE_ACTIVE
        if name in sensors:
            wanted = State.PRIMARY_STATE_UNCONFIGURED
        if not observer.wait_for_state(name, wanted, deadline, alive=lambda: not graph.failed()):
            graph.raise_ended()
            raise UserError(
                f'the node {name} did not start within {START_TIMEOUT_S:.0f} s; '
                f'see {graph.log_file(name)}'
            )
        progress(0.0, f'{number + 1} of {len(names)} nodes are up')


def _wait_until_played(
    observer: GraphObserver,
    graph: GraphRunner,
    load: MachineLoad,
    origin_ns: int,
    duration_s: float,
    progress: Progress,
) -> None:
    while (elapsed_s := seconds(observer.now_ns() - origin_ns)) < duration_s + TAIL_S:
        graph.raise_ended()
        own = [process.pid for process in graph.processes.values()]
        load.note(observer.now_ns(), [os.getpid(), *own])
        progress(min(1.0, max(0.0, elapsed_s / duration_s)), _summary(observer))
        time.sleep(0.1)


def _summary(observer: GraphObserver) -> str:
    if not observer.speaking:
        return 'waiting for the first people'
    latest = observer.speaking[max(observer.speaking)]
    speaking = [str(status.id) for status in latest.statuses if status.speaking]
    speech = f'speaking: {", ".join(speaking)}' if speaking else 'nobody speaks'
    return f'{len(latest.statuses)} people, {speech}'
