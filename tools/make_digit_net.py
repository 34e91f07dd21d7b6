"""Train the digit classifier of `gan_lib.evaluation`, whose features the scores compare, and write it into gan_lib/weights/.

    python tools/make_digit_net.py            # about 8 minutes on two CPU cores

Data augmentation: small random rotations, scalings, shears and shifts. The EMA of the weights is written.
"""

import argparse
import time

import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from gan_lib import data, evaluation, models
from gan_lib.studies.augmentation import augment


def main():
    import make_weights  # here, because only a script finds a file beside it

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    train, test = data.load(), data.load(train=False)
    net = models.digit_classifier()
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.999), use_buffers=True)
    steps, began = arguments.epochs * (len(train.images) // 128), time.perf_counter()
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in (bar := tqdm(range(steps), mininterval=1)):
        chosen = torch.randint(len(train.images), (128,))
        logits = net(augment(data.to_range(train.images[chosen])))
        loss = F.cross_entropy(logits, train.labels[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        average.update_parameters(net)
        if bar.n % 50 == 0:
            bar.set_postfix(loss=loss.item())

    logits = evaluation.features_and_logits(data.to_range(test.images), average.module.eval())[1]
    accuracy = (logits.argmax(1) == test.labels).double().mean().item()
    size = make_weights.save(
        "digit-net", average.module.state_dict(), command="python tools/make_digit_net.py", epochs=arguments.epochs,
        seed=arguments.seed, seconds=round(time.perf_counter() - began), test_accuracy=accuracy,
    )  # fmt: skip
    print(f"{accuracy:.2%} of the 10,000 test digits read correctly; {size / 1e6:.1f} MB written")


if __name__ == "__main__":
    main()
