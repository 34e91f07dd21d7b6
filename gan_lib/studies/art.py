"""Pictures to hang on a wall, made of generated digits: uint8 arrays [height, width], black 0 and white 255. Lesson 09.

All of it takes a `models.Sampler` that is told labels, or images, and draws nothing at random.
"""

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from torch.nn import functional as F

from gan_lib import UserError, attributes, evaluation, latent, pictures, plotting

PITCH = 18  # pixels from one digit of a number to the next
A4 = (3508, 2480)  # height and width in pixels, at 300 to the inch


def mosaic(photo, images, columns=96, size=16, fine=3):
    """A grey photograph, uint8 [height, width], out of images [N, 1, 28, 28] in [-1, 1]: uint8, `size`² pixels for each tile.

    The photograph's greys are dealt out anew, so that its darkest tile is as dark as the darkest image. Then a tile gets the
    image that comes nearest to it in each of fine × fine fields.
    """
    height, width = photo.shape
    rows = round(columns * height / width)
    ink = (images[:, :, 3:25, 3:25].cpu() + 1) / 2  # what lies around it is margin
    tones = F.adaptive_avg_pool2d(ink, fine)  # [N, 1, fine, fine]
    wanted = F.adaptive_avg_pool2d(torch.from_numpy(photo)[None].float(), (rows * fine, columns * fine)).flatten()
    quantile = torch.empty_like(wanted)
    quantile[wanted.argsort()] = torch.linspace(0, 1, len(wanted))
    wanted = tones.flatten().sort().values[(quantile * (tones.numel() - 1)).long()]
    wanted = F.unfold(wanted.view(1, 1, rows * fine, columns * fine), fine, stride=fine)[0].T  # [tiles, fine²]
    best = torch.cdist(wanted, tones.flatten(1)).topk(3, largest=False).indices
    chosen = best[torch.arange(len(best)), torch.arange(len(best)) % 3]  # in even areas not the same one over and over
    tiles = (255 * F.adaptive_avg_pool2d(ink[chosen], size)).round().to(torch.uint8)
    return tiles.view(rows, columns, size, size).transpose(1, 2).reshape(rows * size, columns * size).numpy()


def on_the_beat(beats, fps=25):
    """Where to be in each frame, float [frames]: 2.5 is half way from the third digit to the fourth.

    `beats` are seconds from one digit to the next. Each rests for the first half, and has arrived when the beat comes.
    """
    ends = torch.tensor([0.0, *beats]).cumsum(0)
    at = torch.arange(round(ends[-1].item() * fps)) / fps
    leg = (torch.bucketize(at, ends, right=True) - 1).clamp(max=len(beats) - 1)
    u = ((at - ends[leg]) / (ends[leg + 1] - ends[leg]) * 2 - 1).clamp(0, 1)
    return leg + u * u * (3 - 2 * u)  # slow, quick, slow


@torch.no_grad()
def count(sampler, digits, beats, n=16, fps=25, seed=0):
    """The frames of a film, images [n, 1, 28, 28] each: n hands write `digits`, one after the other and the first again.

    A hand changes a little meanwhile: it goes once around a `latent.loop`.
    """
    at = on_the_beat(beats, fps)
    classes = F.one_hot(torch.tensor([*digits, digits[0]]), sampler.classes).float()
    shares = torch.lerp(classes[at.long()], classes[(at.long() + 1).clamp(max=len(digits))], at.frac().unsqueeze(1))
    hands = [latent.loop(anchors, len(at)) for anchors in sampler.noise(3 * n, seed).view(n, 3, -1)]
    hands, shares = sampler.truncation * torch.stack(hands, 1), shares.to(sampler.device)
    return [sampler.generator(z, share.expand(n, -1)) for z, share in zip(hands, shares, strict=True)]


@torch.no_grad()
def in_hands(sampler, number, z):
    """The digits of `number`, a str of length K, in the hand of each z [N, latent_dim]: images [K, N, 1, 28, 28].

    The same z gives digits of one hand. What a hand writes twice it writes a little differently.
    """
    images = []
    for i, digit in enumerate(number):
        own = F.normalize(z + 0.25 * number[:i].count(digit) * z.flip(1), dim=1) * z.norm(dim=1, keepdim=True)
        images += [sampler(part, torch.full((len(part),), int(digit))) for part in own.split(250)]
    return torch.cat(images).unflatten(0, (len(number), len(z)))


def ordered(sampler, number, rows, columns, n=6000, seed=0):
    """z [rows · columns, latent_dim] for a grid of hands, which lean ever more to the right across it, and grow bolder down.

    A place gets that of n hands which comes nearest to its slant and thickness, and no hand has two. Only those have one in
    which the digit net is sure of every digit. Raises `UserError` where these are too few.
    """
    z = sampler.noise(n, seed)
    digits = in_hands(sampler, number, z)
    each = lambda measure: measure(digits.flatten(0, 1)).unflatten(0, digits.shape[:2])  # [K, n, …]
    sure = each(lambda images: evaluation.features_and_logits(images)[1].softmax(1))
    legible = torch.stack([part[:, int(k)] for part, k in zip(sure, number, strict=True)]).amin(0) > 0.9
    if (left := legible.sum().item()) < rows * columns:
        raise UserError(f"{left} of {n} hands write {number} legibly, too few for {rows * columns} places: raise n.")
    measured = [each(measure).mean(0)[legible] for measure in (attributes.thickness, attributes.slant)]
    free = torch.stack([values.argsort().argsort() / left for values in measured], 1)  # places in the order, 0 to 1
    chosen = []
    for place in torch.cartesian_prod(*(torch.linspace(0.01, 0.99, k, device=z.device) for k in (rows, columns))):
        chosen.append((free - place).square().sum(1).argmin())
        free[chosen[-1]] = torch.inf
    return z[legible][torch.stack(chosen)]


def enlarge(picture, width):
    """A uint8 picture, black on white, made `width` pixels wide, with the smooth and crisp edge of ink."""
    scale = width / picture.shape[1]
    page = Image.fromarray(picture).resize((width, round(scale * picture.shape[0])), Image.Resampling.BICUBIC)
    page = np.asarray(page.filter(ImageFilter.GaussianBlur(max(0.4 * scale, 0.8 * (scale - 3)))), np.float32) / 255
    return (255 * np.clip((page - 0.45) * max(1.5, scale / 2) + 0.5, 0, 1)).round().astype(np.uint8)


def poster(sampler, number="2026", rows=31, columns=12, title="", below="", size=A4, n=6000, seed=0):
    """A sheet of `size` (height, width), black on white: `number` large in one hand, and below it in rows × columns others.

    They are `ordered`, out of n; `title` stands above them, and `below` at the foot.
    """
    (height, width), margin = size, size[1] // 12
    digits = in_hands(sampler, number, ordered(sampler, number, rows, columns, n, seed))
    cells = np.full((rows * columns, 32, PITCH * len(number) + 16), 255, np.uint8)
    for i, images in enumerate(digits):
        part = cells[:, 2:30, PITCH * i : PITCH * i + 28]
        np.minimum(part, 255 - pictures.pixels(images).numpy(), out=part)
    ink = np.argwhere(cells[(large := rows // 3 * columns + columns // 2)] < 128)
    (top, left), (bottom, right) = ink.min(0) - 1, ink.max(0) + 2
    head = enlarge(cells[large, top:bottom, left:right], width - 2 * margin)
    grid = cells.reshape(rows, columns, 32, -1).swapaxes(1, 2).reshape(rows * 32, -1)[:, :-6]
    grid = enlarge(grid, width - 2 * margin)

    start = height - margin - width // 16 - len(grid)
    page, font = Image.new("L", (width, height), 255), ImageFont.truetype(plotting.findfont("STIXGeneral"), width // 50)
    page.paste(Image.fromarray(head), (margin, margin))
    page.paste(Image.fromarray(grid), (margin, start))
    line = (margin + len(head) + start) // 2  # half way from the large number to the small ones
    for x, y, text, anchor in ((margin, line, title, "lm"), (margin, height - margin, below, "ls"),
                               (width - margin, line, "leaning right →   bolder ↓", "rm")):  # fmt: skip
        ImageDraw.Draw(page).text((x, y), text, 0, font, anchor)
    return np.asarray(page)
