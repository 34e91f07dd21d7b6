"""Pictures for the wall: what stands where in them, worked out beforehand. How they look is for the eye."""

import math

import numpy as np
import pytest
import torch

from gan_lib import attributes, data, evaluation, models, pictures
from gan_lib.recipes import Recipe
from gan_lib.studies import art, number_reader
from tools import make_art as tool


@pytest.fixture
def sampler():
    """A tiny generator that is told labels."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        generator, _ = Recipe("tiny", "mlp", classes=10, latent_dim=6, width=16).build_nets()
        torch.nn.init.normal_(generator.embedding.weight)
        [parameter.mul_(2) for parameter in generator.parameters()]
    return models.Sampler(generator, 6)


class Copyist:
    """In place of a generator: real digits, of which z[:, 0] says which. `sampler(z, labels)` and `noise` are as a sampler's."""

    def __init__(self):
        digits = data.load()
        digits = number_reader.stock(data.to_range(digits.images[:3000]), digits.labels[:3000])
        self.of = [digits.images[digits.labels == k] for k in range(10)]

    def noise(self, n, seed):
        return torch.rand(n, 2, generator=torch.Generator().manual_seed(seed))

    def __call__(self, z, labels):
        kinds = [self.of[int(k)] for k in labels]
        return torch.stack([kind[int(a * len(kind))] for a, kind in zip(z[:, 0] % 1, kinds, strict=True)])


# Mosaics


def flat(*greys):
    """Images [N, 1, 28, 28], each of one grey in [0, 1]."""
    return torch.tensor(greys).view(-1, 1, 1, 1).expand(-1, 1, 28, 28) * 2 - 1


def test_a_mosaic_is_dark_where_the_photograph_is_and_uses_all_the_greys_there_are():
    photo = np.repeat(np.linspace(100, 120, 6).round().astype(np.uint8), 10)[None].repeat(20, 0)  # six pale steps
    picture = art.mosaic(photo, flat(*np.linspace(0.2, 0.7, 6).repeat(6)), columns=6, size=5)
    assert picture.shape == (10, 30)
    tiles = picture.reshape(2, 5, 6, 5).mean((1, 3))
    assert (tiles == tiles[0]).all()
    assert (np.diff(tiles[0]) >= 0).all()
    assert (tiles[0, 0], tiles[0, -1]) == (51, 178)


def test_a_tile_looks_like_what_it_stands_for():
    """Of images that are dark above or on the left, each field of a photograph gets the one that is dark where it is."""
    above, left = torch.ones(2, 1, 1, 28, 28).unbind()
    above[..., :14, :], left[..., :14] = -1, -1
    upper, lower = np.zeros((30, 30), np.uint8), np.zeros((30, 30), np.uint8)
    upper[15:], lower[:, 15:] = 255, 255
    picture = art.mosaic(
        np.concatenate([upper, lower], 1), torch.cat([above] * 6 + [left] * 6), columns=2, size=22, fine=2
    )
    assert (picture[:11, :22] == 0).all()
    assert (picture[11:, :22] == 255).all()
    assert (picture[:, 22:33] == 0).all()
    assert (picture[:, 33:] == 255).all()


def test_an_even_area_does_not_repeat_one_image():
    images = torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 0.01
    picture = art.mosaic(np.full((50, 50), 9, np.uint8), images, columns=5, size=22)
    tiles = picture.reshape(5, 22, 5, 22).swapaxes(1, 2).reshape(25, -1)
    assert len(np.unique(tiles, axis=0)) > 5


# On the beat


def test_digits_arrive_on_the_beat_and_rest_after_it():
    at = art.on_the_beat([1.0, 0.5, 0.5], fps=20)
    assert at.shape == (40,)
    assert [at[i].item() for i in (0, 20, 30)] == [0, 1, 2]
    assert at[:11].eq(0).all()  # rests for half a second
    assert at[15].item() == pytest.approx(0.5)  # half way, when three quarters of the time are over
    assert (at.diff() >= 0).all()
    assert 1.8 < at[29] < 2
    assert at[39] > 2.8


def test_between_two_classes_there_is_a_morph(sampler):
    z, shares = sampler.noise(3), torch.eye(10)[[4, 4, 7]]
    torch.testing.assert_close(sampler.generator(z, shares), sampler(z, torch.tensor([4, 4, 7])))
    half = sampler.generator(z, (torch.eye(10)[[4] * 3] + torch.eye(10)[[7] * 3]) / 2)
    generator, u = sampler.generator, sampler.generator.embedding.weight
    torch.testing.assert_close(half, generator.rest(generator.first(z) + (u[4] + u[7]) / 2))
    for label in (4, 7):
        assert (half - sampler(z, torch.full((3,), label))).abs().mean() > 1e-3


def test_a_count_shows_every_digit_on_its_beat_and_closes(sampler):
    frames = art.count(sampler, [3, 1, 4], [0.4, 0.2, 0.4], n=5, fps=10)
    assert [frame.shape for frame in frames] == [(5, 1, 28, 28)] * 10
    hands = torch.stack([art.latent.loop(part, 10) for part in sampler.noise(15, 0).view(5, 3, -1)], 1)
    for i, digit in ((0, 3), (4, 1), (6, 4)):
        torch.testing.assert_close(frames[i], sampler(hands[i], torch.full((5,), digit)))
    steps = [(b - a).abs().mean().item() for a, b in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert steps[-1] < 1.5 * max(steps[:-1])  # from the last frame to the first it does not jump


# Posters


def test_one_z_is_one_hand_and_what_it_writes_twice_differs(sampler):
    z = sampler.noise(4)
    first, zero, second, _ = art.in_hands(sampler, "2026", z)
    torch.testing.assert_close(first, sampler(z, torch.full((4,), 2)))
    torch.testing.assert_close(zero, sampler(z, torch.full((4,), 0)))
    assert (first - second).abs().mean() > 1e-3
    torch.testing.assert_close(art.in_hands(sampler, "2026", z[2:3])[2], second[2:3])  # alone as among others
    assert art.in_hands(sampler, "17", sampler.noise(600)).shape == (2, 600, 1, 28, 28)


def test_hands_are_ordered_by_slant_and_thickness_and_are_legible():
    copyist = Copyist()
    z = art.ordered(copyist, "3", 4, 5, n=250)
    images = copyist(z, [3] * 20)
    assert len(z.unique(dim=0)) == 20
    assert len(art.ordered(copyist, "3", 4, 5, n=25).unique(dim=0)) == 20  # though few are there to choose from
    assert (evaluation.features_and_logits(images)[1].softmax(1)[:, 3] > 0.9).all()
    assert (attributes.thickness(images).view(4, 5).mean(1).diff() > 0).all()
    assert (attributes.slant(images).view(4, 5).mean(0).diff() > 0).all()


def test_too_few_legible_hands_are_said(sampler):
    with pytest.raises(ValueError, match=r"of 50 hands write 2026 legibly, too few for 12 places: raise n\."):
        art.ordered(sampler, "2026", 3, 4, n=50)


def test_ink_is_enlarged_with_a_crisp_edge():
    picture = np.full((20, 30), 255, np.uint8)
    picture[5:15, 5:15] = 0
    large = art.enlarge(picture, 300)
    assert large.shape == (200, 300)
    assert (large[100, 100], large[100, 250]) == (0, 255)
    between = ((large > 20) & (large < 235)).mean()
    assert 0 < between < 0.1
    assert abs((large < 128).sum() - 100 * 100) < 2000


def test_a_poster_has_its_size_its_margins_and_its_words(monkeypatch):
    copyist = Copyist()
    monkeypatch.setattr(
        art, "ordered", lambda sampler, number, rows, columns, n, seed: copyist.noise(rows * columns, seed)
    )
    size = (900, 640)
    sheets = [
        art.poster(copyist, "41", rows=3, columns=4, title=title, size=size) for title in ("", "A title", "A title")
    ]
    assert sheets[0].shape == size
    assert sheets[0].dtype == np.uint8
    margin = 640 // 12
    for edge in (
        sheets[1][: margin - 4],
        sheets[1][:, : margin - 4],
        sheets[1][:, -margin + 4 :],
        sheets[1][-margin + 4 :],
    ):
        assert (edge > 250).all()
    assert (sheets[0][margin : margin + 200] < 50).mean() > 0.05  # the large number
    words = np.argwhere(sheets[0] != sheets[1])
    assert len(words) > 30
    assert words[:, 1].max() < 320
    assert (sheets[1] == sheets[2]).all()


def test_a_printed_picture_knows_its_size(tmp_path):
    for kind in ("png", "pdf"):
        pictures.save_picture(np.zeros((300, 600), np.uint8), tmp_path / "new" / f"a.{kind}", dpi=300)
    with art.Image.open(tmp_path / "new" / "a.png") as picture:
        assert math.isclose(picture.info["dpi"][0], 300, abs_tol=0.1)
    assert b"/MediaBox [ 0 0 144.0 72.0 ]" in (tmp_path / "new" / "a.pdf").read_bytes()


def test_the_tool_writes_what_samples_art_holds(tmp_path, monkeypatch, sampler):
    monkeypatch.setattr(art, "poster", lambda sampler, number, title, below: np.full((351, 248), len(title), np.uint8))
    tool.main(sampler, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in tool.FOLDER.iterdir()}
    assert (
        pictures.load_picture(tmp_path / "mosaic.png").shape == pictures.load_picture(tool.FOLDER / "mosaic.png").shape
    )
    with art.Image.open(tool.FOLDER / "poster.png") as picture:
        assert (picture.size, picture.mode) == (art.A4[::-1], "L")
