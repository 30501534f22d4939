# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The player of lock-step: sound, images, truth and /clock, no faster than the graph answers."""

from __future__ import annotations

import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock

from av_perception.errors import UserError
from av_perception.ros.conversions import ns_from_time, time_from_ns
from av_perception.ros.observer import GraphObserver
from av_perception.ros.recorded_sensors import RecordedSensors

START_TIMEOUT_S = 300.0  # of wall time; a machine with nothing else to do needs about 5 s
ANSWER_TIMEOUT_S = 60.0  # of wall time, for one image; there it takes about 0.02 s
POLL_S = 0.001
REHEARSAL_POLL_S = 0.1
FIRST_NS = 1_000_000_000_000  # what the clock says before anything is played
REPEAT_AFTER_S = 10.0  # of wall time: so long without an answer, a blank image is lost
STEP_NS = 40_000_000  # between blank images
TICK_NS = 1_000_000
# An image is complete when the sound around it has been analyzed, which needs a window more.
SOUND_AHEAD_NS = 100_000_000
# Longer than the tracker waits for images before it goes on with sound alone, shorter than what
# the nodes that listen take for a backlog.
ALONE_AHEAD_NS = 450_000_000
PAUSE_NS = 1_000_000_000  # longer than any gap of the sound that is passed over


class LockStepPlayer:
    """Plays on the observer's node. `origin_ns`: the stamp of the recording's second 0."""

    def __init__(
        self, observer: GraphObserver, sensors: RecordedSensors, check: Callable[[], None]
    ):
        """Create the clock.

        Parameters
        ----------
        observer
            Hears what the graph says, in its own thread.
        sensors
            Publish on the observer's node.
        check
            Called while waiting; raises when the graph cannot answer any more.
        """
        self._observer = observer
        self._sensors = sensors
        self._check = check
        self._clock = observer.node.create_publisher(Clock, '/clock', 10)
        self._now_ns = 0
        self._clock_stamps: dict[str, int] = {}  # by node: the time that it takes for now
        self._num_refused = 0
        self._sound = _Sound(sensors, FIRST_NS)
        self.origin_ns = FIRST_NS
        observer.node.create_subscription(
            DiagnosticArray, '/diagnostics', self._on_diagnostics, 50
        )

    def rehearse(self, names: list[str]) -> None:
        """Play blank images and silence until the graph answers.

        Only an answer shows that every node has found the one before it: what is published
        earlier is lost. A pause in the sound then makes all who listen start afresh, and a last
        blank image has the tracker expect images, not sound alone.

        Parameters
        ----------
        names
            Of the nodes whose clocks must run.
        """
        self._sensors.publish_static_transforms(FIRST_NS)
        self._wait(
            lambda: all(self._clock_stamps.get(name, 0) >= FIRST_NS for name in names),
            'the clock of every node',
            START_TIMEOUT_S,
            lambda: self._tell_time(FIRST_NS),
        )
        blank_ns = FIRST_NS
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._observer.speaking:
            if time.monotonic() > deadline:
                raise self._no_answer('blank images and silence', START_TIMEOUT_S)
            self._check()
            blank_ns += STEP_NS
            self._sensors.send_blank(blank_ns)
            self._sound.send_until(blank_ns)
            self._keep_time()
            time.sleep(REHEARSAL_POLL_S)
        self.origin_ns = self._pause(blank_ns) + STEP_NS
        self._sound = _Sound(self._sensors, self.origin_ns, self.origin_ns)

    def settle(self, names: list[str]) -> None:
        """Wait until nodes have said what they counted in the rehearsal.

        On a busy machine blank images come late, and no node has done anything wrong.
        """
        self._tick()
        now_ns = self._now_ns
        self._wait(
            lambda: all(self._clock_stamps.get(name, 0) >= now_ns for name in names),
            'the end of the rehearsal',
            START_TIMEOUT_S,
            lambda: self._tell_time(now_ns),
        )

    def _pause(self, blank_ns: int) -> int:
        """Pause after the last blank image, until another is answered; gives the stamp of that.

        On a busy machine a node may leave out what came late: then another one is sent.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            blank_ns = max(blank_ns, self._now_ns) + PAUSE_NS
            self._tell_time(blank_ns)
            if not self._sensors.send_blank(blank_ns):
                return blank_ns
            if self._holds(self._answer_to(blank_ns), REPEAT_AFTER_S, self._tick):
                return blank_ns
        raise self._no_answer('a blank image after a pause', START_TIMEOUT_S)

    def play(self, progress: Callable[[float], None] = lambda fraction: None) -> int:
        """Play the recording once.

        What is heard alone in the last half second, after the last image, may come too late.

        Parameters
        ----------
        progress
            progress(fraction).

        Returns
        -------
        int
            The number of messages of the truth; all have come back.
        """
        sensors, origin_ns = self._sensors, self.origin_ns
        truth = list(sensors.truth(origin_ns))
        num_sent = 0
        for stamp_ns, left, right in sensors.images(origin_ns):
            self._play_sound_alone(stamp_ns)
            self._tell_time(stamp_ns)
            while num_sent < len(truth) and truth[num_sent][0] <= stamp_ns:
                sensors.send_truth(truth[num_sent][1])
                num_sent += 1
            sensors.send_images(stamp_ns, left, right)
            self._sound.send_until(stamp_ns + SOUND_AHEAD_NS)
            self._wait_for_answer(stamp_ns, self._keep_time)
            progress(min(1.0, 1e-9 * (stamp_ns - origin_ns) / sensors.duration_s))
        self._play_sound_alone(None)
        for _, message in truth[num_sent:]:
            sensors.send_truth(message)
        self._wait(lambda: len(self._observer.truth_stamps) >= len(truth), 'the truth')
        return len(truth)

    def _play_sound_alone(self, until_ns: int | None) -> None:
        """Sound that ends by a moment and belongs to no image; None: all that is left."""
        while (end_ns := self._sound.next_end_ns) is not None:
            if until_ns is not None and end_ns > until_ns:
                return
            needed_ns = end_ns - ALONE_AHEAD_NS
            if self._sensors.hears_directions and needed_ns > self.origin_ns:
                self._wait_for_sound(needed_ns)
            self._tell_time(end_ns)
            self._sound.send_next()

    def _wait_for_sound(self, stamp_ns: int) -> None:
        """Until what was heard at a moment is answered."""
        self._wait(
            lambda: max(list(self._observer.speaking)) >= stamp_ns,
            f'the sound at {self._second(stamp_ns)}',
        )

    def _wait_for_answer(self, stamp_ns: int, meanwhile: Callable[[], None]) -> None:
        """Until the speaking status of an image is there, or the image was refused."""
        subject = f'the image at {self._second(stamp_ns)}'
        self._wait(self._answer_to(stamp_ns), subject, meanwhile=meanwhile)

    def _answer_to(self, stamp_ns: int) -> Callable[[], bool]:
        """Give what tells whether an image that is sent now is answered, or was refused."""
        observer, known_refusals = self._observer, self._num_refused
        return lambda: (
            (stamp_ns in observer.speaking and stamp_ns in observer.tracks)
            or self._num_refused > known_refusals
        )

    def _wait(
        self,
        condition: Callable[[], bool],
        subject: str,
        timeout_s: float = ANSWER_TIMEOUT_S,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        if not self._holds(condition, timeout_s, meanwhile):
            raise self._no_answer(subject, timeout_s)

    def _holds(
        self, condition: Callable[[], bool], timeout_s: float, meanwhile: Callable[[], None]
    ) -> bool:
        """Wait for a condition; tells whether it holds in time."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._check()
            meanwhile()
            time.sleep(POLL_S)
        return True

    def _no_answer(self, subject: str, timeout_s: float) -> UserError:
        """Make the error that says what is missing, and what the nodes say of themselves."""
        said = [
            f'{name}: {values["message"]}'
            for name, values in sorted(self._observer.diagnostics.items())
            if values['message'] != 'running'
        ]
        return UserError(
            f'no answer within {timeout_s:.0f} s to {subject}'
            + (
                f'; the nodes say: {"; ".join(said)}'
                if said
                else '; all nodes say they are running'
            )
        )

    def _second(self, stamp_ns: int) -> str:
        return f'{1e-9 * (stamp_ns - self.origin_ns):.3f} s of the recording'

    # ---- time

    def _tell_time(self, now_ns: int) -> None:
        """Publish the time, which never goes back."""
        self._now_ns = max(self._now_ns, now_ns)
        self._clock.publish(Clock(clock=time_from_ns(self._now_ns)))

    def _tick(self) -> None:
        """Let time go on while no sound is to come: who waits for it goes on without it."""
        self._tell_time(self._now_ns + TICK_NS)

    def _keep_time(self) -> None:
        """Time stands still while sound is on its way, and goes on where there is none."""
        if not self._sensors.has_sound:
            self._tick()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = status.name.rsplit('/', 1)[-1]
            self._clock_stamps[name] = ns_from_time(message.header.stamp)
            for value in status.values:
                if (name, value.key) == ('visual_features', 'image pairs refused'):
                    self._num_refused = int(value.value)


class _Sound:
    """The sound of a recording, chunk by chunk, with silence after its end."""

    def __init__(self, sensors: RecordedSensors, start_ns: int, origin_ns: int | None = None):
        """start_ns: where it begins; origin_ns: of the recording, None for silence alone."""
        self._sensors = sensors
        self._chunks = iter(()) if origin_ns is None else sensors.chunks(origin_ns)
        self._next = next(self._chunks, None)
        self._end_ns = start_ns
        self._num_samples = 0

    @property
    def next_end_ns(self) -> int | None:
        """When the last sample of the next chunk was captured; None when there is no more."""
        return None if self._next is None else self._next[0]

    def send_next(self) -> None:
        """Publish the next chunk."""
        if self._next is None:
            return
        self._end_ns, chunk = self._next
        self._next = next(self._chunks, None)
        self._num_samples = chunk.first_sample + len(chunk.samples)
        self._sensors.send_chunk(chunk)

    def send_until(self, moment_ns: int) -> None:
        """Publish what ends by a moment, and silence when that is not enough.

        Without any sound an image would wait for its own, and time would have to go on.
        """
        while self._next is not None and self._next[0] <= moment_ns:
            self.send_next()
        if self._next is None and self._sensors.has_sound and moment_ns > self._end_ns:
            silence = self._sensors.silence(self._end_ns, moment_ns, self._num_samples)
            self._num_samples += len(silence.samples)
            self._end_ns = moment_ns
            self._sensors.send_chunk(silence)
