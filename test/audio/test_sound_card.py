# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound cards and sound files: started, missed when they go, refused. The card is a stand-in."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from rclpy.lifecycle import TransitionCallbackReturn
from waiting import PATIENCE_S, wait_for

from av_perception.audio import capture as audio_capture
from av_perception.audio.capture import AudioFile, SoundCard
from av_perception.errors import UserError

SUCCESS = TransitionCallbackReturn.SUCCESS


class FakePortAudio:
    """Stands in for sounddevice with one card; `deliver` and `unplug` play the driver."""

    class PortAudioError(Exception):
        """PortAudio's own."""

    def __init__(self):
        self.streams, self.start_error = [], None
        fake = self

        class InputStream:
            def __init__(self, **options):
                self.options, self.active = options, False
                fake.streams.append(self)

            def start(self):
                if fake.start_error:
                    raise fake.PortAudioError(fake.start_error)
                self.active = True

            def deliver(self):
                frames = self.options['blocksize']
                clock = SimpleNamespace(inputBufferAdcTime=1.0, currentTime=1.01)
                samples = np.zeros((frames, self.options['channels']), np.float32)
                self.options['callback'](
                    samples, frames, clock, SimpleNamespace(input_overflow=False)
                )

            def unplug(self):
                self.active = False
                self.options['finished_callback']()

            def close(self):
                if self.active:  # PortAudio says so at every end
                    self.unplug()

        self.InputStream = InputStream

    def check_input_settings(self, *_, **__):
        """Everything goes."""

    def query_devices(self):
        return [{'index': 0, 'name': 'fake', 'max_input_channels': 4}]


@pytest.fixture()
def portaudio(monkeypatch):
    """The stand-in for sounddevice, installed; no card is lost because the test is slow."""
    fake = FakePortAudio()
    monkeypatch.setattr(audio_capture, 'SILENCE_S', PATIENCE_S)
    monkeypatch.setitem(sys.modules, 'sounddevice', fake)
    return fake


def start(card, chunks, errors):
    card.start(512, lambda: 10**9, chunks.append, lambda event: None, errors.append, 0.0)


def is_unwatched(card):
    """Whether what reports losses has ended."""
    return not card._watchdog._thread.is_alive()


def test_an_unplugged_sound_card_is_reported_once(portaudio, monkeypatch):
    """Regression: the sound ended without a word."""
    monkeypatch.setattr(audio_capture, 'SILENCE_S', 0.1)
    card, chunks, errors = SoundCard('', 4, 16000), [], []
    start(card, chunks, errors)
    portaudio.streams[-1].deliver()
    portaudio.streams[-1].unplug()
    assert (
        len(errors) == 1
        and isinstance(errors[0], UserError)
        and 'sound card stopped' in str(errors[0])
    )
    assert wait_for(lambda: is_unwatched(card))
    card.stop()
    assert len(errors) == 1 and len(chunks) == 1 and chunks[0].stamp_ns == 10**9 - 10_000_000


def test_a_sound_card_that_falls_silent_is_reported_once(portaudio, monkeypatch):
    """Regression: some drivers just stop to call after the card was unplugged."""
    monkeypatch.setattr(audio_capture, 'SILENCE_S', 0.1)
    card, chunks, errors = SoundCard('', 4, 16000), [], []
    start(card, chunks, errors)
    portaudio.streams[-1].deliver()
    assert wait_for(lambda: errors and is_unwatched(card))
    assert len(errors) == 1 and 'sound card stopped' in str(errors[0])
    card.stop()


def test_a_stopped_sound_card_is_no_error_and_starts_again(portaudio):
    card, chunks, errors = SoundCard('', 4, 16000), [], []
    for _ in range(2):
        start(card, chunks, errors)
        portaudio.streams[-1].deliver()
        watch = card._watchdog._thread
        card.stop()
        assert not watch.is_alive(), 'no error can come any more'
    assert errors == [] and len(chunks) == 2


def test_the_watch_of_a_card_that_was_stopped_reports_nothing():
    losses = []
    watchdog = audio_capture._Watchdog(PATIENCE_S, lambda: losses.append(1))
    watchdog.stop()
    watchdog.trip()
    assert losses == []


@pytest.mark.parametrize(('every', 'is_lost'), [(1, False), (3, False), (5, True)])
def test_a_delivering_sound_card_is_left_alone(portaudio, monkeypatch, every, is_lost):
    """The test goes through the periods of the watch itself, with a chunk in every so many."""
    watch = audio_capture._Watchdog._watch
    monkeypatch.setattr(audio_capture._Watchdog, '_watch', lambda self: None)
    card, chunks, errors = SoundCard('', 4, 16000), [], []
    start(card, chunks, errors)
    periods = iter(range(20))
    ended = card._watchdog._ended

    def next_period(_):
        index = next(periods, None)
        if index is not None and index % every == 0:
            portaudio.streams[-1].deliver()
        return index is None or ended.is_set()

    monkeypatch.setattr(ended, 'wait', next_period)
    watch(card._watchdog)
    card.stop()
    assert (len(errors) == 1) == is_lost and len(chunks) >= 1


def test_a_sound_card_that_does_not_start_is_one_line(portaudio):
    """Regression: a card taken by another program since configuration was a traceback."""
    portaudio.start_error = 'Device unavailable\n[PaErrorCode -9985]'
    errors = []
    with pytest.raises(
        UserError,
        match=(
            r'cannot start the sound card: Device unavailable \[PaErrorCode -9985\]; '
            'inputs at hand: 0: fake'
        ),
    ):
        start(SoundCard('', 4, 16000), [], errors)
    assert errors == []


def test_the_microphone_node_fails_with_one_line_when_the_card_goes(portaudio, ros_context):
    """Regression: the node stayed up, silent."""
    from av_perception.nodes.microphone_array import MicrophoneArrayNode

    node = MicrophoneArrayNode(context=ros_context)
    try:
        assert node.start()
        assert (
            node.trigger_deactivate() == SUCCESS
            and node.trigger_activate() == SUCCESS
            and node.failure is None
        )
        portaudio.streams[-1].unplug()
        assert 'sound card stopped' in node.failure and '\n' not in node.failure
    finally:
        node._take_down()
        node.destroy_node()


def test_a_sound_file_without_samples_is_refused(tmp_path):
    """Regression: an empty file was played as a recording that ends at once."""
    path = tmp_path / 'empty.wav'
    soundfile.write(path, np.zeros((0, 4), np.float32), 16000)
    with pytest.raises(UserError, match='no sound in .*empty.wav, it has 0 samples'):
        AudioFile(str(path))
