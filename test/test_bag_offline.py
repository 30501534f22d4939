"""Bags through the suite offline: the same tracks as from the recording itself, and the same again bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from av_perception_msgs.msg import TrackArray
from bag_scenes import ORIGIN_NS, short_messages, write_bag

from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.evaluation import evaluate
from av_perception.pipeline import START_NS, OfflinePipeline
from av_perception.recording.collect import collect_tracks
from av_perception.recording.tables import TrackTable
from av_perception.ros.bag_file import given_by, graph_inputs
from av_perception.ros.bag_offline import BagRecording, BagRunner
from av_perception.simulation.cache import simulated_recording

pytest.importorskip('rosbags')


@pytest.fixture(scope='module')
def features_bag(tmp_path_factory):
    """Sound and faces, as the demo records them, in a namespace and with results that are not to be believed."""
    messages = [*short_messages(images=False), (ORIGIN_NS + 8 * 10**9, 'tracks', TrackArray())]
    return write_bag(tmp_path_factory.mktemp('bags') / 'features', messages, '/robot/')


@pytest.fixture(scope='module')
def images_bag(tmp_path_factory):
    """Two seconds of sound and images, in the other format."""
    return write_bag(tmp_path_factory.mktemp('bags') / 'images', short_messages(images=True, seconds=2.0), storage='SQLITE3')


def tracked(bag):
    recording = BagRecording(bag, 'simulated')
    runner = BagRunner(recording, OfflinePipeline(recording))
    return collect_tracks(runner.run(), ORIGIN_NS), runner.counters


def test_a_bag_of_features_gives_the_tracks_of_its_recording(features_bag):
    recording, (tracks, _) = simulated_recording('short'), tracked(features_bag)
    direct = collect_tracks(OfflinePipeline(recording).run(), START_NS)
    metrics = evaluate(tracks, recording.truth)
    assert metrics.mota > 0.9 and all(metrics.ids_kept.values())
    rows = min(len(tracks), len(direct)) - 20
    np.testing.assert_array_equal(tracks.id[:rows], direct.id[:rows])
    np.testing.assert_allclose(tracks.position[:rows], direct.position[:rows], atol=0.02)


def test_a_bag_of_images_gives_the_tracks_of_its_recording(images_bag):
    recording, (tracks, counters) = simulated_recording('short'), tracked(images_bag)
    direct = collect_tracks(OfflinePipeline(recording).run(), START_NS)
    rows = len(tracks) - 10
    assert rows > 50 and not any('partner' in event for event in counters)
    np.testing.assert_array_equal(tracks.id[:rows], direct.id[:rows])
    np.testing.assert_allclose(tracks.position[:rows], direct.position[:rows], atol=1e-6)


@pytest.mark.parametrize('bag', ['features_bag', 'images_bag'])
def test_the_same_bag_gives_the_same_file_bit_for_bit(bag, request, tmp_path):
    path = request.getfixturevalue(bag)
    for name in ('first', 'second'):
        assert main(['track', str(path), '--head', 'simulated', '-o', str(tmp_path / name)]) == 0
    assert (tmp_path / 'first').read_bytes() == (tmp_path / 'second').read_bytes()
    assert len(TrackTable.read(tmp_path / 'first')) > 50


def test_the_inputs_of_a_bag_are_what_nodes_need_not_compute(features_bag, images_bag):
    inputs = graph_inputs(features_bag)
    assert inputs.topics == {'/robot/audio': 'audio', '/robot/visual_features': 'visual_features'} and inputs.given == {'audio', 'visual_features'}
    assert given_by(str(images_bag)) == 'audio,left/image_raw'
    assert given_by(str(next(images_bag.glob('*.db3')))) == 'audio,left/image_raw', 'a single file will do'


def test_the_two_microphone_mode_runs_on_bags_too(features_bag, tmp_path):
    assert main(['track', str(features_bag), '--head', 'simulated', '--mode', 'minimal', '-o', str(tmp_path / 'tracks.csv')]) == 0
    assert set(TrackTable.read(tmp_path / 'tracks.csv').id) == {1, 2}


def test_a_cut_message_is_counted_and_the_rest_goes_on(tmp_path):
    messages = short_messages(images=False, seconds=1.5)
    broken = next(m for _, topic, m in messages if topic == 'audio')
    broken.samples = broken.samples[:-1]
    tracks, counters = tracked(write_bag(tmp_path / 'bag', messages))
    assert len(tracks) and sum(n for event, n in counters.items() if event.startswith('messages dropped from audio')) == 1


@pytest.mark.parametrize('arguments, message', [([], 'add --head'), (['--head', 'toaster'], 'toaster'), (['--head', 'respeaker', '-o', 'x'], 'no camera')])
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
