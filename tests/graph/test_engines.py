"""Kernel, spec and the reloaded program agree in every tensor, on any number of threads and images; no float between."""
import digits
import numpy as np
import pytest
from safetensors.numpy import save_file

from refq import recipes
from refq.graph.quantize import quantize
from refq.graph.store import load, program_hash, save
from refq.ints.operand import F32
from refq.ints.width import Width
from refq.load.network import load as load_network

COMBINATIONS = [(r, d) for r in recipes.names() for d in digits.SPINE]
every = pytest.mark.parametrize("recipe, dialect", COMBINATIONS)


def same(one, other):
    assert one.keys() == other.keys()
    for name, parts in one.items():
        for a, b in zip(parts, other[name], strict=True):
            assert a.dtype == b.dtype and np.array_equal(a, b), name


def agree(program, codes, folder):
    """Kernel == spec == reloaded, all intermediates."""
    kernel, outputs = digits.watched(program, codes)
    save(program, folder)
    again = load(folder)
    assert program_hash(again) == program_hash(program)
    for other, engine in ((program, "spec"), (again, "kernel"), (again, "spec")):
        seen, ends = digits.watched(other, codes, engine=engine)
        same(kernel, seen)
        assert ends.keys() == outputs.keys() and all(np.array_equal(ends[k], outputs[k]) for k in ends)
    assert kernel.keys() == {t for s in program.steps for t in s.outputs.values()}


@every
def test_engines_agree(tmp_path, recipe, dialect):
    """The embedded network under every recipe and dialect: kernel, spec and the reloaded program give the same tensors."""
    program = digits.program(recipe, dialect)
    agree(program, digits.codes(program), tmp_path)


@every
def test_threads_and_batches(recipe, dialect):
    """One thread, two threads, and every image by itself give the same codes."""
    program = digits.program(recipe, dialect)
    count = 3 * program.images_at_once + 1
    codes = digits.codes(program, count)
    (name,) = program.outputs
    one = program.run(codes, threads=1)[name]
    assert len(one) == count > 3
    assert np.array_equal(one, program.run(codes, threads=2)[name])
    assert np.array_equal(one, program.run(codes)[name])
    assert np.array_equal(one[:9], np.concatenate([program.run(codes[i:i + 1])[name] for i in range(9)]))
    assert np.array_equal(one[::-1], program.run(codes[::-1], threads=2)[name])


def test_no_image_is_no_image():
    """An empty batch gives empty outputs of the right shape, by both engines."""
    program = digits.program("int8", "tosa")
    codes = digits.codes(program, 1)[:0]
    for engine in ("kernel", "spec"):
        assert program.run(codes, engine)[program.outputs[0]].shape == (0, 10)


@every
def test_no_float_between_encode_and_decode(recipe, dialect):
    """Every array that a step takes or gives is of the integer dtype of its tensor, but for constants that a row declares F32."""
    program = digits.program(recipe, dialect)
    assert all(isinstance(t.width, Width) for name, t in program.tensors.items() if name not in program.constants)
    floats = {program.tensors[s.inputs[k]].name for s in program.steps for k, d in s.row.takes.items() if d.width is F32}
    assert {n for n, c in program.constants.items() if c.dtype.kind != "i"} == floats == \
        {n for n, t in program.tensors.items() if not isinstance(t.width, Width)}
    assert bool(floats) == (dialect == "onnx")
    codes = digits.codes(program)
    taken = []
    for call in program.plan("spec"):
        def run(*operands, call=call, inner=call.run, **how):
            taken.append([(o, d) for o, d in zip(operands, call.takes.values())])
            return inner(*operands, **how)
        call.run = run
    try:
        seen, outputs = digits.watched(program, codes, engine="spec")
    finally:
        del program.plans["spec"]
    assert len(taken) == len(program.steps)
    for operand, declared in (pair for step in taken for pair in step):
        if declared.names:
            assert operand.dtype == declared.width.dtype
        else:
            assert type(operand) is int or declared.width is F32
        assert declared.width is F32 or np.asarray(operand).dtype.kind == "i"
    for name, parts in ({program.inputs[0]: [codes]} | seen | {k: [v] for k, v in outputs.items()}).items():
        assert {p.dtype for p in parts} == {program.tensors[name].width.dtype} and parts[0].dtype.kind == "i"
    assert program.decode(outputs[program.outputs[0]]).dtype == np.float64


def vit(folder, width=192, blocks=12, patch=16, side=224, classes=1000):
    """A file of random weights under timm's names, of the size of DeiT-tiny."""
    draw, tensors = np.random.default_rng(0), {}

    def add(name, *shape, spread=0.02, middle=0.0):
        tensors[name] = (middle + spread * draw.standard_normal(shape)).astype(np.float32)

    add("cls_token", 1, 1, width)
    add("pos_embed", 1, (side // patch) ** 2 + 1, width)
    add("patch_embed.proj.weight", width, 3, patch, patch)
    add("patch_embed.proj.bias", width)
    for i in range(blocks):
        for part, m, k in (("attn.qkv", 3, 1), ("attn.proj", 1, 1), ("mlp.fc1", 4, 1), ("mlp.fc2", 1, 4)):
            add(f"blocks.{i}.{part}.weight", m * width, k * width, spread=0.06)
            add(f"blocks.{i}.{part}.bias", m * width)
    for part in [f"blocks.{i}.norm{j}" for i in range(blocks) for j in (1, 2)] + ["norm"]:
        add(f"{part}.weight", width, spread=0.2, middle=1.0)
        add(f"{part}.bias", width)
    add("head.weight", classes, width)
    add("head.bias", classes)
    save_file(tensors, folder / "deit.safetensors")
    return load_network(folder / "deit.safetensors")


@pytest.fixture(scope="module")
def deit(tmp_path_factory):
    return vit(tmp_path_factory.mktemp("deit"))


slow = [pytest.param(r, d, marks=pytest.mark.slow)
        for r, d in (("int8", "ivit"), ("int8", "onnx"), ("int8", "tosa"), ("w4a8", "tflite"), ("w8a16", "ivit"))]


@pytest.mark.parametrize("recipe, dialect", [("int8", "tflite"), *slow])
def test_engines_agree_at_the_size_of_deit_tiny(deit, tmp_path, recipe, dialect):
    """12 blocks of width 192 on one 224x224 image: kernel, spec and the reloaded program give the same tensors."""
    image = np.random.default_rng(1).standard_normal((1, 3, 224, 224))
    program = quantize(deit, image, recipe, dialect)
    codes = program.encode(image)
    kernel, outputs = digits.watched(program, codes)
    same(kernel, digits.watched(program, codes, engine="spec")[0])
    save(program, tmp_path)
    same(kernel, digits.watched(load(tmp_path), codes)[0])
    twice = np.concatenate([codes, codes])
    assert np.array_equal(program.run(twice, threads=2)["head"], np.concatenate([outputs["head"]] * 2))
