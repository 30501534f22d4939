# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What bags hold, without playing them.

Message definitions, topics, and what of them the suite computes from.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from av_perception.errors import UserError
from av_perception.ros.bags.bag_remaps import renamed
from av_perception.ros.bags.bag_repair import copy_whole_part, has_end

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
# Sequences of float32 that messages have got since the first bags: there they are empty.
ADDED_FIELDS = {'av_perception_msgs/msg/Face': ('appearance',)}
SUFFIXES = ('.mcap', '.db3')
_REPAIR = '`mcap recover` mends a .mcap file that was cut, `ros2 bag reindex` a bag folder'


def rosbags():
    """Import the modules rosbags.rosbag2 and rosbags.typesys.

    Raises
    ------
    UserError
        Where rosbags is not installed.
    """
    try:
        import rosbags.rosbag2
        import rosbags.typesys
    except ImportError as error:
        raise UserError(
            "bags need the Python package rosbags: pip install 'av_perception[bags]'"
        ) from error
    return rosbags.rosbag2, rosbags.typesys


class TypeStore:
    """The message definitions of Jazzy, and those of every package that is installed.

    They are read when asked for: a bag describes itself.
    """

    def __init__(self):
        typesys = rosbags()[1]
        self.parse = typesys.get_types_from_msg
        self.types = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)

    def require(self, type_name: str) -> None:
        """Make a type known. Raises UserError when its package is not installed."""
        if type_name in self.types.fielddefs:
            return
        package = type_name.split('/')[0]
        name = type_name.rsplit('/', 1)[-1]
        try:
            path = Path(get_package_share_directory(package)) / 'msg' / f'{name}.msg'
            definitions = self.parse(path.read_text(), type_name)
        except (PackageNotFoundError, OSError) as error:
            raise UserError(
                f'the definition of {type_name} is not installed: install the package {package}'
            ) from error
        known = self.types.fielddefs
        self.types.register({name: d for name, d in definitions.items() if name not in known})
        fields = [field for _, named in definitions.values() for _, field in named]
        for part in {part for field in fields for part in _messages_in(field)}:
            self.require(part)


def _messages_in(field):
    """Yield the message types in a field's description of rosbags: (kind, what), nested."""
    for part in field:
        if isinstance(part, tuple):
            yield from _messages_in(part)
        elif isinstance(part, str) and '/msg/' in part:
            yield part


def open_bag(path: Path):
    """Open a rosbags Reader of a bag.

    A folder that has lost its metadata.yaml is read through the one file in it. Of an MCAP file
    that was cut, the reader gives all up to the last whole record, or chunk of records; then its
    `cut_bytes` is how much was left out, else 0.

    Parameters
    ----------
    path : Path
        Bag folder, or a single .mcap or .db3 file.

    Raises
    ------
    UserError
        When there is none, or it cannot be read.
    """
    if not path.exists():
        raise UserError(f'there is no bag {path}')
    if path.is_dir() and not (path / 'metadata.yaml').is_file():
        path = _only_file(path)
    try:
        return _opened(path)
    except Exception as error:  # the library raises many types for a damaged bag
        reader = _opened_in_part(path)
        if reader is None:
            text = f'cannot read the bag {path}: {_one_line(error)}; {_REPAIR}'
            raise UserError(text) from error
        return reader


def _opened(path: Path):
    reader = rosbags()[0].Reader(path)
    reader.open()
    reader.cut_bytes = 0
    return reader


def _opened_in_part(path: Path):
    """Open the whole records of an MCAP file that was cut, through a copy; None if that fails.

    The copy has no name any more when it is open; the system takes it away when it is closed.
    """
    files = sorted(path.glob('*.mcap')) if path.is_dir() else [path]
    if len(files) != 1 or files[0].suffix != '.mcap':
        return None
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / files[0].name
        try:
            if has_end(files[0]):
                return None
            cut_bytes = copy_whole_part(files[0], copy)
            reader = _opened(copy)
        except Exception:  # the caller has the reason why the bag itself cannot be read
            return None
    reader.cut_bytes = cut_bytes
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
    """Yield (connection, time of recording [ns], bytes) of an open Reader, in order.

    Raises
    ------
    UnreadableRest
        At the place from which the file cannot be read any further.
    """
    if not connections:  # which the library takes for all of them
        return
    try:
        yield from reader.messages(connections)
    except Exception as error:  # as in open_bag
        raise UnreadableRest(
            f'the bag cannot be read to its end ({_one_line(error)}); {_REPAIR}'
        ) from error
    if reader.cut_bytes:
        raise UnreadableRest(
            f'the bag was cut: the last {reader.cut_bytes} bytes hold no whole record'
        )


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split()) or type(error).__name__


def foreign_definition(connection, store: TypeStore) -> str:
    """Say how a topic's message is defined otherwise in the bag than in what is installed.

    Returns
    -------
    str
        '' when both are alike but for ADDED_FIELDS, or when the bag keeps no definitions (ROS
        before Iron, SQLite).

    Raises
    ------
    UserError
        When the type is not installed.
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
        added = {field for field, _ in installed} - {field for field, _ in fields}
        if added <= set(ADDED_FIELDS.get(name, ())):
            installed = [field for field in installed if field[0] not in added]
        if list(fields) != list(installed):
            difference = _difference(fields, installed)
            return f'it was recorded with another definition of {name} ({difference})'
    return ''


def _difference(recorded, installed) -> str:
    """Say what sets the recorded fields, (name, type) in order, apart from the installed ones."""
    old = dict(recorded)
    new = dict(installed)
    lacking = [name for name in new if name not in old]
    extra = [name for name in old if name not in new]
    changed = [name for name in new if name in old and new[name] != old[name]]
    named = (('without', lacking), ('with', extra), ('another type of', changed))
    parts = [f'{word} {", ".join(names)}' for word, names in named if names]
    return '; '.join(parts) or 'the fields are in another order'


@dataclass(frozen=True)
class GraphInputs:
    """What of a bag the suite computes from."""

    #: Name to play it under by recorded name; relative ones for the namespace of today.
    topics: dict[str, str]
    #: Those of the names that stand for a node of the graph (graph.Selection.given).
    given: frozenset[str]
    #: Types of all topics of the bag, by recorded name.
    types: dict[str, str]


def graph_inputs(path: Path, remaps: Sequence[str] = ()) -> GraphInputs:
    """Find sound and images of a bag, with what belongs to them.

    Where it lacks them, the features take their place.

    Parameters
    ----------
    path
        Of the bag.
    remaps
        FROM:=TO of recorded topics that have other names. With any, all names are read below /.

    Raises
    ------
    UserError
        When there is nothing of use, or a rule does not fit.
    """
    reader = open_bag(path)
    types = {connection.topic: connection.msgtype for connection in reader.connections}
    reader.close()
    seen = renamed(types, remaps, _wanted_types(), path)
    prefix = '/' if remaps else _namespace(types, path)
    # Full name and type of each topic in the suite's namespace, by its relative name.
    here = {name[len(prefix) :]: seen[name] for name in seen if name.startswith(prefix)}
    type_of = {name: types[topic] for name, topic in here.items()}
    sound = [name for name, kind in SOUND.items() if type_of.get(name) == kind][:1]
    images = [name for name in IMAGE_TOPICS if type_of.get(name) in PICTURES]
    faces = [] if images else [name for name in FACES if name in here]
    beside = [name for name in BESIDE if name in here]
    topics = {here[name]: name for name in (*sound, *images, *faces, *beside)}
    topics |= {topic: topic for topic in ABSOLUTE if topic in types}
    given = {*sound, *faces}
    if images:
        given.add('left/image_raw')
    return GraphInputs(topics, frozenset(given), types)


def _wanted_types() -> dict[str, tuple[str, ...]]:
    """Types that each relative name may have; () for any."""
    features = {name: (kind,) for name, kind in {**SOUND, **FACES}.items()}
    return {**features, **dict.fromkeys(IMAGE_TOPICS, PICTURES), **dict.fromkeys(BESIDE, ())}


def given_by(path: str) -> str:
    """Name what a bag gives, with commas between, for launch files. Raises UserError."""
    return ','.join(sorted(graph_inputs(Path(os.path.expanduser(path))).given))


def _namespace(types: dict[str, str], path: Path) -> str:
    """Find the namespace that the suite's topics were recorded in, '/' or '/robot/'."""
    kinds_of: dict[str, tuple[str, ...]] = {
        name: (kind,) for name, kind in {**SOUND, **FACES}.items()
    }
    for name in IMAGE_TOPICS[:2]:
        kinds_of[name] = PICTURES
    namespaces = {
        topic[: -len(name)]
        for topic, kind in types.items()
        for name, kinds in kinds_of.items()
        if kind in kinds and topic.endswith('/' + name)
    }
    if not namespaces:
        raise UserError(
            f'the bag {path} holds neither sound nor images nor features of the suite: record '
            'audio and left/image_raw, or audio_features and visual_features, or name its topics '
            'with --remap /its/topic:=left/image_raw'
        )
    if len(namespaces) > 1:
        robots = ', '.join(sorted(namespaces))
        raise UserError(f'the bag {path} holds several robots, {robots}: record one of them')
    return namespaces.pop()
