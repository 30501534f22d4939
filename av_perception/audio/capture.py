# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound from a sound card or from one audio file, chunk by chunk."""

from __future__ import annotations

import threading

import numpy as np

from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk
from av_perception.recording.sound_file import open_sound, read_samples
from av_perception.robot_head.profile import MicrophoneArray

SILENCE_S = 2.0  # without a callback: the card is lost; drivers start within a second


class AudioFile:
    """A multichannel WAV or FLAC file, read in pieces.

    Raises UserError when it cannot be read, or does not belong to the microphones.
    """

    audio_start_s = 0.0

    def __init__(self, path: str, microphones: MicrophoneArray | None = None):
        """microphones: whose channels are read (see `pick_recorded`); None: all of them."""
        self._file = open_sound(path)
        self.sample_rate, self.num_channels, self.num_samples = (
            self._file.samplerate,
            self._file.channels,
            self._file.frames,
        )
        self._microphones = microphones
        if microphones is not None:
            microphones.require_recorded(self._file.channels, path)
            self.num_channels = len(microphones.coordinates)

    def read_audio(self, start: int, count: int) -> np.ndarray:
        """(count, channels) float32 samples from index `start`; fewer at the end of the file.

        Raises UserError where the file is damaged.
        """
        samples = read_samples(self._file, start, count)
        return samples if self._microphones is None else self._microphones.pick_recorded(samples)


class SoundCard:
    """All microphones of a sound card through PortAudio. Raises UserError that lists the cards when the wanted one cannot be opened."""

    def __init__(self, device: str, num_channels: int, sample_rate: int):
        self._portaudio = _import_sounddevice()
        self.num_channels, self.sample_rate = num_channels, sample_rate
        self._device = int(device) if device.isdigit() else device or None
        self._stream = self._watchdog = None
        try:
            self._portaudio.check_input_settings(
                self._device, num_channels, 'float32', samplerate=sample_rate
            )
        except (ValueError, self._portaudio.PortAudioError) as error:
            raise UserError(
                f"cannot open sound card '{device or 'default'}' with {num_channels} channels at {sample_rate} Hz: "
                f'{" ".join(str(error).split())}; inputs at hand: {self._inputs()}'
            ) from error

    def start(
        self, chunk_size: int, now_ns, on_chunk, on_event, on_error, latency_s: float
    ) -> None:
        """Capture until `stop`. on_chunk(AudioChunk) comes from PortAudio's thread; on_event(text) counts overflows; on_error(UserError)
        comes once, from another thread, when the card ends by itself or is silent for two seconds: it was unplugged.

        now_ns: reads the clock of the stamps; latency_s: delay of the card that its driver does not report. Raises UserError.
        """
        lost = UserError(
            'the sound card stopped to deliver samples: check its cable and whether another program uses it'
        )
        state = {'next': 0, 'origin_s': None}

        def callback(samples, frames, time, status):
            watchdog.feed()
            if state['origin_s'] is None:
                state['origin_s'] = time.inputBufferAdcTime
            if status.input_overflow:  # the card lost samples: its own clock says how many
                on_event('sound card overflows')
                state['next'] = max(
                    state['next'],
                    round((time.inputBufferAdcTime - state['origin_s']) * self.sample_rate),
                )
            age_ns = round(1e9 * (time.currentTime - time.inputBufferAdcTime + latency_s))
            on_chunk(
                AudioChunk(now_ns() - age_ns, self.sample_rate, state['next'], samples.copy())
            )
            state['next'] += frames

        watchdog = self._watchdog = _Watchdog(SILENCE_S, lambda: on_error(lost))
        try:
            self._stream = self._portaudio.InputStream(
                device=self._device,
                channels=self.num_channels,
                samplerate=self.sample_rate,
                blocksize=chunk_size,
                dtype='float32',
                callback=callback,
                finished_callback=watchdog.trip,
            )
            self._stream.start()
        except (ValueError, self._portaudio.PortAudioError) as error:
            self.stop()
            raise UserError(
                f'cannot start the sound card: {" ".join(str(error).split())}; inputs at hand: {self._inputs()}'
            ) from error

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


class _Watchdog:
    """Calls on_loss() once: when `trip` is called, or when nobody calls `feed` for timeout_s; never after `stop`."""

    PERIODS = 4

    def __init__(self, timeout_s: float, on_loss):
        self._period_s, self._on_loss = timeout_s / self.PERIODS, on_loss
        self._fed, self._ended, self._right_to_end = (
            threading.Event(),
            threading.Event(),
            threading.Lock(),
        )
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def feed(self) -> None:
        """All is well."""
        self._fed.set()

    def trip(self) -> None:
        """All is lost."""
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
        missed = (
            0  # periods, not seconds: a process that was halted for a while has not lost its card
        )
        while not self._ended.wait(self._period_s):
            missed = 0 if self._fed.is_set() else missed + 1
            self._fed.clear()
            if missed == self.PERIODS:
                self.trip()


def _import_sounddevice():
    try:
        import sounddevice
    except OSError as error:  # the module is there, the PortAudio library is not
        raise UserError(
            'the PortAudio library is missing: install it (Debian, Ubuntu: apt-get install libportaudio2)'
        ) from error
    except ImportError as error:
        raise UserError(
            'the Python package sounddevice is missing: pip install sounddevice'
        ) from error
    return sounddevice
