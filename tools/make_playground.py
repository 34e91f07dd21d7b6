"""Write samples/playground.html: the pretrained generators, best first, and a small training run. And a picture of it.

    python tools/make_playground.py      # a minute or two: the run is trained again

Also samples/train.html, which trains a GAN; with --kernel only its kernel is compiled, by AssemblyScript from npm.

The nets of the run are small, so that the page has room for several moments of it, each with its discriminator.
"""

import base64
import dataclasses
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from gan_lib import checkpoint, data, recipes, training
from gan_lib.playground import page, write_trainer

OUT = Path(__file__).resolve().parents[1] / "samples" / "playground.html"
TRAINER = OUT.with_name("train.html")
KERNEL = page.FOLDER / "train_kernel.ts"
COMPILE = (
    "npx --yes --package assemblyscript@0.28.20 asc {} --enable simd -O3 --noAssert --runtime stub --importMemory -o {}"
)
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


def compile_kernel():
    """The base64 of the kernel's WebAssembly, in lines. Needs npm and its registry."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.wasm"
        command = COMPILE.format(KERNEL, path).split()
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
        text = base64.b64encode(path.read_bytes()).decode()
    return "".join(f"{text[i : i + 128]}\n" for i in range(0, len(text), 128))


def main():
    if "--kernel" in sys.argv:
        KERNEL.with_suffix(".txt").write_text(compile_kernel(), encoding="ascii")
        return
    with tempfile.TemporaryDirectory() as folder:
        learn(Path(folder) / NAME)
        size = page.write(OUT, [*PRETRAINED, Path(folder) / NAME], BITS)
    photograph(OUT)
    print(f"{OUT.name}: {size / 1e6:.2f} MB, {TRAINER.name}: {write_trainer(TRAINER) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
