"""Make the pictures in samples/art/ with the pretrained conditional generator: some minutes on one core.

    python tools/make_art.py

The photograph of mosaic.png is `skimage.data.cat`, Chelsea by Stéfan van der Walt, who gave it to the public domain (CC0).
Each function returns a picture, uint8 [height, width], or the frames of a film.
"""

from pathlib import Path

import numpy as np
import torch
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from skimage import color, data
from torch.nn import functional as F

from gan_lib import UserError, attributes, evaluation, pictures, recipes
from gan_lib.studies import films, handwriting

FOLDER = Path(__file__).resolve().parents[1] / "samples" / "art"
BEATS = [0.5, 0.5, 0.25, 0.25, 0.5] * 2  # seconds from one digit to the next
PITCH, VARIATION = 18, 0.25  # of a poster's numbers: pixels from one digit to the next; see `handwriting.write`
LEGEND = "leaning right →   bolder ↓"
A4 = (3508, 2480)  # height and width in pixels, at 300 to the inch


def mosaic(photo, images, columns=96, size=16, fine=3):
    """A grey photograph, uint8 [height, width], out of images [N, 1, 28, 28] in [-1, 1]: uint8, `size`² pixels for each tile.

    The photograph's greys are equalised to those of the images. Each tile is one of the three images that come nearest to it
    in the mean greys of fine × fine fields.
    """
    height, width = photo.shape
    rows = round(columns * height / width)
    ink = (images[:, :, 3:25, 3:25].cpu() + 1) / 2  # without the margin
    tones = F.adaptive_avg_pool2d(ink, fine)  # [N, 1, fine, fine]
    target = F.adaptive_avg_pool2d(torch.from_numpy(photo)[None].float(), (rows * fine, columns * fine)).flatten()
    quantile = torch.empty_like(target)
    quantile[target.argsort()] = torch.linspace(0, 1, len(target))
    target = tones.flatten().sort().values[(quantile * (tones.numel() - 1)).long()]
    target = F.unfold(target.view(1, 1, rows * fine, columns * fine), fine, stride=fine)[0].T  # [tiles, fine²]
    best = torch.cdist(target, tones.flatten(1)).topk(3, largest=False).indices
    chosen = best.gather(1, torch.arange(len(best)).view(-1, 1) % 3).flatten()  # no image fills an even area
    tiles = (255 * F.adaptive_avg_pool2d(ink[chosen], size)).round().to(torch.uint8)
    return tiles.view(rows, columns, size, size).transpose(1, 2).reshape(rows * size, columns * size).numpy()


def schedule(beats, fps=25):
    """The place in a sequence of digits for each frame, float [frames]: 2.5 is half way from the third digit to the fourth.

    `beats` are seconds from one digit to the next. A digit rests for the first half of its beat.
    """
    ends = torch.tensor([0.0, *beats]).cumsum(0)
    at = torch.arange(round(ends[-1].item() * fps)) / fps
    leg = (torch.bucketize(at, ends, right=True) - 1).clamp(max=len(beats) - 1)
    u = ((at - ends[leg]) / (ends[leg + 1] - ends[leg]) * 2 - 1).clamp(0, 1)
    return leg + u * u * (3 - 2 * u)  # smoothstep: slow, quick, slow


@torch.no_grad()
def count(sampler, digits, beats, n=16, fps=25, seed=0):
    """The frames of a film, images [n, 1, 28, 28] each: `digits` in n handwritings, one after the other and the first again.

    Each handwriting goes once around a `films.loop`. See `schedule` for `beats`.
    """
    at = schedule(beats, fps)
    classes = F.one_hot(torch.tensor([*digits, digits[0]]), sampler.classes).float()
    shares = torch.lerp(classes[at.long()], classes[(at.long() + 1).clamp(max=len(digits))], at.frac().unsqueeze(1))
    loops = [films.loop(anchors, len(at)) for anchors in sampler.noise(3 * n, seed).view(n, 3, -1)]
    frames = zip(sampler.truncation * torch.stack(loops, 1), shares.to(sampler.device), strict=True)
    return [sampler.generator(z, share.expand(n, -1)) for z, share in frames]


def arrange(sampler, number, rows, columns, n=6000, seed=0):
    """z [rows · columns, latent_dim] for a grid of handwritings: slant grows across the grid, thickness down.

    Each cell takes the nearest by rank among those left of n that are legible: the digit net is sure of each digit of `number`.
    Raises `UserError` where too few are.
    """
    z = sampler.noise(n, seed)
    images = handwriting.write(sampler, number, z, VARIATION)
    measure = lambda function: function(images.flatten(0, 1)).unflatten(0, images.shape[:2])  # [n, K, …]
    probabilities = measure(lambda images: evaluation.features_and_logits(images)[1].softmax(1))
    legible = probabilities[:, range(len(number)), [int(digit) for digit in number]].amin(1) > 0.9
    if (left := legible.sum().item()) < rows * columns:
        raise UserError(f"{left} of {n} handwritings are legible, too few for {rows * columns} cells: raise n.")
    values = [measure(attribute).mean(1)[legible] for attribute in (attributes.thickness, attributes.slant)]
    ranks = torch.stack([each.argsort().argsort() / left for each in values], 1)  # in [0, 1)
    chosen = []
    for cell in torch.cartesian_prod(*(torch.linspace(0.01, 0.99, k, device=z.device) for k in (rows, columns))):
        chosen.append((ranks - cell).square().sum(1).argmin())
        ranks[chosen[-1]] = torch.inf  # each is used once
    return z[legible][torch.stack(chosen)]


def enlarge(picture, width):
    """A uint8 picture, black on white, scaled to `width` pixels, with a smooth and crisp edge of the ink."""
    scale = width / picture.shape[1]
    page = Image.fromarray(picture).resize((width, round(scale * picture.shape[0])), Image.Resampling.BICUBIC)
    page = np.asarray(page.filter(ImageFilter.GaussianBlur(max(0.4 * scale, 0.8 * (scale - 3)))), np.float32) / 255
    return (255 * np.clip((page - 0.45) * max(1.5, scale / 2) + 0.5, 0, 1)).round().astype(np.uint8)


def poster(sampler, number="2026", rows=31, columns=12, title="", below="", size=A4, n=6000, seed=0):
    """A page of `size` (height, width), black on white: `number` large, and below it in rows × columns handwritings.

    `arrange` picks them out of n. `title` stands between the two, and `below` at the foot.
    """
    (height, width), margin = size, size[1] // 12
    digits = handwriting.write(sampler, number, arrange(sampler, number, rows, columns, n, seed), VARIATION)
    cells = np.full((rows * columns, 32, PITCH * len(number) + 16), 255, np.uint8)
    for i, images in enumerate(digits.unbind(1)):
        part = cells[:, 2:30, PITCH * i : PITCH * i + 28]
        np.minimum(part, 255 - pictures.pixels(images).numpy(), out=part)
    large = cells[rows // 3 * columns + columns // 2]
    ink = np.argwhere(large < 128)
    (top, left), (bottom, right) = ink.min(0) - 1, ink.max(0) + 2
    head = enlarge(large[top:bottom, left:right], width - 2 * margin)
    small = cells.reshape(rows, columns, 32, -1).swapaxes(1, 2).reshape(rows * 32, -1)[:, :-6]
    grid = enlarge(small, width - 2 * margin)

    start = height - margin - width // 16 - len(grid)
    line = (margin + len(head) + start) // 2  # half way from the large number to the small ones
    page = Image.new("L", (width, height), 255)
    page.paste(Image.fromarray(head), (margin, margin))
    page.paste(Image.fromarray(grid), (margin, start))
    draw, font = ImageDraw.Draw(page), ImageFont.truetype(findfont("STIXGeneral"), width // 50)
    draw.text((margin, line), title, 0, font, "lm")
    draw.text((margin, height - margin), below, 0, font, "ls")
    draw.text((width - margin, line), LEGEND, 0, font, "rm")
    return np.asarray(page)


def main(sampler, folder=FOLDER):
    """Write mosaic.png, poster.png, poster.pdf and count.mp4 into `folder`."""
    photo = (255 * color.rgb2gray(data.cat())).astype("uint8")
    cat = mosaic(photo, sampler.sample(6000), columns=120)
    pictures.save_picture(cat // 17 * 17, folder / "mosaic.png")  # 16 greys: half the file

    page = poster(sampler, "2026", title="Two thousand and twenty-six, in 372 hands", below="Nobody wrote them.")
    for kind in ("png", "pdf"):
        pictures.save_picture(page, folder / f"poster.{kind}", dpi=300)

    frames = count(sampler, range(10), BEATS)
    films.save(frames, folder / "count.mp4", columns=4, scale=4, seconds=sum(BEATS), hold=0)


if __name__ == "__main__":
    main(recipes.pretrained("cgan"))
