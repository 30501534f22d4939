# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The base of every node: parameters, life cycle and diagnostics."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

from rclpy.lifecycle import State, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from av_perception.errors import UserError, describe
from av_perception.geometry.time import seconds
from av_perception.ros import parameters
from av_perception.ros.backlog import outdated, take_waiting
from av_perception.ros.compat import NO_PUBLISHER_EVENTS, NO_SUBSCRIPTION_EVENTS
from av_perception.ros.conversions import ns_from_time
from av_perception.ros.diagnostics import HELD_UP_REASON, Diagnostics
from av_perception.ros.image_publisher import ImageRoom
from av_perception.ros.input_monitor import InputMonitor
from av_perception.ros.legacy import Heir
from av_perception.ros.local_topics import (
    Gate,
    IsDue,
    LocalConnections,
    LocalPublisher,
    LocalTopics,
    Sent,
    is_ours,
)
from av_perception.ros.machine_clock import ClockWatch, tell_time
from av_perception.ros.missing_inputs import MissingInputs
from av_perception.ros.parameters import Parameter
from av_perception.ros.privacy import protect_shared_memory
from av_perception.ros.segment_watch import SegmentWatch
from av_perception.ros.transitions import refuse_forbidden_transitions

Shared = TypeVar('Shared')
TOO_SLOW = 'this node is too slow, or the processor is too busy'
AUTOSTART = Parameter(
    'autostart',
    True,
    'Configure and activate at start; false leaves the transitions to a life-cycle manager.',
)


class PerceptionNode(Heir):
    """A life-cycle node that configures and activates itself unless told not to.

    Subclasses name their PARAMETERS and implement `configure`, `activate` and, where they own
    threads or devices, `deactivate`; those with live parameters `tune`.

    Attributes
    ----------
    failure : str or None
        Why the node cannot go on: it ends by itself.
    refusal : str or None
        Why the last transition failed: a life-cycle manager may try again.
    diagnostics : Diagnostics
        Where it counts what it drops.
    has_successor : bool
        Whether the same process makes it anew when it has ended.
    """

    NAME = ''
    #: Whether it stamps by the clock of its machine, which others then ask for: a sensor.
    TELLS_TIME = False
    PARAMETERS: tuple[Parameter, ...] = ()

    def __init__(self, local_topics: LocalTopics | None = None, **options):
        """Declare the parameters.

        Parameters
        ----------
        local_topics : LocalTopics or None
            By which it reaches the other nodes of its process; None: by DDS.
        options
            Those of rclpy's Node, without the name.
        """
        super().__init__(self.NAME, **options)
        protect_shared_memory()
        self.is_active = False
        # What comes from this process is handled in another thread than all else.
        self.handling = threading.RLock()
        self._local: LocalConnections | None = None
        if local_topics is not None:
            self._local = LocalConnections(self, local_topics, self.handling, self.fail)
        self.failure: str | None = None
        self.refusal: str | None = None
        self.has_successor = False
        self._subscriptions_made: list[Subscription] = []
        self._timers_made: list[Timer] = []
        self._publishers_made: list[Publisher] = []
        self._clock_watches: list[ClockWatch] = []
        refuse_forbidden_transitions(self)
        parameters.declare(self, (*self.PARAMETERS, AUTOSTART))
        self.diagnostics = Diagnostics(self, self.shared(MissingInputs, MissingInputs))
        self._room = ImageRoom(self.diagnostics.count, self.shared(SegmentWatch, SegmentWatch))
        if self.TELLS_TIME:
            tell_time(self, lambda: self.now_ns())

    # ---- for subclasses to implement

    def configure(self) -> None:
        """Build the core as the parameters describe it, and create publishers.

        Raises
        ------
        UserError
            For what the user can mend.
        """

    def activate(self) -> None:
        """Start to listen and to publish: through `subscribe` and `every`."""

    def deactivate(self) -> None:
        """Stop threads and close devices.

        Subscriptions, timers and publishers are taken down by the base.
        """

    # ---- for subclasses to use

    def shared(self, key: Hashable, make: Callable[[], Shared]) -> Shared:
        """Give what the nodes of this process share under a key; the first one makes it."""
        return make() if self._local is None else self._local.topics.share(key, make)

    def now_ns(self) -> int:
        """Read the ROS clock [ns]."""
        is_simulated = self.get_parameter('use_sim_time').value
        # Else it is the machine's, which is read far faster without rclpy.
        return self.get_clock().now().nanoseconds if is_simulated else time.time_ns()

    def publisher(
        self, message_type: type, topic: str, qos: QoSProfile | int
    ) -> Publisher | LocalPublisher:
        """Make a publisher from configure to clean-up; nobody may change what it has published."""
        publisher = self._room.publisher(
            self, message_type, topic, qos, event_callbacks=NO_PUBLISHER_EVENTS
        )
        self._publishers_made.append(publisher)
        if self._local is None or not is_ours(topic):
            return publisher
        return self._local.publisher(publisher)

    def subscribe(
        self,
        message_type: type,
        topic: str,
        callback: Callable[[Any], Any],
        qos: QoSProfile,
        timeout_s: float | None = 1.0,
        backlog_s: float | None = None,
        is_optional: bool = False,
    ) -> Subscription:
        """Make a subscription that lives while active.

        What the callback refuses with ValueError or UserError is dropped, counted and named.

        Parameters
        ----------
        message_type, topic : type, str
            Class of the messages, and the name of the topic, not yet resolved.
        callback : callable
            Called with each message.
        qos : QoSProfile
            Of the subscription.
        timeout_s : float or None
            Silence for so long [s] is an error in the diagnostics; None watches nothing.
        backlog_s : float or None
            What waits more than this behind the newest [s] is left out and counted; None: nothing.
        is_optional : bool
            Silence is no error before the first message.
        """
        full_name = self.resolve_topic_name(topic)
        monitor = None
        if timeout_s is not None:
            type_name = '/'.join((*message_type.__module__.split('.')[:2], message_type.__name__))
            monitor = self.diagnostics.monitor(full_name, timeout_s, qos, type_name, is_optional)
        receive = partial(self._receive, callback=callback, full_name=full_name, monitor=monitor)
        return self._listen(message_type, topic, receive, qos, backlog_s)

    def _listen(
        self,
        message_type: type,
        topic: str,
        receive: Callable[[Any], None],
        qos: QoSProfile,
        backlog_s: float | None,
    ) -> Subscription:
        """Make the subscription, and have it get what the nodes of this process publish."""
        gate = Gate()
        full_name = self.resolve_topic_name(topic)

        def receive_all(message) -> None:
            waiting = [] if backlog_s is None else take_waiting(subscription)
            sent_ns = waiting[0][1] if waiting else 0  # the first was sent no later
            everything = [(message, sent_ns), *waiting]
            count = self._count_outdated(everything, full_name, backlog_s)
            for current, _ in everything[count:]:
                receive(current)

        subscription = self.create_subscription(
            message_type,
            topic,
            receive_all,
            qos,
            callback_group=gate,
            event_callbacks=NO_SUBSCRIPTION_EVENTS,
        )
        self._subscriptions_made.append(subscription)
        if self._local is not None and is_ours(topic):
            self._listen_here(self._local, subscription, gate, receive, backlog_s)
        return subscription

    def _listen_here(
        self,
        local: LocalConnections,
        subscription: Subscription,
        gate: Gate,
        receive: Callable[[Any], None],
        backlog_s: float | None,
    ) -> None:
        """Have a subscription get what the nodes of this process publish."""
        full_name = subscription.topic_name

        def receive_one(waiting: list[Sent]) -> None:
            if self.is_active and not self._count_outdated(waiting, full_name, backlog_s):
                receive(waiting[0][0])

        on_drop = partial(self.diagnostics.count, f'messages dropped from {full_name}', TOO_SLOW)
        local.subscription(subscription, gate, receive_one, on_drop)

    def handle_waiting(self, subscription: Subscription) -> None:
        """Handle at once what has come to a subscription and has not had its turn."""
        if self._local is None or not self._local.handle_waiting(subscription):
            for message, _ in take_waiting(subscription):
                subscription.callback(message)

    def wake_when(self, subscription: Subscription, is_due: IsDue) -> None:
        """Have what the nodes of this process publish wait until a message is due."""
        if self._local is not None:
            self._local.wake_when(subscription, is_due)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Take down a subscription whose silence is not watched."""
        if self._local is not None:
            self._local.forget(subscription)
        self._subscriptions_made.remove(subscription)
        self.destroy_subscription(subscription)

    def adopt(self, *subscriptions: Subscription) -> None:
        """Take over subscriptions that another library made: they too live only while active."""
        self._subscriptions_made.extend(subscriptions)

    def stop_listening(self) -> None:
        """Take down all subscriptions; their topics are watched no more."""
        if self._local is not None:
            self._local.stop_listening()
        while self._subscriptions_made:
            self.destroy_subscription(self._subscriptions_made.pop())
        self.diagnostics.clear()

    def every(self, period_s: float, callback: Callable[[], Any]) -> Timer:
        """Make a timer that lives while active."""
        self._timers_made.append(self.create_timer(period_s, partial(self._handle, callback)))
        return self._timers_made[-1]

    def when_idle(self, period_s: float, callback: Callable[[], Any]) -> None:
        """Call back where no message comes for so long, while active; what takes them does more.

        Alone in a process, and in simulated time, it is `every`.
        """
        if self._local is None or self.get_parameter('use_sim_time').value:
            self.every(period_s, callback)
        else:
            self._local.when_idle(period_s, partial(self._handle, callback))

    def _handle(self, callback: Callable[[], Any]) -> None:
        with self.handling:
            if self.is_active:
                callback()

    def watch_clock_of(self, topic: str) -> None:
        """Compare the clock of the node that publishes a topic, which is subscribed to."""
        full_name = self.resolve_topic_name(topic)
        for monitor in self.diagnostics.monitors:
            if monitor.topic == full_name:
                self._clock_watches.append(ClockWatch(self, self.now_ns, monitor))

    def destroy_node(self) -> None:
        """Take the node off the graph at once.

        rclpy's state machine would hold it there as long as Python knows it.
        """
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def fail(self, error: BaseException) -> None:
        """End this node, for it cannot go on.

        One line says why; the traceback is logged at level debug.
        """
        self.failure = describe(error)
        self.get_logger().error(self.failure)
        self.get_logger().debug(''.join(traceback.format_exception(error)))

    def _receive(
        self, message, callback: Callable, full_name: str, monitor: InputMonitor | None
    ) -> None:
        if monitor is not None:
            stamp_ns = 0
            if getattr(message, 'header', None):
                stamp_ns = ns_from_time(message.header.stamp)
            monitor.tick(seconds(self.now_ns() - stamp_ns) if stamp_ns else 0.0)
        try:
            with self.handling:
                callback(message)
        except ValueError as error:
            self.diagnostics.count(f'messages dropped from {full_name}', str(error))
        except UserError as error:
            self.diagnostics.count(f'messages refused from {full_name}', str(error))

    def _count_outdated(self, messages: list[Sent], topic: str, backlog_s: float | None) -> int:
        """Tell how many of the oldest lie too far behind the newest, and count them."""
        count, behind_s = outdated(messages, backlog_s)
        if count:
            reason = f'{behind_s:.1f} s behind: {HELD_UP_REASON}'
            self.diagnostics.count(f'messages left out from {topic}', reason, count)
        return count

    # ---- life cycle

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        """Configure; why that fails is logged as one line and kept in `refusal`."""
        result = self._attempt(self.configure)
        if result != TransitionCallbackReturn.SUCCESS:
            self._discard_publishers()
        return result

    def on_activate(self, state: State) -> TransitionCallbackReturn:
        """Activate."""
        with self.handling:
            if self._local is not None:
                self._local.open()
            result = self._attempt(self.activate)
            self.is_active = result == TransitionCallbackReturn.SUCCESS
            if not self.is_active:
                self._attempt(self._take_down)
        return result

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        """Deactivate."""
        return self._attempt(self._take_down)

    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        """Clean up."""
        return self._attempt(self._discard_publishers)

    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        """Shut down."""
        return self._attempt(self._take_down)

    def _discard_publishers(self) -> None:
        if self._local is not None:
            self._local.forget_publishers()
        while self._publishers_made:
            self.destroy_publisher(self._publishers_made.pop())

    def _attempt(self, step: Callable[[], None]) -> TransitionCallbackReturn:
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
        with self.handling:
            self.is_active = False
            self.deactivate()
            if self._local is not None:
                self._local.close()
            self.stop_listening()
            while self._clock_watches:
                self._clock_watches.pop().close()
            while self._timers_made:
                self.destroy_timer(self._timers_made.pop())
