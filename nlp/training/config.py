"""Settings of one training run; a TOML file with the same names overrides the defaults."""

import dataclasses
import tomllib
from pathlib import Path

BASE_MODEL = "BAAI/bge-small-zh-v1.5"
"""Hub id of the encoder we start from (MIT; Xiao et al. 2023, arXiv 2309.07597)."""

LABELS: dict[str, tuple[str, ...]] = {
    "sentiment": ("positive", "neutral", "negative"),
    "emotion": ("happy", "angry", "sad", "fear", "surprise", "neutral"),
    "category": (
        "城乡建设",
        "环境保护",
        "交通运输",
        "教育文体",
        "劳动和社会保障",
        "商贸旅游",
        "卫生计生",
    ),
    "intent": ("求助", "投诉", "举报", "咨询", "建议", "表扬", "其他"),
    "needs_answer": ("no", "yes"),
}
"""Labels of each head, in the order of its outputs."""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One run of `train`. Lengths are in tokens, rates per step, `*_weight` are unitless."""

    data: Path
    out: Path
    work: Path = Path("build/train")
    """Checkpoints, base vectors and the log; safe to delete after the run."""
    base: str = BASE_MODEL
    """A folder or hub id in the transformers format; what `train encoder` wrote, for example."""
    vectors_base: str = ""
    """The model whose sentence vectors ours are held near; empty = `base` itself."""
    tasks: tuple[str, ...] = tuple(LABELS)
    """The heads that are trained, and so the labels that are learned: a teacher may know one."""
    seed: int = 20260101
    epochs: int = 2
    max_steps: int = 2900
    """The run ends here, the learning rate having fallen to 0; 0 = after the last epoch."""
    batch_tokens: int = 2400
    """Padded tokens in one batch: long texts travel in small batches, short ones in large."""
    max_length: int = 256
    """Half of citizens' messages are longer than 226 characters; read to 128 tokens, their category
    was right less often (macro-F1 0.908 against 0.925 at 256, no better at 384)."""
    learning_rate: float = 1e-4
    head_learning_rate: float = 1e-3
    warmup: float = 0.06
    """Share of the steps over which the learning rate rises from 0."""
    weight_decay: float = 0.01
    layer_decay: float = 0.9
    label_smoothing: float = 0.05
    vector_weight: float = 2.0
    """Weight of 1 - cosine(our vector, the base model's vector of the same tokens); 0: not read."""
    average_last: float = 0.25
    """The shipped weights are the mean of those seen in this last share of the steps."""
    vocabulary: int = 8000
    max_pretrain_lines: int = 300_000
    openings: float = 0.33
    """Share of the long messages that are cut to their first 18 to 60 characters."""
    comments: int = 9000
    """How many of the comments under official posts are used (weak labels)."""
    checkpoint_every: int = 300
    """Steps between two checkpoints."""
    threads: int = 0
    """torch threads; 0 leaves torch's own choice."""
    bf16: bool | None = None
    """bfloat16 autocast; None: when the processor has the instructions for it."""
    task_weights: dict[str, float] = dataclasses.field(
        default_factory=lambda: {
            "sentiment": 1.0,
            "emotion": 1.0,
            "category": 1.0,
            "intent": 0.6,
            "needs_answer": 0.5,
        }
    )
    ngram_shares: dict[str, float] = dataclasses.field(
        default_factory=lambda: {"emotion": 0.35, "sentiment": 0.25, "category": 0.35}
    )
    """What the n-grams' probabilities weigh beside the encoders'; tasks not named: nothing."""

    @classmethod
    def load(cls, path: Path | None = None, **overrides: object) -> "TrainConfig":
        """Read a TOML file (optional), then apply keyword overrides that are not None.

        Raises ValueError naming every key that is not a setting.
        """
        values: dict[str, object] = {}
        if path is not None:
            values.update(tomllib.loads(path.read_text(encoding="utf-8")))
        values.update({key: value for key, value in overrides.items() if value is not None})
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"训练配置中有不认识的项：{'、'.join(unknown)}")
        if unknown := sorted(set(map(str, values.get("tasks", ()))) - set(LABELS)):  # type: ignore[call-overload]
            raise ValueError(f"训练配置的 tasks 中有不认识的任务：{'、'.join(unknown)}")
        if "tasks" in values:
            values["tasks"] = tuple(values["tasks"])  # type: ignore[arg-type]
        for key in ("data", "out", "work"):
            if key in values:
                values[key] = Path(str(values[key]))
        return cls(**values)  # type: ignore[arg-type]
