# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound from a sound card or from one audio file, chunk by chunk."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from av_perception.errors import UserError
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AudioChunk
from av_perception.recording.sound_file import open_sound, read_samples
from av_perception.robot_head.profile import MicrophoneArray

SILENCE_S = 2.0  # without a callback: the card is lost; drivers start within a second
_LOST = (
    'the sound card stopped to deliver samples: check its cable and whether another '
    'program uses it'
)


class AudioFile:
    """A multichannel WAV or FLAC file, read in pieces.

    Raises UserError when it cannot be read, or does not belong to the microphones.
    """

    audio_start_s = 0.0

    def __init__(self, path: str, microphones: MicrophoneArray | None = None):
        """microphones: whose channels are read (see `pick_recorded`); None: all of them."""
        self._file = open_sound(path)
        self.sample_rate = self._file.samplerate
        self.num_channels = self._file.channels
        self.num_samples = self._file.frames
        self._microphones = microphones
        if microphones is not None:
            microphones.require_recorded(self._file.channels, path)
            self.num_channels = len(microphones.coordinates)

    def read_audio(self, start: int, count: int) -> np.ndarray:
        """Read a piece of the file.

        Parameters
        ----------
        start
            Index of the first sample.
        count
            Number of samples.

        Returns
        -------
        np.ndarray
            (count, channels) float32, fewer at the end of the file.

        Raises
        ------
        UserError
            When the file is damaged there.
        """
        samples = read_samples(self._file, start, count)
        return samples if self._microphones is None else self._microphones.pick_recorded(samples)


class SoundCard:
    """All microphones of a sound card through PortAudio.

    Raises UserError that lists the cards when the wanted one cannot be opened.
    """

    def __init__(self, device: str, num_channels: int, sample_rate: int):
        self._portaudio = _import_sounddevice()
        self.num_channels = num_channels
        self.sample_rate = sample_rate
        self._device = int(device) if device.isdigit() else device or None
        self._stream = None
        self._watchdog: _Watchdog | None = None
        try:
            self._portaudio.check_input_settings(
                self._device, num_channels, 'float32', samplerate=sample_rate
            )
        except (ValueError, self._portaudio.PortAudioError) as error:
            raise UserError(
                f"cannot open sound card '{device or 'default'}' with {num_channels} channels "
                f'at {sample_rate} Hz: {_one_line(error)}; inputs at hand: {self._inputs()}'
            ) from error

    def start(
        self,
        chunk_size: int,
        now_ns: Callable[[], int],
        on_chunk: Callable[[AudioChunk], None],
        on_event: Callable[[str], None],
        on_error: Callable[[UserError], None],
        latency_s: float,
    ) -> None:
        """Capture until `stop`.

        Parameters
        ----------
        chunk_size
            Samples of a chunk.
        now_ns
            Reads the clock of the stamps [ns].
        on_chunk
            Called with every chunk, from PortAudio's thread.
        on_event
            Called with the name of what is to be counted: overflows.
        on_error
            Called once, from another thread, when the card ends by itself or is silent for two
            seconds: it was unplugged.
        latency_s
            Delay of the card that its driver does not report [s].

        Raises
        ------
        UserError
            When the card cannot be started.
        """
        chunks = _ChunkMaker(self.sample_rate, now_ns, latency_s, on_event)
        watchdog = self._watchdog = _Watchdog(SILENCE_S, lambda: on_error(UserError(_LOST)))
        try:
            self._open(chunk_size, _delivery(watchdog, chunks, on_chunk), watchdog.trip)
        except (ValueError, self._portaudio.PortAudioError) as error:
            self.stop()
            reason = f'{_one_line(error)}; inputs at hand: {self._inputs()}'
            raise UserError(f'cannot start the sound card: {reason}') from error

    def _open(self, chunk_size: int, callback: Callable, on_end: Callable[[], None]) -> None:
        stream = self._portaudio.InputStream(
            device=self._device,
            channels=self.num_channels,
            samplerate=self.sample_rate,
            blocksize=chunk_size,
            dtype='float32',
            callback=callback,
            finished_callback=on_end,
        )
        self._stream = stream
        stream.start()

    def stop(self) -> None:
        """End the capture."""
        if self._watchdog is not None:  # first: closing the stream finishes it too
            self._watchdog.stop()
            self._watchdog = None
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _inputs(self) -> str:
        names = [
            f'{d["index"]}: {d["name"]} ({d["max_input_channels"]} channels)'
            for d in self._portaudio.query_devices()
            if d['max_input_channels'] > 0
        ]
        return '; '.join(names) or 'none'


def _delivery(
    watchdog: _Watchdog, chunks: _ChunkMaker, on_chunk: Callable[[AudioChunk], None]
) -> Callable:
    """Make what PortAudio calls with samples: it tells the watchdog, and hands a chunk on."""

    def callback(samples, frames, time, status):
        watchdog.feed()
        on_chunk(chunks.make(samples, time, status))

    return callback


class _ChunkMaker:
    """Gives what PortAudio delivers an index and the time of its capture."""

    def __init__(
        self,
        sample_rate: int,
        now_ns: Callable[[], int],
        latency_s: float,
        on_event: Callable[[str], None],
    ):
        self._sample_rate = sample_rate
        self._now_ns = now_ns
        self._latency_s = latency_s
        self._on_event = on_event
        self._next_sample = 0
        self._origin_s: float | None = None  # on the card's own clock

    def make(self, samples: np.ndarray, time, status) -> AudioChunk:
        """One chunk from a buffer (samples, channels) and PortAudio's times and flags."""
        if self._origin_s is None:
            self._origin_s = time.inputBufferAdcTime
        if status.input_overflow:  # the card lost samples: its own clock says how many
            self._on_event('sound card overflows')
            elapsed_s = time.inputBufferAdcTime - self._origin_s
            self._next_sample = max(self._next_sample, round(elapsed_s * self._sample_rate))
        age_s = time.currentTime - time.inputBufferAdcTime + self._latency_s
        chunk = AudioChunk(
            self._now_ns() - nanoseconds(age_s),
            self._sample_rate,
            self._next_sample,
            samples.copy(),
        )
        self._next_sample += len(samples)
        return chunk


class _Watchdog:
    """Calls on_loss() once when the card is lost.

    That is when `trip` is called, or `feed` is not called for timeout_s; never after `stop`.
    """

    PERIODS = 4

    def __init__(self, timeout_s: float, on_loss: Callable[[], None]):
        self._period_s = timeout_s / self.PERIODS
        self._on_loss = on_loss
        self._fed = threading.Event()
        self._ended = threading.Event()
        self._right_to_end = threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def feed(self) -> None:
        """Note that samples came."""
        self._fed.set()

    def trip(self) -> None:
        """Report the loss, unless it was reported or the watch has ended."""
        if self._right_to_end.acquire(blocking=False):
            self._ended.set()
            self._on_loss()

    def stop(self) -> None:
        """End the watch."""
        self._right_to_end.acquire(blocking=False)
        self._ended.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5.0)

    def _watch(self) -> None:
        # Periods are counted, not seconds: a process that was halted has not lost its card.
        missed = 0
        while not self._ended.wait(self._period_s):
            missed = 0 if self._fed.is_set() else missed + 1
            self._fed.clear()
            if missed == self.PERIODS:
                self.trip()


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split())


def _import_sounddevice():
    try:
        import sounddevice
    except OSError as error:  # the module is there, the PortAudio library is not
        raise UserError(
            'the PortAudio library is missing: install it '
            '(Debian, Ubuntu: apt-get install libportaudio2)'
        ) from error
    except ImportError as error:
        raise UserError(
            'the Python package sounddevice is missing: pip install sounddevice'
        ) from error
    return sounddevice
