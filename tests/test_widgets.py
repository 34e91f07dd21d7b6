"""Thin shells: what is on the screen is what the pure functions give, and nothing fails in silence."""

import base64
import io
import re

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from gan_lib import latent, training, widgets
from gan_lib.training import Record


@pytest.fixture
def sampler(new_sampler):
    return new_sampler(9)


def directions(*numbers):
    return [latent.Direction(f"way {i}", torch.eye(9)[i], 0.0) for i in numbers]


def decode(value):
    """The picture of an `<img>` as numpy uint8 [height, width]."""
    (png,) = re.findall(r'src="data:image/png;base64,([^"]+)"', value)
    return np.array(Image.open(io.BytesIO(base64.b64decode(png))))


# The explorer


def test_the_explorer_shows_the_point_of_its_seed_at_first(sampler):
    explorer = widgets.explore(sampler, directions(0, 1), seed=5)
    z = sampler.noise(1, seed=5)[0]
    expected = latent.render(sampler, z, norm=3.0)  # |z| starts at sqrt(9), where most noise lies
    assert (decode(explorer.image.value) == expected.numpy()).all()
    assert explorer.status.value == "seed 5"


def test_the_explorer_starts_at_a_given_point_and_keeps_its_length(sampler):
    z = sampler.noise(1, seed=3)[0] * 1.3
    explorer = widgets.explore(sampler, directions(0, 1), z=z)
    assert (decode(explorer.image.value) == latent.render(sampler, z).numpy()).all()
    assert explorer.norm.value == pytest.approx(z.norm().item())
    assert explorer.status.value == "the given z"
    explorer.sliders[0].value = 2.0
    expected = latent.render(sampler, z, directions(0), [2.0], z.norm()).numpy()
    assert (decode(explorer.image.value) == expected).all()
    explorer.new_z.click()
    expected = latent.render(sampler, sampler.noise(1, 1)[0], directions(0), [2.0], z.norm()).numpy()
    assert (decode(explorer.image.value) == expected).all()
    assert explorer.status.value == "seed 1"


def test_the_picture_is_that_of_the_pure_function_after_every_move(sampler):
    two = directions(2, 7)
    explorer = widgets.explore(sampler, two)
    seen, z = [explorer.image.value], sampler.noise(1, 0)[0]
    for strengths, norm in (((1.5, 0.0), 3.0), ((1.5, -4.0), 3.0), ((1.5, -4.0), 5.5), ((0.0, 0.0), 0.0)):
        explorer.sliders[0].value, explorer.sliders[1].value, explorer.norm.value = *strengths, norm
        expected = latent.render(sampler, z, two, strengths, norm).numpy()
        assert (decode(explorer.image.value) == expected).all()
        assert (explorer.picture() == expected).all()
        assert explorer.image.value not in seen
        seen.append(explorer.image.value)


def test_the_buttons_draw_a_new_point_and_centre_the_sliders(sampler):
    explorer = widgets.explore(sampler, directions(0, 1, 2))
    explorer.sliders[1].value = 2.0
    explorer.new_z.click()
    expected = latent.render(sampler, sampler.noise(1, 1)[0], directions(1), [2.0], 3.0).numpy()
    assert (decode(explorer.image.value) == expected).all()
    explorer.reset.click()
    assert [slider.value for slider in explorer.sliders] == [0, 0, 0]
    assert (decode(explorer.image.value) == latent.render(sampler, sampler.noise(1, 1)[0], norm=3.0).numpy()).all()


def test_the_sliders_carry_the_names_and_follow_the_hand(sampler):
    explorer = widgets.explore(sampler, directions(3, 4), size=140)
    assert [slider.description for slider in explorer.sliders] == ["way 3", "way 4"]
    assert all(slider.continuous_update for slider in explorer.sliders)
    assert 'width="140" height="140"' in explorer.image.value
    assert [slider.description for slider in widgets.explore(sampler).sliders] == [f"z[{i}]" for i in range(8)]
    assert widgets.explore(sampler, []).sliders == []


def test_one_image_stays_and_only_its_value_changes(sampler):
    explorer = widgets.explore(sampler, directions(0))
    image = explorer.image
    explorer.sliders[0].value = 1
    assert explorer.children[0] is image is explorer.image
    assert type(image) is ipywidgets.HTML


def test_an_error_appears_in_the_status_line_and_goes_again(sampler):
    def broken(z):
        raise RuntimeError("<lambda>() is out of memory")

    explorer = widgets.explore(sampler, directions(0))
    before, explorer.sampler = explorer.image.value, broken
    explorer.sliders[0].value = 1
    assert explorer.status.value == "<b>RuntimeError</b>: &lt;lambda&gt;() is out of memory"
    assert explorer.image.value == before
    explorer.sampler = sampler
    explorer.sliders[0].value = 2
    assert explorer.status.value == "seed 0"
    assert explorer.image.value != before


def test_only_widgets_that_ipywidgets_7_has_are_used(sampler, new_game):
    def family(widget):
        yield type(widget).__mro__[1 if type(widget).__module__ == "gan_lib.widgets" else 0].__name__
        for child in getattr(widget, "children", ()):
            yield from family(child)

    used = {*family(widgets.explore(sampler, directions(0))), *family(widgets.live(new_game()).widget)}
    assert used == {"HBox", "VBox", "HTML", "FloatSlider", "Button"}


def test_an_image_has_its_size_and_words_for_those_who_cannot_see_it():
    picture = np.arange(60, dtype=np.uint8).reshape(6, 10)
    tag = widgets.img(picture, 200, "sixty shades")
    assert (decode(tag) == picture).all()
    assert 'alt="sixty shades" width="200" height="120"' in tag
    assert "pixelated" in tag


# Curves


def points(svg):
    """The lines of an SVG as lists of (x, y)."""
    lines = re.findall(r'<polyline points="([^"]*)"', svg)
    return [[tuple(map(float, pair.split(","))) for pair in line.split()] for line in lines]


def test_curves_stand_where_the_records_are():
    records = [Record(100, 0, 0.0, 2.0, 0.5, 0.25, 0.75), Record(200, 0, 0.0, 1.0, 1.5, 1.0, 0.0)]
    d_loss, g_loss, d_real, d_fake = points(widgets.curves_svg(records, width=200, height=118))
    assert [x for x, _ in d_loss] == [44, 88]  # half of the width less a gap of 12; 200 is the last step
    assert [x for x, _ in d_real] == [144, 188]
    assert [y for _, y in d_loss] == [16, 66]  # 2 is the top, at 16; 0 the bottom, at 116
    assert [y for _, y in g_loss] == [91, 41]
    assert [y for _, y in d_real] == [91, 16]
    assert [y for _, y in d_fake] == [41, 116]


def test_curves_below_zero_stay_inside():
    records = [Record(100, 0, 0.0, 1.0, -2.5, 0.5, 0.5), Record(200, 0, 0.0, 1.0, -0.1, 0.5, 0.5)]
    svg = widgets.curves_svg(records, height=130)
    assert all(16 <= y <= 128 for line in points(svg) for _, y in line)
    assert points(svg)[1][0][1] == 128


def test_curves_of_no_records_are_a_picture_too():
    assert widgets.curves_svg([]).startswith("<svg")
    assert points(widgets.curves_svg([])) == [[], [], [], []]


# The dashboard

TELLS = "step 2 · 0 s · d_loss"


def test_outside_a_notebook_a_record_is_a_printed_line(new_game, images, capsys):
    game = new_game()
    live = widgets.live(game)
    for record in training.train(game, images, 4, record_every=2):
        live.update(record)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(TELLS)
    assert f"D(x) {live.records[1].d_real:.2f} · D(G(z)) {live.records[1].d_fake:.2f}" in second
    assert live.samples.value == live.curves.value == ""


def test_the_dashboard_shows_the_same_z_the_curves_and_the_numbers(new_game, images, capsys):
    game = new_game()
    live = widgets.live(game, n=8)
    live.on_screen = True  # as in a notebook
    shown = []
    for record in training.train(game, images, 4, record_every=2):
        live.update(record)
        shown.append(decode(live.samples.value))
        assert (shown[-1] == widgets.tile(game.sampler()(game.sampler().noise(8)), 8)).all()
    assert not (shown[0] == shown[1]).all()
    assert live.line.value.startswith("step 4 ·")
    assert live.curves.value == widgets.curves_svg(live.records)
    assert capsys.readouterr().out == ""


def test_samples_are_drawn_anew_every_so_often(new_game, images):
    game = new_game()
    live = widgets.live(game, n=4, every=2)
    live.on_screen = True
    seen = []
    for record in training.train(game, images, 4, record_every=1):
        live.update(record)
        seen.append(re.search(r"samples at step (\d)", live.samples.value)[1])
    assert seen == ["1", "1", "3", "3"]


def test_following_a_run_does_not_change_it(new_game, images):
    followed, alone = new_game(), new_game()
    live = widgets.live(followed)
    live.on_screen = True
    for record in training.train(followed, images, 4, record_every=1):
        live.update(record)
    expected = list(training.train(alone, images, 4, record_every=1))
    assert [r._replace(seconds=0) for r in live.records] == [r._replace(seconds=0) for r in expected]


def test_no_figure_is_opened(sampler, new_game, images):
    """pyplot in a callback is slow, and not safe from another thread."""
    widgets.explore(sampler, directions(0)).sliders[0].value = 1
    live = widgets.live(new_game())
    live.on_screen = True
    live.update(Record(1, 8, 0.0, 1.0, 1.0, 0.5, 0.5))
    assert plt.get_fignums() == []
