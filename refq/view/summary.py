"""summary: what `refq golden` and `refq run` say when they are through."""


def share(part, whole):
    return f"{part:,} of {whole:,} ({100 * part / whole:.1f} %)"


def many(count, word):
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def in_float(left):
    """Lines on the nodes that stayed in float (node to operation and reason), those of one reason together."""
    groups = {}
    for node, why in left.items():
        groups.setdefault(why, []).append(node)
    lines = [f"in float          {why} ({', '.join(nodes[:3])}{f' and {len(nodes) - 3} more' if len(nodes) > 3 else ''})"
             for why, nodes in groups.items()]
    return lines[:8] + ([f"                  and {len(lines) - 8} more reasons; refq show lists them"] if len(lines) > 8 else [])


def golden(r):
    """The report of a recording, as a person reads it."""
    n = r["images"]
    images, counted = ("tokens", r["tokens"]) if "tokens" in r else ("image" if n == 1 else "images", n)
    lines = [f"{r['network']} under recipe {r['recipe']} and dialect {r['dialect']}, "
             + ("integers only" if not r["left"] else f"integers, but for {many(len(r['left']), 'node')} in float")]
    if masks := r.get("masks"):
        when = "behind" if masks["grids"] == "dense" else "before"
        lines.append(f"pruned            {share(masks['pruned'], masks['weights'])} weights of "
                     f"{many(len(masks['tensors']), 'tensor')}, {when} the choice of grids")
    if "float_right" in r:
        lines += [f"float network     {share(r['float_right'], n)} {images} right",
                  f"integer network   {share(r['integer_right'], n)} {images} right"]
    noise = r["signal_to_noise_db"]
    lines += [f"agreement         {share(r['agreement'], counted)} {images} with the float network's class",
              f"                  signal-to-noise ratio of the logits {noise} dB" if noise is not None else
              "                  logits equal to the float network's"]
    if r["borrowed"]:
        by = {}
        for role, owner in r["borrowed"].items():
            by.setdefault(owner, []).append(role)
        lines += [f"borrowed          {', '.join(roles)} from {owner} (a {r['dialect']} device may differ there)"
                  for owner, roles in by.items()]
    lines += in_float(r["left"])
    e = r["events"]
    lines += [f"recorded          {many(r['cases'], 'case')} of {many(r['steps'], 'step')}, {many(r['tensors'], 'tensor')} each; "
              f"{many(r['constants'], 'constant')}; {r['bytes']:,} bytes",
              f"seen              {many(e['ties'], 'tie')}, {many(e['saturations'], 'saturation')}, {many(e['wraps'], 'wrap')}, "
              f"{many(e['overflows'], 'overflow')}", *r["left_registers"],
              f"pack hash         {r['pack_hash']}",
              f"written to        {r['pack']}   ({r['seconds']} s)"]
    lines += [f"note              {note}" for note in r["notes"]]
    lines += ["", f"next: refq show {r['pack']}                          the program, step by step",
              f"      refq verify {r['pack']} --against DUMP         your device's tensors: .npz, .safetensors or .npy files",
              f"      refq verify {r['pack']} --kernel kernel.toml   your kernel, compiled and run here"]
    return "\n".join(lines)


def run(r):
    """The outputs of a run, the first ten images; of a language model, the likeliest token behind each text."""
    one, best = ("text", "token") if r["read_as"] == "tokens" else ("image", "class")
    lines = [f"{many(r['images'], one)} through {r['network']} ({r['recipe']}, {r['dialect']}), engine {r['engine']}, "
             f"read as {r['read_as']}"]
    lines += in_float(r["left"])
    if r["calibrated"]:
        lines.append(f"calibrated on the same {many(r['images'], one)}; a pack keeps its grids")
    lines += [f"{one:5} {i:4d}   {best} {top['class']:4d}   code {top['code']:6d}   value {top['value']:.4f}"
              for i, top in enumerate(r["top"][:10])]
    if r["images"] > 10:
        lines.append(f"... and {r['images'] - 10} more")
    if r["out"]:
        lines.append(f"codes of {r['output']} {tuple(r['shape'])} written to {r['out']}")
    return "\n".join(lines)
