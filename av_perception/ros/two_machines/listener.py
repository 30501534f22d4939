# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What runs on the computer of two machines: `up --where computer`, and who writes down its words.

It prints a line when all is well, and writes everything that it has heard when its input ends.

python -m av_perception.ros.two_machines.listener PLACES OUTPUT -- COMMAND [-- COMMAND]...
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from av_perception_msgs.msg import SpeakingStatusArray, TrackArray, VisualFeatures
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from av_perception.interfaces import LifeState, TrackFrame
from av_perception.ros import qos
from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.conversions import (
    ns_from_time,
    speaking_frame_from_msg,
    track_frame_from_msg,
)
from av_perception.ros.observer import GraphObserver
from av_perception.ros.two_machines.hosted import Hosted, commands_of

NEAR_M = 0.3  # a track that near to a person is theirs
STEADY = 25  # frames in a row in which everybody is seen: all is well
READY = 'ready'


class Notes:
    """Everything that was heard, with the time of its arrival [ns of the system's clock]."""

    def __init__(self, observer: GraphObserver, places: dict[int, np.ndarray]):
        self._places = places
        self.notes: dict[str, list] = {'tracks': [], 'speaking': [], 'seen': [], 'said': []}
        node = observer.node
        node.create_subscription(TrackArray, 'tracks', self._on_tracks, qos.FEATURES)
        node.create_subscription(
            SpeakingStatusArray, 'speaking_status', self._on_speaking, qos.FEATURES
        )
        node.create_subscription(VisualFeatures, 'visual_features', self._on_seen, qos.FEATURES)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_said, 50)

    def is_well(self) -> bool:
        """Whether everybody was seen in the last frames, and somebody spoke."""
        last = self.notes['tracks'][-STEADY:]
        speaks = any(speaking for _, _, speaking in self.notes['speaking'][-STEADY:])
        return len(last) == STEADY and speaks and all(ids for _, _, ids in last)

    def _note(self, kind: str, message: Any, *values: Any) -> None:
        stamp_ns = ns_from_time(message.header.stamp)
        self.notes[kind].append([stamp_ns, time.time_ns(), *values])

    def _on_tracks(self, message: TrackArray) -> None:
        self._note('tracks', message, ids_of(track_frame_from_msg(message), self._places))

    def _on_speaking(self, message: SpeakingStatusArray) -> None:
        statuses = speaking_frame_from_msg(message).statuses
        self._note('speaking', message, [status.id for status in statuses if status.speaking])

    def _on_seen(self, message: VisualFeatures) -> None:
        self._note('seen', message, len(message.faces))

    def _on_said(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = status.name.rsplit('/', 1)[-1]
            is_well = status.level == DiagnosticStatus.OK
            values = {pair.key: pair.value for pair in status.values}
            self._note('said', message, name, is_well, status.message, values)


def ids_of(frame: TrackFrame, places: dict[int, np.ndarray]) -> dict[int, int] | None:
    """Give the id of each person; None unless each is seen, once, and nobody else."""
    seen = [track for track in frame.tracks if track.state == LifeState.ACTIVE and track.seen]
    if len(seen) != len(places):
        return None
    found = {}
    for person, place in places.items():
        near = [track for track in seen if np.linalg.norm(track.mean[:3] - place) < NEAR_M]
        if len(near) != 1:
            return None
        found[person] = near[0].id
    return found


def listen(places: dict[int, np.ndarray], output: Path, commands: list[list[str]]) -> None:
    """Run commands until the input ends, say when all is well, and write what was heard."""
    prepare_environment(network=True)
    with Hosted(commands) as hosted, GraphObserver() as observer:
        notes = Notes(observer, places)
        is_ready = False
        while hosted.goes_on():
            if not is_ready and notes.is_well():
                is_ready = True
                print(READY, flush=True)
        output.write_text(json.dumps(notes.notes))


if __name__ == '__main__':
    given = {int(k): np.array(v) for k, v in json.loads(sys.argv[1]).items()}
    listened_to = commands_of(sys.argv[3:])
    output = Path(sys.argv[2])
    del sys.argv[1:]  # rclpy would take the words of the commands for its own
    listen(given, output, listened_to)
