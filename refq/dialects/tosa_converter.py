"""TOSA as Arm's converter for TFLite emits it: as tosa, but for softmax of 16-bit codes.

TOSA 1.0 lets a RESCALE to 16 bits have no zero point, so what it did became a sum and a CAST, which keeps low bits: a code that
lies 10 below the largest, or more, has a share that means nothing.
"""
from dataclasses import replace

from refq.dialects import tosa
from refq.dialects.base import Check, Role
from refq.ints.width import I16
from refq.ops import softmax_table16

SOURCE = ("tosa-converter-for-tflite 2026.2.0 (TensorFlow commit 777924f5: compiler/mlir/tosa/transforms/legalize_common.cc, "
          "convertSoftmaxOp), run by the reference model of tosa-tools 2026.8.0")
ROW = softmax_table16.Row(store="wrap")

dialect = replace(
    tosa.dialect,
    name="tosa_converter",
    title="TOSA 1.0 as tosa-converter-for-tflite emits it: 16-bit softmax keeps low bits",
    source=SOURCE,
    date="2026-02",
    roles=tosa.dialect.roles | {"softmax_wide": Role("softmax_table16", ROW)},
    checks=(*tosa.dialect.checks, Check(
        "softmax_table16", replace(ROW, q=I16), {"q": [[0, -20000, -20479, -20480, -20481, -20600, -30000, -32768]],
                                                 **softmax_table16.build(ROW, 2.0 ** -11, 0)},
        [[11088, 1, 1, 1, 11085, 10459, 106, 27]], SOURCE)),
)
