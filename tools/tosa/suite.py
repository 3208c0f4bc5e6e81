"""Arm's tests: generated, run on refq by Arm's runner, and judged, operator by operator."""
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tools.tosa.checks import NAMES
from tools.tosa.environment import program

ROOT = Path(__file__).resolve().parent.parent.parent
PROFILE = ["--profile", "tosa-pro-int", "--extension", "tosa-ext-int4", "tosa-ext-int16", "tosa-ext-doubleround"]
GROUPS = ("conv2d", "depthwise_conv2d argmax avg_pool2d max_pool2d matmul", "transpose_conv2d conv3d clamp resize",
          "add arithmetic_right_shift bitwise_and bitwise_or bitwise_xor intdiv logical_and logical_left_shift "
          "logical_right_shift logical_or logical_xor maximum minimum mul sub table abs bitwise_not clz logical_not negate "
          "select equal greater greater_equal reduce_all reduce_any reduce_max reduce_min reduce_sum",
          "concat pad reshape reverse slice tile transpose gather scatter cast rescale const identity")
"""Operators that one process of the generator makes tests of."""
RULE = {name: word for word, names in NAMES.items() for name in names}


@dataclass
class Row:
    """One operator: tests that TOSA defines and those whose codes equal Arm's; tests that it forbids and those refused for
    the reason that the test was made for; how often an operation ran by kernel, and by spec as well; what failed."""

    operator: str
    tests: int = 0
    equal: int = 0
    forbidden: int = 0
    refused: int = 0
    kernel: int = 0
    spec: int = 0
    failed: list = field(default_factory=list)


def generate(folder, most, errors, kinds=("rank", "type"), operators=None, options=()):
    """Tests under `folder`: for each operator (any, or those named) and each of its `kinds` at most `most`, and `errors` for
    each ERROR_IF; `options`: more of them for Arm's generator. Gives how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    groups = [[o for o in g.split() if not operators or o in operators] for g in GROUPS]
    every = {o: {"selection": {"default": {"permutes": list(kinds), "maximum": most, "num_errorifs": errors}}}
             for o in " ".join(GROUPS).split()}
    (folder / "selection.json").write_text(json.dumps(every))

    def one(group):
        command = [program("tosa_verif_build_tests"), "--tosa-version", "1.0.2", "--filter", f"({'|'.join(group)})$", *PROFILE,
                   "--seed", "42", "--test-selection-config", folder / "selection.json", "-o", folder,
                   "--test-type", "both", *options]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            raise RuntimeError(f"tosa_verif_build_tests ends with {made.returncode} for {group}: {made.stderr[-2000:]}")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, filter(None, groups)))
    return len(list(folder.rglob("desc.json")))


def execute(folder):
    """Runs Arm's runner, which asks refq, over all tests under `folder`; gives the rows."""
    log, xml = folder / "answers.jsonl", folder / "result.xml"
    log.unlink(missing_ok=True)
    module = "tools.tosa.sut"
    command = [program("tosa_verif_run_tests"), "-t", folder, "--recursive", "--sut-module", module, "--sut-module-args",
               f"{module}:{sys.executable}", f"{module}:{log}", *PROFILE, "-j", str(os.cpu_count()), "--no-color",
               "--xunit-file", xml]
    ran = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=ROOT)
    if ran.returncode:
        raise RuntimeError(f"tosa_verif_run_tests ends with {ran.returncode}: {ran.stderr[-2000:]}")
    answers = {a["test"]: a for a in map(json.loads, log.read_text().splitlines())}
    return judged({str(t.parent) for t in folder.rglob("desc.json")}, answers, passed(xml, module))


def passed(xml, module):
    """The tests that Arm's runner passed: those of its report without a failure or a skip."""
    cases = [c for suite in ElementTree.parse(xml).getroot().iter("testsuite") if suite.get("name") == module
             for c in suite.iter("testcase")]
    return {c.get("name") for c in cases if not len(c)}


def judged(tests, answers, passed):
    rows = {}
    for test in sorted(tests):
        name, answer = Path(test).name, answers.get(test, {"rule": "", "message": "no answer", "kernel": 0, "spec": 0})
        operator = re.sub(r"_\d.*", "", Path(test).parent.name)
        row, forbidden = rows.setdefault(operator, Row(operator)), re.search(r"_ERRORIF_([A-Za-z0-9]+)", name)
        row.kernel, row.spec = row.kernel + answer["kernel"], row.spec + answer["spec"]
        right = test in passed and (not forbidden or answer["rule"] == RULE.get(forbidden[1]))
        if forbidden:
            row.forbidden, row.refused = row.forbidden + 1, row.refused + right
        else:
            row.tests, row.equal = row.tests + 1, row.equal + right
        if not right:
            told = answer["message"].strip().splitlines()[-1:] or [f"refused for {answer['rule']}" if forbidden else "not equal"]
            row.failed.append(f"{name}: {told[0][:300]}")
    return list(rows.values())


def table(rows):
    """Markdown: operator, tests and how many are equal, forbidden graphs and how many are refused; the sums below."""
    lines = ["| operator | tests | equal | forbidden | refused |", "|---|---:|---:|---:|---:|"]
    lines += [f"| {r.operator.upper()} | {r.tests:,} | {r.equal:,} | {r.forbidden:,} | {r.refused:,} |" for r in rows]
    sums = [sum(getattr(r, name) for r in rows) for name in ("tests", "equal", "forbidden", "refused")]
    return "\n".join([*lines, f"| {len(rows)} operators | " + " | ".join(f"{s:,}" for s in sums) + " |"])
