# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The closed loop over the whole graph: a simulated head turns to whom the nodes look at.

All nodes are processes, over DDS, on simulated time: a slow or busy machine loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from av_perception.attention.look_control import LookController
from av_perception.benchmarks.attention_loop import note_step, step_of
from av_perception.evaluation.attention import LookHistory
from av_perception.evaluation.look_recorder import LookRecorder
from av_perception.interfaces import Attention, SpeakingFrame, TrackFrame
from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.bringup.graph import Selection, nodes_for
from av_perception.ros.bringup.live_player import REFERENCE_FRAME, LivePlayer
from av_perception.ros.bringup.lock_step import wait_until_active
from av_perception.ros.bringup.runner import GraphRunner
from av_perception.ros.observer import GraphObserver
from av_perception.ros.privacy import free_domain
from av_perception.simulation.turning_scene import Moment, TurningScene

# What a node waits for comes, in a time that stands still meanwhile.
WAITS = {
    'tracker': {'audio_wait': 1.0, 'tf_wait': 1.0},
    'speaking_status': {'audio_wait': 1.0},
}
SELECTION = Selection(microphones='others', camera='others', attention=True)


@dataclass(frozen=True)
class Answer:
    """What the graph said of one moment."""

    moment: Moment
    tracks: TrackFrame
    speaking: SpeakingFrame
    attention: Attention


@dataclass(frozen=True)
class AttentionResult:
    """What happened."""

    #: Where the head pointed, and who spoke.
    history: LookHistory
    #: Of the nodes and the bag's recorder, after SIGINT.
    exit_statuses: dict[str, int]
    #: Last counters and message of each node.
    diagnostics: dict[str, dict[str, str]]


def play_attention(
    scene: TurningScene,
    log_folder: Path,
    bag: Path | None = None,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
    on_answer: Callable[[Answer], None] = lambda answer: None,
    domain_id: int | None = None,
) -> AttentionResult:
    """Start the graph without its sensor nodes, play the scene once, stop the graph.

    Parameters
    ----------
    scene
        At its begin.
    log_folder, bag
        For the output of the nodes, and for an MCAP bag if one is wanted.
    progress
        progress(fraction, text).
    on_answer
        Called with every answer, in order.
    domain_id
        Of the graph; None takes one at random.

    Raises
    ------
    UserError
        When a node fails, or when something is not answered.
    """
    domain_id = domain_id or free_domain()
    progress(0.0, 'starting the nodes')
    with (
        GraphObserver(domain_id=domain_id) as observer,
        _graph(scene, log_folder, domain_id) as graph,
    ):
        _get_ready(observer, graph, bag)
        player = LivePlayer(observer, scene.head, graph.raise_ended)
        player.rehearse()
        history = _play(scene, observer, player, progress, on_answer)
        return AttentionResult(history, graph.stop(), observer.diagnostics)


def _play(
    scene: TurningScene,
    observer: GraphObserver,
    player: LivePlayer,
    progress: Callable[[float, str], None],
    on_answer: Callable[[Answer], None],
) -> LookHistory:
    """Let the neck follow `look_at` to the scene's end."""
    controller = LookController()
    recorder = LookRecorder()
    waiting: dict[int, Moment] = {}  # by stamp
    while not scene.is_over:
        moment = scene.step(*controller.goals)
        waiting[player.stamp_of(moment)] = moment
        note_step(recorder, moment)
        answer = player.play(moment)
        if answer is None:
            continue
        attention, point = answer
        # The neck turns in the body's frame, which is that of odom: the body stands still.
        controller.look_at(point)
        stamp_ns = attention.stamp_ns
        tracks = observer.tracks[stamp_ns]
        recorder.note_answer(step_of(stamp_ns, player.origin_ns), attention, tracks)
        speaking = observer.speaking[stamp_ns]
        on_answer(Answer(waiting.pop(stamp_ns), tracks, speaking, attention))
        progress(moment.time_s / scene.scene.duration, attention.reason.value)
    return recorder.history()


def _graph(scene: TurningScene, log_folder: Path, domain_id: int) -> GraphRunner:
    # Nobody steps back: the player waits for everyone, and a busy machine would starve them.
    nodes = tuple(replace(node, niceness=0) for node in nodes_for(scene.head, SELECTION))
    return GraphRunner(
        nodes,
        {'head': scene.scene.head, 'reference_frame': REFERENCE_FRAME},
        overrides={n.name: {'use_sim_time': True, **WAITS.get(n.name, {})} for n in nodes},
        log_folder=log_folder,
        environment={**prepare_environment(), 'ROS_DOMAIN_ID': str(domain_id)},
    )


def _get_ready(observer: GraphObserver, graph: GraphRunner, bag: Path | None) -> None:
    """Wait until the nodes are up; start the recorder of a bag beside them."""
    names = list(graph.processes)
    if bag is not None:
        words = ['record', '-o', str(bag)]
        graph.start_module('bag_recorder', 'av_perception.cli.main', words, niceness=10)
    wait_until_active(observer, graph, names)
