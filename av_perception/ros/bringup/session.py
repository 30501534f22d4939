# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Plays one recording through the whole graph, all nodes as processes over DDS, and gathers what comes out."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from pathlib import Path

from lifecycle_msgs.msg import State

from av_perception.errors import UserError
from av_perception.interfaces import SpeakingFrame, TrackFrame
from av_perception.recording import Recording
from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.bringup.graph import Selection, nodes_for
from av_perception.ros.bringup.runner import GraphRunner, Usage
from av_perception.ros.observer import GraphObserver

START_TIMEOUT_S = 90.0
TAIL_S = 1.0  # the last image needs a moment to travel through the graph


@dataclass(frozen=True)
class SessionResult:
    """What the graph said. frames: tracks and speaking status per stamp; origin_ns: the ROS time of second 0 of the recording;
    latency_ms_by_stamp: by stamp [ns], from it to the arrival of its speaking status; exit_statuses: of the nodes and the bag's recorder, after SIGINT;
    usage: of each node while the recording played."""

    frames: list[tuple[TrackFrame, SpeakingFrame]]
    origin_ns: int
    latency_ms_by_stamp: dict[int, float]
    truth_messages: int
    exit_statuses: dict[str, int]
    diagnostics: dict[str, dict[str, str]]
    usage: dict[str, Usage]

    @property
    def latency_ms(self) -> list[float]:
        """Of all frames."""
        return list(self.latency_ms_by_stamp.values())


def play_through_graph(
    recording: Recording,
    log_folder: Path,
    bag: Path | None = None,
    progress=lambda fraction, text: None,
    selection: Selection = Selection(),
    composed: bool = False,
    truth: bool = True,
) -> SessionResult:
    """Start the graph on a DDS domain of its own, play the recording once in real time, stop the graph.

    bag: folder of an MCAP bag to record; progress(fraction, text); selection: of nodes; truth: publish it too, where there is one;
    composed: all nodes in one process. Raises UserError when a node fails.
    """
    domain_id = random.randrange(
        1, 100
    )  # whatever is set: a demo must not talk to a robot's graph
    environment = {**prepare_environment(), 'ROS_DOMAIN_ID': str(domain_id)}
    selection = replace(
        selection,
        truth=truth and recording.truth is not None,
        camera=selection.camera if recording.num_frames else 'none',
    )
    nodes = nodes_for(recording.head, selection)
    arguments = {
        'head': recording.head_name,
        'source': 'file',
        'recording': str(recording.folder.resolve()),
    }
    sensors = [n.name for n in nodes if n.sensor]
    overrides = {name: {'autostart': False} for name in sensors}
    progress(0.0, 'starting the nodes')
    with (
        GraphObserver(domain_id=domain_id) as observer,
        GraphRunner(
            nodes,
            arguments,
            overrides=overrides,
            log_folder=log_folder,
            environment=environment,
            composed=selection if composed else None,
        ) as graph,
    ):
        if bag is not None:
            graph.start_module(
                'bag_recorder', 'av_perception.cli.main', ['record', '-o', str(bag)], niceness=10
            )
        _wait_until_up(observer, graph, [n.name for n in nodes], sensors, progress)
        before = graph.usage()  # starting up is not playing
        origin_ns = observer.start_together(sensors)
        _wait_until_played(observer, graph, origin_ns, recording.duration_s, progress)
        usage = {
            name: Usage(after.cpu_s - before[name].cpu_s, after.peak_mib)
            for name, after in graph.usage().items()
            if name in before
        }
        exit_statuses = graph.stop()
        latency_ms = {stamp: 1e-6 * latency for stamp, latency in observer.latency_ns.items()}
        return SessionResult(
            observer.frames(),
            origin_ns,
            latency_ms,
            len(observer.truth_stamps),
            exit_statuses,
            observer.diagnostics,
            usage,
        )


def _wait_until_up(
    observer: GraphObserver, graph: GraphRunner, names: list[str], sensors: list[str], progress
) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    for number, name in enumerate(names):
        wanted = (
            State.PRIMARY_STATE_UNCONFIGURED if name in sensors else State.PRIMARY_STATE_ACTIVE
        )
        if not observer.wait_for_state(name, wanted, deadline, alive=lambda: not graph.failed()):
            _raise_failed(graph)
            raise UserError(
                f'the node {name} did not start within {START_TIMEOUT_S:.0f} s; see {graph.log_file(name)}'
            )
        progress(0.0, f'{number + 1} of {len(names)} nodes are up')


def _wait_until_played(
    observer: GraphObserver, graph: GraphRunner, origin_ns: int, duration_s: float, progress
) -> None:
    while (elapsed_s := 1e-9 * (observer.now_ns() - origin_ns)) < duration_s + TAIL_S:
        _raise_failed(graph)
        progress(min(1.0, max(0.0, elapsed_s / duration_s)), _summary(observer))
        time.sleep(0.1)


def _raise_failed(graph: GraphRunner) -> None:
    for name, status in graph.failed().items():
        raise UserError(
            f'the node {name} ended with status {status}: {graph.last_words(name)} (log: {graph.log_file(name)})'
        )


def _summary(observer: GraphObserver) -> str:
    if not observer.speaking:
        return 'waiting for the first people'
    latest = observer.speaking[max(observer.speaking)]
    speaking = [str(s.id) for s in latest.statuses if s.speaking]
    return f'{len(latest.statuses)} people, ' + (
        f'speaking: {", ".join(speaking)}' if speaking else 'nobody speaks'
    )
