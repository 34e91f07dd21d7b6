"""Grids, curves and moving pictures: what is drawn is what was given, read back from pixels, lines and files."""

import itertools
import re
import subprocess

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from imageio_ffmpeg import get_ffmpeg_exe
from matplotlib.colors import to_hex
from PIL import Image

from gan_lib import data, pictures, plotting, reference
from gan_lib.studies import augmentation
from gan_lib.training import Record

RECORDS = [
    Record(100, 6400, 1.0, 1.2, 0.7, 0.6, 0.4),
    Record(200, 12800, 2.0, 1.3, 0.9, 0.55, 0.45),
    Record(250, 16000, 2.5, 0.9, 1.8, 0.8, 0.2),
]


# Grids


@pytest.mark.parametrize(("n", "columns", "scale"), [(12, 4, 1), (12, 4, 3), (5, 10, 1), (1, 1, 2)])
def test_a_tiled_picture_is_cut_back_into_its_images(n, columns, scale, images):
    picture = pictures.tile(images[:n], columns, scale)
    columns = min(columns, n)
    assert picture.dtype == np.uint8
    assert picture.shape == ((n // columns * 30 + 2) * scale, (columns * 30 + 2) * scale)
    assert pictures.untile(picture, scale).equal(images[:n])


def test_images_stand_row_by_row(images):
    picture = pictures.tile(images[:5], columns=2)
    assert picture.shape == (92, 62)
    assert (picture[32:60, 2:30] == images[2].numpy()).all()
    assert (picture[2:30, 32:60] == images[1].numpy()).all()
    assert len(np.unique(picture[62:90, 32:60])) == 1  # the place that is left over


def test_images_in_the_range_look_like_those_in_bytes(images):
    in_range = data.to_range(images[:6]).requires_grad_(True)
    assert (pictures.tile(in_range, 3) == pictures.tile(images[:6], 3)).all()
    assert pictures.pixels(in_range).equal(images[:6])
    assert pictures.pixels(images).equal(images)


def test_a_saved_picture_is_read_back_as_it_was(tmp_path, images):
    picture = pictures.tile(images[:4], 2)
    pictures.save_picture(picture, tmp_path / "new" / "x.png")
    assert (pictures.load_picture(tmp_path / "new" / "x.png") == picture).all()
    with Image.open(tmp_path / "new" / "x.png") as file:
        assert (file.format, file.mode) == ("PNG", "L")


def test_a_shown_picture_is_drawn_as_it_is(images):
    ax = plotting.grid(images[:6], columns=3, title="six", width=4)
    (shown,) = ax.get_images()
    assert (shown.get_array() == pictures.tile(images[:6], 3)).all()
    assert shown.get_clim() == (0, 255)
    assert ax.get_title() == "six"
    assert ax.figure.get_figwidth() == 4
    assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0


def test_a_picture_goes_into_the_axes_it_is_given(images):
    figure = plotting.show(pictures.tile(images[:2])).figure
    other = figure.add_subplot()
    assert plotting.grid(images[:2], ax=other) is other
    assert len(figure.axes) == 2


def test_moments_of_training_stand_under_each_other(images):
    frames = [images[10 * i :][:10] for i in range(3)]
    ax = plotting.rows(frames, ["epoch 0", "epoch 1", "epoch 9"], columns=5)
    (shown,) = ax.get_images()
    expected = torch.cat([frame[:5] for frame in frames])
    assert (shown.get_array() == pictures.tile(expected, 5)).all()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["epoch 0", "epoch 1", "epoch 9"]
    assert [tick // 30 for tick in ax.get_yticks()] == [0, 1, 2]  # each beside its row


def test_the_labels_of_rows_are_on_the_saved_picture(images, tmp_path):
    ax = plotting.rows([images[:10]] * 5, ["people", "step 12,345", "two\nlines", "each pixel\non its own", ""])
    ax.figure.savefig(tmp_path / "x.png")
    picture = pictures.load_picture(tmp_path / "x.png")
    assert (picture[:, [0, -1]] == 255).all()
    assert (picture[:, :70] < 100).any()


def test_a_field_tints_images_red_above_zero_and_blue_below():
    images, field = torch.full((2, 1, 28, 28), -0.2), torch.zeros(2, 1, 28, 28)
    field[0, 0, 0, 0], field[0, 0, 0, 1], field[0, 0, 0, 2] = 3.0, -3.0, 1.5
    field[0, 0, 1] = 3.0  # so that 3 is the quantile
    picture = pictures.tint(images, field, columns=2)
    assert picture.shape == (32, 62, 3)
    assert picture[2, 2].tolist() == [255, 0, 0]
    assert picture[2, 3].tolist() == [0, 0, 255]
    assert picture[2, 4].tolist() == pytest.approx([178, 51, 51], abs=1)  # half red, half of 102
    assert picture[5, 5].tolist() == picture[2, 40].tolist() == [102, 102, 102]


def test_three_channels_are_red_green_and_blue():
    images = -torch.ones(3, 3, 28, 28)
    images[0, 0, 0, 0] = images[1, 1, 5, 0] = images[2, 2, 0, 7] = 1
    picture = pictures.rgb(images, columns=2)
    assert picture.shape == (62, 62, 3)
    assert picture[2, 2].tolist() == [255, 0, 0]
    assert picture[7, 32].tolist() == [0, 255, 0]
    assert picture[32, 9].tolist() == [0, 0, 255]
    assert picture[10, 10].tolist() == [0, 0, 0]
    assert picture[0, 0].tolist() == [40, 40, 40]


def test_a_histogram_has_shares_of_each_group_in_common_bins():
    groups = {"real": (torch.tensor([0.0, 0.0, 0.0, 1.0]), pictures.REAL), "fake": (torch.tensor([2.0]), pictures.FAKE)}
    ax = plotting.histogram(groups, bins=2, xlabel="width")
    assert [[bar.get_height() for bar in group] for group in ax.containers] == [[0.75, 0.25], [0, 1]]
    assert [[bar.get_x() for bar in group] for group in ax.containers] == [[0, 1], [0, 1]]
    assert [to_hex(group[0].get_facecolor()).upper() for group in ax.containers] == [pictures.REAL, pictures.FAKE]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["real", "fake"]
    assert ax.get_xlabel() == "width"
    assert plotting.histogram(groups, ax) is ax


# Curves


def test_curves_draw_the_numbers_of_the_records():
    axes = plotting.curves(RECORDS)
    drawn = {line.get_label(): line for ax in axes for line in ax.get_lines() if not line.get_label().startswith("_")}
    assert set(drawn) == {"d_loss", "g_loss", "D(x)", "D(G(z))"}
    for label, field in (("d_loss", "d_loss"), ("g_loss", "g_loss"), ("D(x)", "d_real"), ("D(G(z))", "d_fake")):
        assert list(drawn[label].get_xdata()) == [100, 200, 250]
        assert list(drawn[label].get_ydata()) == [getattr(record, field) for record in RECORDS]
    assert drawn["D(x)"].get_color() == pictures.REAL
    assert drawn["D(G(z))"].get_color() == drawn["g_loss"].get_color() == pictures.FAKE
    assert axes[1].get_ylim() == (0, 1)


def test_the_dashed_lines_are_those_of_theory():
    levels = [
        [line.get_ydata()[0] for line in ax.get_lines() if line.get_linestyle() == "--"]
        for ax in plotting.curves(RECORDS)
    ]
    assert levels[0] == pytest.approx([1.386294, 0.693147], abs=1e-6)
    assert levels[1] == [0.5]


def test_negative_losses_are_on_the_picture():
    """The generator's loss in the minimax game is at most 0."""
    axes = plotting.curves([record._replace(g_loss=-record.g_loss) for record in RECORDS])
    low, high = axes[0].get_ylim()
    assert low <= -1.8
    assert high > 1.386
    assert plotting.curves(RECORDS)[0].get_ylim()[0] == 0


def test_curves_of_no_records_are_empty_axes(tmp_path):
    axes = plotting.curves([])
    plotting.save_figure(axes[0], tmp_path / "curves.png")
    assert pictures.load_picture(tmp_path / "curves.png").shape == (320, 1000)


def test_a_saved_figure_stays_open_for_a_notebook_to_show(tmp_path, images):
    ax = plotting.grid(images[:4])
    plotting.save_figure(ax, tmp_path / "x.png")
    assert pictures.load_picture(tmp_path / "x.png").shape[1] == 700
    assert plotting.plt.fignum_exists(ax.figure.number)
    plotting.save_figure(ax, tmp_path / "x.png", close=True)
    assert not plotting.plt.fignum_exists(ax.figure.number)


# Moving pictures


@pytest.fixture
def frames(images):
    return [images[6 * i :][:6] for i in range(8)]


def ffmpeg(path, *arguments):
    """What ffmpeg itself says of a file: bytes, and text."""
    command = [get_ffmpeg_exe(), "-hide_banner", "-i", path, *arguments]
    told = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    return told.stdout, told.stderr.decode()


def read(path):
    """The frames of a moving picture, uint8 [T, height, width]."""
    if path.suffix == ".gif":
        frames = imageio.imread(path, index=None)
        return frames[..., 0] if frames.ndim == 4 else frames
    raw, said = ffmpeg(path, "-f", "rawvideo", "-pix_fmt", "gray", "-")
    width, height = map(int, re.search(r"Video: .* (\d+)x(\d+)", said).groups())
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width)


@pytest.mark.parametrize(("name", "count", "error"), [("x.gif", 8, 5), ("x.mp4", 12, 25)])
def test_a_moving_picture_holds_every_frame_and_the_last_for_a_third(name, count, error, frames, tmp_path):
    """A GIF has fewer greys, joins the equal frames at the end and shows the one for longer; a video is compressed."""
    pictures.save_animation(frames, tmp_path / "new" / name, columns=3, seconds=3.0)
    shown = read(tmp_path / "new" / name)
    expected = [pictures.tile(frame, 3, 2) for frame in frames]
    assert shown.shape == (count, *expected[0].shape)
    for picture, frame in zip(shown, expected + expected[-1:] * 4, strict=False):
        assert np.abs(picture[:-4].astype(float) - frame[:-4]).mean() < error  # above the bar


def test_a_video_lasts_as_long_as_it_should(frames, tmp_path):
    pictures.save_animation(frames, tmp_path / "x.mp4", columns=3, seconds=3.0)
    _, said = ffmpeg(tmp_path / "x.mp4")
    hours, minutes, seconds = map(float, re.search(r"Duration: (\d+):(\d+):([\d.]+)", said).groups())
    assert (hours, minutes) == (0, 0)
    assert seconds == pytest.approx(3, abs=0.3)
    assert "Video: h264" in said  # what every browser plays


def test_a_gif_lasts_as_long_as_it_should(frames, tmp_path):
    pictures.save_animation(frames, tmp_path / "x.gif", columns=3, seconds=3.0)
    with Image.open(tmp_path / "x.gif") as gif:
        durations = []
        for i in range(gif.n_frames):
            gif.seek(i)
            durations.append(gif.info["duration"])
        assert gif.info["loop"] == 0  # for ever
    assert sum(durations) == pytest.approx(3000, rel=0.05)
    assert durations[-1] == pytest.approx(5 * durations[0], rel=0.05)


def test_the_bar_at_the_bottom_grows(frames, tmp_path):
    pictures.save_animation(frames, tmp_path / "x.gif", columns=3)
    bright = [(picture[-1] > 150).mean() for picture in read(tmp_path / "x.gif")]
    assert bright == pytest.approx([(i + 1) / 8 for i in range(8)], abs=0.02)


@pytest.mark.parametrize("name", ["x.gif", "x.mp4"])
def test_a_label_stands_below_its_frame(name, frames, tmp_path):
    pictures.save_animation(frames, tmp_path / name, columns=3, labels=[f"step {2**i}" for i in range(8)])
    shown = read(tmp_path / name)
    height = pictures.tile(frames[0], 3, 2).shape[0]
    lines = [picture[height:].astype(float) for picture in shown[:8]]
    assert lines[0].shape[0] == 20
    assert all(line.max() > 150 for line in lines)
    assert all(np.abs(a - b).max() > 100 for a, b in itertools.pairwise(lines))


def test_too_few_labels_are_an_error(frames, tmp_path):
    with pytest.raises(ValueError, match="zip"):
        pictures.save_animation(frames, tmp_path / "x.gif", labels=["one"])


def test_noise_takes_less_room_in_a_gif(tmp_path):
    noise = [torch.randint(0, 256, (6, 28, 28), generator=torch.Generator().manual_seed(i)).byte() for i in range(4)]
    pictures.save_animation(noise, tmp_path / "x.gif", columns=3, scale=1)
    assert (tmp_path / "x.gif").stat().st_size < 0.8 * sum(frame.numel() for frame in noise)


@pytest.mark.parametrize(("name", "count"), [("x.gif", 1), ("x.mp4", 2)])
def test_one_frame_is_a_moving_picture_too(name, count, frames, tmp_path):
    pictures.save_animation(frames[:1], tmp_path / name)
    shown = read(tmp_path / name)
    assert shown.reshape(-1, *shown.shape[-2:]).shape == (count, 64, 364)


def test_curves_with_a_reference_have_bands_as_far_as_the_run_goes_and_a_sentence():
    records = [Record(step, 100 * step, 1.0, 1.2, 1.1, 0.6, 0.4) for step in range(100, 1001, 100)]
    axes = plotting.curves(records, reference="mlp-quick")
    assert [len(ax.collections) for ax in axes] == [2, 2]
    for ax, field in zip(axes, ("d_loss", "d_real"), strict=True):
        band = reference.band("mlp-quick", field)
        corners = ax.collections[0].get_paths()[0].vertices
        assert (corners[:, 0].min(), corners[:, 0].max()) == (100, 1000)
        assert corners[:, 1].min() == pytest.approx(min(band.low[:10]))
        assert corners[:, 1].max() == pytest.approx(max(band.high[:10]))
    assert axes[0].figure.get_suptitle() == reference.remark(records, "mlp-quick")


def test_curves_of_no_records_can_have_a_reference():
    axes = plotting.curves([], reference="mlp-quick")
    assert "too short" in axes[0].figure.get_suptitle()


def test_logarithmic_axes_show_numbers_and_not_powers():
    _, ax = plotting.plt.subplots()
    ax.loglog([1, 2000], [3, 700])
    plotting.plain_numbers(ax.xaxis, ax.yaxis)
    ax.figure.canvas.draw()
    shown = {label.get_text() for axis in (ax.xaxis, ax.yaxis) for label in axis.get_ticklabels()}
    assert {"10", "100", "1000"} <= shown
    assert not any("^" in text for text in shown)
    plotting.plt.close(ax.figure)


def test_the_gains_are_means_and_deviations_over_the_real_digits_without_and_with_jitter(monkeypatch):
    made_up = {"real": {10: [8, 12], 100: [4, 4]}, "own": {10: [6, 6]}, "all": {10: [5, 5], 100: [2, 3]}}
    scale = {"plain": 1, "jitter": 0.5}
    monkeypatch.setattr(
        plotting.bands,
        "errors",
        lambda how, arm: {
            n: [scale[how] * v for v in e] for n, e in (made_up | {"synthetic": {0: [7, 9]}})[arm].items()
        },
    )
    axes = augmentation.plot_errors()
    assert [ax.get_title() for ax in axes] == ["without jitter", "with jitter"]
    for ax, factor in zip(axes, (1, 0.5), strict=True):
        real, own, everything = ax.containers
        assert real[0].get_xydata().tolist() == [[10, 10 * factor], [100, 4 * factor]]
        (low, high), _ = (bar[:, 1] for bar in real[2][0].get_segments())
        assert high - low == pytest.approx(2 * factor * 8**0.5)  # to either side, √8, the deviation of 8 and 12
        assert own[0].get_xydata().tolist() == [[10, 6 * factor]]
        assert [line.get_color() for line in (real[0], own[0], everything[0])] == [pictures.REAL, *2 * [pictures.FAKE]]
        assert [line.get_ydata()[0] for line in ax.lines if line.get_color() == pictures.THEORY] == [8 * factor]
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    told = [text.get_text() for text in axes[1].get_legend().get_texts()]
    assert sorted(told) == sorted(augmentation.ARMS.values())
