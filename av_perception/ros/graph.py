"""The one description of the suite's graph: launch files, `av-perception up` and the demo start what stands here."""

from __future__ import annotations

from dataclasses import dataclass

PACKAGE = 'av_perception'
@dataclass(frozen=True)
class Argument:
    """A launch argument that becomes a parameter of some nodes; the default's type is the parameter's."""

    default: str | int | float
    description: str


ARGUMENTS = {
    'head': Argument('simulated', 'Head profile: a name of config/heads or the path of a YAML file.'),
    'source': Argument('device', 'Where sound and images come from: device, file or simulated.'),
    'recording': Argument('', 'With source file: the recording folder to play.'),
    'scene': Argument('three_talkers', 'With source simulated: a name of config/scenes or the path of a YAML file.'),
    'seed': Argument(-1, "With source simulated: seed of the scene, -1 for the scene's own."),
    'start_time': Argument(0.0, 'When a recording or scene starts to play, seconds of the ROS clock; 0 starts at once.'),
}
MODES = {
    'full': 'the variational tracker, with all microphones',
    'minimal': 'faces and two microphones only, for small robots: face_itd_fusion in place of audio_features, tracker and speaking_status',
}
MODE_TEXT = '; '.join(f'{name}: {text}' for name, text in MODES.items()) + '.'
EVENTS_TEXT = 'Also start av_events: clusters of visual points and sound, on the topic av_events.'
_PLAYBACK = ('source', 'recording', 'scene', 'seed', 'start_time')


@dataclass(frozen=True)
class NodeDescription:
    """One node: `name` is also its executable and its module av_perception.nodes.<name>.

    arguments: which of ARGUMENTS it takes as parameters; needs: 'microphones' or 'camera' when the node makes sense only with them;
    sensor: it is a source of data, which real drivers can replace; niceness: how far it steps back when the processors are busy;
    mode: the one of MODES it belongs to, '' for all.
    """

    name: str
    arguments: tuple[str, ...] = ()
    needs: str = ''
    sensor: bool = False
    niceness: int = 0
    mode: str = ''

    @property
    def module(self) -> str:
        """For `python -m`."""
        return f'{PACKAGE}.nodes.{self.name}'


NODES = (
    NodeDescription('microphone_array', ('head', *_PLAYBACK), 'microphones', sensor=True),
    NodeDescription('stereo_camera', ('head', *_PLAYBACK), 'camera', sensor=True),
    NodeDescription('audio_features', ('head',), 'microphones', mode='full'),
    NodeDescription('visual_features', ('head',), 'camera'),
    NodeDescription('tracker', ('head',), mode='full'),
    NodeDescription('speaking_status', mode='full'),
    NodeDescription('face_itd_fusion', ('head',), mode='minimal'),
    NodeDescription('visualizer', ('head',), niceness=10),
)
EVENTS = NodeDescription('av_events', ('head',))
TRUTH = NodeDescription('truth', _PLAYBACK, sensor=True)


def nodes_for(head, truth: bool = False, mode: str = 'full', events: bool = False) -> tuple[NodeDescription, ...]:
    """The nodes that a head (HeadProfile) can run in one of MODES; with them the truth and av_events when asked for."""
    fitting = tuple(n for n in NODES if n.mode in ('', mode) and (not n.needs or getattr(head, n.needs) is not None))
    return (*fitting, *((TRUTH,) if truth else ()), *((EVENTS,) if events else ()))
