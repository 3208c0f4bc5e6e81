"""I-ViT: the integer-only vision transformer of Li and Gu, read exactly in int64.

Products are rescaled by a dyadic number, half to even; the nonlinear operations are shifts; everything is symmetric. The
authors carry integers in float32 and multiply in float64; these rows carry them exactly. Activations of 16 bits at a
product are not the authors': their wide registers are rescaled by a 15-bit multiplier, which 64 bits hold, and sums of
exponentials of 16-bit codes take a reciprocal of 62 bits in softmax, of 52 in GELU, since their 31 saturate.
"""
from refq.dialects.base import Check, Dialect, Role, exact
from refq.ints.width import I16, I32, I48
from refq.ops import add, ilayernorm, rescale, shiftgelu, shiftmax, table

SOURCE = "Li and Gu, I-ViT, ICCV 2023 (arXiv 2207.01405); zkkli/I-ViT models/quantization_utils, commit 380ba99"

dialect = Dialect(
    name="ivit",
    title="I-ViT, the published formulas in exact integers",
    source=SOURCE,
    date="2023-10",
    roles=exact | {
        "rescale": Role("rescale", rescale.Row(multiplier="dyadic", ties="half_even")),
        "rescale_wide": Role("rescale", rescale.Row(multiplier="q15", ties="half_even", acc=I48)),
        "add": Role("add", add.Row(left=0, multiplier="dyadic", high="none", ties="half_even", joined=False)),
        "add_wide": Role("add", add.Row(left=0, multiplier="dyadic", high="none", ties="half_even", joined=False)),
        "softmax": Role("shiftmax", shiftmax.Row(out=I16)),
        "softmax_wide": Role("shiftmax", shiftmax.Row(q=I16, out=I16, reciprocal=62)),
        "gelu": Role("shiftgelu", shiftgelu.Row(bits=8)),
        "gelu_wide": Role("shiftgelu", shiftgelu.Row(n=24, q=I16, bits=8, reciprocal=52)),
        "layernorm": Role("ilayernorm", ilayernorm.Row()),
        "table": Role("table", table.Row(ties="half_even")),
    },
    asymmetric=(),
    narrow=False,
    encode="half_even",
    accumulators={8: I32, 16: I48},
    checks=(
        Check("shiftmax", shiftmax.Row(out=I16), {"q": [[0, -8, -16, -64]], "x0": -16}, [[15856, 10405, 6193, 309]],
              "I-ViT, section 3.3, at scale 1/16"),
        Check("shiftgelu", shiftgelu.Row(bits=8), {"q": [[-64, -16, 0, 16, 64]], "zp": 0, "x0": -10},
              [[0, -352, 0, 1696, 8000]], "I-ViT, section 3.4, at scale 1/16"),
    ),
)
