"""Write samples/playground.html: the pretrained generators, best first, and a small training run. And a picture of it.

    python tools/make_playground.py      # a minute or two: the run is trained again

The nets of the run are small, so that the page has room for several moments of it, each with its discriminator.
"""

import dataclasses
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from gan_lib import checkpoint, data, recipes, training
from gan_lib.playground import page

OUT = Path(__file__).resolve().parents[1] / "samples" / "playground.html"
NAME = "watch it learn"
RECIPE = dataclasses.replace(recipes.get("dcgan-quick"), name=NAME, latent_dim=16, width=16, d_width=10)
STEPS = (0, 30, 60, 150, 500, 1500, 4000)  # most of the visible change happens early
PRETRAINED = ("cgan", "best", "dcgan", "mlp")
BITS = 9  # for a weight: the page should stay below 3 MB, and 12 bits would need 3.7


def learn(folder):
    """Train `RECIPE`, and write a checkpoint at each of `STEPS` into `folder`."""
    game, images = RECIPE.game(), data.load().images
    for step in STEPS:
        list(training.train(game, images, step - game.step))
        checkpoint.save(game, folder / "checkpoints" / f"step_{step:07d}.safetensors", RECIPE)


def photograph(page_path):
    """Write the picture of the page that README shows, if there is a Chromium."""
    if chromium := shutil.which("chromium") or shutil.which("google-chrome"):
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            window = browser.new_page(viewport={"width": 748, "height": 664})
            window.goto(page_path.as_uri())
            window.wait_for_selector("canvas")
            window.wait_for_timeout(2000)  # until the strips are drawn
            window.screenshot(path=page_path.with_suffix(".png"))
            browser.close()


def main():
    with tempfile.TemporaryDirectory() as folder:
        learn(Path(folder) / NAME)
        size = page.write(OUT, [*PRETRAINED, Path(folder) / NAME], BITS)
    photograph(OUT)
    print(f"{OUT.name}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
