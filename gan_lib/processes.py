"""The processes around a run: several that share it, another in the same folder, and signals that end it. Lesson 15.

    python -m gan_lib.processes 2 -m gan_lib train dcgan

Every process holds both nets, draws the same batches and noise, and trains on its share of them. The gradients are averaged
(all-reduce), so the weights equal those of a single process. Only BatchNorm differs a little: it sees one share at a time.
"""

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import time

import filelock
import torch

from gan_lib import UserError
from gan_lib.hardware import Team, pick_device

GONE = "Another process of this run has ended, or can't be reached"


def team(device="auto"):
    """The `Team` that a launcher started. It gives each process its own GPU: call it before one is used."""
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        return Team()
    from accelerate import Accelerator  # here, because a single process does not need it

    accelerator = Accelerator(cpu=pick_device(device).type == "cpu")

    def mean(values):
        try:
            return accelerator.reduce(values, "mean")
        except RuntimeError as error:
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
    """Run `python WORDS` in `size` processes, a team; returns 0 if all succeed. If one fails, the others are ended.

    `accelerate launch` listens on all addresses of the machine. Here only processes of the same machine can connect.
    """
    door = socket.create_server(("127.0.0.1", 0))
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    address, port = door.getsockname()
    store = torch.distributed.TCPStore(
        address, port, None, True, wait_for_workers=False, master_listen_fd=door.detach(), use_libuv=False
    )
    shared = {"MASTER_ADDR": address, "MASTER_PORT": f"{store.port}", "TORCHELASTIC_USE_AGENT_STORE": "True"}
    shared |= {"WORLD_SIZE": f"{size}", "GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    members, codes, end = [], [None], math.inf
    with contextlib.suppress(KeyboardInterrupt), interrupts(alone=True) as requests:
        try:
            for i in range(size):
                own = {"OMP_NUM_THREADS": "1"} | os.environ | shared | {"RANK": f"{i}", "LOCAL_RANK": f"{i}"}
                members.append(subprocess.Popen([sys.executable, *words], env=own, start_new_session=True))
            while None in codes and time.monotonic() < end:
                time.sleep(0.1)
                codes = [member.poll() for member in members]
                if any(codes):
                    end = min(end, time.monotonic() + 30)
                    [member.terminate() for member in members]
                elif requests:
                    [member.send_signal(signal.SIGINT) for member in members]
                    requests.clear()
        finally:
            [member.kill() for member in members]
    return max(1 if code is None else abs(code) for code in codes)


if __name__ == "__main__":
    sys.exit(launch(int(sys.argv[1]), sys.argv[2:]))
