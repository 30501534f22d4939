"""What a node says of what it dropped: nothing lost in silence, nothing said a thousand times."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from av_perception.ros.diagnostics import Diagnostics


@pytest.fixture()
def diagnostics():
    """Diagnostics of a node that only keeps its warnings."""
    warnings = []
    logger = SimpleNamespace(warning=warnings.append, info=lambda text: None)
    node = SimpleNamespace(create_publisher=lambda *a: None, create_timer=lambda *a: None, get_logger=lambda: logger, is_active=True)
    made = Diagnostics(node)
    made.warnings = warnings
    return made


def test_warnings_come_at_the_first_and_every_tenfold(diagnostics):
    for _ in range(250):
        diagnostics.count('frames dropped', 'too slow')
    assert diagnostics.warnings == ['frames dropped (1 so far): too slow', 'frames dropped (10 so far): too slow', 'frames dropped (100 so far): too slow']


def test_counters_that_jump_still_warn(diagnostics):
    """Regression: a counter that went past 1 or 10 in one step was never spoken of."""
    for number in (3, 50, 5000):
        diagnostics.absorb('tracker', {'bad_faces': number})
    assert diagnostics.counters['tracker: bad faces'] == 5000
    assert len(diagnostics.warnings) == 3


def test_equal_names_of_two_stages_stay_apart(diagnostics):
    """Regression: one stage's `resets` hid the other's."""
    diagnostics.absorb('tracker', {'resets': 2})
    diagnostics.absorb('pairing', {'resets': 1})
    assert (diagnostics.counters['tracker: resets'], diagnostics.counters['pairing: resets']) == (2, 1)


def test_a_stage_made_anew_goes_on_counting(diagnostics):
    """Regression: after a change of sample rate nothing was counted until the old number was passed."""
    for number in (40, 40, 1, 2):
        diagnostics.absorb('sound', {'clipped': number})
    assert diagnostics.counters['sound: clipped'] == 42
