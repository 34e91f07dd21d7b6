"""Buttons that play a game one step at a time, so that you see what each step does. Lesson 00."""

import threading

import ipywidgets as widgets

from gan_lib import training
from gan_lib.losses import LOSSES
from gan_lib.pictures import failure, img

MOVES = {"D: 1 step": "D", "G: 1 step": "G", "D, then G": "DG", "D, then G: 100 ×": 100 * "DG"}


def play(game, world, moves):
    """Let the players of `game` step in the order of `moves`, "DDG" say, each on new points of `world` and new noise."""
    for player in moves:
        step = training.discriminator_step if player == "D" else training.generator_step
        step(game, world.sample(game.batch_size, game.rng), game.generate(game.noise(game.batch_size)))


class Arena(widgets.HBox):
    """Buttons that play `game` on points of `world`; after each move the image is `picture(game)`, uint8 [h, w, 3]."""

    def __init__(self, game, world, picture, size=420):
        self.game, self.world, self.picture, self.size, self.lock = game, world, picture, size, threading.Lock()
        self.played = ""
        self.buttons = [widgets.Button(description=name) for name in MOVES]
        self.loss = widgets.Dropdown(options=list(LOSSES.items()), value=game.loss, description="loss")
        self.gamma = widgets.FloatSlider(game.gamma, min=0, max=2, step=0.05, description="gamma")
        self.rates = widgets.FloatLogSlider(1, min=-2, max=2, step=0.1, description="rates ×")
        self.image, self.status = widgets.HTML(), widgets.HTML()
        super().__init__([self.image, widgets.VBox([*self.buttons, self.loss, self.gamma, self.rates, self.status])])
        for button, moves in zip(self.buttons, MOVES.values(), strict=True):
            button.on_click(lambda _, moves=moves: self.move(moves))
        self.move("")

    def move(self, moves):
        """`play` with the loss, gamma and rates of the controls, and show it; an error appears in the status line."""
        with self.lock:
            try:
                game = self.game
                game.loss, game.gamma = self.loss.value, self.gamma.value
                for optimizer, rate in zip((game.g_optimizer, game.d_optimizer), game.rates, strict=True):
                    optimizer.param_groups[0]["lr"] = rate * self.rates.value
                play(game, self.world, moves)
                self.played += moves
                self.image.value = img(self.picture(game), self.size, "what D believes, real points and fakes")
                self.status.value = f"D made {self.played.count('D')} steps, G {self.played.count('G')}"
            except Exception as error:
                self.status.value = failure(error)
