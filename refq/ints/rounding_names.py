"""Every project's name for a rounding, and the word of `rounding` that it is.

Names mislead: HALF_UP is half_up in one project and half_away in the next, and "nearest" says nothing about ties. Each line
was read in the project's documentation or source; tests/ints/test_rounding_names.py runs those that Python has at hand.
"""
from dataclasses import dataclass

from refq.errors import IllFormed, nearest
from refq.ints.rounding import names


@dataclass(frozen=True)
class Name:
    """`project` calls the rounding `word` `name`; `seen`: where it is written."""

    project: str
    name: str
    word: str
    seen: str


def lines(project, seen, **words):
    return [Name(project, name, word, seen) for word, names in words.items() for name in names.split()]


dictionary = (
    *lines("ac_fixed", "ac_datatypes reference, quantization modes", floor="AC_TRN", trunc="AC_TRN_ZERO", half_up="AC_RND",
           half_zero="AC_RND_ZERO", half_down="AC_RND_MIN_INF", half_away="AC_RND_INF", half_even="AC_RND_CONV"),
    *lines("ap_fixed", "Vitis HLS user guide, arbitrary precision fixed point", floor="AP_TRN", trunc="AP_TRN_ZERO",
           half_up="AP_RND", half_zero="AP_RND_ZERO", half_down="AP_RND_MIN_INF", half_away="AP_RND_INF",
           half_even="AP_RND_CONV"),
    *lines("arm", "Arm A64 instruction set", floor="SSHR FCVTMS", ceil="FCVTPS", trunc="FCVTZS", half_up="SRSHR SRSHL SQRDMULH",
           half_even="FCVTNS", half_away="FCVTAS"),
    *lines("c", "ISO C, 6.5 and 7.12", floor="floor >>", ceil="ceil", trunc="trunc /", half_away="round lround",
           half_even="rint nearbyint lrint roundeven"),
    *lines("cmsis-nn", "ARM-software/CMSIS-NN Include/arm_nnsupportfunctions.h", half_away="arm_nn_divide_by_power_of_two",
           half_up="arm_nn_doubling_high_mult_no_sat"),
    *lines("cuda", "CUDA math API", floor="__float2int_rd", ceil="__float2int_ru", trunc="__float2int_rz",
           half_even="__float2int_rn rintf", half_away="roundf"),
    *lines("deeploy", "pulp-platform/Deeploy TargetLibraries/Generic", half_up="RequantShift"),
    *lines("ethos-u", "Vela ethosu/vela/operation.py, rounding modes", trunc="TRUNCATE", half_up="NATURAL"),
    *lines("gemmini", "ucb-bar/gemmini src/main/scala/gemmini/Arithmetic.scala", half_even=">>"),
    *lines("gemmlowp", "google/gemmlowp fixedpoint/fixedpoint.h", half_away="RoundingDivideByPOT",
           half_up="SaturatingRoundingDoublingHighMul"),
    *lines("ieee754", "IEEE 754-2019, 4.3", half_even="roundTiesToEven", half_away="roundTiesToAway", trunc="roundTowardZero",
           ceil="roundTowardPositive", floor="roundTowardNegative"),
    *lines("java", "java.math.RoundingMode, java.lang.Math", away="UP", trunc="DOWN", ceil="CEILING", floor="FLOOR",
           half_away="HALF_UP", half_zero="HALF_DOWN", half_even="HALF_EVEN rint", half_up="Math.round"),
    *lines("javascript", "ECMA-262, Math", half_up="Math.round", floor="Math.floor", ceil="Math.ceil", trunc="Math.trunc"),
    *lines("matlab", "Fixed-Point Designer, rounding methods", ceil="Ceiling", half_even="Convergent", floor="Floor",
           half_up="Nearest", half_away="Round round", trunc="Zero fix"),
    *lines("numpy", "numpy reference", floor="floor right_shift floor_divide", ceil="ceil", trunc="trunc fix",
           half_even="rint round around"),
    *lines("nvdla", "nvdla/hw cmod/hls/include/nvdla_common.h", half_away="AC_RND_INF"),
    *lines("onednn", "oneapi-src/oneDNN src/cpu/simple_q10n.hpp", half_even="nearbyintf"),
    *lines("onnx", "onnx/onnx docs/Operators.md", half_even="Round QuantizeLinear", floor="Floor", ceil="Ceil"),
    *lines("python", "Python library reference: built-in functions, math, decimal", half_even="round ROUND_HALF_EVEN",
           floor="// >> math.floor ROUND_FLOOR", ceil="math.ceil ROUND_CEILING", trunc="int math.trunc ROUND_DOWN",
           away="ROUND_UP", half_away="ROUND_HALF_UP", half_zero="ROUND_HALF_DOWN"),
    *lines("qnnpack", "pytorch/QNNPACK src/requantization", half_away="precise", half_even="fp32"),
    *lines("qonnx", "fastmachinelearning/qonnx custom_op/general/intquant.py 1.0.0", half_even="ROUND HALF_EVEN", ceil="CEIL",
           floor="FLOOR", away="UP", trunc="DOWN", half_away="HALF_UP", half_zero="HALF_DOWN"),
    *lines("refq", "refq rounding", **{word: word for word in names}),
    *lines("riscv", "RISC-V V extension, vxrm; F extension, frm", half_up="rnu", half_even="rne RNE", floor="rdn RDN", odd="rod",
           trunc="RTZ", ceil="RUP", half_away="RMM"),
    *lines("softfloat", "berkeley-softfloat-3 softfloat.h", half_even="softfloat_round_near_even", trunc="softfloat_round_minMag",
           floor="softfloat_round_min", ceil="softfloat_round_max", half_away="softfloat_round_near_maxMag",
           odd="softfloat_round_odd"),
    *lines("systemc", "IEEE 1666, fixed-point quantization modes", floor="SC_TRN", trunc="SC_TRN_ZERO", half_up="SC_RND",
           half_zero="SC_RND_ZERO", half_down="SC_RND_MIN_INF", half_away="SC_RND_INF", half_even="SC_RND_CONV"),
    *lines("tflite", "tensorflow/tflite-micro kernels/internal/common.h, cppmath.h", half_away="TfLiteRound",
           half_up="TFLITE_SINGLE_ROUNDING"),
    *lines("torch", "torch reference", half_even="torch.round quantize_per_tensor", floor="torch.floor", ceil="torch.ceil",
           trunc="torch.trunc"),
    *lines("tosa", "TOSA 1.0 specification", half_even="CAST",
           half_up="SINGLE_ROUND ARITHMETIC_RIGHT_SHIFT MUL"),
    *lines("tvm", "apache/tvm src/relay/qnn/utils.cc", half_up="UPWARD", half_away="TONEAREST"),
    *lines("vitis-ai", "Xilinx/Vitis-AI nndct_fix_kernels, by code; vitis_round.py", half_up="DPU_ROUND 2", half_away="3",
           floor="4", half_zero="6", ceil="7", half_even="8"),
    *lines("vta", "apache/tvm-vta hardware/xilinx/src/vta.cc", floor="SHR"),
    *lines("x86", "Intel 64 instruction set, MXCSR at its default", half_even="CVTPS2DQ", trunc="CVTTPS2DQ", floor="PSRAD",
           half_up="PMULHRSW PAVGB"),
    *lines("xnnpack", "google/XNNPACK src/xnnpack/requantization.h", half_up="rndnu", half_away="rndna", half_even="fp32 lrintf"),
)
"""Where a project rounds twice (TFLite's and CMSIS-NN's default, Ethos-U's TFL, TOSA's DOUBLE_ROUND, QNNPACK's q31) a row says
so: `refq show tflite`. Vitis AI's code 5 takes negative halves up and positive ones to even, which is none of the words."""


WRITTEN = {"np.": "numpy", "numpy.": "numpy", "std::": "c", "decimal.": "python", "java.math.roundingmode.": "java",
           "roundingmode.": "java"}
"""What stands before a name where it is used in a program, and whose name it then is."""


def find(text):
    """The Names that `text` means, PROJECT:NAME, NAME, or as programs write it (np.rint, std::round), in any case; raises
    IllFormed where there is none."""
    before = next((p for p in WRITTEN if text.lower().startswith(p)), None)
    project, colon, name = text.rpartition(":") if before is None else (WRITTEN[before], ":", text[len(before):])
    if colon and not (project and name):
        raise IllFormed(f"{text!r} lacks {'a name' if project else 'a project'}; write PROJECT:NAME, such as java:HALF_UP, or "
                        "NAME alone for all projects that have it")
    found = [n for n in dictionary if n.name.lower() == name.lower() and (not colon or n.project == project.lower())]
    if found:
        return found
    if colon and project.lower() not in {n.project for n in dictionary}:
        projects = tuple(dict.fromkeys(n.project for n in dictionary))
        raise IllFormed(f"{text!r}: no project {project!r}; {nearest(project, projects)}")
    known = tuple(dict.fromkeys(n.name for n in dictionary if not colon or n.project == project.lower()))
    raise IllFormed(f"{text!r} is no rounding that refq knows; {nearest(name, known)}")
