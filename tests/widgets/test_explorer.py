"""The sliders: the screen shows what the pure functions return, and every error appears in the status line."""

import re
from pathlib import Path

import ipywidgets
import numpy as np
import pytest
import torch
from PIL import Image

from gan_lib import evaluation, latent, models, pictures, widgets
from gan_lib.widgets.explorer import LEG
from tests.widgets.test_html import decode


def directions(*numbers):
    return [latent.Direction(f"way {i}", torch.eye(9)[i], 0.0) for i in numbers]


def shows(explorer, z, *steps, norm=None):
    """Whether an explorer shows G(z) after these steps along its directions."""
    expected = latent.render(explorer.sampler, z, explorer.directions[: len(steps)], steps, norm)
    return (decode(explorer.image.value) == expected.numpy()).all()


def test_it_starts_at_the_point_of_its_seed(sampler):
    explorer = widgets.explore(sampler, directions(0, 1), seed=5)
    assert shows(explorer, sampler.noise(1, 5)[0], norm=3.0)  # |z| starts at sqrt(9), where most noise lies
    assert explorer.status.value == "seed 5"


def test_it_starts_at_the_length_of_truncated_noise(new_sampler):
    sampler = models.Sampler(new_sampler(9).generator, 9, truncation=0.5)
    explorer = widgets.explore(sampler, directions(0))
    assert explorer.norm.value == pytest.approx(1.5) and explorer.norm.max == 6
    explorer.sliders[0].value = 2.0  # a step is as long as the noise from which its direction was fitted
    assert shows(explorer, sampler.noise(1, 0)[0], 2.0, norm=1.5)


def test_a_given_point_keeps_its_length_and_its_seed_leads_back_to_it(sampler):
    z = sampler.noise(1, seed=8)[0] * 4  # longer than the slider |z| usually goes
    explorer = widgets.explore(sampler, directions(0, 1), z=z, seed=4)
    for _ in range(2):
        assert explorer.current_z.equal(z)
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


def test_the_picture_follows_every_move(sampler):
    explorer = widgets.explore(sampler, directions(2, 7))
    image, seen, z = explorer.image, [explorer.image.value], sampler.noise(1, 0)[0]
    for *strengths, norm in ((1.5, 0.0, 3.0), (1.5, -4.0, 3.0), (1.5, -4.0, 5.5), (0.0, 0.0, 0.0)):
        explorer.sliders[0].value, explorer.sliders[1].value, explorer.norm.value = *strengths, norm
        assert shows(explorer, z, *strengths, norm=norm)
        assert (explorer.picture() == decode(explorer.image.value)).all()
        assert explorer.image.value not in seen
        seen.append(explorer.image.value)
    assert explorer.children[0] is image is explorer.image  # one widget, whose value changes
    assert type(image) is ipywidgets.HTML


def test_the_sliders_have_the_names_of_the_directions_and_act_while_they_are_dragged(sampler):
    explorer = widgets.explore(sampler, directions(3, 4), size=140)
    assert [slider.description for slider in explorer.sliders] == ["way 3", "way 4"]
    assert all(slider.continuous_update for slider in explorer.sliders)
    assert 'width="140" height="140"' in explorer.image.value
    assert [slider.description for slider in widgets.explore(sampler).sliders] == [f"z[{i}]" for i in range(8)]
    assert widgets.explore(sampler, []).sliders == []


def test_an_error_appears_in_the_status_line_until_the_next_picture(sampler):
    def broken(z):
        raise RuntimeError("<lambda>() is out of memory")

    explorer = widgets.explore(sampler, directions(0))
    broken.noise = sampler.noise
    before, explorer.sampler = explorer.image.value, broken
    explorer.sliders[0].value = 1
    assert explorer.status.value == "<b>RuntimeError</b>: &lt;lambda&gt;() is out of memory"
    assert explorer.image.value == before
    explorer.sampler = sampler
    explorer.sliders[0].value = 2
    assert explorer.status.value == "seed 0"
    assert explorer.image.value != before


def test_a_seed_is_typed_and_the_button_adds_one(sampler):
    explorer = widgets.explore(sampler, directions(0, 1), seed=3)
    assert explorer.seed.value == 3
    explorer.sliders[0].value = 1.5
    for act, seed in (
        (lambda: setattr(explorer.seed, "value", 40), 40),
        (explorer.new_z.click, 41),
        (explorer.new_z.click, 42),
    ):
        explorer.walk.value = 30
        act()
        assert explorer.walk.value == 0
        assert shows(explorer, sampler.noise(1, seed)[0], 1.5, norm=3.0)
        assert (explorer.seed.value, explorer.status.value) == (seed, f"seed {seed}")
    explorer.reset.click()
    assert [slider.value for slider in explorer.sliders] == [0, 0]
    assert shows(explorer, sampler.noise(1, 42)[0], norm=3.0)
    explorer.seed.value = 10**30
    assert explorer.status.value == "seed 2147483647"
    explorer.walk.value = 9  # on the way to larger seeds
    assert explorer.status.value == "seed 2147483647"


def test_another_start_resets_the_controls(sampler):
    explorer = widgets.explore(sampler, directions(0, 1))
    explorer.sliders[1].value, explorer.walk.value, explorer.norm.value = 2, 30, 1
    z = sampler.noise(1, seed=8)[0]
    explorer.start(z, "<mine>")
    assert explorer.current_z.equal(z)
    assert [explorer.sliders[1].value, explorer.walk.value, explorer.status.value] == [0, 0, "&lt;mine&gt;"]
    assert shows(explorer, z)


# The walk


def test_a_walk_passes_the_next_three_seeds_and_comes_back(sampler):
    explorer = widgets.explore(sampler, directions(0, 1), seed=6)
    explorer.sliders[0].value, explorer.norm.value = 1.0, 4.0
    points = []
    for position in range(4 * LEG):
        explorer.walk.value = position
        points.append(explorer.current_z)
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


def test_play_moves_the_walk_without_the_kernel(sampler, monkeypatch):
    linked = []
    monkeypatch.setattr(ipywidgets, "jslink", lambda *ends: linked.append(ends))
    explorer = widgets.explore(sampler, directions(0))
    assert linked == [((explorer.play, "value"), (explorer.walk, "value"))]
    assert explorer.play.max == explorer.walk.max == 4 * LEG - 1


# The buttons


def test_save_writes_the_picture_and_its_walk_and_overwrites_nothing(sampler, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    explorer = widgets.explore(sampler, directions(0))
    explorer.sliders[0].value = 2
    explorer.walk.value = 30
    explorer.save.click()
    assert explorer.status.value == "saved as runs/digit_1.png and runs/digit_1.gif"
    first = [Path(f"runs/digit_1.{kind}").read_bytes() for kind in ("png", "gif")]
    shown = decode(explorer.image.value)
    assert (pictures.load_picture("runs/digit_1.png") == shown.repeat(10, 0).repeat(10, 1)).all()
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


def test_the_status_line_says_that_nothing_can_be_saved(sampler, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs").touch()
    explorer = widgets.explore(sampler, directions(0))
    explorer.save.click()
    assert explorer.status.value.startswith(f"<b>OSError</b>: Nothing can be written into {tmp_path / 'runs'}: ")


def test_z_as_text_gives_the_same_picture(sampler):
    explorer = widgets.explore(sampler, directions(0, 1), seed=3)
    explorer.sliders[0].value, explorer.norm.value, explorer.walk.value = 1.3, 3.3, 17
    explorer.text.click()
    (code,) = re.findall(r'<code style="user-select: all">torch.tensor\((\[.*\])\)</code>', explorer.status.value)
    z = torch.tensor([float(number) for number in code[1:-1].split(",")])
    assert z.equal(explorer.current_z)
    assert widgets.explore(sampler, directions(0, 1), z=z).image.value.split("src=")[1] in explorer.image.value
    explorer.walk.value = 18
    assert explorer.status.value == "seed 3"


def test_the_nearest_digits_are_shown_until_the_picture_changes(sampler, images):
    explorer = widgets.explore(sampler, directions(0), neighbours=images)
    for value in (0, 1.5):
        explorer.sliders[0].value = value
        assert explorer.status.value == "seed 0"
        explorer.nearest.click()
        distances, indices = evaluation.nearest(sampler(explorer.current_z.unsqueeze(0)), images, k=5)
        assert (decode(explorer.status.value) == pictures.tile(images[indices[0]])).all()
        words = explorer.status.value.split("<br>")[0]
        assert words == f"nearest at distances {', '.join(f'{d:.1f}' for d in distances[0])}"
    buttons = lambda explorer: [b.description for b in explorer.children[1].children[-2].children[1:]]
    assert buttons(explorer) == ["save", "z as text", "nearest"]
    assert buttons(widgets.explore(sampler)) == ["save", "z as text"]


def test_the_picture_has_an_alternative_text(sampler):
    explorer = widgets.explore(sampler, [latent.Direction('"<b>', torch.eye(9)[0], 0.0)], seed=2)
    explorer.sliders[0].value = -1.5
    assert 'alt="the digit of seed 2, &quot;&lt;b&gt; -1.5, |z| 3.0"' in explorer.image.value


def test_a_z_or_a_direction_of_the_wrong_shape_is_an_error(sampler):
    with pytest.raises(ValueError, match=r"z must have the shape \[9\], not \[1, 9\]"):
        widgets.explore(sampler, z=sampler.noise(1))
    with pytest.raises(ValueError, match="Each direction must have 9 numbers, as this sampler's z has"):
        widgets.explore(sampler, [latent.Direction("way", torch.ones(8), 0.0)])


def test_a_given_z_may_change_afterwards(sampler):
    z = sampler.noise(1, 3)[0].requires_grad_(True)
    explorer = widgets.explore(sampler, [], z=z)
    before = explorer.image.value
    z.data.zero_()
    explorer.draw()
    assert explorer.image.value == before
    explorer.text.click()
    assert "torch.tensor([" in explorer.status.value


def test_an_observer_may_move_a_slider(sampler):
    explorer = widgets.explore(sampler, directions(0, 1))
    explorer.status.observe(lambda _: setattr(explorer.sliders[1], "value", 1.0), "value")
    explorer.new_z.click()
    assert explorer.sliders[1].value == 1.0
    assert shows(explorer, sampler.noise(1, 1)[0], 0.0, 1.0, norm=3.0)


def test_a_browser_that_rounds_the_length_changes_nothing(sampler):
    explorer = widgets.explore(sampler, [], z=sampler.noise(1, 3)[0])
    length, before = explorer.norm.value, explorer.image.value.split("base64,")[1]
    assert abs(length - round(length, 1)) > 1e-3
    explorer.norm.value = round(length, 1)
    assert explorer.image.value.split("base64,")[1] == before
    explorer.norm.value = length + 0.1
    assert explorer.image.value.split("base64,")[1] != before


# A class-conditional sampler


def test_a_row_of_digits_chooses_the_class_of_the_same_z(conditional, sampler):
    explorer = widgets.explore(conditional)
    assert explorer.digit in explorer.children[1].children
    z = explorer.current_z
    for digit in (7, 3):
        explorer.digit.value = digit
        assert explorer.current_z.equal(z)
        assert (decode(explorer.image.value) == latent.render(conditional.of(digit), z).numpy()).all()
        assert f"the {digit} of seed 0" in explorer.image.value
    explorer.sliders[0].value = 2.0
    assert (decode(explorer.image.value) == latent.render(conditional.of(3), explorer.current_z).numpy()).all()
    unconditional = widgets.explore(sampler)
    assert unconditional.digit not in unconditional.children[1].children


def test_a_walk_keeps_the_digit(conditional, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    explorer = widgets.explore(conditional)
    explorer.digit.value = 5
    explorer.save.click()
    with Image.open("runs/digit_1.gif") as film:
        film.seek(40)
        frame = np.array(film.convert("L"))[5::10, 5::10]
    apart = [
        abs(frame.astype(int) - latent.render(conditional.of(y), explorer.point(40)).numpy()).mean() for y in (5, 2)
    ]
    assert apart[0] < 4 and apart[0] < apart[1] / 1.5  # a GIF has few levels of grey
