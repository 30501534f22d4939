# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A client of the whole graph: brings its nodes to life in order and collects what they say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import rclpy
from av_perception_msgs.msg import Attention as AttentionMsg
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg
from av_perception_msgs.msg import SpeakingStatusArray, TrackArray, TruthArray
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from std_srvs.srv import Trigger

from av_perception.errors import UserError
from av_perception.geometry.time import nanoseconds, seconds
from av_perception.interfaces import Attention, SpeakingFrame, TrackFrame
from av_perception.ros import qos
from av_perception.ros.conversions import (
    attention_from_msg,
    ns_from_time,
    speaking_frame_from_msg,
    track_frame_from_msg,
)
from av_perception.ros.machine_clock import SERVICE as CLOCK_SERVICE
from av_perception.ros.privacy import private_node
from av_perception.synchronization.clock_offset import ClockOffset

CALL_TIMEOUT_S = 10.0
VOICE_CHUNK_S = 0.016


class GraphObserver:
    """Listens to all that the graph says, in a thread of its own. Use as a context manager.

    Attributes
    ----------
    tracks, speaking : dict
        Frames by stamp [ns].
    attention : dict
        Whom to look at, by stamp [ns].
    latency_ns : dict
        Of each stamp: from the image's stamp to the arrival of its speaking status [ns].
    voice_latency_ns : list of int
        How old the oldest sample of each chunk of a voice was when it came [ns].
    truth_stamps : list of int
        Of the truth that came [ns].
    diagnostics : dict
        Last counters and message of each node.
    levels : dict
        Their levels (diagnostic_msgs/DiagnosticStatus).
    unreadable : dict
        By topic: why a message was passed over.
    """

    def __init__(self, namespace: str = '', domain_id: int | None = None, voices: bool = False):
        """Listen.

        Parameters
        ----------
        namespace : str
            Of the graph.
        domain_id : int or None
            None takes that of the environment.
        voices : bool
            Listen to the streams of people as well.
        """
        self._context = rclpy.context.Context()
        rclpy.init(
            context=self._context,
            domain_id=domain_id,
            signal_handler_options=rclpy.signals.SignalHandlerOptions.NO,
        )
        self.node = private_node('graph_observer', self._context, namespace=namespace)
        self.tracks: dict[int, TrackFrame] = {}
        self.speaking: dict[int, SpeakingFrame] = {}
        self.attention: dict[int, Attention] = {}
        self.latency_ns: dict[int, int] = {}
        self.voice_latency_ns: list[int] = []
        self.truth_stamps: list[int] = []
        self._hears_voices = voices
        self._voices: set[int] = set()  # people whose streams are listened to
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.levels: dict[str, bytes] = {}
        self.unreadable: dict[str, str] = {}
        self._space = self.node.get_namespace().rstrip('/')
        self._subscribe()
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)

    def __enter__(self) -> GraphObserver:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        rclpy.try_shutdown(context=self._context)
        self._thread.join(timeout=5.0)
        # What is left to the end of Python is taken down in any order.
        self._executor.shutdown()
        self.node.destroy_node()

    def now_ns(self) -> int:
        """Read the ROS clock [ns]."""
        return self.node.get_clock().now().nanoseconds

    def state(self, name: str) -> int | None:
        """Ask a node for its life-cycle state (lifecycle_msgs/State); None without an answer."""
        client = self.node.create_client(GetState, f'{name}/get_state')
        try:
            return self._call(client, GetState.Request(), 1.0).current_state.id
        except TimeoutError:
            return None
        finally:
            self.node.destroy_client(client)

    def uses_sim_time(self, name: str) -> bool | None:
        """Ask a node whether it takes its time from /clock; None without an answer."""
        client = self.node.create_client(GetParameters, f'{name}/get_parameters')
        try:
            answer = self._call(client, GetParameters.Request(names=['use_sim_time']), 1.0)
            return answer.values[0].bool_value
        except TimeoutError:
            return None
        finally:
            self.node.destroy_client(client)

    def clock_offset(self, name: str, num_questions: int = 3) -> ClockOffset:
        """Ask a node for its time, and compare; unknown where it does not tell."""
        offset = ClockOffset()
        client = self.node.create_client(Trigger, f'{name}/{CLOCK_SERVICE}')
        try:
            for _ in range(num_questions):
                asked_ns = self.now_ns()
                answer = self._call(client, Trigger.Request(), 1.0)
                offset.push(asked_ns, int(answer.message), self.now_ns())
        except TimeoutError:
            pass
        finally:
            self.node.destroy_client(client)
        return offset

    def wait_for_state(
        self,
        name: str,
        state: int,
        deadline: float,
        alive: Callable[[], bool] = lambda: True,
    ) -> bool:
        """Wait until a node reaches a life-cycle state.

        Parameters
        ----------
        name : str
            The node.
        state : int
            Of lifecycle_msgs/State.
        deadline : float
            When to give up, by time.monotonic [s].
        alive : callable
            Asked now and then whether it may still come.

        Returns
        -------
        bool
            False at the deadline, or when `alive` says no.
        """
        while time.monotonic() < deadline and alive():
            if self.state(name) == state:
                return True
            time.sleep(0.1)
        return False

    def transition(self, name: str, transition: int) -> bool:
        """Trigger a life-cycle transition (lifecycle_msgs/Transition)."""
        client = self.node.create_client(ChangeState, f'{name}/change_state')
        request = ChangeState.Request(transition=Transition(id=transition))
        return self._call_or_fail(name, client, request).success

    def set_start_time(self, name: str, seconds: float) -> None:
        """Set the parameter start_time of a node that plays a recording. Raises UserError."""
        client = self.node.create_client(SetParameters, f'{name}/set_parameters')
        value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=seconds)
        request = SetParameters.Request(parameters=[Parameter(name='start_time', value=value)])
        result = self._call_or_fail(name, client, request).results[0]
        if not result.successful:
            raise UserError(f'{name} refused its start time: {result.reason}')

    def start_together(self, names: list[str], lead_s: float = 1.5) -> int:
        """Start the nodes that play a recording, all at one time.

        Parameters
        ----------
        names : list of str
            The nodes, not yet configured.
        lead_s : float
            From now to the start [s].

        Returns
        -------
        int
            When they start [ns].

        Raises
        ------
        UserError
            When one of them cannot.
        """
        for name in names:
            if not self.transition(name, Transition.TRANSITION_CONFIGURE):
                raise UserError(f'{name} could not be configured; its log says why')
        start_time_s = seconds(self.now_ns()) + lead_s
        for name in names:
            self.set_start_time(name, start_time_s)
            if not self.transition(name, Transition.TRANSITION_ACTIVATE):
                raise UserError(f'{name} could not be activated; its log says why')
        # As the players compute it: a double holds seconds of this century to 0.2 microseconds.
        return nanoseconds(start_time_s)

    def frames(self) -> list[tuple[TrackFrame, SpeakingFrame]]:
        """Give all track frames in order of their stamps, each with its speaking frame.

        That is an empty one if it never came.
        """
        return [
            (frame, self.speaking.get(stamp, SpeakingFrame(stamp, ())))
            for stamp, frame in sorted(self.tracks.items())
        ]

    def _subscribe(self) -> None:
        for kind, topic, take in (
            (TrackArray, 'tracks', self._on_tracks),
            (SpeakingStatusArray, 'speaking_status', self._on_speaking),
            (AttentionMsg, 'attention', self._on_attention),
            (TruthArray, 'truth', self._on_truth),
        ):
            self.node.create_subscription(kind, topic, self._tolerant(topic, take), qos.FEATURES)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 20)

    def _tolerant(self, topic: str, take: Callable[[Any], None]) -> Callable[[Any], None]:
        """Pass over what strangers publish and nobody can read: the thread must go on."""

        def take_if_readable(message: Any) -> None:
            try:
                take(message)
            except ValueError as error:
                self.unreadable[topic] = str(error)

        return take_if_readable

    def _on_tracks(self, message: TrackArray) -> None:
        frame = track_frame_from_msg(message)
        self.tracks[frame.stamp_ns] = frame
        if self._hears_voices:
            for key in {track.id for track in frame.tracks} - self._voices:
                self._voices.add(key)
                topic = f'voices/person_{key}'
                profile = qos.voice(VOICE_CHUNK_S)
                self.node.create_subscription(AudioChunkMsg, topic, self._on_voice, profile)

    def _on_voice(self, message: AudioChunkMsg) -> None:
        self.voice_latency_ns.append(self.now_ns() - ns_from_time(message.header.stamp))

    def _on_speaking(self, message: SpeakingStatusArray) -> None:
        frame = speaking_frame_from_msg(message)
        self.speaking[frame.stamp_ns] = frame
        self.latency_ns[frame.stamp_ns] = self.now_ns() - frame.stamp_ns

    def _on_attention(self, message: AttentionMsg) -> None:
        attention = attention_from_msg(message)
        self.attention[attention.stamp_ns] = attention

    def _on_truth(self, message: TruthArray) -> None:
        self.truth_stamps.append(ns_from_time(message.header.stamp))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            space, _, name = status.name.rpartition('/')
            if space != self._space:  # of another robot: the topic is everybody's
                continue
            self.levels[name] = status.level
            self.diagnostics[name] = {
                'message': status.message,
                **{v.key: v.value for v in status.values},
            }

    def ask(self, name: str, kind: type, service: str, request):
        """Call a service of a node; kind: of the service. Raises UserError without an answer."""
        client = self.node.create_client(kind, f'{name}/{service}')
        return self._call_or_fail(name, client, request)

    def _call_or_fail(self, name: str, client, request):
        try:
            return self._call(client, request, CALL_TIMEOUT_S)
        except TimeoutError as error:
            raise UserError(
                f'the node {name} did not answer within {CALL_TIMEOUT_S:.0f} s; '
                'its log may say why'
            ) from error
        finally:
            self.node.destroy_client(client)

    def _call(self, client, request, timeout_s: float):
        done = threading.Event()
        if not client.wait_for_service(timeout_sec=timeout_s):
            raise TimeoutError(client.srv_name)
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        if not done.wait(timeout_s):
            raise TimeoutError(client.srv_name)
        return future.result()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass
