"""llama: decoders of the Llama kind (Llama, Mistral, Qwen2) from named tensors, as Hugging Face stores them.

    tokens -> embedding -> layers -> norm -> head
    layer: x + o_proj(attention(input_layernorm(x))), then x + down_proj(silu(gate_proj(y)) * up_proj(y)), y the second norm

Norms are RMSNorm, positions are rotary, by halves, and heads may share keys and values in groups: the queries of a group lie
one below the other and meet the same keys, which are not copied. Two forms of one network come of the same tensors: `whole`, all
tokens of a context at once, and `stepwise`, a few tokens beside a cache of the keys and values before them.
Source: transformers modeling_llama.py and modeling_rope_utils.py.
"""
import math
import re
from dataclasses import dataclass, field, replace

import numpy as np

from refq.errors import IllFormed, Unsupported
from refq.graph.assemble import Builder, listed
from refq.graph.graph import Graph
from refq.graph.rewrite import rewrite

KINDS = ("llama", "mistral", "qwen2")
LONGEST = 512
"""The context that a network gets whose config.json allows a longer one; `family.whole` makes others."""
BLOCK, EMBEDDING, NORM, HEAD = "model.layers.{}.", "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"
NORMS = ("input_layernorm.weight", "post_attention_layernorm.weight")
LAYERS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
          "mlp.down_proj")


def count(names):
    """How many layers the names speak of."""
    return 1 + max((int(m.group(1)) for name in names if (m := re.match(r"model\.layers\.(\d{1,4})\.", name))), default=-1)


def recognizes(names):
    return EMBEDDING in names and BLOCK.format(0) + LAYERS[0] + ".weight" in names


def expected(names, tied):
    """The names of all tensors that the network needs, and of the biases that there are."""
    wanted = {EMBEDDING, NORM} | (set() if tied else {HEAD})
    for number in range(count(names)):
        start = BLOCK.format(number)
        wanted |= {start + part for part in NORMS} | {f"{start}{part}.weight" for part in LAYERS}
        wanted |= {bias for part in LAYERS if (bias := f"{start}{part}.bias") in names}
    return wanted


@dataclass(frozen=True)
class Dimensions:
    width: int
    heads: int
    shared: int
    depth: int
    hidden: int
    layers: int
    eps: float


def number(config, key, name, default=None, whole=True):
    """A positive number of config.json; raises IllFormed that names the key."""
    value = config.get(key)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not 0 < value < math.inf:
        raise IllFormed(f"{name}: {key} of config.json is {value!r}; a language model needs a positive number there.")
    return value


def dimensions(tensors, config, name):
    """The sizes, from config.json and the tensors; raises IllFormed for heads that cannot be, Unsupported for what differs."""
    kind, act = config.get("model_type", "llama"), config.get("hidden_act", "silu")
    if kind not in KINDS or act != "silu":
        raise Unsupported(f"{name}: config.json says model_type {kind!r} and hidden_act {act!r}; decoders of the kinds "
                          f"{', '.join(KINDS)} with silu are supported.")
    width = tensors[EMBEDDING].shape[-1]
    heads = number(config, "num_attention_heads", name)
    shared = number(config, "num_key_value_heads", name, heads)
    depth = number(config, "head_dim", name, width // heads)
    if width % heads and not config.get("head_dim"):
        raise IllFormed(f"{name}: {heads} heads do not divide the width {width}; mend num_attention_heads of "
                        "config.json, or give head_dim.")
    if number(config, "num_hidden_layers", name, count(tensors)) != count(tensors):
        raise IllFormed(f"{name}: config.json speaks of {config['num_hidden_layers']} layers, and the tensors of "
                        f"{count(tensors)}; the file and its config.json do not belong together.")
    if heads % shared:
        raise IllFormed(f"{name}: {heads} heads cannot share {shared} heads of keys and values; num_key_value_heads of "
                        "config.json must divide num_attention_heads.")
    if depth % 2:
        raise IllFormed(f"{name}: heads are {depth} deep, which is odd, and rotary positions turn pairs; mend head_dim of "
                        "config.json.")
    hidden = len(tensors[f"{BLOCK.format(0)}mlp.gate_proj.weight"])
    return Dimensions(width, heads, shared, depth, hidden, count(tensors), number(config, "rms_norm_eps", name, 1e-6, False))


def frequencies(config, depth, name):
    """The angle of each pair for one step of position (d/2), in float32 as transformers has it."""
    said = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(said, dict):
        raise IllFormed(f"{name}: rope_scaling of config.json is {said!r}; it is a table of type and factor.")
    kind = said.get("rope_type", said.get("type", "default"))
    theta = number({"rope_theta": said.get("rope_theta") or config.get("rope_theta")}, "rope_theta", name, 10000.0, False)
    turns = np.array([np.float32(1) / np.float32(math.pow(theta, 2 * i / depth)) for i in range(depth // 2)], np.float32)
    if kind == "default":
        return turns
    if kind not in ("linear", "llama3"):
        raise Unsupported(f"{name}: config.json asks for rotary positions of type {kind!r}; default, linear and llama3 are "
                          "supported.")
    factor = number(said, "factor", name, None, False)
    if kind == "linear":
        return turns / np.float32(factor)
    low, high, context = (number(said, key, name, None, False) for key in
                          ("low_freq_factor", "high_freq_factor", "original_max_position_embeddings"))
    length = 2 * math.pi / turns.astype(np.float64)
    share = np.clip((context / length - low) / (high - low), 0, 1)
    return ((1 - share) * turns / factor + share * turns).astype(np.float32)


def rotations(config, depth, context, name):
    """cos and sin of every position and pair (context d/2), rounded to float32."""
    angles = np.arange(context, dtype=np.float32)[:, None] * frequencies(config, depth, name)
    return tuple(np.array([[f(float(a)) for a in row] for row in angles]).astype(np.float32).astype(np.float64)
                 for f in (math.cos, math.sin))


@dataclass(frozen=True, eq=False)
class Family:
    """The network over any context: `tensors` (name to float64 array) and `config` as the files have them; `name` stands in
    messages; `longest`: the positions that config.json allows; `kept`: the grids of weights that come quantized."""

    tensors: dict
    config: dict
    name: str
    longest: int
    kept: dict = field(default_factory=dict)

    def whole(self, context):
        """The graph of `context` tokens at once: tokens (1 context) -> logits (1 context vocabulary). Raises IllFormed for a
        context that the network does not have."""
        self.admit(context)
        positions = np.arange(context, dtype=np.int64)[None]
        return Maker(self, context, context, {"tokens": (1, context)}, positions).graph()

    def stepwise(self, context, tokens=1):
        """The graph of `tokens` tokens beside a cache: tokens and positions (1 tokens), keys and values of every layer (1 heads
        context depth) -> logits (1 tokens vocabulary) and every cache with the new rows in it."""
        self.admit(context)
        if not 1 <= tokens <= context:
            raise IllFormed(f"{self.name}: {tokens} tokens at once beside a cache of {context}; 1 to {context} fit.")
        return Maker(self, context, tokens, {"tokens": (1, tokens), "positions": (1, tokens)}, None).graph()

    def admit(self, context):
        if not 1 <= context <= self.longest:
            raise IllFormed(f"{self.name}: a context of {context} tokens; the network has positions for 1 to {self.longest} "
                            "(max_position_embeddings of config.json).")


class Maker:
    """One graph while it is put together. `positions`: those of all tokens (1 tokens), or None where they are an input and keys
    and values come from a cache."""

    def __init__(self, family, context, tokens, inputs, positions):
        self.family, self.builder = family, Builder(family.tensors, family.name)
        self.d = dimensions(family.tensors, family.config, family.name)
        self.context, self.tokens, self.inputs, self.cached = context, tokens, inputs, positions is None
        self.outputs = []
        names = ("rotary.cos", "rotary.sin")
        for name, values in zip(names, rotations(family.config, self.d.depth, context, family.name)):
            self.builder.constant(name, values)
        self.places = "positions" if self.cached else self.builder.constant("positions", positions)
        self.rotary = (*names, self.places)

    def graph(self):
        b, d, tensors = self.builder, self.d, self.family.tensors
        table = b.constant(EMBEDDING, b.take(EMBEDDING, len(tensors[EMBEDDING]), d.width))
        x = b.add("Gather", "model.embed_tokens", (table, "tokens"), axis=0)
        for layer in range(d.layers):
            x = self.layer(x, BLOCK.format(layer))
        x = self.norm(x, "model.norm")
        head = HEAD if HEAD in tensors else EMBEDDING
        weight = b.constant(HEAD, b.take(head, len(tensors[EMBEDDING]), d.width))
        zeros = b.constant("lm_head.bias", np.zeros(len(tensors[EMBEDDING])))
        logits = b.add("Linear", "lm_head", (x, weight, zeros))
        return rewrite(Graph(self.family.name, self.inputs, (logits, *self.outputs), tuple(b.nodes), b.constants,
                             notes=tuple(b.notes), family=self.family, kept=self.family.kept))

    def norm(self, x, part):
        weight = self.builder.constant(f"{part}.weight", self.builder.take(f"{part}.weight", self.d.width))
        return self.builder.add("RMSNormalization", part, (x, weight), epsilon=self.d.eps)

    def layer(self, x, start):
        b, d = self.builder, self.d
        y = self.norm(x, f"{start}input_layernorm")
        y = b.linear(self.attention(y, f"{start}self_attn."), f"{start}self_attn.o_proj", d.width, d.heads * d.depth)
        x = b.add("Add", f"{start}add1", (x, y))
        y = self.norm(x, f"{start}post_attention_layernorm")
        gate, up = (b.linear(y, f"{start}mlp.{part}", d.hidden, d.width) for part in ("gate_proj", "up_proj"))
        gate = b.add("Swish", f"{start}mlp.silu", (gate,), alpha=1.0)
        y = b.add("Mul", f"{start}mlp.gated", (gate, up))
        return b.add("Add", f"{start}add2", (x, b.linear(y, f"{start}mlp.down_proj", d.width, d.hidden)))

    def rows(self, y, part, heads):
        """What a layer makes of the tokens, as heads (1 heads tokens depth)."""
        d = self.d
        flat = self.builder.linear(y, f"{part}_proj", heads * d.depth, d.width)
        split = self.builder.add("Reshape", f"{part}.heads", (flat,), shape=(1, self.tokens, heads, d.depth))
        return self.builder.add("Transpose", f"{part}.rows", (split,), perm=(0, 2, 1, 3))

    def kept(self, rows, name):
        """The keys or values of the whole context (1 heads context depth): these rows, or a cache with these rows in it."""
        if not self.cached:
            return rows
        self.inputs[name] = (1, self.d.shared, self.context, self.d.depth)
        self.outputs.append(self.builder.add("Append", f"{name}.next", (name, rows, self.places)))
        return self.outputs[-1]

    def grouped(self, x, name, heads, last):
        """The rows of heads (1 heads tokens last) that share keys one below the other, or apart again."""
        if self.d.shared == self.d.heads:
            return x
        rows = self.tokens * self.d.heads // heads
        return self.builder.add("Reshape", name, (x,), shape=(1, heads, rows, last))

    def attention(self, y, attn):
        b, d = self.builder, self.d
        q, k, v = (self.rows(y, attn + word, heads) for word, heads in (("q", d.heads), ("k", d.shared), ("v", d.shared)))
        q, k = (b.add("RotaryEmbedding", f"{attn}{word}.turned", (x, *self.rotary)) for word, x in (("q", q), ("k", k)))
        k, v = self.kept(k, f"{attn}keys"), self.kept(v, f"{attn}values")
        q = self.grouped(q, f"{attn}q.groups", d.shared, d.depth)
        logits = b.add("MatMul", f"{attn}logits", (q, k), transpose_b=True, alpha=d.depth ** -0.5)
        logits = self.grouped(logits, f"{attn}logits.heads", d.heads, self.context)
        seen, mask = ((self.places,), "positions") if self.cached else ((), "causal")
        weights = b.add("Softmax", f"{attn}softmax", (logits, *seen), mask=mask)
        weights = self.grouped(weights, f"{attn}softmax.groups", d.shared, self.context)
        v = b.add("Transpose", f"{attn}values.columns", (v,), perm=(0, 1, 3, 2))
        mixed = b.add("MatMul", f"{attn}mixed", (weights, v), transpose_b=True, alpha=1.0)
        mixed = self.grouped(mixed, f"{attn}mixed.heads", d.heads, d.depth)
        turned = b.add("Transpose", f"{attn}mixed.tokens", (mixed,), perm=(0, 2, 1, 3))
        return b.add("Reshape", f"{attn}joined", (turned,), shape=(1, self.tokens, d.heads * d.depth))


def build(tensors, config, name):
    """The canonical graph of the network over the context that config.json allows, at most LONGEST tokens. `tensors`: name to
    float64 array; `config`: the parsed config.json. Raises IllFormed for missing, unexpected and misshapen tensors, and for sizes
    that cannot be; Unsupported for another architecture under the same names."""
    tensors = {key: value for key, value in tensors.items() if not key.endswith("rotary_emb.inv_freq")}
    tied = config.get("tie_word_embeddings", HEAD not in tensors)
    tensors = {key: value for key, value in tensors.items() if not (tied and key == HEAD)}
    wanted = expected(tensors, tied)
    missing, extra = wanted - set(tensors), set(tensors) - wanted
    if missing or extra:
        both = {"missing": missing, "unexpected": extra}
        said = "; ".join(f"tensors are {word}: {listed(names)}" for word, names in both.items() if names)
        raise IllFormed(f"{name} is not a whole decoder of the Llama kind: {said}.")
    if flat := [key for key in sorted(wanted) if tensors[key].ndim not in (1, 2) or not tensors[key].size]:
        raise IllFormed(f"{name}: tensor {flat[0]} is {tensors[flat[0]].shape}; weights are matrices and norms are vectors.")
    longest = number(config, "max_position_embeddings", name, 2048)
    if (window := config.get("sliding_window")) and config.get("use_sliding_window", True) and window < longest:
        raise Unsupported(f"{name}: config.json has a sliding_window of {window} tokens; attention to the whole "
                          "context is supported.")
    family = Family(tensors, config, name, longest)
    graph = family.whole(min(longest, LONGEST))
    if longest <= LONGEST:
        return graph
    return replace(graph, notes=(*graph.notes, f"The context is {LONGEST} of the {longest} tokens that config.json allows."))
