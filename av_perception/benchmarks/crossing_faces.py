# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The tracker and its peers on planted faces of people who cross, hide and come back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.benchmarks.comparison import GNN, JPDA, OURS, SORT, PositionSpace
from av_perception.benchmarks.peers import Located, run_peer
from av_perception.benchmarks.sensors import camera_of
from av_perception.benchmarks.summary import averaged
from av_perception.evaluation.metrics import evaluate
from av_perception.interfaces import LifeState, VisualFeatures
from av_perception.recording.tables import TrackTable, TruthTable
from av_perception.robot_head.profile import CameraGeometry, HeadProfile, load_head
from av_perception.simulation.box_scenes import BoxSceneConfig
from av_perception.simulation.crossing_faces import FaceScene, FaceSensorConfig, face_scene
from av_perception.simulation.crossings import Crossing, crossing
from av_perception.simulation.planted_looks import LooksSpread
from av_perception.tracking.track_management.gallery import AppearanceModel
from av_perception.tracking.tracker import Tracker, TrackerConfig

HEAD = 'simulated'
PEERS = (GNN, JPDA, SORT)
START_NS = 1_000_000_000  # a stamp of 0 would mean 'never'
_MATCH_M = 0.5


@dataclass(frozen=True)
class CrossingResult:
    """Figures of one tracker on one scene.

    Scored are people of whom at least half a face is in the image.
    """

    #: kind of the scene, of CROSSINGS
    kind: str
    #: of the walks and of the sensor's errors
    seed: int
    #: OURS, or one of PEERS
    tracker: str
    #: MOTA, at most 1
    mota: float
    #: IDF1 in [0, 1]
    idf1: float
    #: OSPA [m], with a cutoff of 1 m
    ospa_m: float
    #: id switches per minute
    switches_per_minute: float
    #: position error [m], RMS
    position_rmse_m: float
    #: [s] that the oldest track of nobody was shown
    oldest_ghost_s: float
    #: whether everybody kept one id, and no two people had the same
    right_ids: bool


def measure(
    kinds: Sequence[str],
    seeds: Sequence[int],
    trackers: Sequence[str] = (OURS, *PEERS),
    sensor: FaceSensorConfig | None = None,
    config: TrackerConfig | None = None,
    looks: bool = True,
    known: Sequence[CrossingResult] = (),
) -> Iterator[CrossingResult]:
    """Run the trackers on the same faces of every kind and seed.

    Parameters
    ----------
    kinds, seeds
        Of CROSSINGS; not negative.
    trackers
        Among OURS and PEERS.
    sensor, config, looks
        How faces are found; of our tracker; whether faces come with looks, which only it uses.
    known
        Earlier results, kept of peers on scenes where SORT has the same figures again.

    Yields
    ------
    CrossingResult
        One per scene and tracker. Raises UserError where Stone Soup is wanted and not installed.
    """
    earlier = {(result.kind, result.seed, result.tracker): result for result in known}
    for kind in kinds:
        for seed in seeds:
            case = staged(kind, seed, looks, sensor, config)
            kept = case.still_valid(earlier)
            for name in trackers:
                yield kept.get(name) or case.run(name)


def staged(
    kind: str,
    seed: int,
    looks: bool = True,
    sensor: FaceSensorConfig | None = None,
    config: TrackerConfig | None = None,
) -> Case:
    """Draw a scene and detect its faces; arguments as of `measure`."""
    head = load_head(HEAD)
    camera = camera_of(head)
    sensor = sensor or FaceSensorConfig()
    walks = crossing(kind, seed, camera)
    spread = looks_spread() if looks else None
    scene = face_scene(walks, camera, seed, sensor, START_NS, spread)
    return Case(kind, seed, walks, scene, head, sensor, config)


@dataclass(frozen=True)
class Case:
    """One scene for all trackers; fields as of `measure` and `run_tracker`."""

    kind: str
    seed: int
    walks: Crossing
    scene: FaceScene
    head: HeadProfile
    sensor: FaceSensorConfig
    config: TrackerConfig | None

    @property
    def camera(self) -> CameraGeometry:
        """Whose images the faces are in."""
        return camera_of(self.head)

    def run(self, name: str) -> CrossingResult:
        """Run and score one tracker."""
        tracks = run_tracker(name, self.scene, self.walks, self.head, self.sensor, self.config)
        return score(self.kind, self.seed, name, tracks, self.scene.truth)

    def still_valid(
        self, earlier: dict[tuple[str, int, str], CrossingResult]
    ) -> dict[str, CrossingResult]:
        """Pick what is known of peers on this very scene, by tracker."""
        keys = {name: (self.kind, self.seed, name) for name in PEERS}
        known = {name: earlier[key] for name, key in keys.items() if key in earlier}
        if SORT not in known or known[SORT] != self.run(SORT):
            return {}
        return known


def looks_spread() -> LooksSpread:
    """Take that of the people whom the tracker's model was learned from."""
    model = AppearanceModel.shipped()
    return LooksSpread(model.within, model.between)


def run_tracker(
    name: str,
    scene: FaceScene,
    walks: Crossing,
    head: HeadProfile,
    sensor: FaceSensorConfig,
    config: TrackerConfig | None = None,
) -> TrackTable:
    """Run one tracker on the faces of a scene; arguments as of `measure`."""
    if name == OURS:
        return run_ours(scene.images, head, config or TrackerConfig())
    assumed = BoxSceneConfig(
        people=len(walks.paths),
        detection_probability=sensor.detection_probability,
        clutter=sensor.clutter,
    )
    peer = PositionSpace(assumed, head).peer(name)
    camera = camera_of(head)
    rotation = camera.base_from_optical.rotation
    frames = []
    for image in scene.images:
        optical = np.array([face.position for face in image.faces]).reshape(-1, 3)
        noise = np.array([face.covariance for face in image.faces]).reshape(-1, 3, 3)
        frames.append((camera.base_from_optical.apply(optical), rotation @ noise @ rotation.T))
    located, _ = run_peer(peer, frames)
    return _table(located, 1 / camera.frame_rate)


def run_ours(
    images: Sequence[VisualFeatures], head: HeadProfile, config: TrackerConfig
) -> TrackTable:
    """Run our tracker; rows of its active tracks."""
    tracker = Tracker(config, head)
    located: list[Located] = []
    for image in images:
        frame = tracker.step(image.stamp_ns, image, None)
        active = [track for track in frame.tracks if track.state == LifeState.ACTIVE]
        located.append([(track.id, track.mean[:3]) for track in active])
    return _table(located, 1 / camera_of(head).frame_rate)


def _table(located: list[Located], period_s: float) -> TrackTable:
    """Everybody of every frame as tracks that are shown."""
    frames = np.repeat(np.arange(len(located)), [len(tracks) for tracks in located])
    rows = [row for tracks in located for row in tracks]
    count = len(rows)
    return TrackTable(
        time_s=frames * period_s,
        id=np.array([track_id for track_id, _ in rows], int),
        position=np.array([place for _, place in rows]).reshape(-1, 3),
        velocity=np.zeros((count, 3)),
        covariance=np.zeros((count, 6)),
        status=np.full(count, 'active'),
        seen=np.ones(count, bool),
        heard=np.zeros(count, bool),
        speaking_probability=np.zeros(count),
        speaking=np.zeros(count, bool),
    )


def score(
    kind: str, seed: int, tracker: str, tracks: TrackTable, truth: TruthTable
) -> CrossingResult:
    """Compare what a tracker said with the truth."""
    metrics = evaluate(tracks, truth, match_distance_m=_MATCH_M)
    seen = metrics.seen
    ids = [coverage.track_id for coverage in metrics.people.values()]
    switches = [coverage.id_switches for coverage in metrics.people.values()]
    distinct = None not in ids and len(set(ids)) == len(ids)
    return CrossingResult(
        kind=kind,
        seed=seed,
        tracker=tracker,
        mota=seen.mota or 0.0,
        idf1=seen.idf1 or 0.0,
        ospa_m=seen.ospa_m or 0.0,
        switches_per_minute=60 * seen.id_switches / metrics.duration_s,
        position_rmse_m=seen.position_rmse_m or 0.0,
        oldest_ghost_s=metrics.oldest_ghost_s,
        right_ids=distinct and not any(switches),
    )


def summarize(results: Sequence[CrossingResult]) -> list[dict]:
    """Average over the seeds of every kind and tracker, and over all kinds.

    Parameters
    ----------
    results
        From `measure`.

    Returns
    -------
    list of dict
        Rows with kind ('all' at the end), tracker, scenes, the means of the figures, their
        standard deviations (`..._sd`), and the oldest ghost of all.
    """
    rows = averaged(results, ('kind', 'tracker'), ['seed'])
    overall = averaged(results, ['tracker'], ['kind', 'seed'])
    rows += [{'kind': 'all', **row} for row in overall]
    for row in rows:
        row['oldest_ghost_s'] = max(
            result.oldest_ghost_s
            for result in results
            if result.tracker == row['tracker'] and row['kind'] in (result.kind, 'all')
        )
    return rows
