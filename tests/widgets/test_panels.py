"""Thin shells: what is on the screen is what the pure functions give, and nothing fails in silence."""

import io
import itertools
from datetime import datetime

import ipywidgets
import numpy as np
import pytest
import torch
from PIL import Image
from tests.widgets.test_explorer import directions
from tests.widgets.test_html import decode_all

from gan_lib import data, latent, models, pictures, widgets
from gan_lib.widgets import panels

SEVEN = ipywidgets.__version__.startswith("7.")


@pytest.fixture
def sampler(new_sampler):
    return new_sampler(9)


# The moments of a run


@pytest.fixture
def others(new_sampler):
    """Two samplers of points of 9 numbers, and a third that is another net."""
    one = new_sampler(9)
    other = models.Sampler(one.generator, 9)
    with torch.no_grad():
        other.generator[0].weight.neg_()
    return {"one": one, "<other>": other}


def test_training_goes_back_and_forth(others):
    one, other = others.values()
    shown = widgets.rewind({0: other, 12000: one}, n=5)
    assert shown.status.value == "5 samples of seed 0 at step 12,000"
    for act, sampler, seed in (
        (lambda: None, one, 0),
        (lambda: setattr(shown.step, "value", 0), other, 0),
        (shown.new_z.click, other, 1),
        (lambda: setattr(shown.step, "value", 12000), one, 1),
    ):
        act()
        (picture,) = decode_all(shown.image.value)
        assert (picture == pictures.tile(sampler.sample(5, seed), 3)).all()


def test_of_no_sampler_there_is_nothing_to_show():
    with pytest.raises(ValueError, match=r"^There is no sampler to show: give at least one, as "):
        widgets.rewind({})


# From an image to its z


def expected(sampler, target):
    z, error = latent.invert(sampler, target)
    image, found = data.to_uint8(target).numpy(), latent.render(sampler, z).numpy()
    return z, error, [image, found, abs(image.astype(int) - found)]


def check(shown, sampler, target, name):
    z, error, pictures = expected(sampler, target)
    for found, picture in zip(decode_all(shown.image.value), pictures, strict=True):
        assert (found == picture).all()
    assert shown.status.value == f"mean squared error {error:.4f}"
    assert shown.explorer.current_z == pytest.approx(z, abs=1e-6)
    assert shown.explorer.status.value == f"the z found for {name}"
    assert f">{name}</figcaption>" in shown.image.value


def test_an_image_is_chosen_by_its_number_and_found(sampler, images):
    shown = widgets.invert(sampler, images, directions(2))
    check(shown, sampler, data.to_range(images[0]), "image 0")
    shown.explorer.sliders[0].value, shown.explorer.walk.value = 2, 5
    shown.number.value = 7
    check(shown, sampler, data.to_range(images[7]), "image 7")
    assert shown.explorer.sliders[0].value == 0
    shown.number.value = 4000  # there are 48
    assert shown.number.value == 47
    check(shown, sampler, data.to_range(images[47]), "image 47")


def upload(shown, content):
    """What a front end does when its reader chooses a file."""
    about = {"name": "a.png", "type": "image/png", "size": len(content), "last_modified": datetime.now()}
    value = {"a.png": {"metadata": about, "content": content}} if SEVEN else [about | {"content": memoryview(content)}]
    shown.file.set_trait("value", value if SEVEN else tuple(value))


def test_a_file_is_read_and_found(sampler):
    digits = data.load(train=False).images
    png = io.BytesIO()
    Image.fromarray(255 - digits[3].numpy().repeat(8, 0).repeat(8, 1)).save(png, "png")
    shown = widgets.invert(sampler, digits[:2])
    upload(shown, png.getvalue())
    check(shown, sampler, pictures.read_picture(png.getvalue()), "the picture in the file")
    before = shown.image.value, shown.explorer.image.value
    upload(shown, b"no picture")
    assert shown.status.value.startswith(
        "<b>ValueError</b>: This picture can&#x27;t be read: it is none of PNG, JPEG, WebP"
    )
    assert (shown.image.value, shown.explorer.image.value) == before
    shown.number.value = 1
    check(shown, sampler, data.to_range(digits[1]), "image 1")


def test_during_the_search_nothing_old_is_on_the_screen(sampler, images, monkeypatch):
    shown, seen = widgets.invert(sampler, images), []

    def invert(*_, encoder):
        seen.append((decode_all(shown.image.value), shown.status.value))
        raise RuntimeError("out of memory")

    monkeypatch.setattr(latent, "invert", invert)
    shown.number.value = 3
    ((pictures, status),) = seen
    assert np.array_equal(pictures, images[3:4])
    assert status == "looking for its z …"
    assert shown.status.value == "<b>RuntimeError</b>: out of memory"


def test_a_file_comes_in_the_shape_of_either_ipywidgets():
    seven = {"old.png": {"content": b"old", "metadata": {}}, "new.png": {"content": b"new", "metadata": {}}}
    assert panels.newest_file(seven) == b"new"
    eight = ({"name": "old.png", "content": memoryview(b"old")}, {"name": "new.png", "content": memoryview(b"new")})
    assert panels.newest_file(eight) == b"new"
    assert type(panels.newest_file(eight)) is bytes


# All of them


@pytest.fixture
def everything(sampler, others, images, new_game):
    return [
        widgets.explore(sampler, directions(0), neighbours=images),
        widgets.rewind({0: sampler}),
        widgets.invert(sampler, images),
        widgets.live(new_game()),
    ]


def family(widget):
    """A widget and all that are in it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from family(child)


def test_only_widgets_that_ipywidgets_7_has_are_used(everything):
    core = lambda widget: next(kind for kind in type(widget).__mro__ if kind.__module__.startswith("ipywidgets."))
    used = {core(widget).__name__ for top in everything for widget in family(top)}
    assert used == {
        *("HBox", "VBox", "HTML", "FloatSlider", "IntSlider", "SelectionSlider", "BoundedIntText"),
        *("Button", "Play", "FileUpload"),
    }


def test_each_control_has_words_beside_it(everything):
    for widget in itertools.chain(*map(family, everything)):
        if isinstance(widget, (ipywidgets.BoundedIntText, ipywidgets.FloatSlider, ipywidgets.Button)):
            assert widget.description


def test_the_image_and_the_file_can_be_had_again(sampler, images):
    shown = widgets.invert(sampler, images)
    first = shown.image.value
    shown.this_file.click()
    assert shown.status.value == "<b>ValueError</b>: Choose a picture file first."
    file = io.BytesIO()
    Image.fromarray(data.load(train=False).images[7].numpy().repeat(3, 0).repeat(3, 1)).save(file, "png")
    upload(shown, file.getvalue())
    of_file = shown.image.value
    assert of_file != first
    shown.this_image.click()
    assert shown.image.value == first
    shown.this_file.click()
    assert shown.image.value == of_file


def test_of_no_images_there_is_nothing_to_choose(sampler, images):
    with pytest.raises(ValueError, match="There is no image to choose from"):
        widgets.invert(sampler, images[:0])
