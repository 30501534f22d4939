# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The base of every node: parameters, life cycle, diagnostics, and how a node starts, fails and stops."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import traceback
from functools import partial

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn
from rclpy.logging import get_logger

from av_perception.errors import UserError, describe
from av_perception.ros import parameters
from av_perception.ros.backlog import num_outdated, take_waiting
from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.bringup.graph import RESPAWN_DELAY_S
from av_perception.ros.compat import NO_PUBLISHER_EVENTS, NO_SUBSCRIPTION_EVENTS
from av_perception.ros.conversions import ns_from_time
from av_perception.ros.diagnostics import HELD_UP_REASON, Diagnostics
from av_perception.ros.lifeline import watch_starter
from av_perception.ros.parameters import Parameter
from av_perception.ros.privacy import check_domain, keep_private, protect_shared_memory
from av_perception.ros.transitions import refuse_forbidden_transitions

AUTOSTART = Parameter(
    'autostart',
    True,
    'Configure and activate at start; false leaves the transitions to a life-cycle manager.',
)
THREAD_SWITCH_S = 0.0005  # a worker thread asks for the interpreter a hundred times per image: 5 ms each time, Python's default, is too long
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class PerceptionNode(LifecycleNode):
    """A life-cycle node that configures and activates itself unless told not to.

    Subclasses name their PARAMETERS and implement `configure` (build the core, create publishers; raise UserError for what the user
    can mend), `activate` (subscriptions through `subscribe`, timers through `every`) and, where they own threads or devices, `deactivate`.
    """

    NAME = ''
    PARAMETERS: tuple[Parameter, ...] = ()

    def __init__(self, **options):
        super().__init__(self.NAME, **options)
        protect_shared_memory()
        self.is_active = False
        self.failure: str | None = None  # why the node cannot go on: it ends by itself
        self.refusal: str | None = (
            None  # why the last transition failed: a life-cycle manager may try again
        )
        self._subscriptions_made, self._timers_made, self._publishers_made = [], [], []
        refuse_forbidden_transitions(self)
        parameters.declare(self, (*self.PARAMETERS, AUTOSTART))
        self.diagnostics = Diagnostics(self)

    # ---- for subclasses

    def configure(self) -> None:
        """Build what the parameters describe."""

    def activate(self) -> None:
        """Start to listen and to publish."""

    def deactivate(self) -> None:
        """Stop threads and close devices; subscriptions, timers and publishers are taken down by the base."""

    def tune(self, value) -> None:
        """Take over live parameters; value(name) reads them as they are to be. Raises UserError when they do not fit together: they are refused."""

    def value(self, name: str):
        """The value of a parameter."""
        return self.get_parameter(name).value

    def publisher(self, message_type, topic: str, qos):
        """A publisher that lives from configure to clean-up."""
        publisher = self.create_publisher(
            message_type, topic, qos, event_callbacks=NO_PUBLISHER_EVENTS
        )
        self._publishers_made.append(publisher)
        return publisher

    def subscribe(
        self,
        message_type,
        topic: str,
        callback,
        qos,
        timeout_s: float | None = 1.0,
        backlog_s: float | None = None,
    ) -> None:
        """A subscription that lives while active. Its rate and latency are monitored unless
        timeout_s is None; a message that the callback refuses with ValueError is dropped, counted
        and named. Messages that wait and are more than backlog_s behind the newest are left out
        and counted; None handles all of them."""
        full_name = self.resolve_topic_name(topic)
        monitor = (
            self.diagnostics.monitor(full_name, timeout_s, qos) if timeout_s is not None else None
        )

        def receive(message):
            if monitor is not None:
                stamp = getattr(message, 'header', None) and ns_from_time(message.header.stamp)
                monitor.tick(1e-9 * (self.get_clock().now().nanoseconds - stamp) if stamp else 0.0)
            try:
                callback(message)
            except ValueError as error:
                self.diagnostics.count(f'messages dropped from {full_name}', str(error))
            except UserError as error:
                self.diagnostics.count(f'messages refused from {full_name}', str(error))

        def receive_newest(message):
            for current in self._without_backlog(message, subscription, full_name, backlog_s):
                receive(current)

        subscription = self.create_subscription(
            message_type,
            topic,
            receive if backlog_s is None else receive_newest,
            qos,
            event_callbacks=NO_SUBSCRIPTION_EVENTS,
        )
        self._subscriptions_made.append(subscription)

    def _without_backlog(self, message, subscription, full_name: str, backlog_s: float) -> list:
        """A message and all that wait behind it, less those that are too far behind the newest."""
        waiting = take_waiting(subscription)
        if not waiting:
            return [message]
        messages = [message, *(one for one, _ in waiting)]
        stamps = [ns_from_time(one.header.stamp) for one in messages]
        sent = [sent for _, sent in waiting]
        count = num_outdated(stamps, [sent[0], *sent], backlog_s)  # the first was sent no later
        if count:
            behind_s = 1e-9 * (stamps[-1] - stamps[0])
            self.diagnostics.count(
                f'messages left out from {full_name}',
                f'{behind_s:.1f} s behind: {HELD_UP_REASON}',
                count,
            )
        return messages[count:]

    def fail(self, error: BaseException) -> None:
        """End this node, for it cannot go on: one line says why, the traceback is logged at level debug."""
        self.failure = describe(error)
        self.get_logger().error(self.failure)
        self.get_logger().debug(''.join(traceback.format_exception(error)))

    def adopt(self, *subscriptions) -> None:
        """Subscriptions that another library made on this node: they too live only while active."""
        self._subscriptions_made.extend(subscriptions)

    def every(self, period_s: float, callback):
        """A timer that lives while active."""
        self._timers_made.append(self.create_timer(period_s, callback))
        return self._timers_made[-1]

    def destroy_node(self) -> None:
        """Take the node off the graph, where rclpy's state machine would hold it as long as Python knows it."""
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    # ---- life cycle

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        """Life-cycle transition; why it fails is logged as one line and kept in `refusal`."""
        result = self._attempt(self.configure)
        if result != TransitionCallbackReturn.SUCCESS:
            self._discard_publishers()
        return result

    def on_activate(self, state: State) -> TransitionCallbackReturn:
        """Life-cycle transition."""
        result = self._attempt(self.activate)
        self.is_active = result == TransitionCallbackReturn.SUCCESS
        if not self.is_active:
            self._attempt(self._take_down)
        return result

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        """Life-cycle transition."""
        return self._attempt(self._take_down)

    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        """Life-cycle transition."""
        return self._attempt(self._discard_publishers)

    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        """Life-cycle transition."""
        return self._attempt(self._take_down)

    def start(self) -> bool:
        """Configure and activate. False when either failed; `refusal` or `failure` says why."""
        success = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == success and self.trigger_activate() == success

    def _discard_publishers(self) -> None:
        while self._publishers_made:
            self.destroy_publisher(self._publishers_made.pop())

    def _attempt(self, step) -> TransitionCallbackReturn:
        try:
            step()
        except UserError as error:
            self.refusal = str(error)
            self.get_logger().error(self.refusal)
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # rclpy would swallow it
            self.fail(error)
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _take_down(self) -> None:
        self.is_active = False
        self.deactivate()
        while self._subscriptions_made:
            self.destroy_subscription(self._subscriptions_made.pop())
        while self._timers_made:
            self.destroy_timer(self._timers_made.pop())
        self.diagnostics.clear()


def catch_stop_signals() -> threading.Event:
    """An event that SIGINT, SIGTERM and the end of the process that started this one set.

    The context stays valid until the work in hand is done, so nothing fails halfway.
    """
    stopping = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stopping.set())
    watch_starter(stopping.set)
    return stopping


def run_node(node_type: type[PerceptionNode], arguments: list[str] | None = None) -> int:
    """The whole main() of a node's process. Returns the exit status: 0 after a signal, 2 when the user has something to mend."""
    return run_nodes({node_type: 0}, arguments)


def run_nodes(
    node_types: dict[type[PerceptionNode], int],
    arguments: list[str] | None = None,
    respawn: bool = False,
) -> int:
    """The whole main() of a process that hosts nodes, each in a thread of its own with an executor of its own.

    node_types: with how far each steps back when the processors are busy (niceness, 0 not at all); respawn: a node that ends by itself is made
    again. A node that cannot start or go on ends alone; the process ends with the last. Returns the exit status: 0 after a signal, 2 when
    some node ended by itself.
    """
    keep_private()
    sys.setswitchinterval(THREAD_SWITCH_S)
    host = _Host(catch_stop_signals(), time.monotonic(), respawn)
    threading.excepthook = host.lose_thread
    try:
        prepare_environment()
        _init(arguments)
        check_domain(rclpy.get_default_context().get_domain_id())
        threads = [
            threading.Thread(target=host.run, args=item, name=item[0].NAME, daemon=True)
            for item in node_types.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():  # without end: a signal must find the main thread at work
                thread.join(timeout=0.2)
        return 2 if host.ended else 0
    except UserError as error:
        print(f'{" ".join(t.NAME for t in node_types)}: error: {error}', file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()


class _Host:
    """Keeps nodes going until the process is asked to stop; `ended` names those that ended by themselves."""

    def __init__(self, stopping: threading.Event, started: float, respawn: bool):
        self._stopping, self._started, self._respawn = stopping, started, respawn
        self._making = threading.Lock()
        self._nodes: set[PerceptionNode] = set()
        self.ended: list[str] = []

    def run(self, node_type: type[PerceptionNode], niceness: int) -> None:
        """The whole life of one node, in the thread that calls."""
        if niceness:
            os.setpriority(
                os.PRIO_PROCESS, threading.get_native_id(), niceness
            )  # of this thread and those it starts
        started = self._started
        while not self._stopping.is_set() and not self._live(node_type, started):
            gc.collect()  # a node whose constructor failed is on the graph until Python forgets it
            if not self._respawn or self._stopping.wait(RESPAWN_DELAY_S):
                self.ended.append(node_type.NAME)
                return
            started = time.monotonic()

    def lose_thread(self, lost) -> None:
        """End all nodes for a thread that died; whose it was nobody knows, and half a node must not go on."""
        for node in set(self._nodes):
            node.fail(lost.exc_value)

    def _live(self, node_type: type[PerceptionNode], started: float) -> bool:
        """Make, start and spin a node; False when it ended by itself."""
        try:
            with self._making:
                node = node_type()
        except BaseException as error:  # SystemExit too, which ends a thread without a word
            get_logger(node_type.NAME).error(describe(error))
            get_logger(node_type.NAME).debug(traceback.format_exc())
            return False
        self._nodes.add(node)
        executor = SingleThreadedExecutor()
        work = partial(self._spin, node, executor, started)
        for step in (work, executor.shutdown, node._take_down, node.destroy_node):
            try:
                step()
            except BaseException as error:
                node.fail(error)
        self._nodes.remove(node)
        return node.failure is None

    def _spin(
        self, node: PerceptionNode, executor: SingleThreadedExecutor, started: float
    ) -> None:
        """Let a node work until the process is asked to stop or the node cannot go on."""
        if node.value('autostart') and not node.start():
            node.failure = node.failure or node.refusal
            return
        node.get_logger().info(f'ready after {time.monotonic() - started:.1f} s')
        executor.add_node(node)
        while not self._stopping.is_set() and node.failure is None:
            executor.spin_once()  # no longer than a second: the diagnostics wake it; a timeout would cost a timer each time


def _init(arguments: list[str] | None) -> None:
    """rclpy.init; what is wrong with the command line (an absent parameter file, say) becomes one line."""
    try:
        rclpy.init(args=arguments, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    except Exception as error:  # rclpy hands on errors of the C layer under several names
        raise UserError(' '.join(str(error).split(', at ')[0].split())) from error
