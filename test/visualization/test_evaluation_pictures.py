# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Timeline and overlay are written, depend on what they show, and survive hostile input."""

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from table_scenes import EAST, NORTH, WEST, still, track_table, truth_table

from av_perception.errors import UserError
from av_perception.evaluation.metrics import evaluate
from av_perception.robot_head import load_head
from av_perception.visualization.colors import PALETTE, bgr_of, color_of, darken, lighten, unit
from av_perception.visualization.overlay import DARK, PersonDrawing, draw_overlay
from av_perception.visualization.timeline import plot_timeline
from av_perception.visualization.timeline_azimuth import (
    azimuth_std_deg,
    draw_azimuth,
    unwrapped_deg,
)
from av_perception.visualization.timeline_plan import draw_plan
from av_perception.visualization.timeline_scene import make_scene, runs_of, track_color
from av_perception.visualization.timeline_speech import draw_speech

TRUTH = truth_table(still(1, NORTH, range(50), True) + still(2, WEST, range(50), False, False))
TRACKS = track_table(
    still(1, NORTH, range(50), True) + still(2, WEST, range(20)) + still(4, WEST, range(30, 50))
)
BLANK = np.full((120, 160, 3), 128, np.uint8)


@pytest.mark.slow
def test_timeline_has_its_size_and_shows_the_data(tmp_path):
    plot_timeline(
        TRACKS,
        TRUTH,
        tmp_path / 'a.png',
        metrics=evaluate(TRACKS, TRUTH),
        head=load_head('simulated'),
    )
    plot_timeline(
        TRACKS,
        TRUTH,
        tmp_path / 'same.png',
        metrics=evaluate(TRACKS, TRUTH),
        head=load_head('simulated'),
    )
    other = track_table(still(1, EAST, range(50), True))
    plot_timeline(
        other,
        TRUTH,
        tmp_path / 'b.png',
        metrics=evaluate(other, TRUTH),
        head=load_head('simulated'),
    )
    first, same, second = (
        cv2.imread(str(tmp_path / f'{name}.png')) for name in ('a', 'same', 'b')
    )
    assert first.shape == (1100, 1600, 3) and np.array_equal(first, same)
    assert (first != second).any(axis=2).sum() > 2000


@pytest.mark.slow
@pytest.mark.parametrize(
    'tracks, truth',
    [
        (TRACKS, truth_table([])),
        (track_table([]), TRUTH),
        (track_table([]), truth_table([])),
        (track_table([(0, 1, NORTH)]), truth_table([(0, 1, NORTH)])),
        (track_table(still(1, (0, 0, 0), range(3))), truth_table(still(1, (0, 0, 0), range(3)))),
    ],
)
def test_timeline_of_little_data(tracks, truth, tmp_path):
    plot_timeline(tracks, truth, tmp_path / 't.png')
    assert cv2.imread(str(tmp_path / 't.png')).shape == (1100, 1600, 3)


def test_timeline_that_cannot_be_written(tmp_path):
    with pytest.raises(UserError, match='cannot write'):
        plot_timeline(TRACKS, TRUTH, tmp_path / 'no' / 't.png')


def test_azimuth_spread_is_that_of_samples():
    tracks = track_table([(0, 1, (1.5, 1.0, 0.2))])
    covariance = np.array([[0.004, 0.001, 0], [0.001, 0.002, 0], [0, 0, 0.01]])
    tracks.covariance[0] = covariance[np.triu_indices(3)]
    samples = np.random.default_rng(0).multivariate_normal(tracks.position[0], covariance, 20000)
    spread = np.degrees(np.arctan2(samples[:, 1], samples[:, 0]).std())
    assert azimuth_std_deg(tracks, np.array([0]))[0] == pytest.approx(spread, rel=0.03)


def test_lines_and_bars_break_at_gaps_and_changes():
    runs = runs_of(np.array([0, 1, 2, 4, 5, 6]), np.array([True, True, True, True, False, False]))
    assert [run.tolist() for run in runs] == [[0, 1, 2], [3], [4, 5]]
    assert runs_of(np.zeros(0, int)) == []


def test_lines_break_where_the_azimuth_wraps():
    degrees = unwrapped_deg(np.radians([170.0, 179.0, -179.0, -170.0]))
    assert np.isnan(degrees[2]) and np.isfinite(degrees[[0, 1, 3]]).all()


def drawn_axes(draw, tracks, truth, *arguments, answered_s=None):
    """A panel of the timeline, drawn alone."""
    axes = Figure().add_subplot()
    draw(axes, make_scene(tracks, truth, 0.5, answered_s), *arguments)
    return axes


def hatched(axes):
    """(begin, end) [s] of the hatched spans of a panel."""
    patches = [patch for patch in axes.patches if patch.get_hatch()]
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in patches]


def texts(axes):
    """All that is written in a panel, names of rows too."""
    return [t.get_text() for t in [*axes.texts, *axes.get_yticklabels()]]


def test_people_have_one_name_in_all_panels_that_of_their_id():
    """Regression: id 2 on the left was person 1 on the right."""
    tracks = track_table(still(7, NORTH, range(50), True) + still(3, WEST, range(50)))
    azimuth, speech, plan = (
        drawn_axes(draw, tracks, TRUTH, *camera)
        for draw, camera in ((draw_azimuth, [None]), (draw_speech, []), (draw_plan, [None]))
    )
    for axes in (azimuth, speech, plan):
        assert {'id 3', 'id 7'} <= set(texts(axes))
        assert not [text for text in texts(axes) if 'person' in text]
    names = make_scene(tracks, TRUTH, 0.5).names
    assert names == {1: 'id 7', 2: 'id 3'}


def test_who_is_not_found_is_called_so():
    tracks = track_table(still(7, NORTH, range(50)))
    assert make_scene(tracks, TRUTH, 0.5).names == {1: 'id 7', 2: 'not found'}


@pytest.mark.slow
def test_a_recording_without_truth_is_drawn_by_ids_alone(tmp_path):
    """Regression: `track --plot` refused everybody's own recording."""
    speech = drawn_axes(draw_speech, TRACKS, None)
    assert [name.get_text() for name in speech.get_yticklabels()] == ['id 1', 'id 2', 'id 4']
    assert 'truth' not in texts(speech) and 'estimate' in texts(speech)
    assert hatched(speech) == []
    head = load_head('simulated')
    for name, tracks in (('some', TRACKS), ('nobody', track_table([]))):
        plot_timeline(tracks, None, tmp_path / f'{name}.png', head=head)
        assert (tmp_path / f'{name}.png').stat().st_size > 10_000


def test_the_band_of_a_hidden_track_stays_within_half_a_turn():
    """Regression: two standard deviations of a track hidden for long reached to +-540 degrees."""
    tracks = track_table(still(1, (-2.0, 0.1, 0.0), range(10)))
    tracks.covariance[:] = [100.0, 0, 0, 100.0, 0, 1.0]
    assert 2 * azimuth_std_deg(tracks, np.arange(1))[0] == pytest.approx(360)
    axes = drawn_axes(draw_azimuth, tracks, truth_table(still(1, NORTH, range(10))), None)
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == -180
    assert heights.max() == 180


def test_lost_images_are_hatched_and_not_drawn_as_silence():
    truth = truth_table(still(1, NORTH, range(50), True))
    tracks = track_table(still(1, NORTH, [*range(10), *range(30, 50)], True))
    azimuth = drawn_axes(draw_azimuth, tracks, truth, None)
    speech = drawn_axes(draw_speech, tracks, truth)
    for axes in (azimuth, speech):
        assert hatched(axes) == [pytest.approx((15 * 0.04 - 0.02, 30 * 0.04 - 0.02))]
    assert speech.get_title(loc='right') == 'hatched: images lost'


def test_speech_goes_on_where_the_last_status_is_held():
    truth = truth_table(still(1, NORTH, range(50), True))
    tracks = track_table(still(1, NORTH, [*range(10), *range(30, 50)], True))
    estimate = drawn_axes(draw_speech, tracks, truth).collections[-1]
    ends = [
        (path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in estimate.get_paths()
    ]
    assert ends == [pytest.approx((-0.02, 15 * 0.04 - 0.02)), pytest.approx((1.18, 1.98))]


def test_nothing_is_hatched_while_nobody_is_there():
    truth = truth_table(still(1, NORTH, range(50)))
    tracks = track_table(still(1, NORTH, range(10)))
    axes = drawn_axes(draw_speech, tracks, truth, answered_s=np.arange(50) * 0.04)
    assert hatched(axes) == []
    assert axes.get_title(loc='right') == ''


def test_a_voice_is_a_wave_in_the_color_of_its_track_while_that_stands_for_the_person():
    peaks = {1: np.linspace(0, 0.5, 50), 4: np.full(50, 0.25)}
    axes = drawn_axes(lambda axes, scene: draw_speech(axes, scene, peaks), TRACKS, TRUTH)
    areas = [(path, area) for area in axes.collections for path in area.get_paths()]
    outlines = {
        tuple(np.round(area.get_facecolor()[0][:3], 3)): path.vertices
        for path, area in areas
        if len(path.vertices) > 10  # bars have fewer
    }
    for key, base, first in ((1, 0.0, 0.0), (4, -1.0, 30 * 0.04)):
        corners = outlines[tuple(np.round(track_color(key), 3))]
        assert corners[:, 0].min() == pytest.approx(first, abs=0.041)
        heights = corners[:, 1] - base - 0.2
        assert heights.max() == pytest.approx(0.18 * peaks[key].max() / 0.5, abs=0.01)
        assert heights.min() == pytest.approx(-heights.max())
    assert 'voice' in [text.get_text() for text in axes.texts]


def test_overlay_draws_in_the_persons_color_and_leaves_the_image_alone():
    before = BLANK.copy()
    drawn = draw_overlay(BLANK, [PersonDrawing(2, box=(40, 40, 50, 50), seen=True, range_m=1.8)])
    assert np.array_equal(BLANK, before)
    assert drawn.shape == BLANK.shape
    assert drawn.dtype == np.uint8
    assert tuple(drawn[65, 40]) == bgr_of(2) and tuple(drawn[65, 65]) == (128, 128, 128)


def test_overlay_tells_predicted_and_speaking_people_apart():
    box = {'box': (40, 40, 50, 50), 'seen': True}
    plain = draw_overlay(BLANK, [PersonDrawing(1, **box)])
    dashed = draw_overlay(BLANK, [PersonDrawing(1, **box, predicted=True)])
    speaking = draw_overlay(
        BLANK, [PersonDrawing(1, **box, speaking=True, speaking_probability=0.9)]
    )
    left_edge = [(image[45:85, 40] == bgr_of(1)).all(axis=1).mean() for image in (plain, dashed)]
    assert left_edge[0] == 1 and 0.3 < left_edge[1] < 0.8
    assert not np.array_equal(plain, speaking)


def test_the_strip_shows_whose_the_sound_is():
    people = [PersonDrawing(1, sound_share=0.25), PersonDrawing(2, sound_share=0.5)]
    lowest = draw_overlay(BLANK, [*people, PersonDrawing(3, sound_share=np.nan)])[-1]
    colors = [tuple(color) for color in lowest.tolist()]
    assert colors[:40] == [bgr_of(1)] * 40 and colors[40:120] == [bgr_of(2)] * 80
    assert colors[120:] == [DARK] * 40, 'what is nobody' + "'s"
    too_much = draw_overlay(BLANK, [PersonDrawing(1, sound_share=1.0)] * 2)[-1]
    assert {tuple(color) for color in too_much.tolist()} == {bgr_of(1)}
    assert np.array_equal(draw_overlay(BLANK, [PersonDrawing(1)]), BLANK), 'without sound no strip'


@pytest.mark.parametrize('probability', [0.0, 0.25, 1.0])
def test_the_bar_grows_with_the_probability(probability):
    person = PersonDrawing(1, box=(100, 200, 80, 80), speaking_probability=probability)
    drawn = draw_overlay(np.full((480, 640, 3), 128, np.uint8), [person])
    column = drawn[241:280, 188]  # in the bar, between its white borders
    assert (column == bgr_of(1)).all(axis=1).mean() == pytest.approx(probability, abs=0.06)


@pytest.mark.parametrize(
    'box',
    [
        (-50, -50, 100, 100),
        (150, 110, 300, 300),
        (-1e9, -1e9, 2e9, 2e9),
        (0, 0, 160, 120),
        (80, 60, 0, 0),
    ],
)
@pytest.mark.parametrize('predicted', [False, True])
def test_boxes_beyond_the_image(box, predicted):
    drawn = draw_overlay(
        BLANK,
        [
            PersonDrawing(
                1,
                box=box,
                predicted=predicted,
                speaking=True,
                speaking_probability=0.5,
                range_m=2.0,
            )
        ],
    )
    assert drawn.shape == BLANK.shape and not np.array_equal(drawn, BLANK)


def test_a_box_out_of_view_becomes_an_arrow_on_its_side():
    image = np.full((480, 640, 3), 128, np.uint8)
    for box, side in (
        ((2000, 200, 50, 50), np.s_[:, 320:]),
        ((-2000, 200, 50, 50), np.s_[:, :320]),
    ):
        changed = (draw_overlay(image, [PersonDrawing(3, box=box)]) != 128).any(axis=2)
        assert changed.any() and changed[side].sum() == changed.sum()


def test_people_on_one_side_do_not_cover_each_other():
    image = np.full((480, 640, 3), 128, np.uint8)
    people = [PersonDrawing(i, direction=(1, 0), heard=True) for i in range(1, 5)]
    drawn = draw_overlay(image, people)
    alone = (draw_overlay(image, people[:1]) == bgr_of(1)).all(axis=2).sum()
    for person in people:
        assert (drawn == bgr_of(person.id)).all(axis=2).sum() > 0.8 * alone


@pytest.mark.parametrize(
    'person',
    [
        PersonDrawing(1),
        PersonDrawing(1, box=(np.nan, 1, 2, 3)),
        PersonDrawing(1, box=(1, 1, np.inf, 3)),
        PersonDrawing(1, box=(5, 5, -4, 4)),
        PersonDrawing(1, ellipse=(np.nan,) * 4),
        PersonDrawing(1, direction=(np.nan, 0)),
        PersonDrawing(1, direction=(0, 0)),
    ],
)
def test_people_nowhere_are_not_drawn(person):
    assert np.array_equal(draw_overlay(BLANK, [person]), BLANK)


def test_nan_range_and_probability_leave_the_box():
    drawn = draw_overlay(
        BLANK,
        [PersonDrawing(1, box=(40, 40, 50, 50), range_m=np.nan, speaking_probability=np.nan)],
    )
    assert tuple(drawn[65, 40]) == bgr_of(1)


def test_tiny_images_and_read_only_views():
    image = np.broadcast_to(np.uint8(9), (16, 16, 3))
    people = [
        PersonDrawing(1, box=(2, 2, 5, 5), range_m=1.0, speaking=True),
        PersonDrawing(2, direction=(0, 1)),
        PersonDrawing(3, direction=(-1, 0)),
    ]
    assert draw_overlay(image, people).shape == (16, 16, 3)
    assert draw_overlay(np.zeros((480, 640, 3), np.uint8)[:, ::-1], people).shape == (480, 640, 3)


@pytest.mark.parametrize(
    'image', [np.zeros((10, 10), np.uint8), np.zeros((10, 10, 4), np.uint8), np.zeros((10, 10, 3))]
)
def test_other_kinds_of_images_are_refused(image):
    with pytest.raises(ValueError, match='uint8'):
        draw_overlay(image, [])


def test_palette():
    assert len({color_of(i) for i in range(1, len(PALETTE) + 1)}) == len(PALETTE)
    assert color_of(1) == color_of(1 + len(PALETTE))
    assert bgr_of(2) == color_of(2)[::-1]
    assert lighten((10, 20, 30), 1) == (255, 255, 255)
    assert darken((10, 20, 30), 1) == (0, 0, 0)
    assert unit((255, 0, 51)) == (1.0, 0.0, 0.2)
