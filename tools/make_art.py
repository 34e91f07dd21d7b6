"""Make the pictures in samples/art/ with the pretrained conditional generator: some minutes on one core.

    python tools/make_art.py

The photograph of mosaic.png is `skimage.data.cat`, Chelsea by Stéfan van der Walt, who gave it to the public domain (CC0).
"""

from pathlib import Path

from skimage import color, data

from gan_lib import pictures, recipes
from gan_lib.studies import art

FOLDER = Path(__file__).resolve().parents[1] / "samples" / "art"
BEATS = [0.5, 0.5, 0.25, 0.25, 0.5] * 2  # seconds from one digit to the next


def main(sampler, folder=FOLDER):
    """Write mosaic.png, poster.png, poster.pdf and count.mp4 into `folder`."""
    photo = (255 * color.rgb2gray(data.cat())).astype("uint8")
    mosaic = art.mosaic(photo, sampler.sample(6000), columns=120)
    pictures.save_picture(mosaic // 17 * 17, folder / "mosaic.png")  # 16 greys: half the file

    poster = art.poster(sampler, "2026", title="Two thousand and twenty-six, in 372 hands", below="Nobody wrote them.")
    for kind in ("png", "pdf"):
        pictures.save_picture(poster, folder / f"poster.{kind}", dpi=300)

    frames = art.count(sampler, range(10), BEATS)
    pictures.save_animation(frames, folder / "count.mp4", columns=4, scale=4, seconds=sum(BEATS), hold=0)


if __name__ == "__main__":
    main(recipes.pretrained("cgan"))
