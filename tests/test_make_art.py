"""Mosaics, films and posters: their layout, compared with what can be computed by hand."""

import numpy as np
import pytest
import torch

from gan_lib import UserError, attributes, data, evaluation
from gan_lib.studies import films
from tests import load_picture
from tools import make_art as art


class Copies:
    """A sampler that returns real digits: z[:, 0] picks one of the label's class."""

    def __init__(self):
        digits = data.load()
        images, right = data.to_range(digits.images[:3000]), digits.labels[:3000]
        read = evaluation.features_and_logits(images)[1].argmax(1)
        self.of = [images[(right == k) & (read == k)] for k in range(10)]

    def noise(self, n, seed):
        return torch.rand(n, 2, generator=torch.Generator().manual_seed(seed))

    def __call__(self, z, labels):
        classes = [self.of[int(k)] for k in labels]
        return torch.stack([images[int(a * len(images))] for a, images in zip(z[:, 0] % 1, classes, strict=True)])


def test_a_mosaic_equalises_the_greys_of_the_photograph():
    photo = np.repeat(np.linspace(100, 120, 6).round().astype(np.uint8), 10)[None].repeat(20, 0)  # six pale steps
    greys = torch.linspace(0.2, 0.7, 6, dtype=torch.float64).repeat(6).view(-1, 1, 1, 1)
    picture = art.mosaic(photo, greys.expand(-1, 1, 28, 28) * 2 - 1, columns=6, size=5)
    row = np.repeat([51, 76, 102, 127, 153, 178], 5)
    assert picture.shape == (10, 30)
    assert abs(picture - row).max() <= 1


def test_a_tile_is_dark_where_its_part_of_the_photograph_is():
    above, left = torch.ones(2, 6, 1, 28, 28)
    above[..., :14, :], left[..., :14] = -1, -1
    photo = np.zeros((30, 60), np.uint8)
    photo[15:, :30], photo[:, 45:] = 255, 255
    picture = art.mosaic(photo, torch.cat([above, left]), columns=2, size=22, fine=2)
    expected = np.zeros((22, 44), np.uint8)
    expected[11:, :22], expected[:, 33:] = 255, 255
    assert (picture == expected).all()


def test_an_even_area_does_not_repeat_one_image():
    images = torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 0.01
    picture = art.mosaic(np.full((50, 50), 9, np.uint8), images, columns=5, size=22)
    tiles = picture.reshape(5, 22, 5, 22).swapaxes(1, 2).reshape(25, -1)
    assert len(np.unique(tiles, axis=0)) > 5


def test_digits_arrive_on_the_beat_and_rest_after_it():
    at = art.schedule([1.0, 0.5, 0.5], fps=20)
    assert at.shape == (40,)
    assert [at[i].item() for i in (0, 10, 12, 15, 20, 30)] == pytest.approx([0, 0, 0.104, 0.5, 1, 2])
    assert (at.diff() >= 0).all()
    assert at[29] > 1.8
    assert at[39] > 2.8


def test_a_count_shows_each_digit_on_its_beat_and_is_a_loop(conditional):
    frames = art.count(conditional, [3, 1, 4], [0.4, 0.2, 0.4], n=5, fps=10)
    assert [frame.shape for frame in frames] == [(5, 1, 28, 28)] * 10
    z = torch.stack([films.loop(anchors, 10) for anchors in conditional.noise(15).view(5, 3, -1)], 1)
    for i, digit in ((0, 3), (4, 1), (6, 4)):
        torch.testing.assert_close(frames[i], conditional(z[i], torch.full((5,), digit)))
    *steps, last = [(b - a).abs().mean().item() for a, b in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert last < 1.5 * max(steps)  # no jump from the last frame to the first


def test_handwritings_are_arranged_by_slant_and_thickness_and_legible_or_too_few(conditional):
    copies = Copies()
    z = art.arrange(copies, "3", 4, 5, n=250)
    images = copies(z, [3] * 20)
    assert len(z.unique(dim=0)) == 20
    assert len(art.arrange(copies, "3", 4, 5, n=25).unique(dim=0)) == 20  # though few are left at the end
    assert (evaluation.features_and_logits(images)[1].softmax(1)[:, 3] > 0.9).all()
    assert (attributes.thickness(images).view(4, 5).mean(1).diff() > 0).all()
    assert (attributes.slant(images).view(4, 5).mean(0).diff() > 0).all()
    with pytest.raises(UserError, match=r"of 50 handwritings are legible, too few for 12 cells: raise n\."):
        art.arrange(conditional, "2026", 3, 4, n=50)


def test_a_poster_has_its_size_its_margins_and_its_text(monkeypatch):
    copies = Copies()
    monkeypatch.setattr(art, "arrange", lambda sampler, number, rows, columns, n, seed: sampler.noise(12, seed))
    draw = lambda title: art.poster(copies, "41", rows=3, columns=4, title=title, size=(900, 640))
    plain, titled = draw(""), draw("A title")
    assert (plain.shape, plain.dtype) == ((900, 640), np.uint8)
    margin = 640 // 12 - 4
    assert all((np.rot90(titled, k)[:margin] > 250).all() for k in range(4))  # on every side
    assert (plain[53:253] < 50).mean() > 0.05  # the large number
    text = np.argwhere(plain != titled)
    assert len(text) > 30
    assert text[:, 1].max() < 320
    font = art.ImageFont.truetype(art.findfont("STIXGeneral"), art.A4[1] // 50)
    lengths = [font.getlength(text) for text in ("Two thousand and twenty-six, in 372 hands", art.LEGEND)]
    assert sum(lengths) < art.A4[1] * 5 / 6 - 2 * font.size  # the longest title leaves room for the legend


def test_the_tool_writes_the_files_of_samples_art(tmp_path, monkeypatch, conditional):
    monkeypatch.setattr(art, "poster", lambda sampler, number, title, below: np.zeros((300, 600), np.uint8))
    art.main(conditional, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in art.FOLDER.iterdir()}
    one, other = (load_picture(folder / "mosaic.png") for folder in (tmp_path, art.FOLDER))
    assert one.shape == other.shape
    assert b"/MediaBox [ 0 0 144.0 72.0 ]" in (tmp_path / "poster.pdf").read_bytes()  # in points, 72 to the inch
    assert load_picture(art.FOLDER / "poster.png").shape == art.A4
