"""The screen shows what the pure functions return, and every error appears in the status line."""

import io
import re
from datetime import datetime
from pathlib import Path
from unittest import mock

import ipywidgets
import numpy as np
import pytest
import torch
from PIL import Image

from gan_lib import UserError, data, latent, models, pictures, widgets
from gan_lib.studies import inversion
from gan_lib.widgets.explorer import LEG
from tests import load_picture
from tests.widgets.test_html import decode, decode_all

SEVEN = ipywidgets.__version__.startswith("7.")


@pytest.fixture
def sampler(new_sampler):
    """A sampler of z with 9 numbers."""
    return new_sampler(9)


def directions(*numbers):
    return [latent.Direction(f"way {i}", torch.eye(9)[i], 0.0) for i in numbers]


def shows(explorer, z, *steps, norm=None):
    """Whether an explorer shows G(z) after these steps along its directions."""
    expected = latent.render(explorer.sampler, z, explorer.directions[: len(steps)], steps, norm)
    return (decode(explorer.image.value) == expected.numpy()).all()


@pytest.mark.parametrize(("truncation", "norm"), [(1.0, 3.0), (0.5, 1.5)])
def test_it_starts_at_the_point_of_its_seed_with_the_length_of_noise(truncation, norm, sampler):
    sampler = models.Sampler(sampler.generator, 9, truncation)
    explorer = widgets.explore(sampler, directions(0, 1), seed=5)
    assert (explorer.norm.value, explorer.norm.max, explorer.status.value) == (pytest.approx(norm), 6, "seed 5")
    assert shows(explorer, sampler.noise(1, 5)[0], norm=norm)
    explorer.sliders[0].value = 2.0  # a step is as long as the noise from which its direction was fitted
    assert shows(explorer, sampler.noise(1, 5)[0], 2.0, norm=norm)


def test_a_given_point_keeps_its_length_and_its_seed_leads_back_to_it(sampler):
    z = sampler.noise(1, seed=8)[0] * 4  # longer than the slider |z| usually goes
    given = z.clone().requires_grad_(True)
    explorer = widgets.explore(sampler, directions(0, 1), z=given, seed=4)
    given.data.zero_()  # it has a copy
    for _ in range(2):
        assert explorer.point().equal(z)
        assert shows(explorer, z)
        assert explorer.norm.value == pytest.approx(z.norm().item())
        assert explorer.status.value == "the given z"
        explorer.sliders[0].value = 2.0
        assert shows(explorer, z, 2.0, norm=z.norm())
        explorer.new_z.click()
        assert shows(explorer, sampler.noise(1, 5)[0], 2.0, norm=z.norm())
        assert explorer.status.value == "seed 5"
        explorer.sliders[0].value = 0
        explorer.seed.value = 4
    assert abs(z.norm() - round(z.norm().item(), 1)) > 1e-3
    explorer.norm.value = round(z.norm().item(), 1)  # a browser rounds
    assert explorer.point().equal(z)
    explorer.norm.value = z.norm().item() - 0.1
    assert not explorer.point().equal(z)
    explorer.text.click()
    assert "torch.tensor([" in explorer.status.value
    explorer.start(z, "<mine>")
    assert explorer.status.value == "&lt;mine&gt;"
    explorer.start()
    assert shows(explorer, sampler.noise(1, 4)[0], norm=3.0)


def test_sliders_have_the_names_of_the_directions_and_act_while_they_are_dragged(sampler):
    explorer = widgets.explore(sampler, [latent.Direction('"<b>', torch.eye(9)[0], 0.0)], size=140, seed=2)
    explorer.sliders[0].value = -4
    assert explorer.sliders[0].continuous_update
    words = 'alt="the digit of seed 2, &quot;&lt;b&gt; -4.0, |z| 3.0" width="140" height="140"'
    assert words in explorer.image.value
    for given, names in ((directions(3, 4), ["way 3", "way 4"]), (None, [f"z[{i}]" for i in range(8)]), ([], [])):
        assert [slider.description for slider in widgets.explore(sampler, given).sliders] == names


def test_an_error_appears_in_the_status_line_until_the_next_picture(sampler, tmp_path, monkeypatch):
    broken = mock.Mock(side_effect=RuntimeError("<lambda>() is out of memory"), noise=sampler.noise)
    explorer = widgets.explore(sampler, directions(0))
    before, explorer.sampler = explorer.image.value, broken
    explorer.sliders[0].value = 1
    assert explorer.status.value == "<b>RuntimeError</b>: &lt;lambda&gt;() is out of memory"
    assert explorer.image.value == before
    explorer.sampler = sampler
    explorer.sliders[0].value = 2
    assert explorer.status.value == "seed 0"
    assert explorer.image.value != before
    monkeypatch.chdir(tmp_path)
    Path("runs").touch()
    explorer.save.click()
    assert re.fullmatch("<b>FileExistsError</b>: .*runs.*", explorer.status.value)


def test_what_nothing_can_show_is_an_error(sampler):
    shorter = [latent.Direction("way", torch.ones(8), 0.0)]
    for make, message in (
        (lambda: widgets.explore(sampler, z=sampler.noise(1)), r"^z must have the shape \[9\], not \[1, 9\]"),
        (lambda: widgets.explore(sampler, shorter), "^Each direction must have 9 numbers, as this sampler's z has"),
        (lambda: widgets.rewind({}), "^There is no sampler to show: give at least one, as "),
        (lambda: widgets.invert(sampler, []), "^There is no image to choose from: give at least one"),
    ):
        with pytest.raises(UserError, match=message):
            make()


def test_a_seed_is_typed_and_the_button_adds_one(sampler):
    explorer = widgets.explore(sampler, directions(0, 1), seed=3)
    image, _ = explorer.children
    explorer.sliders[0].value = 1.5
    type_seed = lambda: explorer.seed.set_trait("value", 40)
    for act, seed in ((type_seed, 40), (explorer.new_z.click, 41), (explorer.new_z.click, 42)):
        explorer.walk.value = 30
        act()
        assert explorer.walk.value == 0
        assert shows(explorer, sampler.noise(1, seed)[0], 1.5, norm=3.0)
        assert (explorer.seed.value, explorer.status.value) == (seed, f"seed {seed}")
        assert explorer.image is image  # the one on the screen, with another value
    explorer.reset.click()
    assert [slider.value for slider in explorer.sliders] == [0, 0]
    assert shows(explorer, sampler.noise(1, 42)[0], norm=3.0)
    explorer.status.observe(lambda _: setattr(explorer.sliders[1], "value", 1.0), "value")
    explorer.new_z.click()  # an observer may move a slider
    assert explorer.sliders[1].value == 1.0
    assert shows(explorer, sampler.noise(1, 43)[0], 0.0, 1.0, norm=3.0)
    explorer.seed.value = 10**30
    assert explorer.status.value == "seed 2147483647"
    explorer.walk.value = 9  # on the way to larger seeds
    assert explorer.status.value == "seed 2147483647"


def test_a_walk_passes_the_next_three_seeds_and_comes_back(sampler, monkeypatch):
    linked = []
    monkeypatch.setattr(ipywidgets, "jslink", lambda *ends: linked.append(ends))
    explorer = widgets.explore(sampler, directions(0, 1), seed=6)
    assert linked == [((explorer.play, "value"), (explorer.walk, "value"))]  # play moves it without the kernel
    assert explorer.play.max == explorer.walk.max == 4 * LEG - 1
    explorer.sliders[0].value, explorer.norm.value = 1.0, 4.0
    points = []
    for position in range(4 * LEG):
        explorer.walk.value = position
        points.append(explorer.point())
        assert shows(explorer, points[-1])
    z = sampler.noise(1, 6)[0]
    explorer.walk.value = 0
    assert shows(explorer, z, 1.0, norm=4.0)
    for leg in (1, 2, 3):
        stop = torch.nn.functional.normalize(sampler.noise(1, 6 + leg)[0], dim=0) * z.norm() + directions(0)[0].vector
        assert points[leg * LEG] == pytest.approx(stop * 4 / stop.norm(), abs=1e-5)
    points = torch.stack(points)
    steps = (points - points.roll(-1, 0)).norm(dim=1)
    assert 0 < steps.min() <= steps.max() < 0.5  # opposite points of the sphere are 8 apart


# The buttons, and the row of digits


def test_save_writes_the_picture_and_its_walk_and_overwrites_nothing(sampler, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    explorer = widgets.explore(sampler, directions(0))
    explorer.sliders[0].value, explorer.walk.value = 2, 30
    explorer.save.click()
    assert explorer.status.value == "saved as runs/digit_1.png and runs/digit_1.gif"
    first = [Path(f"runs/digit_1.{kind}").read_bytes() for kind in ("png", "gif")]
    shown = decode(explorer.image.value)
    assert (load_picture("runs/digit_1.png") == shown.repeat(10, 0).repeat(10, 1)).all()
    with Image.open("runs/digit_1.gif") as film:
        assert (film.n_frames, film.size, film.info["loop"], film.info["duration"]) == (4 * LEG, (280, 280), 0, 100)
        for position in (0, 30, 95):
            explorer.walk.value = position
            film.seek(position)
            frame = np.array(film.convert("L")).astype(int)[::10, ::10]
            assert abs(frame - decode(explorer.image.value)).max() <= 2
    Path("runs/digit_2.gif").touch()
    explorer.save.click()
    assert explorer.status.value == "saved as runs/digit_3.png and runs/digit_3.gif"
    assert [Path(f"runs/digit_1.{kind}").read_bytes() for kind in ("png", "gif")] == first
    explorer.sliders[0].value = 1
    assert explorer.status.value == "seed 0"


def test_a_row_of_digits_chooses_the_class_of_the_same_z_also_for_a_walk(conditional, sampler, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    explorer = widgets.explore(conditional)
    assert explorer.digit in explorer.children[1].children
    z = explorer.point()
    for digit in (7, 5):
        explorer.digit.value = digit
        assert explorer.point().equal(z)
        assert (decode(explorer.image.value) == latent.render(conditional.of(digit), z).numpy()).all()
        assert f"the {digit} of seed 0" in explorer.image.value
    explorer.save.click()
    with Image.open("runs/digit_1.gif") as film:
        film.seek(40)
        frame = np.array(film.convert("L"))[5::10, 5::10]
    fives, twos = (latent.render(conditional.of(y), explorer.point(40)).numpy() for y in (5, 2))
    apart = [abs(frame.astype(int) - expected).mean() for expected in (fives, twos)]
    assert apart[0] < 4 and apart[0] < apart[1] / 1.5  # a GIF has few levels of grey
    explorer.sliders[0].value = 2.0
    assert (decode(explorer.image.value) == latent.render(conditional.of(5), explorer.point()).numpy()).all()
    unconditional = widgets.explore(sampler)
    assert unconditional.digit not in unconditional.children[1].children


# The steps of a training run, and from an image to its z


def test_rewind_shows_the_samples_of_a_step_and_a_seed(sampler):
    other = models.Sampler(sampler.generator, 9)
    with torch.no_grad():
        other.generator[0].weight.neg_()
    shown = widgets.rewind({0: other, 12000: sampler}, n=5)
    assert shown.status.value == "5 samples of seed 0 at step 12,000"
    for seed in (0, 1):
        for step, expected in ((0, other), (12000, sampler)):
            shown.step.value = step
            assert (decode(shown.image.value) == pictures.tile(expected.sample(5, seed), 3)).all()
        shown.new_z.click()


def check(shown, sampler, target, name):
    """An inverter shows what `inversion.invert` finds for a target."""
    z, error = inversion.invert(sampler, target)
    image, found = data.to_uint8(target).numpy(), latent.render(sampler, z).numpy()
    assert np.array_equal(decode_all(shown.image.value), [image, found, abs(image.astype(int) - found)])
    assert shown.status.value == f"mean squared error {error:.4f}"
    assert shown.explorer.point() == pytest.approx(z, abs=1e-6)
    assert shown.explorer.status.value == f"the z found for {name}"
    assert f">{name}</figcaption>" in shown.image.value


def test_an_image_is_chosen_by_its_number_and_its_z_is_found(sampler, images):
    shown = widgets.invert(sampler, images, directions(2))
    check(shown, sampler, data.to_range(images[0]), "image 0")
    shown.explorer.sliders[0].value, shown.explorer.walk.value = 2, 5
    shown.number.value = 7
    check(shown, sampler, data.to_range(images[7]), "image 7")
    shown.number.value = 4000  # there are 48
    assert shown.number.value == 47
    check(shown, sampler, data.to_range(images[47]), "image 47")


def upload(shown, content):
    """Do what a front end does when its user chooses one more file."""
    files = {"old.png": b"old", "new.png": content}
    about = {"type": "image/png", "size": 1, "last_modified": datetime.now()}
    seven = {name: {"metadata": about, "content": each} for name, each in files.items()}
    eight = tuple(about | {"name": name, "content": memoryview(each)} for name, each in files.items())
    shown.file.set_trait("value", seven if SEVEN else eight)


def test_the_z_of_the_newest_file_is_found_and_image_and_file_can_be_shown_again(sampler):
    digits = data.load(train=False).images
    png = io.BytesIO()
    Image.fromarray(255 - digits[3].numpy().repeat(8, 0).repeat(8, 1)).save(png, "png")
    shown = widgets.invert(sampler, digits[:2])
    image = shown.image.value
    shown.this_file.click()
    assert shown.status.value == "<b>UserError</b>: Choose a picture file first."
    upload(shown, png.getvalue())
    check(shown, sampler, inversion.read_photograph(png.getvalue()), "the picture in the file")
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
