"""Figures show the numbers and pixels that they were given."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from gan_lib import pictures, plotting, reference
from gan_lib.training import Record
from tests import load_picture

RECORDS = [
    Record(100, 6400, 1.0, 1.2, 0.7, 0.6, 0.4),
    Record(200, 12800, 2.0, 1.3, 0.9, 0.55, 0.45),
    Record(250, 16000, 2.5, 0.9, 1.8, 0.8, 0.2),
]


def picture_of(ax):
    """The picture that axes show."""
    (image,) = ax.get_images()
    assert image.get_clim() == (0, 255)
    return np.asarray(image.get_array())


def test_grid_shows_the_tiled_images(images):
    ax = plotting.grid(images[:6], columns=3, title="six", width=4)
    assert (picture_of(ax) == pictures.tile(images[:6], 3)).all()
    assert ax.get_title() == "six"
    assert ax.figure.get_figwidth() == 4
    assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0
    other = ax.figure.add_subplot()
    assert plotting.grid(images[:2], ax=other) is other
    assert len(ax.figure.axes) == 2


def test_rows_stand_below_each_other_beside_their_labels(images):
    frames, labels = [images[10 * i :][:10] for i in range(3)], ["epoch 0", "epoch 1", "epoch 9"]
    ax = plotting.rows(frames, labels, columns=5)
    assert (picture_of(ax) == pictures.tile(torch.cat([frame[:5] for frame in frames]), 5)).all()
    assert [label.get_text() for label in ax.get_yticklabels()] == labels
    assert [tick // 30 for tick in ax.get_yticks()] == [0, 1, 2]  # each beside its row
    colour = plotting.rows([torch.stack(3 * [frame], 1) for frame in frames], labels, columns=5)
    assert (picture_of(colour)[..., 2] == picture_of(ax)).all()


def test_the_labels_of_rows_fit_into_the_saved_figure_which_stays_open_unless_it_is_closed(images, tmp_path):
    ax = plotting.rows([images[:10]] * 5, ["people", "step 12,345", "two\nlines", "each pixel\non its own", ""])
    plotting.save_figure(ax, tmp_path / "new" / "x.png")
    picture = load_picture(tmp_path / "new" / "x.png")
    assert picture.shape[1] == round(100 * ax.figure.get_figwidth())
    assert (picture[:, [0, -1]] == 255).all()
    assert (picture[:, :70] < 100).any()
    assert plotting.plt.fignum_exists(ax.figure.number)  # a notebook shows it
    plotting.save_figure(ax, tmp_path / "x.png", close=True)
    assert not plotting.plt.fignum_exists(ax.figure.number)


def test_a_histogram_has_shares_of_each_group_in_common_bins():
    groups = {"real": (torch.tensor([0.0, 0.0, 0.0, 1.0]), pictures.REAL), "fake": (torch.tensor([2.0]), pictures.FAKE)}
    ax = plotting.histogram(groups, bins=2, xlabel="width")
    assert [[bar.get_height() for bar in group] for group in ax.containers] == [[0.75, 0.25], [0, 1]]
    assert [[bar.get_x() for bar in group] for group in ax.containers] == [[0, 1], [0, 1]]
    assert [to_hex(group[0].get_facecolor()).upper() for group in ax.containers] == [pictures.REAL, pictures.FAKE]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["real", "fake"]
    assert ax.get_xlabel() == "width"
    assert plotting.histogram(groups, ax) is ax


def test_curves_draw_the_records_and_the_optimal_discriminator():
    axes = plotting.curves(RECORDS)
    lines = {line.get_label(): line for ax in axes for line in ax.get_lines() if not line.get_label().startswith("_")}
    fields = {"d_loss": "d_loss", "g_loss": "g_loss", "D(x)": "d_real", "D(G(z))": "d_fake"}
    assert lines.keys() == fields.keys()
    for label, field in fields.items():
        assert list(lines[label].get_xdata()) == [100, 200, 250]
        assert list(lines[label].get_ydata()) == [getattr(record, field) for record in RECORDS]
    assert lines["D(x)"].get_color() == pictures.REAL
    assert lines["D(G(z))"].get_color() == lines["g_loss"].get_color() == pictures.FAKE
    assert axes[0].get_ylim()[0] == 0
    assert axes[1].get_ylim() == (0, 1)
    dashed = [[line.get_ydata()[0] for line in ax.get_lines() if line.get_linestyle() == "--"] for ax in axes]
    assert dashed == [pytest.approx([1.386294, 0.693147], abs=1e-6), [0.5]]


def test_curves_hold_negative_losses_or_no_records(tmp_path):
    """G's minimax loss is at most 0."""
    low, high = plotting.curves([record._replace(g_loss=-record.g_loss) for record in RECORDS])[0].get_ylim()
    assert low <= -1.8 and high > 1.386
    plotting.save_figure(plotting.curves([])[0], tmp_path / "curves.png")
    assert load_picture(tmp_path / "curves.png").shape == (320, 1000)
    axes = plotting.curves([], reference=reference.Reference("mlp-quick"))
    assert axes[0].figure.get_suptitle() == "This run is too short to compare with the band of mlp-quick."


def test_curves_with_a_reference_are_means_over_its_steps_with_bands_up_to_the_last_and_a_remark():
    records = [Record(step, 100 * step, 1.0, 1.2, 1.1 + step % 100, 0.6, 0.4) for step in range(50, 1001, 50)]
    quick = reference.Reference("mlp-quick")
    axes = plotting.curves(records, reference=quick)
    [line] = [line for line in axes[0].get_lines() if line.get_label() == "g_loss"]
    assert (list(line.get_xdata()), set(line.get_ydata())) == (list(range(100, 1001, 100)), {26.1})
    assert [len(ax.collections) for ax in axes] == [2, 2]
    for ax, field in zip(axes, ("d_loss", "d_real"), strict=True):
        low, high = quick.band(field)
        corners = ax.collections[0].get_paths()[0].vertices
        assert (corners[:, 0].min(), corners[:, 0].max()) == (100, 1000)
        assert corners[:, 1].min() == pytest.approx(min(low[:10]))
        assert corners[:, 1].max() == pytest.approx(max(high[:10]))
    assert axes[0].figure.get_suptitle() == quick.remark(records)


def test_logarithmic_axes_show_numbers_and_not_powers():
    _, ax = plotting.plt.subplots()
    ax.loglog([1, 2000], [3, 700])
    plotting.plain_numbers(ax.xaxis, ax.yaxis)
    ax.figure.canvas.draw()
    texts = {label.get_text() for axis in (ax.xaxis, ax.yaxis) for label in axis.get_ticklabels()}
    assert {"10", "100", "1000"} <= texts
    assert not any("^" in text for text in texts)
