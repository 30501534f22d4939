# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Pairs images and sound by their stamps, so that live and offline runs see the same frames."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from av_perception.geometry.time import nanoseconds, seconds
from av_perception.interfaces import AudioFeatures, VisualFeatures

# Of sound that waits for images, 10 s of it: sound whose clock is ahead waits for ever.
_MAX_WAITING = 250
Frame = tuple[int, 'VisualFeatures | None', 'AudioFeatures | None']

# Where both come, stamps of sound and images that lie farther apart [s] are of clocks that do not
# agree, as of a driver that counts from the start of its machine: no waiting mends that.
_OTHER_CLOCK_S = 10.0
_OTHER_CLOCK_NS = nanoseconds(_OTHER_CLOCK_S)
_INTERVALS = 5  # between images, whose median is usual
_PATIENCE = 2  # usual intervals without an image, before sound goes on alone
# Without sound for so long [s] before an image came, it has stopped: it is not late.
_SILENCE_S = 1.0


@dataclass(frozen=True)
class FrameAssemblerConfig:
    """How far images and sound may lie apart, and how long one waits for the other."""

    #: [s] nominal spacing of the images
    video_period_s: float = 0.04
    #: [s] nominal spacing of the features of sound
    audio_period_s: float = 0.04
    #: How long an image waits for its sound, in seconds.
    audio_wait_s: float = 0.06
    #: Without images for this long, the tracker goes on with sound alone, in seconds; of a slow
    #: camera two images are missed at least.
    visual_timeout_s: float = 0.2
    #: [s] a stamp that jumps back by more starts a new session (a looped bag), by less is dropped
    reset_after_s: float = 1.0

    def __post_init__(self):
        if min(self.video_period_s, self.audio_period_s, self.visual_timeout_s) <= 0:
            raise ValueError('periods and visual_timeout_s must be positive')
        if math.isnan(self.audio_wait_s) or self.audio_wait_s < 0 or self.reset_after_s < 0:
            raise ValueError('audio_wait_s and reset_after_s must not be negative')


_DEFAULT = FrameAssemblerConfig()


class FrameAssembler:
    """Emits one frame per image, in stamp order.

    The pairing depends on stamps only, time only decides how long to wait. Sound near the image
    means within half a video period; halfway, it is the next
    image's. Once a sound at or after `image - half` (half the shorter
    period) is there, no later one of a regular stream can be nearer: the nearer of it and its
    predecessor is taken, each at most once. When visual_timeout_s of sound came in after the last
    image, all sound since then is emitted alone. `counters`: late_visual, late_audio, resets,
    stragglers, without_audio, unused_audio; `reasons` tells why some of them grew last, and what
    to do.
    """

    def __init__(self, config: FrameAssemblerConfig = _DEFAULT):
        self.counters: Counter = Counter()
        self.reasons: dict[str, str] = {}
        self._video_ns = nanoseconds(config.video_period_s)
        self._half_video_ns = nanoseconds(config.video_period_s / 2)
        self._half_audio_ns = nanoseconds(config.audio_period_s / 2)
        self._half_ns = min(self._half_video_ns, self._half_audio_ns)
        self._timeout_ns = nanoseconds(config.visual_timeout_s)
        self._reset_ns = nanoseconds(config.reset_after_s)
        self._wait_ns = math.inf
        if math.isfinite(config.audio_wait_s):
            self._wait_ns = nanoseconds(config.audio_wait_s)
        self._ended: int | None = None  # the newest stamp of the session before this one
        self._clear()

    def _clear(self) -> None:
        self._visual: deque[tuple[VisualFeatures, int]] = deque()
        self._audio: deque[AudioFeatures] = deque(maxlen=_MAX_WAITING)
        self._newest_visual: int | None = None
        self._newest_audio: int | None = None
        self._gap_start: int | None = None
        self._emitted: int | None = None
        self._paired: int | None = None  # stamp of the sound that an image got last
        self._last_image: int | None = None  # stamp of the last one, late or not
        self._intervals = deque([self._video_ns], maxlen=_INTERVALS)
        self._is_other_clock = False  # that of the sound
        self._has_sound_come = False  # since the last image
        self._audio_arrived_ns = 0  # the newest sound
        self._arrived_ns = 0  # the last of both

    def push_visual(self, visual: VisualFeatures, now_ns: int) -> None:
        """Take the features of one image.

        Parameters
        ----------
        visual
            The features.
        now_ns
            Time of arrival on any monotonic clock that `poll` shares; always the same where all
            is at hand.
        """
        if not self._is_new(visual.stamp_ns, self._newest_visual, 'late_visual'):
            return
        self._note_interval(visual.stamp_ns)
        self._compare_clocks(visual.stamp_ns, now_ns)
        self._arrived_ns = now_ns
        # Sight is alive: sound waits for it again from here on, however far the images lag behind
        # the sound.
        self._gap_start = self._newest_audio or visual.stamp_ns
        if not self._is_other_clock:
            self._gap_start = max(visual.stamp_ns, self._gap_start)
        if self._emitted is not None and visual.stamp_ns <= self._emitted:
            self.counters['late_visual'] += 1
            if self._newest_audio is not None:
                self.reasons['late_visual'] = _late_images(self._newest_audio - visual.stamp_ns)
            return
        self._newest_visual = visual.stamp_ns
        self._visual.append((visual, now_ns))

    def _note_interval(self, stamp_ns: int) -> None:
        """Note how far the images of the camera lie apart; a long pause is not its pace."""
        if self._last_image is not None and 0 < stamp_ns - self._last_image <= _OTHER_CLOCK_NS:
            self._intervals.append(stamp_ns - self._last_image)
        self._last_image = stamp_ns

    def _compare_clocks(self, stamp_ns: int, now_ns: int) -> None:
        """Look whether the sound is stamped by the clock of an image; what of it is not, goes."""
        if self._newest_audio is None:
            return
        has_sound_come = self._has_sound_come
        self._has_sound_come = False
        apart_ns = stamp_ns - self._newest_audio
        if abs(apart_ns) <= _OTHER_CLOCK_NS:
            self._is_other_clock = False
        # Sound that does not come is in a pause, and of the clock that it was of before.
        elif has_sound_come and not _is_pause(apart_ns, now_ns - self._audio_arrived_ns):
            self._is_other_clock = True
        if not self._is_other_clock:
            return
        self.counters['unused_audio'] += len(self._audio)
        self._audio.clear()
        if self._emitted is not None and abs(self._emitted - stamp_ns) > _OTHER_CLOCK_NS:
            self._emitted = None  # sound alone has gone by its own clock

    def push_audio(self, audio: AudioFeatures, now_ns: int) -> None:
        """Take the features of one analysis window; arguments as of `push_visual`."""
        if not self._is_new(audio.stamp_ns, self._newest_audio, 'late_audio'):
            return
        newest = self._newest_audio
        if self._last_image is not None:
            ahead_ns = audio.stamp_ns - max(self._last_image, newest or self._last_image)
            if ahead_ns > _OTHER_CLOCK_NS:
                self._gap_start = audio.stamp_ns
                # After a pause of both it is not; else the next image says whether it is.
                is_pause = _is_pause(ahead_ns, now_ns - self._arrived_ns)
                self._is_other_clock = self._is_other_clock or not is_pause
        self._newest_audio = audio.stamp_ns
        self._has_sound_come = True
        self._audio_arrived_ns = self._arrived_ns = now_ns
        # Sound that jumps ahead, over a gap or because its clock is wrong, says nothing of sight.
        has_jumped = newest is not None and audio.stamp_ns - newest > self._timeout_ns
        if self._gap_start is None or has_jumped:
            self._gap_start = max(self._gap_start or 0, audio.stamp_ns)
        if len(self._audio) == _MAX_WAITING:
            self.counters['unused_audio'] += 1
        self._audio.append(audio)

    def _is_new(self, stamp_ns: int, newest: int | None, counter: str) -> bool:
        """Whether the stamp advances its stream.

        A large jump back clears everything first, and the other stream's last words of the old
        session are dropped.
        """
        if newest is None:
            if self._ended is not None and abs(stamp_ns - self._ended) <= self._reset_ns:
                self.counters['stragglers'] += 1
                return False
            return True
        if stamp_ns > newest:
            return True
        if newest - stamp_ns > self._reset_ns:
            self.counters['resets'] += 1
            self.reasons['resets'] = _new_start(counter, newest - stamp_ns)
            self._ended = max(self._newest_visual or 0, self._newest_audio or 0)
            self._clear()
            return True
        self.counters[counter] += 1
        return False

    def poll(self, now_ns: int) -> list[Frame]:
        """Emit the frames that are complete at now_ns, in stamp order."""
        return self._emit_ready(lambda arrived_ns: now_ns - arrived_ns >= self._wait_ns)

    @property
    def is_waiting(self) -> bool:
        """Whether an image waits for its sound."""
        return bool(self._visual)

    def flush(self) -> list[Frame]:
        """Emit everything that is left, at the end of a recording."""
        return self._emit_ready(lambda arrived_ns: True)

    def _emit_ready(self, has_waited: Callable[[int], bool]) -> list[Frame]:
        """Frames whose sound is decided or that have waited enough since their arrival."""
        frames: list[Frame] = []
        while self._visual:
            visual, arrived_ns = self._visual[0]
            if not self._is_sound_decided(visual.stamp_ns) and not has_waited(arrived_ns):
                break
            self._visual.popleft()
            audio = self._take_nearest_audio(visual.stamp_ns, arrived_ns)
            frames.append((visual.stamp_ns, visual, audio))
        if not self._visual:
            frames.extend(self._emit_sound_alone())
        if frames:
            self._emitted = frames[-1][0]
        return frames

    def _is_sound_decided(self, stamp_ns: int) -> bool:
        return self._newest_audio is not None and self._newest_audio >= stamp_ns - self._half_ns

    def _take_nearest_audio(self, stamp_ns: int, arrived_ns: int) -> AudioFeatures | None:
        """Remove and return the sound of an image; older sound that no image can use goes too."""
        before = None
        paired = self._paired
        while self._audio and self._audio[0].stamp_ns < stamp_ns - self._half_ns:
            self.counters['unused_audio'] += before is not None
            before = self._audio.popleft()
        after = self._audio[0] if self._audio else None
        candidates = [
            a for a in (before, after) if a is not None and self._belongs(a.stamp_ns - stamp_ns)
        ]
        nearest = min(candidates, key=lambda audio: abs(audio.stamp_ns - stamp_ns), default=None)
        if nearest is after and after is not None:
            self._audio.popleft()
        self.counters['unused_audio'] += before is not None and nearest is not before
        if nearest is not None:
            self._paired = nearest.stamp_ns
        elif not self._is_between(stamp_ns, paired, after):
            self.counters['without_audio'] += 1
            self.reasons['without_audio'] = self._missing_sound(stamp_ns, arrived_ns)
        return nearest

    def _missing_sound(self, stamp_ns: int, arrived_ns: int) -> str:
        """Say why an image got no sound, when it waits no more."""
        if self._newest_audio is None:
            return 'no sound has come'
        behind_s = seconds(stamp_ns - self._newest_audio)
        is_apart = abs(behind_s) > _OTHER_CLOCK_S
        if is_apart and self._is_other_clock:
            side = 'behind' if behind_s > 0 else 'ahead of'
            return (
                f'the newest sound is {abs(behind_s):.0f} s {side} the images: their drivers '
                'stamp by different clocks (since the machine started, and since 1970?)'
            )
        has_stopped = is_apart or seconds(arrived_ns - self._audio_arrived_ns) > _SILENCE_S
        if behind_s > _SILENCE_S and has_stopped:
            return f'no sound has come for {behind_s:.0f} s'
        if behind_s <= 0:
            return f'the sound has a gap; its newest stamp is {-behind_s:.2f} s after the image'
        return (
            f'sound is {behind_s:.2f} s behind the images: raise audio_wait, or where its stamps '
            "are early by so much, correct the microphones' latency_ms"
        )

    def _is_between(self, stamp_ns: int, paired: int | None, after: AudioFeatures | None) -> bool:
        """Whether sound is there, but is another image's: these come more often than sound."""
        stamps = [paired, None if after is None else after.stamp_ns]
        near = [s for s in stamps if s is not None and abs(s - stamp_ns) <= self._half_audio_ns]
        return bool(near)

    def _patience_ns(self) -> int:
        """How much sound may come without an image before it goes on alone [ns]."""
        if self._is_other_clock:
            return _OTHER_CLOCK_NS  # one clock after the other would be a new start each time
        usual_ns = sorted(self._intervals)[len(self._intervals) // 2]
        return max(self._timeout_ns, min(_PATIENCE * usual_ns, _OTHER_CLOCK_NS))

    def _belongs(self, after_ns: int) -> bool:
        """Whether sound so long after an image is its own: halfway, it is the next image's.

        Were it both's, the order of arrival would decide, and all that follow would shift.
        """
        return -self._half_video_ns <= after_ns < self._half_video_ns

    def _emit_sound_alone(self) -> list[Frame]:
        """All sound since the last image, once it is further ahead of it than the timeout."""
        if not self._audio or self._gap_start is None:
            return []
        if self._audio[-1].stamp_ns - self._gap_start <= self._patience_ns():
            return []
        if self._is_other_clock:
            self._emitted = None  # images have gone by theirs
        frames: list[Frame] = [
            (audio.stamp_ns, None, audio)
            for audio in self._audio
            if self._emitted is None or audio.stamp_ns > self._emitted
        ]
        self._audio.clear()
        return frames


def _is_pause(advance_ns: int, passed_ns: int) -> bool:
    """Whether so much time has passed as lies between two stamps, give or take."""
    return passed_ns >= 0 and abs(advance_ns - passed_ns) <= _OTHER_CLOCK_NS


def _new_start(counter: str, back_ns: int) -> str:
    """Say of what a new start was taken, and what else it may have been."""
    stream = 'images' if counter == 'late_visual' else 'sound'
    return (
        f'the stamps of {stream} went back by {seconds(back_ns):.1f} s: was the clock set, do two '
        'drivers stamp by different clocks, or does a recording begin again?'
    )


def _late_images(behind_ns: int) -> str:
    """Say by how much images come after the sound of their time was used without them."""
    return (
        f'images are {seconds(behind_ns):.2f} s behind the sound: raise visual_timeout, or find '
        'what delays the camera'
    )
