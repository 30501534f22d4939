# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Bags through the suite offline.

The same tracks as from the recording itself, and the same again bit for bit.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from av_perception_msgs.msg import TrackArray
from bag_scenes import ORIGIN_NS, short_messages, write_bag
from offline_runs import offline_run
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.evaluation.metrics import evaluate
from av_perception.interfaces import AudioChunk
from av_perception.pipelines.full import OfflinePipeline
from av_perception.recording.collect import collect_tracks
from av_perception.recording.tables import TrackTable
from av_perception.ros.bags.bag_file import TypeStore, given_by, graph_inputs, rosbags
from av_perception.ros.bags.bag_offline import BagRecording, BagRunner
from av_perception.ros.conversions import audio_chunk_to_msg, header, image_stamp_ns
from av_perception.simulation.cache import simulated_recording

pytest.importorskip('rosbags')


@pytest.fixture(scope='module')
def features_bag(tmp_path_factory):
    """Sound and faces, as the demo records them, in a namespace and with false results."""
    messages = [*short_messages(images=False), (ORIGIN_NS + 8 * 10**9, 'tracks', TrackArray())]
    return write_bag(tmp_path_factory.mktemp('bags') / 'features', messages, '/robot/')


@pytest.fixture(scope='module')
def images_bag(tmp_path_factory):
    """Two seconds of sound and images, in the other format."""
    return write_bag(
        tmp_path_factory.mktemp('bags') / 'images',
        short_messages(images=True, seconds=2.0),
        storage='SQLITE3',
    )


def tracked(bag):
    recording = BagRecording(bag, 'simulated')
    runner = BagRunner(recording, OfflinePipeline(recording))
    return collect_tracks(runner.run(), ORIGIN_NS), runner.counters


@pytest.mark.slow
def test_a_bag_of_features_gives_the_tracks_of_its_recording(features_bag):
    recording, (tracks, _) = simulated_recording('short'), tracked(features_bag)
    direct = offline_run('short').tracks
    metrics = evaluate(tracks, recording.truth)
    assert metrics.mota > 0.9 and all(metrics.ids_kept.values())
    rows = min(len(tracks), len(direct)) - 20
    np.testing.assert_array_equal(tracks.id[:rows], direct.id[:rows])
    np.testing.assert_allclose(tracks.position[:rows], direct.position[:rows], atol=0.02)


@pytest.mark.slow
def test_a_bag_of_images_gives_the_tracks_of_its_recording(images_bag):
    tracks, counters = tracked(images_bag)
    direct = offline_run('short').tracks
    rows = len(tracks) - 10
    assert rows > 50 and not any('partner' in event for event in counters)
    np.testing.assert_array_equal(tracks.id[:rows], direct.id[:rows])
    np.testing.assert_allclose(tracks.position[:rows], direct.position[:rows], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize('bag', ['features_bag', 'images_bag'])
def test_the_same_bag_gives_the_same_file_bit_for_bit(bag, request, tmp_path):
    path = request.getfixturevalue(bag)
    for name in ('first', 'second'):
        assert main(['track', str(path), '--head', 'simulated', '-o', str(tmp_path / name)]) == 0
    assert (tmp_path / 'first').read_bytes() == (tmp_path / 'second').read_bytes()
    assert len(TrackTable.read(tmp_path / 'first')) > 50


@pytest.mark.slow
def test_the_inputs_of_a_bag_are_what_nodes_need_not_compute(features_bag, images_bag):
    inputs = graph_inputs(features_bag)
    assert inputs.topics == {
        '/robot/audio': 'audio',
        '/robot/visual_features': 'visual_features',
    } and inputs.given == {'audio', 'visual_features'}
    assert given_by(str(images_bag)) == 'audio,left/image_raw'
    assert given_by(str(next(images_bag.glob('*.db3')))) == 'audio,left/image_raw', (
        'a single file will do'
    )


@pytest.mark.slow
def test_the_two_microphone_mode_runs_on_bags_too(features_bag, tmp_path):
    assert (
        main(
            [
                'track',
                str(features_bag),
                '--head',
                'simulated',
                '--mode',
                'minimal',
                '-o',
                str(tmp_path / 'tracks.csv'),
            ]
        )
        == 0
    )
    assert set(TrackTable.read(tmp_path / 'tracks.csv').id) == {1, 2}


@pytest.mark.slow
def test_a_cut_message_is_counted_and_the_rest_goes_on(tmp_path):
    messages = short_messages(images=False, seconds=1.5)
    broken = next(m for _, topic, m in messages if topic == 'audio')
    broken.samples = broken.samples[:-1]
    tracks, counters = tracked(write_bag(tmp_path / 'bag', messages))
    assert (
        len(tracks)
        and sum(
            n for event, n in counters.items() if event.startswith('messages dropped from audio')
        )
        == 1
    )


@pytest.mark.parametrize(
    'arguments, message',
    [
        ([], 'add --head'),
        (['--head', 'toaster'], 'toaster'),
        (['--head', 'respeaker', '-o', 'x'], 'no camera'),
    ],
)
def test_a_bag_with_the_wrong_head_is_refused_in_one_line(images_bag, arguments, message, capsys):
    assert main(['track', str(images_bag), *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and message in error[0]


def test_a_bag_of_results_alone_says_what_to_record(tmp_path):
    with pytest.raises(UserError, match='record audio and left/image_raw'):
        graph_inputs(write_bag(tmp_path / 'bag', [(1, 'tracks', TrackArray())]))
    both = [(1, topic, kind) for topic, kind in (('audio', short_messages(False, 0.2)[0][2]),)]
    folder = write_bag(tmp_path / 'one', both, '/a/')
    assert graph_inputs(folder).topics == {'/a/audio': 'audio'}


# ---- damaged bags


def silent_chunks(count=40):
    """(time, topic, message) of silence and a bit of hiss for respeaker's four channels."""
    random, messages = np.random.default_rng(3), []
    for number in range(count):
        samples = 0.01 * random.standard_normal((400, 4)).astype(np.float32)
        chunk = AudioChunk(ORIGIN_NS + number * 25_000_000, 16000, 400 * number, samples)
        messages.append((chunk.stamp_ns, 'audio', audio_chunk_to_msg(chunk, 'array')))
    return messages


def write_raw_bag(folder, entries, definition=None):
    """A bag of serialized AudioChunk messages, (time, bytes); definition: instead of today's."""
    rosbag2, store = rosbags()[0], TypeStore()
    kind = 'av_perception_msgs/msg/AudioChunk'
    store.require(kind)
    told = dict(typestore=store.types)
    if definition is not None:
        told = dict(msgdef=definition, rihs01='RIHS01_' + '0' * 64)
    with rosbag2.Writer(folder, version=9, storage_plugin=rosbag2.StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/audio', kind, **told)
        for stamp_ns, data in entries:
            writer.write(connection, stamp_ns, data)
    return folder


def serialized(messages):
    return [(stamp_ns, serialize_message(message)) for stamp_ns, _, message in messages]


def frames_of(bag):
    recording = BagRecording(bag, 'respeaker')
    runner = BagRunner(recording, OfflinePipeline(recording))
    return len(runner.run()), runner.counters


def test_a_damaged_and_an_empty_message_are_counted_and_the_rest_is_read(tmp_path):
    entries = serialized(silent_chunks())
    whole, _ = frames_of(write_raw_bag(tmp_path / 'whole', entries))
    entries[10] = (entries[10][0], entries[10][1][:100])
    entries[20] = (entries[20][0], b'')
    bag = write_raw_bag(tmp_path / 'bag', entries)
    frames, counters = frames_of(bag)
    assert whole - 6 <= frames < whole
    assert counters['messages dropped from audio: damaged or cut'] == 1
    assert counters['messages dropped from audio: empty'] == 1
    assert (
        main(['track', str(bag), '--head', 'respeaker', '-o', str(tmp_path / 'tracks.csv')]) == 1
    )
    assert (tmp_path / 'tracks.csv').is_file(), 'nobody was found, which is told as ever'


def test_random_messages_are_counted(tmp_path):
    random, entries = np.random.default_rng(5), serialized(silent_chunks())
    for place in range(5, 25):
        entries[place] = (entries[place][0], random.bytes(int(random.integers(1, 9000))))
    frames, counters = frames_of(write_raw_bag(tmp_path / 'bag', entries))
    assert frames > 0
    assert sum(n for event, n in counters.items() if event.startswith('messages dropped')) == 20


@pytest.mark.parametrize(
    'definition, words',
    [
        (
            'std_msgs/Header header\nuint32 sample_rate\nfloat32[] samples\n',
            'without channels, first_sample',
        ),
        (
            'std_msgs/Header header\nuint32 sample_rate\nuint16 channels\nuint64 first_sample\n'
            'float64[] samples\n',
            'another type of samples',
        ),
    ],
)
def test_an_older_definition_is_told_in_one_line(definition, words, tmp_path, capsys):
    types = (
        '\n'
        + '=' * 80
        + '\nMSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n'
    )
    types += '=' * 80 + '\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n'
    bag = write_raw_bag(tmp_path / 'bag', serialized(silent_chunks(4)), definition + types)
    assert (
        main(['track', str(bag), '--head', 'respeaker', '-o', str(tmp_path / 'tracks.csv')]) == 2
    )
    error = capsys.readouterr().err.strip()
    assert '\n' not in error and words in error and 'AudioChunk' in error
    assert not (tmp_path / 'tracks.csv').exists()


def test_a_bag_without_its_metadata_is_read_through_its_file(tmp_path, capsys):
    bag = write_raw_bag(tmp_path / 'bag', serialized(silent_chunks()))
    whole, _ = frames_of(bag)
    (bag / 'metadata.yaml').unlink()
    assert frames_of(bag)[0] == whole
    assert (
        main(['track', str(bag), '--head', 'respeaker', '-o', str(tmp_path / 'tracks.csv')]) == 1
    )
    assert '--head is for bags' not in capsys.readouterr().err
    shutil.copy(next(bag.glob('*.mcap')), bag / 'second.mcap')
    assert main(['track', str(bag), '--head', 'respeaker']) == 2
    assert 'ros2 bag reindex' in capsys.readouterr().err


def test_images_without_stamps_are_told_as_the_drivers_fault():
    message = Image(header=header(0, 'camera'))
    with pytest.raises(ValueError, match='the driver does not stamp its images'):
        image_stamp_ns(message)
    assert image_stamp_ns(Image(header=header(7, 'camera'))) == 7
