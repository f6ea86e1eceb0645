"""Practice clips: what is done is what the labels say, and it depends on no score."""

from __future__ import annotations

import numpy as np
import pytest

from expresso_lib import rendered
from expresso_lib.faces import anatomy
from expresso_lib.rendered import actions


@pytest.fixture(scope="module")
def clips() -> list[actions.Practice]:
    return [actions.practice_clip(person, 0, 48) for person in range(60)]


def test_practice_people_are_nobody_of_a_cohort(clips) -> None:
    """Identities come from seeds that no cohort uses, and two clips show one person twice."""
    cohort = {int(seed) for seed in rendered.plan_cohort(84).participants.identity_seed}
    assert not {clip.script.identity.seed for clip in clips} & cohort
    again = actions.practice_clip(0, 1, 48).script
    np.testing.assert_array_equal(again.identity.landmarks, clips[0].script.identity.landmarks)
    assert not np.array_equal(again.au, clips[0].script.au)


def test_practice_clips_are_deterministic(clips) -> None:
    """The same numbers give the same clip."""
    again = actions.practice_clip(7, 0, 48)
    np.testing.assert_array_equal(again.script.au, clips[7].script.au)
    np.testing.assert_array_equal(again.labels(), clips[7].labels())


def test_labels_name_quick_or_slow_never_both(clips) -> None:
    """Every class occurs; nobody does one action quickly and slowly at once."""
    shown = np.stack([clip.labels() for clip in clips])
    assert shown.shape == (60, 48, len(actions.CLASSES))
    pairs = shown[..., :-1].reshape(60, 48, -1, 2)
    assert not pairs.all(axis=-1).any()
    assert (shown.any(axis=(0, 1))).mean() > 0.9


@pytest.mark.parametrize(("action", "code"), [("smile", "AU12"), ("frown", "AU04")])
def test_a_labelled_action_moves_its_action_unit(clips, action, code) -> None:
    """Where a frame is labelled, the action unit is higher than in people who do not do it."""
    k, column = actions.ACTIONS.index(action), anatomy.AU_CODES.index(code)
    done = [clip.script.au[clip.active[:, k] > 0.5, column] for clip in clips]
    idle = [clip.script.au[:, column] for clip in clips if clip.tempo[k] == 0]
    assert np.concatenate(done).mean() > np.concatenate(idle).mean() + 1


def test_cheeks_and_smiles_occur_apart(clips) -> None:
    """What goes together in a cohort is drawn independently here."""
    smile, cheeks = (actions.ACTIONS.index(name) for name in ("smile", "raise cheeks"))
    both = np.array([[clip.tempo[smile] > 0, clip.tempo[cheeks] > 0] for clip in clips])
    assert both[:, 0].any()
    assert (both[:, 1] & ~both[:, 0]).any()
    assert (both[:, 0] & ~both[:, 1]).any()


def test_tempo_changes_speed_and_not_the_histogram() -> None:
    """A nose wrinkled more quickly moves faster, and is wrinkled no more of the time."""
    nose, unit = actions.ACTIONS.index("wrinkle nose"), anatomy.AU_CODES.index("AU09")
    clips = [actions.practice_clip(person, 0, 1500) for person in range(60)]
    done = [one for one in clips if one.tempo[nose]]
    tempo = np.log([one.tempo[nose] for one in done])
    series = [one.script.au[:, unit] for one in done]
    pace = np.log([np.abs(np.diff(one)).mean() / one.mean() for one in series])
    share = [one.active[:, nose].mean() for one in done]
    assert len(done) >= 6
    assert np.corrcoef(tempo, pace)[0, 1] > 0.8
    assert 0.5 < np.polyfit(tempo, pace, 1)[0] < 1.5
    assert abs(np.polyfit(tempo, share, 1)[0]) < 0.2
