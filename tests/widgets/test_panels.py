"""`rewind` and `invert` show what the pure functions return; and what holds for all widgets."""

import io
from datetime import datetime

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from gan_lib import data, latent, models, pictures, widgets
from gan_lib.studies import inversion, photograph
from gan_lib.training import Record
from gan_lib.widgets import panels
from tests.widgets.test_explorer import directions
from tests.widgets.test_html import decode, decode_all

SEVEN = ipywidgets.__version__.startswith("7.")


def test_rewind_shows_the_samples_of_a_step_and_a_seed(sampler):
    other = models.Sampler(sampler.generator, 9)
    with torch.no_grad():
        other.generator[0].weight.neg_()
    shown = widgets.rewind({0: other, 12000: sampler}, n=5)
    assert shown.status.value == "5 samples of seed 0 at step 12,000"
    for act, expected, seed in (
        (lambda: None, sampler, 0),
        (lambda: setattr(shown.step, "value", 0), other, 0),
        (shown.new_z.click, other, 1),
        (lambda: setattr(shown.step, "value", 12000), sampler, 1),
    ):
        act()
        assert (decode(shown.image.value) == pictures.tile(expected.sample(5, seed), 3)).all()


def test_nothing_to_show_is_an_error(sampler, images):
    with pytest.raises(ValueError, match=r"^There is no sampler to show: give at least one, as "):
        widgets.rewind({})
    with pytest.raises(ValueError, match="There is no image to choose from"):
        widgets.invert(sampler, images[:0])


# From an image to its z


def check(shown, sampler, target, name):
    """An inverter shows what `inversion.invert` finds for a target."""
    z, error = inversion.invert(sampler, target)
    image, found = data.to_uint8(target).numpy(), latent.render(sampler, z).numpy()
    assert np.array_equal(decode_all(shown.image.value), [image, found, abs(image.astype(int) - found)])
    assert shown.status.value == f"mean squared error {error:.4f}"
    assert shown.explorer.current_z == pytest.approx(z, abs=1e-6)
    assert shown.explorer.status.value == f"the z found for {name}"
    assert f">{name}</figcaption>" in shown.image.value


def test_an_image_is_chosen_by_its_number_and_its_z_is_found(sampler, images):
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
    """Do what a front end does when its user chooses a file."""
    about = {"name": "a.png", "type": "image/png", "size": len(content), "last_modified": datetime.now()}
    value = {"a.png": {"metadata": about, "content": content}} if SEVEN else [about | {"content": memoryview(content)}]
    shown.file.set_trait("value", value if SEVEN else tuple(value))


def test_the_z_of_a_file_is_found_and_image_and_file_can_be_shown_again(sampler):
    digits = data.load(train=False).images
    png = io.BytesIO()
    Image.fromarray(255 - digits[3].numpy().repeat(8, 0).repeat(8, 1)).save(png, "png")
    shown = widgets.invert(sampler, digits[:2])
    image = shown.image.value
    shown.this_file.click()
    assert shown.status.value == "<b>UserError</b>: Choose a picture file first."
    upload(shown, png.getvalue())
    check(shown, sampler, photograph.read(png.getvalue()), "the picture in the file")
    file = shown.image.value, shown.explorer.image.value
    shown.this_image.click()
    assert shown.image.value == image != file[0]
    shown.this_file.click()
    assert shown.image.value == file[0]
    upload(shown, b"no picture")
    message = "This picture can&#x27;t be read: it is none of PNG, JPEG, WebP"
    assert shown.status.value.startswith(f"<b>UserError</b>: {message}")
    assert (shown.image.value, shown.explorer.image.value) == file
    shown.number.value = 1
    check(shown, sampler, data.to_range(digits[1]), "image 1")


def test_during_the_search_no_earlier_result_is_shown(sampler, images, monkeypatch):
    shown, seen = widgets.invert(sampler, images), []

    def invert(*_, encoder):
        seen.append((decode_all(shown.image.value), shown.status.value))
        raise RuntimeError("out of memory")

    monkeypatch.setattr(inversion, "invert", invert)
    shown.number.value = 3
    ((found, status),) = seen
    assert np.array_equal(found, images[3:4])
    assert status == "looking for its z …"
    assert shown.status.value == "<b>RuntimeError</b>: out of memory"


@pytest.mark.parametrize(
    "files",
    [
        {"old.png": {"content": b"old", "metadata": {}}, "new.png": {"content": b"new", "metadata": {}}},
        ({"name": "old.png", "content": memoryview(b"old")}, {"name": "new.png", "content": memoryview(b"new")}),
    ],
    ids=["ipywidgets 7", "ipywidgets 8"],
)
def test_the_newest_file_is_read(files):
    assert panels.newest_file(files) == b"new"
    assert type(panels.newest_file(files)) is bytes


# All widgets


def family(widget):
    """A widget and all that are in it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from family(child)


def test_all_use_only_widgets_of_ipywidgets_7_with_words_and_without_pyplot(sampler, conditional, images, new_game):
    """pyplot in a callback is slow, and not safe from another thread."""
    follow, train = widgets.live(new_game()), widgets.live(new_game(), images)
    follow.on_screen = True
    follow.update(Record(1, 8, 0.0, 1.0, 1.0, 0.5, 0.5))
    explorer = widgets.explore(conditional, neighbours=images)
    explorer.sliders[0].value = 1
    all_widgets = [explorer, widgets.rewind({0: sampler}), widgets.invert(sampler, images), follow, train]
    everything = [part for widget in all_widgets for part in family(widget)]
    core = lambda part: next(kind for kind in type(part).__mro__ if kind.__module__.startswith("ipywidgets."))
    assert {core(part).__name__ for part in everything} == {
        *("HBox", "VBox", "HTML", "FloatSlider", "IntSlider", "FloatLogSlider", "SelectionSlider", "ToggleButtons"),
        *("BoundedIntText", "Button", "Play", "FileUpload"),
    }
    controls = (ipywidgets.BoundedIntText, ipywidgets.FloatSlider, ipywidgets.FloatLogSlider, ipywidgets.Button)
    assert all(part.description for part in everything if isinstance(part, controls))
    buttons = [part.description for part in family(train) if isinstance(part, ipywidgets.Button)]
    assert buttons == ["start", "D: 1 step", "G: 1 step"]
    assert plt.get_fignums() == []
