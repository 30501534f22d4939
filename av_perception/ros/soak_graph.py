# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A long run of the nodes on simulated time, in lock-step: what grows, and whether counts agree.

All nodes run in one process, the default, and people as REP-155 sees them beside it, whose topics
come and go with each person. Faces are planted, as images would take days; sound is heard.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from av_perception_msgs.msg import AudioChunk as AudioChunkMsg
from av_perception_msgs.msg import VisualFeatures as VisualFeaturesMsg
from rosgraph_msgs.msg import Clock

from av_perception.benchmarks.crowd import FRAME_S, Crowd
from av_perception.benchmarks.sensors import camera_of, microphones_of
from av_perception.benchmarks.soak import (
    CHUNK_S,
    PAUSE,
    PERIOD_S,
    Soak,
    Talk,
    footprint,
    is_talking,
    num_pauses,
)
from av_perception.errors import UserError
from av_perception.interfaces import VisualFeatures
from av_perception.recording import Recording
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.bringup.graph import Selection, nodes_for
from av_perception.ros.bringup.lock_step import wait_until_active
from av_perception.ros.bringup.runner import COMPOSED, GraphRunner
from av_perception.ros.conversions import (
    audio_chunk_to_msg,
    time_from_ns,
    visual_features_to_msg,
)
from av_perception.ros.observer import GraphObserver
from av_perception.ros.privacy import free_domain

FIRST_NS = 1_000_000_000_000  # what the clock says at the start
FRAME_NS = round(1e9 * FRAME_S)
LATENCY_NS = 120_000_000  # an image comes so long after its stamp
# So many images are ahead of their answers: what is judged without sound has waited for it in
# vain; and sound must not be half a second behind, or it is left out as out of date.
AHEAD = 10
AHEAD_TALKING = 1
AHEAD_BEGINNING = 2  # of a talk, when images from before it still wait
BEGINNING_S = 0.6
STRAY_NS = 3 * FRAME_NS // 2
STRAY_EVERY = 97  # images; then one comes that is older than what was answered, to be dropped
PATIENCE_S = 60.0  # of wall time
POLL_S = 0.002
NUDGE_EVERY_S = 0.1  # of wall time without an answer,
NUDGE_NS = 20_000_000  # and time goes on by so much
REHEARSAL_S = 0.2
# Counters of the tracker: images that were dropped for a reason.
DROPPED = (
    'pairing: late visual',
    'messages dropped from /visual_features',
    'messages refused from /visual_features',
    'messages left out from /visual_features',
    'images dropped: no transform',
)


class SoakGraph:
    """The nodes, and planted sensors before them. Use as a context manager."""

    def __init__(self, recording: Recording, folder: Path):
        """Start nothing yet; recording: of the scene `short`; folder: where logs go."""
        self._recording = recording
        self._folder = folder
        self._stack = ExitStack()
        self._frame_ns = FIRST_NS  # when the newest frame came
        self._now_ns = FIRST_NS  # what the clock says: a little more where an answer needs it

    def __enter__(self) -> SoakGraph:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        self._head = load_head('simulated')
        domain = free_domain()
        # Ours is prepared as well.
        environment = {**prepare_environment(), 'ROS_DOMAIN_ID': str(domain)}
        selection = Selection(
            microphones='others',
            camera='others',
            ros4hri=True,
            given=frozenset({'visual_features', 'left/image_raw'}),
        )
        nodes = [
            node for node in nodes_for(self._head, selection) if node.name != 'visual_features'
        ]
        self.names = [node.name for node in nodes]
        overrides: dict[str, dict] = {name: {'use_sim_time': True} for name in self.names}
        overrides['tracker']['visual_timeout'] = 3 * FRAME_S
        self.observer = stack.enter_context(GraphObserver(domain_id=domain))
        self._runner = stack.enter_context(
            GraphRunner(
                tuple(nodes),
                {'head': 'simulated'},
                overrides=overrides,
                log_folder=self._folder,
                environment=environment,
                composed=selection,
            )
        )
        node = self.observer.node
        self._clock = node.create_publisher(Clock, '/clock', 10)
        self._audio = node.create_publisher(AudioChunkMsg, 'audio', qos.audio(CHUNK_S))
        self._faces = node.create_publisher(VisualFeaturesMsg, 'visual_features', qos.FEATURES)
        wait_until_active(self.observer, self._runner, self.names)

    @property
    def pid(self) -> int:
        """Of the process of all nodes."""
        return self._runner.processes[COMPOSED].pid

    def tick(self) -> None:
        """Let the time of a frame go by."""
        self._frame_ns += FRAME_NS
        self._tell_time(self._frame_ns)

    def _tell_time(self, now_ns: int) -> None:
        """Publish the time, which never goes back."""
        self._now_ns = max(self._now_ns, now_ns)
        self._clock.publish(Clock(clock=time_from_ns(self._now_ns)))

    def show(self, image: VisualFeatures) -> None:
        """Publish what is seen in an image."""
        camera = camera_of(self._head)
        self._faces.publish(visual_features_to_msg(image, camera.frame))

    def hear(self, chunks) -> None:
        """Publish sound."""
        array = microphones_of(self._head)
        for chunk in chunks:
            self._audio.publish(audio_chunk_to_msg(chunk, array.frame))

    def wait_for(self, stamp_ns: int) -> None:
        """Wait until an image or a later one is answered. Raises UserError when it never is."""
        start = time.monotonic()
        nudged = start
        while self._newest_ns() < stamp_ns:
            self._runner.raise_ended()
            now = time.monotonic()
            if now - nudged > NUDGE_EVERY_S:  # somebody waits for sound that does not come
                nudged = now
                self._tell_time(self._now_ns + NUDGE_NS)
            if now - start > PATIENCE_S:
                said = {name: v['message'] for name, v in self.observer.diagnostics.items()}
                raise UserError(f'an image was not answered; the nodes say {said}')
            time.sleep(POLL_S)

    def _newest_ns(self) -> int:
        """Give the stamp of the newest speaking status that has come."""
        return max(list(self.observer.speaking), default=0)

    def rehearse(self) -> int:
        """Show empty rooms until all nodes have found each other; gives the stamp of image 0."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.observer.speaking:
            if time.monotonic() > deadline:
                raise UserError('the nodes did not find each other')
            self.tick()
            self.show(VisualFeatures(self._frame_ns - LATENCY_NS, ()))
            time.sleep(REHEARSAL_S)
        for _ in range(2 * AHEAD):
            self.tick()
            time.sleep(REHEARSAL_S)
        return self._frame_ns + FRAME_NS - LATENCY_NS

    def counters(self, name: str) -> dict[str, int]:
        """Give the counters that a node has told."""
        values = self.observer.diagnostics.get(name, {})
        return {key: int(value) for key, value in values.items() if value.isdigit()}

    def settled_counters(self, name: str) -> dict[str, int]:
        """Give the counters of a node when it has told them anew.

        What is told first may have been on its way already: on a busy machine it is of before.
        """
        deadline = time.monotonic() + PATIENCE_S
        for _ in range(2):
            self.observer.diagnostics.pop(name, None)
            while name not in self.observer.diagnostics and time.monotonic() < deadline:
                time.sleep(POLL_S)
        return self.counters(name)


class _Audience:
    """Counts what was answered, and lets go of it: this process is not to grow either.

    Sound alone is answered too, where images are held up: that is no image's answer.
    """

    def __init__(self, observer: GraphObserver):
        self._observer = observer
        self._shown: set[int] = set()
        self.ids: set[int] = set()
        self.count = 0

    def expect(self, stamp_ns: int) -> None:
        """Note that there is an image of a stamp."""
        self._shown.add(stamp_ns)

    def take(self, until_ns: int) -> None:
        """Count the answers to images up to a stamp."""
        observer = self._observer
        for stamp_ns in sorted(stamp for stamp in list(observer.tracks) if stamp <= until_ns):
            frame = observer.tracks.pop(stamp_ns)
            is_whole = observer.speaking.pop(stamp_ns, None) is not None
            observer.latency_ns.pop(stamp_ns, None)
            self.ids.update(track.id for track in frame.tracks)
            self.count += is_whole and stamp_ns in self._shown
        self._shown = {stamp_ns for stamp_ns in self._shown if stamp_ns > until_ns}


def soak_graph(
    recording: Recording, minutes: float, on_progress: Callable[[float], None], readings: int = 60
) -> Soak:
    """Run the nodes on people who come and go; arguments as of `soak_offline`.

    Raises
    ------
    UserError
        When the nodes end, or do not answer.
    """
    with tempfile.TemporaryDirectory() as folder, SoakGraph(recording, Path(folder)) as graph:
        return _soaked(graph, recording, minutes, on_progress, readings)


def _soaked(
    graph: SoakGraph,
    recording: Recording,
    minutes: float,
    on_progress: Callable[[float], None],
    readings: int,
) -> Soak:
    soak = Soak('nodes', minutes)
    num_frames = round(60 * minutes / FRAME_S)
    every = max(1, num_frames // readings)
    start_ns = graph.rehearse()
    before = {name: graph.settled_counters(name) for name in ('tracker', 'audio_features')}
    crowd = Crowd(camera_of(recording.head))
    talk = Talk(recording)
    audience = _Audience(graph.observer)
    for number, image in enumerate(crowd.images(num_frames, start_ns)):
        graph.tick()
        graph.hear(talk.during(number, start_ns))
        audience.expect(image.stamp_ns)
        graph.show(image)
        soak.sent += 1
        if number % STRAY_EVERY == STRAY_EVERY - 1:
            graph.show(VisualFeatures(image.stamp_ns - STRAY_NS, image.faces))
            soak.sent += 1
        if number >= AHEAD:
            graph.wait_for(image.stamp_ns - _ahead(number) * FRAME_NS)
            audience.take(image.stamp_ns - 2 * AHEAD * FRAME_NS)
        if number % every == every - 1:
            soak.readings.append(footprint(graph.pid))
            on_progress(number / num_frames)
    for _ in range(AHEAD):
        graph.tick()
        time.sleep(REHEARSAL_S)
    graph.wait_for(image.stamp_ns)
    audience.take(image.stamp_ns)
    soak.answered = audience.count
    _count(soak, graph, before, num_frames)
    soak.people, soak.visits, soak.ids = crowd.num_people, crowd.num_visits, len(audience.ids)
    return soak


def _ahead(number: int) -> int:
    """Tell how many images may be ahead of their answers at an image of a number."""
    phase_s = number * FRAME_S % PERIOD_S
    if phase_s < BEGINNING_S:
        return AHEAD_BEGINNING
    return AHEAD_TALKING if is_talking(phase_s) else AHEAD


def _count(soak: Soak, graph: SoakGraph, before: dict[str, dict[str, int]], frames: int) -> None:
    """Take over what the nodes have counted since the start."""
    after = {name: graph.settled_counters(name) for name in before}
    grown = {
        name: {key: value - before[name].get(key, 0) for key, value in counters.items()}
        for name, counters in after.items()
    }
    soak.dropped = {key: grown['tracker'][key] for key in DROPPED if grown['tracker'].get(key)}
    soak.pauses = num_pauses(frames)
    soak.pauses_noticed = sum(
        value for key, value in grown['audio_features'].items() if key.endswith(PAUSE)
    )
