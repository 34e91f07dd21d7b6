"""The dashboard shows the records and the same z, and changes nothing."""

import re

import matplotlib.pyplot as plt

from gan_lib import dashboard, pictures, plotting, training
from gan_lib.training import Record
from tests.test_pictures import decode

TELLS = "step 2 · 0 s · d_loss"


def test_outside_a_notebook_a_record_is_a_printed_line(new_game, images, capsys):
    game = new_game()
    live = dashboard.live(game)
    for record in training.train(game, images, 4, record_every=2):
        live.update(record)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(TELLS)
    assert f"D(x) {live.records[1].d_real:.2f} · D(G(z)) {live.records[1].d_fake:.2f}" in second
    assert live.samples.value == live.curves.value == ""


def test_the_dashboard_shows_the_same_z_the_curves_and_the_numbers(new_game, images, capsys):
    game = new_game()
    live = dashboard.live(game, n=8)
    live.on_screen = True  # as in a notebook
    shown = []
    for record in training.train(game, images, 4, record_every=2):
        live.update(record)
        shown.append(decode(live.samples.value))
        assert (shown[-1] == plotting.tile(game.sampler()(game.sampler().noise(8)), 8)).all()
    assert not (shown[0] == shown[1]).all()
    assert live.line.value.startswith("step 4 ·")
    assert live.curves.value == pictures.curves_svg(live.records)
    assert capsys.readouterr().out == ""


def test_samples_are_drawn_anew_every_so_often(new_game, images):
    game = new_game()
    live = dashboard.live(game, n=4, every=2)
    live.on_screen = True
    seen = []
    for record in training.train(game, images, 4, record_every=1):
        live.update(record)
        seen.append(re.search(r"samples at step (\d)", live.samples.value)[1])
    assert seen == ["1", "1", "3", "3"]


def test_following_a_run_does_not_change_it(new_game, images):
    followed, alone = new_game(), new_game()
    live = dashboard.live(followed)
    live.on_screen = True
    for record in training.train(followed, images, 4, record_every=1):
        live.update(record)
    expected = list(training.train(alone, images, 4, record_every=1))
    assert [r._replace(seconds=0) for r in live.records] == [r._replace(seconds=0) for r in expected]


def test_no_figure_is_opened(new_game):
    """pyplot in a callback is slow, and not safe from another thread."""
    live = dashboard.live(new_game())
    live.on_screen = True
    live.update(Record(1, 8, 0.0, 1.0, 1.0, 0.5, 0.5))
    assert plt.get_fignums() == []
