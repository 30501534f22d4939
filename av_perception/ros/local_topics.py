# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Messages between nodes of one process, handed over as they are.

No image is copied, nothing is serialized and no executor wakes: a waking of rclpy costs as much as
a third of a step of the tracker. DDS carries a topic only while another process listens to it.
Nobody may change a message that was published.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Any
from weakref import WeakValueDictionary

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription

from av_perception.ros.backlog import take_waiting

Sent = tuple[Any, int]  # a message, and when it was sent [ns]
Key = tuple[Any, str]  # class of the messages, full name of the topic
IsDue = Callable[[Any], bool]  # whether a message wakes who waits for it


class Gate(ReentrantCallbackGroup):
    """Keeps an executor from a subscription while a node of this process publishes its topic.

    The subscription stays on the graph, where tools look for it.
    """

    def __init__(self) -> None:
        """Start open."""
        super().__init__()
        self.is_open = True

    def can_execute(self, entity) -> bool:
        """Whether the executor may wait for the subscription."""
        return self.is_open and super().can_execute(entity)


class Inbox:
    """The thread of a node that handles what comes from its own process, in order of arrival.

    It also wakes the node where nothing comes: a timer of rclpy that finds nothing to do takes as
    long as a step of the tracker.
    """

    def __init__(self, name: str, on_error: Callable[[BaseException], None]):
        """Start the thread.

        Parameters
        ----------
        name : str
            Of the thread.
        on_error : callable
            Called with the exception of a handler.
        """
        self._on_error = on_error
        self._arrivals: queue.SimpleQueue = queue.SimpleQueue()
        self._idle: tuple[float, Callable[[], None]] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name=name)
        self._thread.start()

    def announce(self, handle: Callable[[], object]) -> None:
        """Have something handled, after what was announced before."""
        self._arrivals.put(handle)

    def when_idle(self, period_s: float, handle: Callable[[], None]) -> None:
        """Have something handled each time that nothing was announced for so long."""
        self._idle = (period_s, handle)
        self._arrivals.put(_nothing)  # the thread begins to count

    def close(self) -> None:
        """End the thread after what was announced; does not wait for it."""
        self._arrivals.put(None)

    def _next(self) -> Callable[[], None] | None:
        """Wait for what is to be handled; None ends the thread."""
        if self._idle is None:
            return self._arrivals.get()
        period_s, on_idle = self._idle
        try:
            return self._arrivals.get(timeout=period_s)
        except queue.Empty:
            return on_idle

    def _run(self) -> None:
        while (handle := self._next()) is not None:
            try:
                handle()
            except BaseException as error:  # half a node must not go on
                self._on_error(error)


class LocalSubscription:
    """What waits for one subscription; the oldest goes where more comes than is handled."""

    def __init__(
        self,
        subscription: Subscription,
        gate: Gate,
        inbox: Inbox,
        handling: AbstractContextManager,
        receive: Callable[[list[Sent]], None],
        on_drop: Callable[[], None],
    ):
        """Wait for messages.

        Parameters
        ----------
        subscription : rclpy.subscription.Subscription
            Its depth holds here too.
        gate : Gate
            Its callback group.
        inbox : Inbox
            Of the node.
        handling : context manager
            Held by who takes a message and handles it, so that they are handled in order.
        receive : callable
            Called with each message, and the newest that waits behind it, if any; both with the
            time of their sending [ns].
        on_drop : callable
            Called for each message that is dropped.
        """
        self.key: Key = (subscription.msg_type, subscription.topic_name)
        self._subscription = subscription
        self._gate = gate
        self._inbox = inbox
        self._handling = handling
        self._receive = receive
        self._on_drop = on_drop
        self._depth = max(1, subscription.qos_profile.depth)
        self._lock = threading.Lock()
        self._waiting: deque[Sent] = deque()
        self._num_held = 0  # of those that wait: nobody was told of them yet
        self._is_due: IsDue | None = None
        self._is_closed = False

    def is_of(self, subscription: Subscription) -> bool:
        """Whether it stands beside this subscription."""
        return self._subscription is subscription

    def wake_when(self, is_due: IsDue) -> None:
        """Have messages wait, without waking the node, until one comes that is due."""
        self._is_due = is_due

    def put(self, message) -> None:
        """Hand over a message without ever blocking the caller."""
        is_due = self._is_due is None or self._is_due(message)
        with self._lock:
            if self._is_closed:
                return
            is_full = len(self._waiting) == self._depth
            if is_full:
                self._waiting.popleft()
            self._waiting.append((message, time.time_ns()))
            self._num_held += not is_full  # else it has the place of the one that is dropped
            num_due = self._num_held if is_due else 0
            self._num_held -= num_due
        if is_full:
            self._on_drop()
        for _ in range(num_due):
            self._inbox.announce(self._handle)

    def close(self) -> None:
        """Forget what waits, and take no more."""
        with self._lock:
            self._is_closed = True
            self._waiting.clear()

    def cover(self, is_covered: bool) -> None:
        """Listen to this process alone, or to others again."""
        if is_covered == (not self._gate.is_open):
            return
        if not is_covered:
            take_waiting(self._subscription)  # what came both ways has been handled
        self._gate.is_open = not is_covered

    def handle_waiting(self) -> bool:
        """Handle all that waits, before its turn; False: it comes by DDS."""
        while self._handle():
            pass
        return not self._gate.is_open

    def _handle(self) -> bool:
        """Handle the oldest that waits; False where none does."""
        with self._handling:
            with self._lock:
                if not self._waiting:
                    return False  # closed, or handled before its turn, since it was announced
                oldest = self._waiting.popleft()
                newest = [self._waiting[-1]] if self._waiting else []
            self._receive([oldest, *newest])
        return True


class LocalTopics:
    """Who publishes what and who listens to it, in one process; and what its nodes share."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._lock = threading.RLock()  # what is shared may be made of what is shared
        self._publishers: Counter[Key] = Counter()
        self._subscriptions: dict[Key, tuple[LocalSubscription, ...]] = {}
        self._shared: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()

    def subscriptions(self, key: Key) -> tuple[LocalSubscription, ...]:
        """Give those that listen to a topic."""
        return self._subscriptions.get(key, ())

    def add(self, subscription: LocalSubscription) -> None:
        """Connect a subscription."""
        key = subscription.key
        with self._lock:
            self._subscriptions[key] = (*self.subscriptions(key), subscription)
            subscription.cover(self._publishers[key] > 0)

    def remove(self, subscription: LocalSubscription) -> None:
        """Forget a subscription."""
        key = subscription.key
        with self._lock:
            self._subscriptions[key] = tuple(
                other for other in self.subscriptions(key) if other is not subscription
            )

    def count_publisher(self, key: Key, change: int) -> None:
        """Note that a topic has one publisher more (1) or less (-1)."""
        with self._lock:
            self._publishers[key] += change
            for subscription in self.subscriptions(key):
                subscription.cover(self._publishers[key] > 0)

    def share(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Give the object of a key, made when the first node asks; it lives while one holds it."""
        with self._lock:
            shared = self._shared.get(key)
            if shared is None:
                shared = make()
                self._shared[key] = shared
            return shared


class LocalPublisher:
    """Publishes to the subscriptions of this process, and by DDS where others listen too."""

    def __init__(self, publisher: Publisher, topics: LocalTopics):
        """Reach nobody here yet.

        Parameters
        ----------
        publisher : rclpy.publisher.Publisher
            What goes to others.
        topics : LocalTopics
            Of this process.
        """
        self._publisher = publisher
        self._topics = topics
        self._key: Key = (publisher.msg_type, publisher.topic_name)
        self._is_connected = False

    def connect(self, is_connected: bool = True) -> None:
        """Be heard by the nodes of this process, or no more: while the own node is active."""
        if is_connected != self._is_connected:
            self._is_connected = is_connected
            self._topics.count_publisher(self._key, 1 if is_connected else -1)

    def publish(self, message) -> None:
        """Hand over a message, which nobody may change any more."""
        subscriptions = self._topics.subscriptions(self._key)
        if self._is_connected:
            for subscription in subscriptions:
                subscription.put(message)
        # The subscriptions of this process are on the graph too, but do not take from it.
        num_handed = len(subscriptions) if self._is_connected else 0
        if self._publisher.get_subscription_count() > num_handed:
            self._publisher.publish(message)

    def get_subscription_count(self) -> int:
        """Tell how many listen, here and elsewhere."""
        return self._publisher.get_subscription_count()


class LocalConnections:
    """The publishers and subscriptions of one node to the others of its process."""

    def __init__(
        self,
        node: Node,
        topics: LocalTopics,
        handling: AbstractContextManager,
        on_error: Callable[[BaseException], None],
    ):
        """Connect nothing yet.

        Parameters
        ----------
        node : rclpy.node.Node
            Whose they are.
        topics : LocalTopics
            Of the process.
        handling : context manager
            The node holds it while it handles a message.
        on_error : callable
            Called with what a handler of messages raises.
        """
        self.topics = topics
        self._handling = handling
        self._name = node.get_name()
        self._on_error = on_error
        self._publishers: list[LocalPublisher] = []
        self._subscriptions: list[LocalSubscription] = []
        self._inbox: Inbox | None = None

    def publisher(self, publisher: Publisher) -> LocalPublisher:
        """Make a publisher reach this process, from the next `open` on."""
        self._publishers.append(LocalPublisher(publisher, self.topics))
        return self._publishers[-1]

    def subscription(
        self,
        subscription: Subscription,
        gate: Gate,
        receive: Callable[[list[Sent]], None],
        on_drop: Callable[[], None],
    ) -> LocalSubscription:
        """Have a subscription get what is published in this process; see LocalSubscription."""
        if self._inbox is None:
            self._inbox = Inbox(self._name, self._on_error)
        self._subscriptions.append(
            LocalSubscription(subscription, gate, self._inbox, self._handling, receive, on_drop)
        )
        self.topics.add(self._subscriptions[-1])
        return self._subscriptions[-1]

    def when_idle(self, period_s: float, handle: Callable[[], None]) -> None:
        """Have something handled each time that nothing came from this process for so long."""
        if self._inbox is None:
            self._inbox = Inbox(self._name, self._on_error)
        self._inbox.when_idle(period_s, handle)

    def open(self) -> None:
        """Publish to this process: the node becomes active."""
        for publisher in self._publishers:
            publisher.connect()

    def close(self) -> None:
        """Publish to this process no more, and forget the subscriptions."""
        for publisher in self._publishers:
            publisher.connect(False)
        self.stop_listening()

    def stop_listening(self) -> None:
        """Forget the subscriptions."""
        while self._subscriptions:
            subscription = self._subscriptions.pop()
            self.topics.remove(subscription)
            subscription.close()
        if self._inbox is not None:
            self._inbox.close()
            self._inbox = None

    def handle_waiting(self, subscription: Subscription) -> bool:
        """Handle at once what waits for a subscription; False: what comes to it comes by DDS."""
        here = [here for here in self._subscriptions if here.is_of(subscription)]
        return any(one.handle_waiting() for one in here)

    def wake_when(self, subscription: Subscription, is_due: IsDue) -> None:
        """Have what comes to a subscription from here wait until a message is due."""
        for here in [here for here in self._subscriptions if here.is_of(subscription)]:
            here.wake_when(is_due)

    def forget(self, subscription: Subscription) -> None:
        """Forget one subscription."""
        for here in [here for here in self._subscriptions if here.is_of(subscription)]:
            self._subscriptions.remove(here)
            self.topics.remove(here)

    def forget_publishers(self) -> None:
        """Forget the publishers, which are made anew."""
        self._publishers.clear()


def _nothing() -> None:
    """Handle nothing."""


def is_ours(topic: str) -> bool:
    """Whether a topic, named as the node names it, has one publisher only: absolute ones do not.

    On /tf and /diagnostics others publish as well.
    """
    return not topic.startswith('/')
