"""The processes around a run: several that share it, another in the same folder, and signals that end it. Lesson 15.

    python -m gan_lib.processes 2 -m gan_lib train dcgan

Every process holds both nets, draws the same batches and noise, and trains on its share of them. The gradients are averaged
(all-reduce), so the weights equal those of a single process. Only BatchNorm differs a little: it sees one share at a time.
"""

import contextlib
import os
import runpy
import signal
import socket
import sys
import tempfile
from pathlib import Path

import filelock
import torch

from gan_lib import UserError
from gan_lib.hardware import Team, pick_device

MEETING = "GAN_LIB_MEETING"  # the file in which a team of `launch` meets, as a URL
GONE = "Another process of this run has ended, or can't be reached"


def team(device="auto"):
    """The `Team` that a launcher started. It gives each process its own GPU: call it before one is used."""
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        return Team()
    from accelerate import Accelerator  # here, because a single process does not need it

    on_cpu = pick_device(device).type == "cpu"
    if MEETING in os.environ:
        rank, backend = int(os.environ["RANK"]), "gloo" if on_cpu else "nccl"
        torch.distributed.init_process_group(backend, os.environ[MEETING], rank=rank, world_size=size)
    accelerator = Accelerator(cpu=on_cpu)

    def mean(values):
        try:
            return accelerator.reduce(values, "mean")
        except RuntimeError as error:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the launcher sends it now too: this error says enough
            raise ConnectionError(f"{GONE} ({str(error).splitlines()[0]}).") from error

    def stop(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
        raise ConnectionError(f"{GONE}, or the run was told to end.")

    signal.signal(signal.SIGTERM, stop)  # the launcher sends it when one of its processes ends too early
    return Team(size, accelerator.is_main_process, slice(accelerator.process_index, None, size), mean)


def join(game, team):
    """Let `game` take its share of each batch and average its gradients. `UserError` for a batch that can't be divided evenly."""
    if game.batch_size % team.size:
        raise UserError(f"A batch of {game.batch_size} can't be shared out evenly to {team.size} processes.")
    game.team = team
    if team.size > 1:
        for optimizer in (game.g_optimizer, game.d_optimizer):
            optimizer.register_step_pre_hook(lambda optimizer, *_: average_gradients(optimizer, team))


@torch.no_grad()
def average_gradients(optimizer, team):
    """Replace each gradient by its mean over the processes. torch's DDP can't: a penalty has gradients of gradients."""
    gradients = [weights.grad for weights in optimizer.param_groups[0]["params"]]
    means = team.mean(torch.cat([gradient.flatten() for gradient in gradients]))  # all in one message
    for gradient, mean in zip(gradients, means.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


@contextlib.contextmanager
def lock(out, team, device="cpu"):
    """Keep other processes from training into the folder `out`, or raise `UserError` if one already does.

    The operating system releases the lock when the process ends, however it ends.
    """
    out.mkdir(parents=True, exist_ok=True)
    mine, taken = filelock.FileLock(out / ".lock"), False
    try:
        if team.first:
            mine.acquire(blocking=False)
    except filelock.Timeout:
        taken = True
    except (OSError, NotImplementedError):
        pass  # a file system without locks
    try:
        if in_any_process(taken, team, device):
            raise UserError(f"Another process is training into {out}: wait for it to end, or choose another --out.")
        yield
    finally:
        mine.release()


def in_any_process(flag, team, device):
    """Whether `flag` is true in any process of the team. The processes wait for each other here."""
    return team.mean(torch.tensor([float(flag)], device=device)).item() > 0


@contextlib.contextmanager
def interrupts(alone):
    """A list that stays empty until Ctrl-C, so that a run stops at a record, never within a step. A second Ctrl-C interrupts.

    For a lone process the same holds if its terminal is closed or if it is told to end.
    """
    requests, before = [], {}

    def request(number, _):
        signal.signal(number, before[number])
        requests.append(number)
        with contextlib.suppress(OSError):  # not print, which the signal may have interrupted
            os.write(2, b"\nStopping at the next record ...\n")

    for name in ("SIGINT", "SIGTERM", "SIGHUP")[: 3 if alone else 1]:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores it
            before[number] = signal.signal(number, request)
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def launch(size, words):
    """Run `python WORDS` in `size` processes, a team. If one fails, the others are ended, and so is this process.

    They meet in a file, and only processes of this machine can reach them. `accelerate launch` works as well, but its meeting
    place is a port that listens on all addresses.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the members, which save the run
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    os.environ |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), f"{size}")
    os.environ |= dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), loopback)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        os.environ[MEETING] = Path(folder, "meeting").as_uri()
        try:
            torch.multiprocessing.spawn(become_member, (words,), size)
        except torch.multiprocessing.ProcessExitedException as error:
            sys.exit(abs(error.exit_code))  # the member has said why


def become_member(rank, words):
    """Run `python WORDS` in this process, number `rank` of a team."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ |= {"RANK": f"{rank}", "LOCAL_RANK": f"{rank}"}
    sys.argv = words[words[0] == "-m" :]
    run = runpy.run_module if words[0] == "-m" else runpy.run_path
    run(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    if sys.argv[2:] in ([], ["-m"]) or not sys.argv[1].isdecimal() or int(sys.argv[1]) < 1:
        sys.exit("usage: python -m gan_lib.processes NUMBER -m gan_lib train RECIPE ...")
    launch(int(sys.argv[1]), sys.argv[2:])
