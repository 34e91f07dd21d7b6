"""Thin shells: what is on the screen is what the pure functions give, and nothing fails in silence."""

import ipywidgets
import matplotlib.pyplot as plt
import pytest
import torch

from gan_lib import latent, widgets
from tests.test_pictures import decode


@pytest.fixture
def sampler(new_sampler):
    return new_sampler(9)


def directions(*numbers):
    return [latent.Direction(f"way {i}", torch.eye(9)[i], 0.0) for i in numbers]


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


def test_no_figure_is_opened(sampler):
    """pyplot in a callback is slow, and not safe from another thread."""
    widgets.explore(sampler, directions(0)).sliders[0].value = 1
    assert plt.get_fignums() == []
