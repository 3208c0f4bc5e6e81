"""The array under cocotb: every case of a golden pack, back to back, each bit compared as text, so that X is wrong.

Environment: CASES, a .npz with the operands of a golden pack by name, x and y of all cases; FAULTS, the versions of the
array, one test for each.
"""
import os
import random

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

LANES, DEPTH = 4, 8


async def send(dut, stream, beats, draw):
    """Offer beats, each a dict of signal to integer, with gaps between them; each stays until it is taken."""
    valid, ready = getattr(dut, f"{stream}_valid"), getattr(dut, f"{stream}_ready")
    for beat in beats:
        while draw.random() < 0.3:
            await FallingEdge(dut.clk)
        for signal, value in beat.items():
            getattr(dut, signal).value = value
        valid.value = 1
        while ready.value != 1:
            await FallingEdge(dut.clk)
        await FallingEdge(dut.clk)
        valid.value = 0


def word(codes):
    """The codes of one beat as an integer, the first one in the low byte; a short beat ends in zeros."""
    return int.from_bytes(np.asarray(codes, np.int8).tobytes(), "little")


def beats(x, w):
    """The beats of a job in the order of the array: (stream, beat)."""
    for column in range(0, len(w), LANES):
        for row in range(0, len(x), DEPTH):
            for k in range(0, w.shape[1], LANES):
                tile = w[column:column + LANES, k:k + LANES]
                for i in range(LANES):
                    yield "w", {"w_data": word(tile[:, i]) if i < tile.shape[1] else 0}
                for codes in x[row:row + DEPTH, k:k + LANES]:
                    yield "x", {"x_data": word(codes)}


async def feed(dut, x, golden, draw):
    """All beats of one job."""
    channels = zip(*(golden[name].tolist() for name in ("bias", "mult", "shift")))
    await send(dut, "c", [dict(zip(("c_bias", "c_mult", "c_shift"), channel)) for channel in channels], draw)
    for stream, beat in beats(x, golden["w"]):
        await send(dut, stream, [beat], draw)


async def take(dut, n, m, sent, draw):
    """The beats that come out, as text of 0, 1, X and Z, until the array is idle: (n m), "" where none came."""
    got = np.full((n, m), "", object)
    places = [(row, column) for column in range(0, m, LANES) for row in range(n)]
    while not (sent.done() and dut.idle.value == 1):
        dut.y_ready.value = ready = int(draw.random() < 0.6)
        if ready and dut.y_valid.value == 1 and places:
            row, column = places.pop(0)
            text = str(dut.y_data.value)
            for lane in range(min(LANES, m - column)):
                got[row, column + lane] = text[len(text) - 8 * lane - 8:len(text) - 8 * lane]
        await FallingEdge(dut.clk)
    dut.y_ready.value = 0
    return got


@cocotb.test(timeout_time=200, timeout_unit="us")
@cocotb.parametrize(fault=[int(fault) for fault in os.environ["FAULTS"].split()])
async def equals_the_pack(dut, fault):
    """Every element of every case is the pack's, bit for bit."""
    golden, draw = np.load(os.environ["CASES"]), random.Random(fault)
    for name, value in {"fault": fault, "start": 0, "c_valid": 0, "w_valid": 0, "x_valid": 0, "y_ready": 0,
                        "zx": int(golden["zx"]), "zp": int(golden["zp"]), "rst": 1}.items():
        getattr(dut, name).value = value
    cocotb.start_soon(Clock(dut.clk, 2, unit="ns").start())
    for _ in range(3):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    wrong = 0
    for x, y in zip(golden["x"], golden["y"]):
        for name, size in zip("nkm", (*x.shape, y.shape[1])):
            getattr(dut, name).value = size
        dut.start.value = 1
        await FallingEdge(dut.clk)
        dut.start.value = 0
        got = await take(dut, *y.shape, cocotb.start_soon(feed(dut, x, golden, draw)), draw)
        wrong += np.count_nonzero(got != np.vectorize(lambda code: f"{code & 255:08b}", otypes=[object])(y.astype(int)))
    assert not wrong, f"{wrong} of {golden['y'].size} elements are wrong"
