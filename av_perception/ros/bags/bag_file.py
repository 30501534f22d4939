# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What bags hold, without playing them: message definitions, topics, and what of them the suite computes from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from av_perception.errors import UserError

PICTURES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
SOUND = {
    'audio': 'av_perception_msgs/msg/AudioChunk',
    'audio_features': 'av_perception_msgs/msg/AudioFeatures',
}  # the first of them that a bag has
FACES = {'visual_features': 'av_perception_msgs/msg/VisualFeatures'}
IMAGE_TOPICS = (
    'left/image_raw',
    'left/image_raw/compressed',
    'right/image_raw',
    'right/image_raw/compressed',
)
BESIDE = ('left/camera_info', 'right/camera_info', 'imu', 'joint_states', 'truth')
ABSOLUTE = ('/tf', '/tf_static')
SUFFIXES = ('.mcap', '.db3')
_REPAIR = '`mcap recover` mends a .mcap file that was cut, `ros2 bag reindex` a bag folder'


def rosbags():
    """The modules rosbags.rosbag2 and rosbags.typesys. Raises UserError where rosbags is not installed."""
    try:
        import rosbags.rosbag2
        import rosbags.typesys
    except ImportError as error:
        raise UserError(
            "bags need the Python package rosbags: pip install 'av_perception[bags]'"
        ) from error
    return rosbags.rosbag2, rosbags.typesys


class TypeStore:
    """The message definitions of Jazzy, and those of every package that is installed, read when asked for: a bag describes itself."""

    def __init__(self):
        typesys = rosbags()[1]
        self.parse = typesys.get_types_from_msg
        self.types = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)

    def require(self, type_name: str) -> None:
        """Make a type known. Raises UserError when its package is not installed."""
        if type_name in self.types.fielddefs:
            return
        package = type_name.split('/')[0]
        try:
            path = (
                Path(get_package_share_directory(package))
                / 'msg'
                / f'{type_name.rsplit("/", 1)[-1]}.msg'
            )
            found = self.parse(path.read_text(), type_name)
        except (PackageNotFoundError, OSError) as error:
            raise UserError(
                f'the definition of {type_name} is not installed: install the package {package}'
            ) from error
        self.types.register(
            {name: fields for name, fields in found.items() if name not in self.types.fielddefs}
        )
        for name in {
            name
            for _, fields in found.values()
            for _, field in fields
            for name in _messages_in(field)
        }:
            self.require(name)


def _messages_in(field):
    """Names of the message types in a field's description of rosbags: (kind, what), arrays nested."""
    for part in field:
        if isinstance(part, tuple):
            yield from _messages_in(part)
        elif isinstance(part, str) and '/msg/' in part:
            yield part


def open_bag(path: Path):
    """A rosbags Reader of a bag folder or a single .mcap or .db3 file, opened.

    A folder that has lost its metadata.yaml is read through the one file in it. Raises UserError.
    """
    rosbag2 = rosbags()[0]
    if not path.exists():
        raise UserError(f'there is no bag {path}')
    if path.is_dir() and not (path / 'metadata.yaml').is_file():
        path = _only_file(path)
    try:
        reader = rosbag2.Reader(path)
        reader.open()
    except Exception as error:  # the library raises many types for a damaged bag
        raise UserError(f'cannot read the bag {path}: {_one_line(error)}; {_REPAIR}') from error
    return reader


def _only_file(folder: Path) -> Path:
    files = sorted(file for suffix in SUFFIXES for file in folder.glob(f'*{suffix}'))
    if not files:
        raise UserError(
            f'{folder} is no bag: it holds neither metadata.yaml nor a .mcap or .db3 file'
        )
    if len(files) > 1:
        raise UserError(
            f'{folder} has no metadata.yaml and {len(files)} files: make it with '
            f'`ros2 bag reindex {folder}`, or name one of the files'
        )
    return files[0]


class UnreadableRest(UserError):
    """The bag is damaged from here on; what was read before is good."""


def read_messages(reader, connections):
    """Yields (connection, time of recording [ns], bytes) of an open Reader, in order.

    Raises UnreadableRest at the place from which the file cannot be read any further.
    """
    if not connections:  # which the library takes for all of them
        return
    try:
        yield from reader.messages(connections)
    except Exception as error:  # as in open_bag
        raise UnreadableRest(
            f'the bag cannot be read to its end ({_one_line(error)}); {_REPAIR}'
        ) from error


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split()) or type(error).__name__


def foreign_definition(connection, store: TypeStore) -> str:
    """How a topic's message is defined otherwise in the bag than in what is installed, in words.

    Empty when both are alike, or when the bag keeps no definitions (ROS before Iron, SQLite).
    Raises UserError when the type is not installed.
    """
    definition = connection.msgdef
    if definition.format.name != 'MSG' or not definition.data:
        return ''
    try:
        recorded = store.parse(definition.data, connection.msgtype)
    except Exception as error:  # the parser raises many types
        return f'the definition of {connection.msgtype} in the bag is damaged ({_one_line(error)})'
    for name, (_, fields) in recorded.items():
        store.require(name)
        installed = store.types.fielddefs[name][1]
        if list(fields) != list(installed):
            return f'it was recorded with another definition of {name} ({_difference(fields, installed)})'
    return ''


def _difference(recorded, installed) -> str:
    """What sets the recorded fields, (name, type) in order, apart from the installed ones."""
    old, new = dict(recorded), dict(installed)
    lacking = [name for name in new if name not in old]
    extra = [name for name in old if name not in new]
    changed = [name for name in new if name in old and new[name] != old[name]]
    named = (('without', lacking), ('with', extra), ('another type of', changed))
    parts = [f'{word} {", ".join(names)}' for word, names in named if names]
    return '; '.join(parts) or 'the fields are in another order'


@dataclass(frozen=True)
class GraphInputs:
    """What of a bag the suite computes from. topics: recorded name -> name to play it under, relative ones for the namespace of today;
    given: those of the names that stand for a node of the graph (graph.Selection.given).
    """

    topics: dict[str, str]
    given: frozenset[str]


def graph_inputs(path: Path) -> GraphInputs:
    """Sound and images of a bag, or the features in their place where it lacks them, with what belongs to them. Raises UserError."""
    reader = open_bag(path)
    types = {c.topic: c.msgtype for c in reader.connections}
    reader.close()
    prefix = _namespace(types, path)
    here = {topic[len(prefix) :]: topic for topic in types if topic.startswith(prefix)}
    sound = [name for name, kind in SOUND.items() if name in here and types[here[name]] == kind][
        :1
    ]
    images = [name for name in IMAGE_TOPICS if name in here and types[here[name]] in PICTURES]
    faces = [] if images else [name for name in FACES if name in here]
    names = [*sound, *images, *faces, *(name for name in BESIDE if name in here)]
    given = frozenset([*sound, *faces, *(['left/image_raw'] if images else [])])
    return GraphInputs(
        {here[name]: name for name in names}
        | {topic: topic for topic in ABSOLUTE if topic in types},
        given,
    )


def given_by(path: str) -> str:
    """The names that a bag gives, with commas between them, for launch files. Raises UserError."""
    return ','.join(sorted(graph_inputs(Path(os.path.expanduser(path))).given))


def _namespace(types: dict[str, str], path: Path) -> str:
    """The namespace that the suite's topics were recorded in, '/' or '/robot/'."""
    wanted = {**SOUND, **FACES}
    found = {
        topic[: -len(name)]
        for topic, kind in types.items()
        for name, of_kind in wanted.items()
        if kind == of_kind and topic.endswith('/' + name)
    }
    found |= {
        topic[: -len(name)]
        for topic, kind in types.items()
        for name in IMAGE_TOPICS[:2]
        if kind in PICTURES and topic.endswith('/' + name)
    }
    if not found:
        raise UserError(
            f'the bag {path} holds neither sound nor images nor features of the suite: record audio and left/image_raw, or '
            'audio_features and visual_features'
        )
    if len(found) > 1:
        raise UserError(
            f'the bag {path} holds several robots, {", ".join(sorted(found))}: record one of them'
        )
    return found.pop()
