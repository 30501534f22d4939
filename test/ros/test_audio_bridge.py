# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The node audio_bridge against the real message types of the drivers, over DDS."""

from __future__ import annotations

import array
import subprocess
import sys

import numpy as np
import pytest
import yaml
from av_perception_msgs.msg import AudioChunk
from interface_packages import build_overlay
from ros_bench import Bench, with_fixtures

from av_perception.nodes.audio_bridge import AudioBridgeNode
from av_perception.paths import share_directory
from av_perception.ros.conversions import audio_chunk_from_msg, header

pytestmark = pytest.mark.slow
WAVE = np.round(np.random.default_rng(3).uniform(-0.9, 0.9, (480, 4)) * 32768).astype(np.int16)
STAMP = 7_000_000_000


@pytest.fixture(scope='module')
def drivers():
    """The messages of ros-drivers and NAOqi in this process."""
    build_overlay('audio_common_msgs (ros-drivers)', 'naoqi_bridge_msgs').load()


def connect(bench, kind, message, **parameters):
    """A bridge for one kind of driver, on the simulated head."""
    from audio_common_msgs.msg import AudioInfo

    inputs = {'driver_audio': message}
    if kind.startswith('audio_data') and 'sample_format' not in parameters:
        inputs['driver_audio_info'] = AudioInfo
    return bench(
        AudioBridgeNode,
        inputs,
        ('audio', AudioChunk),
        **{'microphones': kind, 'head': 'simulated', **parameters},
    )


def info(**changes):
    from audio_common_msgs.msg import AudioInfo

    return AudioInfo(
        **{
            'channels': 4,
            'sample_rate': 16000,
            'sample_format': 'S16LE',
            'coding_format': 'wave',
            **changes,
        }
    )


def raw(samples=WAVE):
    from audio_common_msgs.msg import AudioData

    return AudioData(data=array.array('B', samples.astype('<i2').tobytes()))


def heard(one):
    return audio_chunk_from_msg(one.heard[-1])


def test_stamped_bytes_become_chunks(drivers, bench):
    from audio_common_msgs.msg import AudioDataStamped

    one = connect(bench, 'audio_data_stamped', AudioDataStamped, latency_ms=20.0)
    one.send('driver_audio', AudioDataStamped(header=header(STAMP, ''), audio=raw()))
    assert not one.heard and one.counted('messages dropped') == 1, (
        'what the bytes are is not known yet'
    )
    one.send('driver_audio_info', info())
    one.send('driver_audio', AudioDataStamped(header=header(STAMP, ''), audio=raw()))
    assert one.until(lambda: one.heard)
    np.testing.assert_allclose(heard(one).samples, WAVE / 32768)
    assert (
        heard(one).stamp_ns == STAMP - 20_000_000
        and heard(one).sample_rate == 16000
        and one.heard[-1].header.frame_id == 'microphone_array'
    )


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'coding_format': 'MP3'}, 'format:=wave'),
        ({'channels': 3}, 'divide'),
        ({'sample_format': 'U7'}, 'S16LE'),
        ({'channels': 2}, 'choose the right head'),
    ],
)
def test_what_does_not_fit_is_refused_and_named(drivers, bench, capfd, changes, message):
    from audio_common_msgs.msg import AudioDataStamped

    one = connect(bench, 'audio_data_stamped', AudioDataStamped)
    one.send('driver_audio_info', info(**changes))
    one.send('driver_audio', AudioDataStamped(header=header(STAMP, ''), audio=raw(WAVE[:479])))
    assert (
        one.until(lambda: one.counted('messages dropped') + one.counted('messages refused'))
        and not one.heard
    )
    assert message in capfd.readouterr().err


def test_bytes_without_stamps_are_dated_back_from_their_receipt(drivers, bench):
    from audio_common_msgs.msg import AudioData

    one = connect(bench, 'audio_data', AudioData, sample_format='S16LE')
    before = one.node.get_clock().now().nanoseconds
    one.send('driver_audio', raw())
    assert one.until(lambda: one.heard)
    assert (
        before - 35_000_000
        <= heard(one).stamp_ns
        <= one.node.get_clock().now().nanoseconds - 30_000_000
    ), 'a buffer lasts 30 ms'


def nao(**changes):
    from naoqi_bridge_msgs.msg import AudioBuffer

    return AudioBuffer(
        **{
            'header': header(STAMP, ''),
            'frequency': 48000,
            'channel_map': [0, 2, 1, 4],
            'data': array.array('h', WAVE.tobytes()),
            **changes,
        }
    )


def test_naos_buffers_are_dated_back_and_brought_to_the_profiles_order(drivers, bench):
    from naoqi_bridge_msgs.msg import AudioBuffer

    one = connect(bench, 'naoqi', AudioBuffer, head='nao')
    one.send('driver_audio', nao())
    assert one.until(lambda: one.heard)
    np.testing.assert_allclose(heard(one).samples, WAVE / 32768)
    assert heard(one).stamp_ns == STAMP - 10_000_000 and heard(one).sample_rate == 48000
    one.send('driver_audio', nao(channel_map=[4, 1, 2, 0], header=header(STAMP + 10_000_000, '')))
    assert one.until(lambda: len(one.heard) == 2)
    np.testing.assert_allclose(heard(one).samples, WAVE[:, ::-1] / 32768)


def test_another_robots_channels_are_refused_by_name(drivers, bench, capfd):
    from naoqi_bridge_msgs.msg import AudioBuffer

    one = connect(bench, 'naoqi', AudioBuffer, head='nao')
    one.send('driver_audio', nao(channel_map=[3, 5, 0, 2]))
    assert one.until(lambda: one.counted('messages refused')) and not one.heard
    assert 'rear_left, rear_right, front_left, front_right' in capfd.readouterr().err


def test_lost_buffers_are_a_gap_that_is_counted(drivers, bench):
    from naoqi_bridge_msgs.msg import AudioBuffer

    one = connect(bench, 'naoqi', AudioBuffer, head='nao')
    for stamp in (STAMP, STAMP + 10_000_000, STAMP + 1_020_000_000):
        one.send('driver_audio', nao(header=header(stamp, '')))
    assert one.until(lambda: len(one.heard) == 3)
    assert one.heard[2].first_sample == 960 + 48000 and one.counted('driver: gaps') == 1


def test_a_device_with_more_channels_is_picked_from(drivers, bench, tmp_path):
    from audio_common_msgs.msg import AudioData

    profile = yaml.safe_load(
        (share_directory() / 'config' / 'heads' / 'respeaker.yaml').read_text()
    )
    profile['microphones']['device_channels'] = [1, 2, 3, 4]
    (tmp_path / 'six.yaml').write_text(yaml.safe_dump(profile))
    one = connect(
        bench, 'audio_data', AudioData, sample_format='S16LE', head=str(tmp_path / 'six.yaml')
    )
    # Five channels will do: the last is never asked for.
    six = np.column_stack([np.zeros(480, np.int16), WAVE])
    one.send('driver_audio', raw(six))
    assert one.until(lambda: one.heard)
    np.testing.assert_allclose(heard(one).samples, WAVE / 32768)


def test_the_driver_must_not_use_our_own_topic(drivers, ros_context):
    from rclpy.parameter import Parameter

    node = AudioBridgeNode(
        context=ros_context,
        cli_args=['--ros-args', '-r', 'driver_audio:=audio'],
        parameter_overrides=[
            Parameter('microphones', value='naoqi'),
            Parameter('head', value='nao'),
        ],
    )
    assert not node.start() and 'namespace:=av' in node.refusal
    node.destroy_node()


def run_bridge(kind, environment=None):
    command = [
        sys.executable,
        '-m',
        'av_perception.nodes.audio_bridge',
        '--ros-args',
        '-p',
        f'microphones:={kind}',
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)


@pytest.mark.parametrize(
    'kind, advice',
    [
        ('naoqi', 'naoqi-bridge-msgs'),
        ('audio_data_stamped', 'audio-common-msgs'),
        ('audio_stamped', 'mgonzs13'),
    ],
)
def test_a_missing_package_is_named_with_what_to_install(kind, advice):
    result = run_bridge(kind)
    lines = [line for line in (result.stdout + result.stderr).splitlines() if advice in line]
    assert result.returncode == 2 and len(lines) == 1 and 'Traceback' not in result.stderr


def test_the_other_package_of_that_name_is_told_apart():
    result = run_bridge(
        'audio_stamped',
        build_overlay('audio_common_msgs (ros-drivers)', 'naoqi_bridge_msgs').environment(),
    )
    assert (
        result.returncode == 2
        and 'another package of the same name' in result.stdout + result.stderr
    )


def test_the_other_audio_package_in_a_process_of_its_own():
    """Both packages have one name: no process can hold both."""
    environment = build_overlay('audio_common_msgs (the other)').environment()
    result = subprocess.run(
        [sys.executable, __file__],
        capture_output=True,
        text=True,
        timeout=600,
        env=with_fixtures(environment),
    )
    assert result.returncode == 0, result.stdout + result.stderr


def _check_audio_stamped() -> None:
    import rclpy
    from audio_common_msgs.msg import Audio, AudioData, AudioInfo, AudioStamped
    from rclpy.qos import qos_profile_sensor_data

    rclpy.init()
    one = Bench(
        rclpy.get_default_context(),
        AudioBridgeNode,
        {'driver_audio': AudioStamped},
        ('audio', AudioChunk),
        microphones='audio_stamped',
        head='simulated',
    )
    best_effort = one.client.create_publisher(
        AudioStamped, 'driver_audio', qos_profile_sensor_data
    )
    one.publishers['driver_audio'] = best_effort
    assert one.until(lambda: best_effort.get_subscription_count())
    stamp = STAMP
    for kind, field, code, scale in (
        (8, 'int16_data', 'h', 32768),
        (1, 'float32_data', 'f', 1),
    ):
        data = AudioData(**{field: array.array(code, WAVE.ravel().astype(code).tobytes())})
        info = AudioInfo(format=kind, channels=4, rate=16000, chunk=480)
        message = AudioStamped(header=header(stamp, ''), audio=Audio(audio_data=data, info=info))
        one.heard.clear()
        one.send('driver_audio', message)
        assert one.until(lambda: one.heard), one.node.diagnostics.counters
        np.testing.assert_allclose(heard(one).samples, WAVE / scale)
        assert heard(one).stamp_ns == stamp
        stamp += 30_000_000
    unknown = Audio(info=AudioInfo(format=99, channels=4, rate=16000))
    one.send('driver_audio', AudioStamped(audio=unknown))
    assert one.until(lambda: one.counted('messages dropped') == 1)
    one.close()
    rclpy.shutdown()


if __name__ == '__main__':
    from av_perception.ros.bringup.environment import prepare_environment

    prepare_environment()
    _check_audio_stamped()
