# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Plays a recording through the whole graph in lock-step: time stands still until it answers.

A player takes the place of the sensor nodes, and the nodes run on its /clock. An image is
published once the speaking status of the image before has come, so that a slow or busy machine
loses nothing: it only takes longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lifecycle_msgs.msg import State

from av_perception.errors import UserError
from av_perception.recording import Recording
from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.bringup.graph import Selection, nodes_for
from av_perception.ros.bringup.lock_step_player import START_TIMEOUT_S, LockStepPlayer
from av_perception.ros.bringup.runner import GraphRunner
from av_perception.ros.bringup.session import SessionResult
from av_perception.ros.observer import GraphObserver
from av_perception.ros.privacy import free_domain
from av_perception.ros.recorded_sensors import RecordedSensors

STOP_TIMEOUT_S = 120.0  # of wall time; less than a second where nothing else runs
# The player waits for everyone: nobody goes on without what somebody else still works on.
PATIENCE = {'voices': {'track_wait': 1.0}}
RECORDER = 'bag_recorder'
RECORDED = ('audio', 'truth', 'tracks', 'speaking_status')  # a recorder that is ready hears these


def play_in_lock_step(
    recording: Recording,
    log_folder: Path,
    bag: Path | None = None,
    selection: Selection | None = None,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
    domain_id: int | None = None,
    composed: bool = False,
) -> SessionResult:
    """Start the graph without its sensor nodes, play the recording once, stop the graph.

    Parameters
    ----------
    recording
        What is played, with its truth.
    log_folder, bag
        For the output of the nodes, and for an MCAP bag if one is wanted.
    selection, composed
        Of nodes, None takes those of the full mode; all in one process, not one for each.
    progress, domain_id
        progress(fraction, text); of the graph, None takes one at random.

    Raises
    ------
    UserError
        When a node fails, or when something is not answered.
    """
    selection = _without_sensors(selection or Selection(), recording)
    domain_id = domain_id or free_domain()
    progress(0.0, 'starting the nodes')
    with (
        GraphObserver(domain_id=domain_id) as observer,
        _graph(recording, selection, log_folder, domain_id, composed) as graph,
    ):
        sensors = RecordedSensors(observer.node, recording, selection)
        player = LockStepPlayer(observer, sensors, graph.raise_ended)
        names = [node.name for node in nodes_for(recording.head, selection)]
        _get_ready(observer, graph, player, names, bag)
        return _played(observer, graph, player, progress)


def _without_sensors(selection: Selection, recording: Recording) -> Selection:
    """Select what runs beside a player that takes the place of the sensor nodes."""
    has_sound = selection.microphones != 'none' and recording.head.microphones is not None
    has_images = selection.camera != 'none' and recording.num_frames > 0
    return replace(
        selection,
        microphones='others' if has_sound else 'none',
        camera='others' if has_images else 'none',
        truth=False,
    )


def _graph(
    recording: Recording,
    selection: Selection,
    log_folder: Path,
    domain_id: int,
    composed: bool,
) -> GraphRunner:
    # Nobody steps back: the player waits for everyone, and a busy machine would starve them.
    nodes = tuple(replace(node, niceness=0) for node in nodes_for(recording.head, selection))
    return GraphRunner(
        nodes,
        {'head': recording.head_name},
        overrides={
            node.name: {'use_sim_time': True, **PATIENCE.get(node.name, {})} for node in nodes
        },
        log_folder=log_folder,
        environment={**prepare_environment(), 'ROS_DOMAIN_ID': str(domain_id)},
        composed=selection if composed else None,
    )


def _get_ready(
    observer: GraphObserver,
    graph: GraphRunner,
    player: LockStepPlayer,
    names: list[str],
    bag: Path | None,
) -> None:
    """Wait until the nodes, and the recorder of a bag, have found each other."""
    if bag is not None:
        graph.start_module(RECORDER, 'av_perception.cli.main', ['record', '-o', str(bag)])
    wait_until_active(observer, graph, names)
    player.rehearse(names)
    if bag is not None:
        _wait_for_recorder(observer, graph)
    player.settle(names)


def _played(
    observer: GraphObserver, graph: GraphRunner, player: LockStepPlayer, progress
) -> SessionResult:
    before = graph.usage()  # neither starting up nor rehearsing is playing
    rehearsal = {name: dict(values) for name, values in observer.diagnostics.items()}
    num_truth = player.play(lambda fraction: progress(fraction, 'playing'))
    usage = {
        name: after.since(before[name]) for name, after in graph.usage().items() if name in before
    }
    frames = [pair for pair in observer.frames() if pair[0].stamp_ns >= player.origin_ns]
    return SessionResult(
        frames=frames,
        origin_ns=player.origin_ns,
        latency_ms_by_stamp={},  # it means nothing where time stands still
        voice_latency_ms=[],
        truth_messages=num_truth,
        exit_statuses=graph.stop(STOP_TIMEOUT_S),
        diagnostics=observer.diagnostics,
        usage=usage,
        rehearsal=rehearsal,
    )


def wait_until_active(observer: GraphObserver, graph: GraphRunner, names: list[str]) -> None:
    """Wait for the nodes. Raises UserError for one that ends, or is not active in time."""
    deadline = time.monotonic() + START_TIMEOUT_S
    for name in names:
        active = observer.wait_for_state(
            name, State.PRIMARY_STATE_ACTIVE, deadline, alive=lambda: not graph.failed()
        )
        graph.raise_ended()
        if not active:
            raise UserError(f'the node {name} did not start within {START_TIMEOUT_S:.0f} s')


def _wait_for_recorder(observer: GraphObserver, graph: GraphRunner) -> None:
    """Wait until it subscribes: what was published before is not in the bag."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not all(_records(observer, topic) for topic in RECORDED):
        graph.raise_ended()
        if time.monotonic() > deadline:
            raise UserError(f'the recorder did not start within {START_TIMEOUT_S:.0f} s')
        time.sleep(0.1)


def _records(observer: GraphObserver, topic: str) -> bool:
    full_name = observer.node.resolve_topic_name(topic)
    listeners = observer.node.get_subscriptions_info_by_topic(full_name)
    return any(listener.node_name == RECORDER for listener in listeners)
