"""Bags of the short simulated scene, written without playing it."""

from __future__ import annotations

from pathlib import Path

from rclpy.serialization import serialize_message

from av_perception.data import AudioChunk
from av_perception.pipeline import CHUNK_S
from av_perception.recording.timing import image_stamp_ns, sample_stamp_ns
from av_perception.ros.bag_file import TypeStore, rosbags
from av_perception.ros.conversions import audio_chunk_to_msg, image_to_msg, visual_features_to_msg
from av_perception.simulation.cache import simulated_recording
from av_perception.vision.frontend import VisualFrontEnd, VisualFrontEndConfig

ORIGIN_NS = 1_700_000_000_000_000_000
TYPES = {'audio': 'av_perception_msgs/msg/AudioChunk', 'visual_features': 'av_perception_msgs/msg/VisualFeatures', 'left/image_raw': 'sensor_msgs/msg/Image',
         'right/image_raw': 'sensor_msgs/msg/Image', 'tracks': 'av_perception_msgs/msg/TrackArray'}


def short_messages(images: bool, seconds: float = 7.0) -> list[tuple[int, str, object]]:
    """(time of recording [ns], topic, message) of the scene's sound and its faces, or its images; in order of time."""
    recording = simulated_recording('short')
    vision, head, found = VisualFrontEnd(VisualFrontEndConfig(), recording.head.camera), recording.head, []
    for index, _, left, right in recording.images():
        stamp_ns = ORIGIN_NS + image_stamp_ns(recording, index)
        if index / recording.frame_rate >= seconds:
            break
        if images:
            found += [(stamp_ns, f'{side}/image_raw', image_to_msg(image, stamp_ns, head.camera.frame)) for side, image in (('left', left), ('right', right))]
        else:
            features = vision.process(stamp_ns, left, right)
            found.append((stamp_ns + 20_000_000, 'visual_features', visual_features_to_msg(features, head.camera.frame)))
    size = round(CHUNK_S * recording.sample_rate)
    for first in range(0, int(seconds * recording.sample_rate) - size, size):
        stamp_ns = ORIGIN_NS + sample_stamp_ns(recording, first)
        chunk = AudioChunk(stamp_ns, recording.sample_rate, first, recording.read_audio(first, size))
        found.append((stamp_ns + round(1e9 * CHUNK_S), 'audio', audio_chunk_to_msg(chunk, head.microphones.frame)))
    return sorted(found, key=lambda entry: entry[0])


def write_bag(folder: Path, messages, namespace: str = '/', storage: str = 'MCAP') -> Path:
    """Write messages to a bag."""
    rosbag2, store = rosbags()[0], TypeStore()
    with rosbag2.Writer(folder, version=9, storage_plugin=rosbag2.StoragePlugin[storage]) as writer:
        connections = {}
        for stamp_ns, topic, message in messages:
            if topic not in connections:
                store.require(TYPES[topic])
                connections[topic] = writer.add_connection(namespace + topic, TYPES[topic], typestore=store.types)
            writer.write(connections[topic], stamp_ns, serialize_message(message))
    return folder
