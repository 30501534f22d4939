# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether two views are of one person: planted spreads, exact densities, hostile input."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from av_perception.interfaces import APPEARANCE_SIZE
from av_perception.tracking.track_management.gallery import (
    LARGEST_LOG_RATIO,
    VIEWS,
    AppearanceModel,
    Galleries,
    add_sample,
    empty_gallery,
)

SIZE = APPEARANCE_SIZE
MODEL = AppearanceModel(0.01 * np.eye(SIZE), 0.25 * np.eye(SIZE))


def views_of(random, people, views):
    """(people, views, A) drawn from MODEL."""
    own = random.normal(0, 0.5, (people, 1, SIZE))
    return own + random.normal(0, 0.1, (people, views, SIZE))


def test_the_ratio_is_that_of_the_two_densities():
    random = np.random.default_rng(1)
    spread = random.normal(0, 0.3, (SIZE, SIZE))
    model = AppearanceModel(0.2 * np.eye(SIZE), spread @ spread.T / 10)
    first, second = random.normal(0, 0.3, (2, SIZE))
    second[4:9] = np.nan
    shown = np.isfinite(second)
    one = 2 * model.within[np.ix_(shown, shown)]
    two = one + 2 * model.between[np.ix_(shown, shown)]
    d = (first - second)[shown]
    expected = multivariate_normal(cov=one).logpdf(d) - multivariate_normal(cov=two).logpdf(d)
    assert abs(expected) < LARGEST_LOG_RATIO
    assert model.log_ratio(first[None], second[None])[0] == pytest.approx(expected)


def test_what_shows_in_neither_says_nothing():
    nothing = np.full((2, SIZE), np.nan)
    assert MODEL.log_ratio(nothing, np.zeros((2, SIZE))).tolist() == [0, 0]
    assert np.isinf(MODEL.distance(nothing, nothing)).all()


def test_planted_people_are_told_apart():
    views = views_of(np.random.default_rng(2), 40, 2)
    same = MODEL.log_ratio(views[:, 0], views[:, 1])
    other = MODEL.log_ratio(views[:-1, 0], views[1:, 1])
    assert (same > 1).mean() > 0.97 and (other < -1).mean() > 0.97


def test_the_shipped_spreads_are_proper_and_wide_enough_between():
    model = AppearanceModel.shipped()
    assert model.within.shape == model.between.shape == (SIZE, SIZE)
    assert np.linalg.eigvalsh(model.within).min() > 0
    assert np.linalg.eigvalsh(model.between).min() > -1e-6
    assert np.trace(model.between) > 3 * np.trace(model.within)


def test_a_view_is_the_mean_of_its_samples_and_another_light_another_view():
    random = np.random.default_rng(3)
    gallery = empty_gallery()
    samples = random.normal(0, 0.02, (10, SIZE))
    for sample in samples:
        add_sample(gallery, sample, MODEL)
    np.testing.assert_allclose(gallery[0, :-1], samples.mean(axis=0), atol=1e-12)
    assert gallery[:, -1].tolist() == [10, 0, 0, 0]
    for k in range(1, VIEWS + 2):
        add_sample(gallery, np.full(SIZE, float(k)), MODEL)
    # The best founded view stays, the newest is there.
    assert gallery[0, -1] == 10 and VIEWS + 1.0 in gallery[:, 0]


def test_parts_that_show_later_are_learned_later():
    gallery = empty_gallery()
    head = np.zeros(SIZE)
    head[5:] = np.nan
    add_sample(gallery, head, MODEL)
    add_sample(gallery, np.zeros(SIZE), MODEL)
    assert gallery[0, -1] == 2 and np.isfinite(gallery[0]).all()


class TestGalleries:
    """Views of people by the ids of their tracks."""

    def known(self, people, views):
        galleries = Galleries(MODEL)
        for n in range(people):
            galleries.add(n + 1, views[n])
        return galleries

    def test_who_comes_back_is_found_among_others(self):
        views = views_of(np.random.default_rng(4), 6, 12)
        galleries = self.known(5, views[:, :10])
        ids = np.arange(1, 6)
        for n in range(5):
            ratios = galleries.log_ratios(ids, views[n, 10:])
            assert ratios.argmax() == n and ratios[n] > 1
            assert (np.delete(ratios, n) < -1).all()
        assert (galleries.log_ratios(ids, views[5, 10:]) < -1).all()

    def test_one_sample_or_samples_unlike_each_other_say_nothing(self):
        views = views_of(np.random.default_rng(5), 2, 12)
        galleries = self.known(2, views[:, :10])
        ids = np.array([1, 2])
        assert not galleries.log_ratios(ids, views[0, 10:11]).any()
        assert not galleries.log_ratios(ids, np.stack([views[0, 10], views[1, 10]])).any()
        assert not galleries.log_ratios(ids, np.zeros((0, SIZE))).any()
        assert not galleries.log_ratios(ids, np.full((3, SIZE), np.nan)).any()

    def test_who_was_described_too_rarely_is_unknown(self):
        views = views_of(np.random.default_rng(6), 1, 5)
        galleries = self.known(1, views[:, :2])
        assert not galleries.log_ratios(np.array([1, 7]), views[0, 2:]).any()

    def test_the_dead_are_forgotten(self):
        views = views_of(np.random.default_rng(7), 2, 12)
        galleries = self.known(2, views[:, :10])
        galleries.keep(np.array([2]))
        ratios = galleries.log_ratios(np.array([1, 2]), views[1, 10:])
        assert ratios[0] == 0 and ratios[1] > 1
