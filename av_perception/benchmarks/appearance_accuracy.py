# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether people are known again by clothes and hair: spreads to learn, and figures.

People in drawn clothes stand side by side in light that is drawn for every image. Of every third
group all wear the same clothes. Their faces go through the detector and are described as on a
robot. What is learned on some people is measured on others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.benchmarks.dressed_people import (
    SIDE_BY_SIDE,
    Light,
    Stage,
    draw_clothes,
    dress,
)
from av_perception.interfaces import APPEARANCE_SIZE
from av_perception.simulation.cutout import Cutout
from av_perception.simulation.simulator import FACE_DEPTH_M
from av_perception.tracking.track_management.gallery import AppearanceModel
from av_perception.vision.appearance import describe_people
from av_perception.vision.face_detector import FaceDetector

ALIKE_EVERY = 3  # groups, of which one wears the same clothes
# The people learned from hardly turn, and stand still: views of one person differ more in life.
_WITHIN_FACTOR = 1.5
_WITHIN_FLOOR = 0.02  # standard deviation of every component
_BETWEEN_FLOOR = 1e-4  # variance


@dataclass(frozen=True)
class DescribedPeople:
    """S described faces.

    Attributes
    ----------
    person, group
        (S,) number of the person and of the group that was drawn together.
    alike
        (S,) bool, the group wears the same clothes.
    appearance
        (S, A).
    """

    person: np.ndarray
    group: np.ndarray
    alike: np.ndarray
    appearance: np.ndarray


@dataclass(frozen=True)
class AppearanceFigures:
    """How pairs of single images are judged, each share in [0, 1].

    Attributes
    ----------
    people
        How many there are.
    described
        Share of the faces that could be described.
    same_known
        Pairs of one person that are taken for one.
    different_told_apart
        Pairs of two people in different clothes that are taken for two.
    alike_told_apart
        The same in the same clothes.
    """

    people: int
    described: float
    same_known: float
    different_told_apart: float
    alike_told_apart: float


def collect(
    faces: Mapping[str, Sequence[Cutout]],
    stage: Stage,
    detector: FaceDetector,
    groups: int,
    images: int,
    seed: int,
    progress: Callable[[], None] = lambda: None,
) -> DescribedPeople:
    """Draw groups of people and describe them.

    Parameters
    ----------
    faces
        Views of each person whose face is at hand.
    stage, detector
        Draws and finds them.
    groups, images, seed
        How many groups, each in so many images; of clothes, places and light.
    progress
        Called after each image.

    Returns
    -------
    DescribedPeople
        Of all faces that were found.
    """
    random = np.random.default_rng(seed)
    rows = []
    for group in range(groups):
        alike = group % ALIKE_EVERY == 0
        people = _draw_group(faces, alike, random)
        for index in range(images):
            pair, centers = stage.draw(1000 * group + index, people, Light.draw(random), random)
            found = _describe(pair.left, centers, stage, detector)
            rows += [(SIDE_BY_SIDE * group + k, group, alike, looks) for k, looks in found]
            progress()
    return DescribedPeople(*(np.array(column) for column in zip(*rows)))


def _draw_group(
    faces: Mapping[str, Sequence[Cutout]], alike: bool, random: np.random.Generator
) -> list[Cutout]:
    names = random.permutation(sorted(faces))[:SIDE_BY_SIDE]
    clothes = [draw_clothes(random) for _ in names]
    if alike:
        clothes = [clothes[0]] * len(clothes)
    views = [faces[name][int(random.integers(len(faces[name])))] for name in names]
    return [dress(view, worn) for view, worn in zip(views, clothes)]


def _describe(
    image: np.ndarray, centers: np.ndarray, stage: Stage, detector: FaceDetector
) -> list[tuple[int, np.ndarray]]:
    """List number and looks of the people (at (people, 3) [m]) whose faces are found."""
    camera = stage.camera
    boxes = detector.detect(image).boxes
    middle = boxes[:, :2] + boxes[:, 2:] / 2
    distance = np.linalg.norm(middle[:, None] - camera.project(centers), axis=2)
    owner = distance.argmin(axis=1)
    depth = centers[owner, 2] - FACE_DEPTH_M
    looks = describe_people(image, boxes, depth, camera.focal[0])
    close = distance.min(axis=1) < boxes[:, 2] / 2
    return [(int(owner[j]), looks[j]) for j in np.flatnonzero(close)]


def learn_spread(looks: DescribedPeople) -> AppearanceModel:
    """Estimate the spreads within and between people by moments; what does not show is left out.

    Parameters
    ----------
    looks
        Of people in several images each.

    Returns
    -------
    AppearanceModel
        W widened for life beyond the drawn scenes, B.
    """
    people = [looks.appearance[looks.person == k] for k in np.unique(looks.person)]
    people = [p for p in people if np.isfinite(p).all(axis=1).sum() > 1]
    means = np.array([np.nanmean(p, axis=0) for p in people])
    residuals = np.nan_to_num(np.concatenate([p - m for p, m in zip(people, means)]))
    within = residuals.T @ residuals / (len(residuals) - len(people))
    spread = np.cov(means.T) - within * len(people) / len(residuals)
    values, vectors = np.linalg.eigh(spread)
    between = (vectors * np.maximum(values, _BETWEEN_FLOOR)) @ vectors.T
    within = _WITHIN_FACTOR * (within + _WITHIN_FLOOR**2 * np.eye(APPEARANCE_SIZE))
    return AppearanceModel(within, between)


def judge(looks: DescribedPeople, model: AppearanceModel, evidence: float) -> AppearanceFigures:
    """Compare all pairs of images of people.

    Parameters
    ----------
    looks
        Of people that the model was not learned from.
    model
        Says how alike they are.
    evidence
        [nat] ratio above which a pair is one person, below its negative two.

    Returns
    -------
    AppearanceFigures
        Of the pairs in which something shows in both.
    """
    first, second = np.triu_indices(len(looks.person), 1)
    shown = np.isfinite(looks.appearance[first] - looks.appearance[second]).any(axis=1)
    first, second = first[shown], second[shown]
    ratio = model.log_ratio(looks.appearance[first], looks.appearance[second])
    same = looks.person[first] == looks.person[second]
    alike = ~same & looks.alike[first] & (looks.group[first] == looks.group[second])
    different = ~same & ~alike
    return AppearanceFigures(
        people=len(np.unique(looks.person)),
        described=float(np.isfinite(looks.appearance).any(axis=1).mean()),
        same_known=float(np.mean(ratio[same] > evidence)),
        different_told_apart=float(np.mean(ratio[different] < -evidence)),
        alike_told_apart=float(np.mean(ratio[alike] < -evidence)),
    )
