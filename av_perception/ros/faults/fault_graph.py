# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The graph that faults are done to, with planted sensors on simulated time.

Where all is well, frames are played in lock-step: time goes on when the graph has answered. While
something is wrong they come at their own pace, or at that of a machine that is slower.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from av_perception.interfaces import LifeState
from av_perception.recording import Recording
from av_perception.robot_head import load_head
from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.bringup.graph import Selection, nodes_for
from av_perception.ros.bringup.lock_step import wait_until_active
from av_perception.ros.bringup.runner import GraphRunner
from av_perception.ros.faults.fault import FRAME_S, MAX_RECOVERY
from av_perception.ros.faults.planted_scene import TALKER, PlantedScene
from av_perception.ros.faults.planted_sensors import FRAME_NS, REFERENCE_FRAME, PlantedSensors
from av_perception.ros.faults.watch import DiagnosticsWatch, LogWatch
from av_perception.ros.observer import GraphObserver
from av_perception.ros.privacy import free_domain, private_node

SETUPS = ('head', 'robot', 'all', 'processes')
SELECTION = Selection(microphones='others', camera='others')
ALL_NODES = replace(SELECTION, voices=True, attention=True, forecast=True)
NEAR_M = 0.3  # a track that near to a person is theirs
STEADY = 5  # frames in a row that are right
SETTLING = 200  # frames at most until all is right before a fault
MAX_SILENT = 40  # frames in a row that are not answered, while nodes find each other
EXTRA = 25  # frames beyond MAX_RECOVERY that are played to tell how late it was
SHORTEST_WAIT_S = 1.0  # of wall time, for one answer
PATIENCE = 20.0  # times the usual time of an answer
# The same after a fault: sensors do not wait, and who hears nothing must be able to tell.
SHORTEST_WAIT_AFTER_S = 0.4
PATIENCE_AFTER = 6.0
TICKS = 4  # steps of the clock in a frame without lock-step
POLL_S = 0.001
SAYING_S = 10.0  # of wall time, for a node to say how it is


class FaultGraph:
    """The four nodes between sensors and speaking status. Use as a context manager."""

    def __init__(
        self, setup: str, recording: Recording, folder: Path, domain_id: int | None = None
    ):
        """Start nothing yet.

        Parameters
        ----------
        setup
            One of SETUPS.
        recording
            Of the scene `short`.
        folder
            Where the logs go.
        domain_id
            Of DDS; None takes one where nobody is.
        """
        self._domain_id = domain_id or free_domain()
        self.setup = setup
        self.is_robot = setup == 'robot'
        self._recording = recording
        self.folder = folder
        self._stack = ExitStack()
        self._notes: list[str] = []
        self._problems: list[str] = []
        self._answer_s: deque[float] = deque([0.1], maxlen=50)

    def __enter__(self) -> FaultGraph:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        head_name = 'simulated_turning' if self.is_robot else 'simulated'
        head = load_head(head_name)
        domain = self._domain_id
        # Ours is prepared as well.
        self.environment = {**prepare_environment(), 'ROS_DOMAIN_ID': str(domain)}
        selection = ALL_NODES if self.setup == 'all' else SELECTION
        nodes = tuple(replace(node, niceness=0) for node in nodes_for(head, selection))
        self.names = [node.name for node in nodes]
        overrides: dict[str, dict] = {name: {'use_sim_time': True} for name in self.names}
        arguments = {'head': head_name}
        if self.is_robot:
            overrides['visual_features']['calibration'] = 'topic'
            arguments['reference_frame'] = REFERENCE_FRAME
        self.observer = stack.enter_context(
            GraphObserver(domain_id=domain, voices=self.setup == 'all')
        )
        self.watch = DiagnosticsWatch(self.observer)
        self.log = LogWatch(self.folder)
        self.runner = GraphRunner(
            nodes,
            arguments,
            overrides=overrides,
            log_folder=self.folder,
            environment=self.environment,
            composed=None if self.setup == 'processes' else selection,
        )
        stack.enter_context(self.runner)
        self.scene = PlantedScene(self._recording, head)
        node = private_node('planted_sensors', self.observer.node.context)
        stack.callback(node.destroy_node)
        self.sensors = PlantedSensors(node, self.scene, self.is_robot)
        wait_until_active(self.observer, self.runner, self.names)

    # ---- playing

    def play_answered(
        self, shortest_wait_s: float = SHORTEST_WAIT_S, patience: float = PATIENCE
    ) -> int | None:
        """Play a frame in lock-step; gives its stamp, None when it is not answered."""
        self.sensors.tick(FRAME_NS)
        stamp_ns = self.sensors.send_frame()
        longest_s = max(shortest_wait_s, patience * statistics.median(self._answer_s))
        start = time.monotonic()
        while not self._is_answered(stamp_ns):
            if time.monotonic() - start > longest_s:
                return None
            time.sleep(POLL_S)
        self._answer_s.append(time.monotonic() - start)
        return stamp_ns

    def play_at_pace(self, of_machine: bool = True) -> None:
        """Play a frame, answered or not, 25 a second; or no faster than the machine answers."""
        pace_s = max(FRAME_S, statistics.median(self._answer_s) if of_machine else 0.0)
        start = time.monotonic()
        for k in range(TICKS):
            self.sensors.tick(FRAME_NS // TICKS)
            if k == TICKS - 1:
                self.sensors.send_frame()
            time.sleep(max(0.0, start + (k + 1) * pace_s / TICKS - time.monotonic()))

    def settle(self) -> dict[int, int] | None:
        """Play until all is right; gives the id of each person, None when it never is."""
        is_heard = False
        steady = 0
        silent = 0
        for _ in range(SETTLING):
            stamp_ns = self.play_answered()
            silent = 0 if stamp_ns is not None else silent + 1
            if silent > MAX_SILENT:
                return None
            ids = None if stamp_ns is None else self.ids(stamp_ns)
            steady = 0 if ids is None else steady + 1
            is_heard = is_heard or (ids is not None and self._is_heard(stamp_ns, ids))
            if is_heard and steady >= STEADY:
                return ids
        return None

    def recover(self) -> tuple[int | None, dict[int, int] | None]:
        """Play until all is right again.

        Returns
        -------
        frames
            Before the first of STEADY that are right, or before the talker is heard, if that is
            later; None when it took too long.
        ids
            Of each person, None when it took too long.
        """
        steady = 0
        heard_at: int | None = None
        for number in range(MAX_RECOVERY + EXTRA):
            stamp_ns = self.play_answered(SHORTEST_WAIT_AFTER_S, PATIENCE_AFTER)
            ids = None if stamp_ns is None else self.ids(stamp_ns)
            steady = 0 if ids is None else steady + 1
            if heard_at is None and ids is not None and self._is_heard(stamp_ns, ids):
                heard_at = number
            if steady >= STEADY and heard_at is not None:
                return max(number - steady + 1, heard_at), ids
        return None, None

    def ids(self, stamp_ns: int | None) -> dict[int, int] | None:
        """Give the id of each person at a moment; None unless each is seen, once, and no other."""
        frame = self.observer.tracks.get(stamp_ns or 0)
        if frame is None:
            return None
        seen = [t for t in frame.tracks if t.state == LifeState.ACTIVE and t.seen]
        if len(seen) != len(self.scene.places):
            return None
        found = {}
        for person, place in self.scene.places.items():
            near = [t for t in seen if np.linalg.norm(t.mean[:3] - place) < NEAR_M]
            if len(near) != 1:
                return None
            found[person] = near[0].id
        return found

    def _is_answered(self, stamp_ns: int) -> bool:
        return stamp_ns in self.observer.tracks and stamp_ns in self.observer.speaking

    def _is_heard(self, stamp_ns: int | None, ids: dict[int, int]) -> bool:
        speaking = self.observer.speaking.get(stamp_ns or 0)
        return speaking is not None and any(
            status.speaking for status in speaking.statuses if status.id == ids[TALKER]
        )

    # ---- how it is

    def begin_trial(self) -> None:
        """Forget what was said and found before."""
        self.log.new_text()
        self._notes.clear()
        self._problems.clear()

    def note(self, sentence: str) -> None:
        """Keep what a service or a command has answered."""
        self._notes.append(sentence)

    def add_problem(self, sentence: str) -> None:
        """Keep what is wrong."""
        self._problems.append(sentence)

    def said(self, mark: int) -> list[str]:
        """Give all that was said to be wrong, on /diagnostics since a mark or as an answer."""
        return self.watch.complaints(mark) + self._notes

    def is_whole_since(self, start_ns: int, ids: dict[int, int]) -> bool:
        """Whether every frame after a moment holds all these people."""
        wanted = set(ids.values())
        frames = [f for stamp, f in self.observer.tracks.copy().items() if stamp > start_ns]
        return bool(frames) and all(wanted <= {t.id for t in f.tracks} for f in frames)

    def problems(self, mark: int) -> list[str]:
        """Say what is wrong with the processes, the nodes and the logs; mark: since when."""
        found = list(self._problems)
        failed = self.runner.failed()
        found += [f'{name} ended with status {status}' for name, status in failed.items()]
        patience_s = 0.0 if failed else SAYING_S
        silent = self.watch.silent(self.names, mark, patience_s)
        found += [f'{name} says nothing on /diagnostics' for name in silent]
        found += [f'{name} is not active' for name in self.watch.inactive(self.names, mark)]
        text = self.log.new_text()
        if 'Traceback' in text:
            last = text[text.index('Traceback') :].splitlines()
            found.append(f'traceback in a log: {last[-1]}')
        return found
