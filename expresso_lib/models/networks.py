"""Networks that read a severity score from a clip: one call builds, saves or loads any of them.

Every network takes float32 ``(N, 3, T, H, W)`` RGB in 0 to 1 and returns ``(N,)`` score points.
Normalisation is inside; so is the channel *frame minus clip mean* of the small network. Each ends
in a mean over time (and place) and one linear head, and uses every rectifier once and not in
place, which is what DeepLift needs to be complete (Shrikumar et al., 2017).

``stages`` are cut at the two freeze boundaries: ``model.features(clips)`` gives what the head
reads, ``model.features(clips, until="last")`` what the last block reads, and
``model.finish(features, since=...)`` does the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import resnet, video

from expresso_lib import _checks, manifest, store
from expresso_lib.faces import anatomy

KINETICS_MEAN, KINETICS_STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
INPUTS = ("face", "composite")
WEIGHTS = ("none", "kinetics400", "imagenet", "facial-actions")
CHECKPOINT = "facial_actions.safetensors"

# What the small network's readout names in every frame.
SERIES = (*anatomy.AU_CODES, "yaw", "pitch", "roll", "gaze_x", "gaze_y", "headset")
# What the units of its last layer read, frame by frame: the tempo of what comes and goes (one unit
# for faster, one for slower than usual *for its size*, both 0 at rest); speed and spread of what
# always moves, as logarithms, so that a weighted difference is a tempo; and whether a headset is
# worn (an artefact that must show). How strong each action unit is stands in `SERIES`: as further
# units they cost more than they told (r .67 against .55 to .59 on three cohorts of practice).
TEMPO = ("smile", "cheeks", "speech", "brows", "nose")
DRIFT = ("head", "gaze")
UNITS = (
    *(f"{name}_{side}" for name in TEMPO for side in ("fast", "slow")),
    *(f"{name}_{what}" for name in DRIFT for what in ("speed", "spread")),
    "headset",
)
# The factor whose series each kind of unit is made of. None reads another's, so the score is a sum
# over factors, as far as series can be told apart: taking one out takes its share of the score.
FACTOR_OF = {
    "smile": "smile",
    "cheeks": "cheeks_nose",
    "speech": "speech_mouth",
    "brows": "brows",
    "nose": "cheeks_nose",
    "head": "head_motion",
    "gaze": "lids_gaze",
    "headset": "headset",
}
_NO_ACTION_UNITS = {
    "head_motion": ("yaw", "pitch", "roll"),
    "lids_gaze": ("gaze_x", "gaze_y"),
    "headset": ("headset",),
}
# What the head sees: head and gaze as one tempo each, log speed - log spread.
MEASURES = (*UNITS[: 2 * len(TEMPO)], *(f"{name}_tempo" for name in DRIFT), "headset")


class VideoRegressor(nn.Module):
    """Stages, a mean over time, one linear head.

    Parameters
    ----------
    stages
        Modules applied in turn; the last gives ``(N, D)`` features.
    n_features
        D.
    description
        What ``build`` was asked for; kept with the checkpoint.
    """

    def __init__(
        self,
        stages: list[nn.Module],
        n_features: int,
        description: Mapping[str, Any],
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1, 1), persistent=False)
        self.stages = nn.ModuleList(stages)
        self.head = nn.Linear(n_features, 1)
        self.description = dict(description)

    def features(self, clips: Tensor, *, until: str = "head") -> Tensor:
        """What the layer behind a freeze boundary reads.

        Parameters
        ----------
        clips
            float32 (N, 3, T, H, W), RGB, 0 to 1.
        until
            ``"head"``: (N, D) pooled features; ``"last"``: the input of the last block.
        """
        values = (clips - self.mean) / self.std
        for stage in self.stages[: self._cut(until)]:
            values = stage(values)
        return values

    def finish(self, features: Tensor, *, since: str = "head") -> Tensor:
        """Score points (N,) from what ``features(clips, until=since)`` gave."""
        for stage in self.stages[self._cut(since) :]:
            features = stage(features)
        return self.head(features).squeeze(1)

    def forward(self, clips: Tensor) -> Tensor:
        """Score points (N,) of clips (N, 3, T, H, W)."""
        return self.finish(self.features(clips))

    def trainable(self, part: str) -> list[nn.Parameter]:
        """Freeze everything but ``"head"``, ``"last"`` (block and head) or ``"all"``."""
        if part not in ("head", "last", "all"):
            raise ValueError(f"part {part!r} is unknown; choose head, last or all.")
        first = 0 if part == "all" else self._cut(part)
        for number, stage in enumerate(self.stages):
            stage.requires_grad_(number >= first)
        self.head.requires_grad_(True)
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def _cut(self, boundary: str) -> int:
        if boundary not in ("head", "last"):
            raise ValueError(f"boundary {boundary!r} is unknown; choose head or last.")
        # The last two stages are the last block and the pooling after it.
        return len(self.stages) if boundary == "head" else len(self.stages) - 2


class FrameTrunk(nn.Module):
    """Every frame by itself: (N, 3, T, H, W) to embeddings (N, E, T).

    The place on the face is kept (a 4 × 4 grid is flattened), for the crops are aligned. With
    ``motion`` the trunk also sees *frame minus clip mean*; without, it is an image model.
    """

    def __init__(self, n_embedding: int = 128, *, motion: bool = True) -> None:
        super().__init__()
        self.motion = motion
        widths = (6, 24, 48, 64, 96)
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise(widths)):
            kernel = 5 if number == 0 else 3
            layers += [nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.grid = nn.AdaptiveAvgPool2d(4)
        self.embedding = nn.Sequential(nn.Linear(widths[-1] * 16, n_embedding), nn.ReLU())

    def forward(self, clips: Tensor) -> Tensor:
        """Embeddings (N, E, T) of normalised clips (N, 3, T, H, W)."""
        n, _, t, h, w = clips.shape
        change = clips - clips.mean(dim=2, keepdim=True)
        frames, changes = (
            value.transpose(1, 2).reshape(n * t, 3, h, w)
            for value in (clips, change if self.motion else 0 * change)
        )
        return self.embed(frames, changes).view(n, t, -1).transpose(1, 2)

    def embed(self, frames: Tensor, changes: Tensor) -> Tensor:
        """Embeddings (B, E) of single frames (B, 3, H, W) and of their change from the mean."""
        # Small changes carry the signal: four times brings them to the scale of the picture.
        maps = self.grid(self.convolutions(torch.cat([frames, 4 * changes], dim=1)))
        return self.embedding(maps.flatten(1))


# Edges repeat the first and last frame: a jump to zero would look like a movement.
_SAME: dict[str, Any] = {"padding": "same", "padding_mode": "replicate"}


def series_of(factor: str) -> list[int]:
    """Places in `SERIES` of what one factor moves.

    >>> [SERIES[place] for place in series_of("smile")]
    ['AU12', 'AU14']
    """
    names = (*anatomy.FACTORS.get(factor, ()), *_NO_ACTION_UNITS.get(factor, ()))
    return [SERIES.index(name) for name in names]


def units_of(kind: str) -> list[str]:
    """The units of one kind of movement, in the order of `UNITS`.

    >>> units_of("head")
    ['head_speed', 'head_spread']
    """
    return [name for name in UNITS if name.partition("_")[0] == kind]


class Movement(nn.Module):
    """One kind of movement: the contrasts of its factor's series to its units."""

    def __init__(self, factor: str, n_units: int, width: int) -> None:
        super().__init__()
        places = series_of(factor)
        # The contrasts of a series stand side by side.
        reads = [3 * place + k for place in places for k in range(3)]
        self.register_buffer("reads", torch.tensor(reads), persistent=False)
        self.layers = nn.Sequential(
            nn.Conv1d(3 * len(places), width, 5, **_SAME),
            nn.ReLU(),
            nn.Conv1d(width, width, 5, dilation=2, **_SAME),
            nn.ReLU(),
            nn.Conv1d(width, width, 5, dilation=2, **_SAME),
            nn.ReLU(),
            nn.Conv1d(width, n_units, 1),
        )

    def forward(self, contrasts: Tensor) -> Tensor:
        """Units (N, U, T) before their rectifier, of contrasts (N, 3 S, T)."""
        return self.layers(contrasts[:, self.reads])


class Dynamics(nn.Module):
    """Embeddings (N, E, T) to facial action dynamics (N, len(MEASURES), T).

    A linear readout first names what the face does (`SERIES`); the convolutions see nothing else,
    so they can be practised on any number of movements without rendering them. They start from
    each series, its change over two frames and its change over a quarter of a second; each kind
    of movement has its own.
    """

    def __init__(self, n_embedding: int = 128, width: int = 32) -> None:
        super().__init__()
        n_series = len(SERIES)
        self.readout = nn.Conv1d(n_embedding, n_series, 1)
        self.contrast = nn.Conv1d(n_series, 3 * n_series, 7, groups=n_series, bias=False, **_SAME)
        filters = [[0, 0, 0, 1, 0, 0, 0], [0, 0, -1, 0, 1, 0, 0], [-1, -1, -1, 0, 1, 1, 1]]
        with torch.no_grad():
            self.contrast.weight.copy_(torch.tensor(filters)[:, None].repeat(n_series, 1, 1))
        self.movements = nn.ModuleList(
            Movement(factor, len(units_of(kind)), width) for kind, factor in FACTOR_OF.items()
        )
        self.rectify = nn.ReLU()
        self.tempo = nn.Conv1d(len(UNITS), len(MEASURES), 1, bias=False)
        self.weigh(torch.ones(len(UNITS)))

    def raw(self, series: Tensor) -> Tensor:
        """Units (N, U, T) of series (N, S, T), before their rectifier."""
        contrasts = self.contrast(series)
        return torch.cat([movement(contrasts) for movement in self.movements], dim=1)

    def units(self, embeddings: Tensor) -> Tensor:
        """Units (N, U, T), all ≥ 0."""
        return self.rectify(self.raw(self.readout(embeddings)))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Measures (N, M, T): weighted sums of units."""
        return self.tempo(self.units(embeddings))

    def silence(self, names: Sequence[str]) -> None:
        """Make these units 0 for everybody."""
        for kind, movement in zip(FACTOR_OF, self.movements):
            off = [row for row, name in enumerate(units_of(kind)) if name in names]
            with torch.no_grad():
                movement.layers[-1].weight[off] = 0
                movement.layers[-1].bias[off] = 0

    def weigh(self, scale: Tensor) -> None:
        """Set the sums: a unit as it is, or speed minus spread, each times its `scale` (U,)."""
        weight = torch.zeros(len(MEASURES), len(UNITS))
        for row, name in enumerate(MEASURES):
            if name in UNITS:
                weight[row, UNITS.index(name)] = 1.0
            else:
                kind = name.removesuffix("_tempo")
                for what, sign in (("speed", 1.0), ("spread", -1.0)):
                    column = UNITS.index(f"{kind}_{what}")
                    weight[row, column] = sign * scale[column]
        with torch.no_grad():
            self.tempo.weight.copy_(weight[..., None])


class MeanOver(nn.Module):
    """Mean over every axis after the second; with ``spread`` the standard deviation beside it."""

    def __init__(self, *, spread: bool = False) -> None:
        super().__init__()
        self.spread = spread

    def forward(self, values: Tensor) -> Tensor:
        """(N, D, ...) to (N, D), or (N, 2 D) with the spread."""
        flat = values.flatten(2)
        if not self.spread:
            return flat.mean(dim=2)
        return torch.cat([flat.mean(dim=2), flat.std(dim=2)], dim=1)


class PerFrame(nn.Module):
    """An image network applied to each frame: (N, C, T, H, W) to (N, D, T, h, w)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Tensor:
        """Maps of every frame."""
        n, c, t, h, w = clips.shape
        maps = self.network(clips.transpose(1, 2).reshape(n * t, c, h, w))
        return maps.view(n, t, *maps.shape[1:]).transpose(1, 2)


class ChannelsSecond(nn.Module):
    """(N, T, H, W, C), as transformers keep it, to (N, C, T, H, W)."""

    def forward(self, values: Tensor) -> Tensor:
        """The same values, channels second."""
        return values.permute(0, 4, 1, 2, 3)


class MViTBlocks(nn.Module):
    """The blocks of an MViT between patches and class token: (N, C, T, H, W) to (N, D, 1)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.positions, self.blocks = network.pos_encoding, network.blocks
        self.norm = network.norm

    def forward(self, patches: Tensor) -> Tensor:
        """The class token, as one position."""
        tokens = self.positions(patches.flatten(2).transpose(1, 2))
        grid = (self.positions.temporal_size, *self.positions.spatial_size)
        for block in self.blocks:
            tokens, grid = block(tokens, grid)
        return self.norm(tokens)[:, 0, :, None]


@dataclass(frozen=True)
class Backbone:
    """How a network is made and cut into stages, its normalisation, the weights it can carry."""

    make: Callable[[], nn.Module]
    split: Callable[[nn.Module], list[nn.Module]]
    mean: tuple[float, ...] = KINETICS_MEAN
    std: tuple[float, ...] = KINETICS_STD
    weights: Mapping[str, str] | None = None  # name of the weights: entry of the data manifest
    video: bool = True
    takes: tuple[int, int] | None = None  # the one (frames, size) that fits, if only one does


def _split_resnet3d(network: nn.Module) -> list[nn.Module]:
    early = nn.Sequential(network.stem, network.layer1, network.layer2, network.layer3)
    return [early, network.layer4, MeanOver()]


def _split_s3d(network: nn.Module) -> list[nn.Module]:
    blocks = list(network.features)
    return [nn.Sequential(*blocks[:-2]), nn.Sequential(*blocks[-2:]), MeanOver()]


def _split_swin3d(network: nn.Module) -> list[nn.Module]:
    blocks = list(network.features)
    early = nn.Sequential(network.patch_embed, network.pos_drop, *blocks[:-1])
    return [early, nn.Sequential(blocks[-1], network.norm, ChannelsSecond()), MeanOver()]


def _split_mvit(network: nn.Module) -> list[nn.Module]:
    return [network.conv_proj, MViTBlocks(network), MeanOver()]


def _split_image_resnet(network: nn.Module) -> list[nn.Module]:
    stem = [network.conv1, network.bn1, network.relu, network.maxpool]
    early = nn.Sequential(*stem, network.layer1, network.layer2, network.layer3)
    return [PerFrame(_own_rectifiers(early)), PerFrame(_own_rectifiers(network.layer4)), MeanOver()]


def _own_rectifiers(network: nn.Module) -> nn.Module:
    """The same network in which every call of a rectifier is a module of its own."""
    graph = torch.fx.symbolic_trace(network)
    for number, node in enumerate(graph.graph.nodes):
        if node.op == "call_module" and isinstance(graph.get_submodule(node.target), nn.ReLU):
            node.target = f"rectifier_{number}"
            graph.add_submodule(node.target, nn.ReLU())
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def _small(*, dynamics: bool = True, spread: bool = False) -> nn.Module:
    last = Dynamics() if dynamics else nn.Identity()
    return nn.Sequential(FrameTrunk(motion=dynamics), last, MeanOver(spread=spread))


_OURS: dict[str, Any] = {
    "split": list,
    "mean": (0.5, 0.5, 0.5),
    "std": (0.25, 0.25, 0.25),
    "weights": {"facial-actions": CHECKPOINT},
}
_IMAGENET: dict[str, Any] = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}


def _torchvision(
    name: str, split: Callable[[nn.Module], list[nn.Module]], **options: Any
) -> Backbone:
    is_image = name.startswith("resnet")
    weights = {"imagenet" if is_image else "kinetics400": f"weights_{name}"}
    make = getattr(resnet if is_image else video, name)
    return Backbone(make, split, weights=weights, video=not is_image, **options)


BACKBONES: dict[str, Backbone] = {
    "small": Backbone(_small, **_OURS),
    "small_image": Backbone(partial(_small, dynamics=False), video=False, **_OURS),
    "small_image_sd": Backbone(partial(_small, dynamics=False, spread=True), video=False, **_OURS),
    "r2plus1d_18": _torchvision("r2plus1d_18", _split_resnet3d),
    "r3d_18": _torchvision("r3d_18", _split_resnet3d),
    "mc3_18": _torchvision("mc3_18", _split_resnet3d),
    "s3d": _torchvision("s3d", _split_s3d),
    "swin3d_t": _torchvision("swin3d_t", _split_swin3d, **_IMAGENET),
    "mvit_v2_s": _torchvision(
        "mvit_v2_s", _split_mvit, mean=(0.45,) * 3, std=(0.225,) * 3, takes=(16, 224)
    ),
    "resnet18": _torchvision("resnet18", _split_image_resnet, **_IMAGENET),
    "resnet50": _torchvision("resnet50", _split_image_resnet, **_IMAGENET),
}


def build(
    name: str,
    *,
    weights: str = "none",
    frames: int = 32,
    size: int = 64,
    input: str = "face",
    seed: int = 0,
) -> VideoRegressor:
    """A network by name, in ``eval`` mode.

    Parameters
    ----------
    name
        One of ``BACKBONES``. ``small`` is ours; ``small_image`` and ``small_image_sd`` are its
        trunk without time (mean, or mean and standard deviation over frames); the rest are
        torchvision's, ``resnet18`` and ``resnet50`` applied per frame and averaged.
    weights
        ``none``; ``facial-actions`` (ours, small networks); ``kinetics400`` (video networks) or
        ``imagenet`` (``resnet``), fetched once and checked by their hash.
    frames, size
        T and H = W of the clips it will see.
    input
        ``face`` or ``composite``: what the clips show; recorded, the network is the same.
    seed
        Of the random weights: all of them with ``none``, else those of the head.

    Raises
    ------
    ValueError
        Unknown name, weights that this network has not, or clips too small for it.
    """
    _checks.one_of(name, BACKBONES, "backbone")
    _checks.one_of(input, INPUTS, "input")
    backbone = BACKBONES[name]
    offered = ("none", *(backbone.weights or {}))
    if weights not in offered:
        raise ValueError(f"{name} has no weights {weights!r}; it offers {', '.join(offered)}.")
    description = {"model": name, "weights": weights, "frames": frames, "size": size}
    state = None if weights == "none" else _pretrained(backbone, weights)
    return _assemble(description | {"input": input}, seed, state).eval()


def shipped() -> Path:
    """The checkpoint behind the weights ``facial-actions``."""
    return Path(__file__).parents[1] / "assets" / CHECKPOINT


def _pretrained(backbone: Backbone, weights: str) -> Mapping[str, Tensor]:
    source = (backbone.weights or {})[weights]
    if weights == "facial-actions":
        state, _ = _read(shipped())
        return {key.removeprefix("stages."): value for key, value in state.items()}
    return torch.load(manifest.fetch(source), map_location="cpu", weights_only=True)


def _assemble(
    description: Mapping[str, Any], seed: int, state: Mapping[str, Tensor] | None = None
) -> VideoRegressor:
    backbone = BACKBONES[description["model"]]
    n_features = _probe(description)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = backbone.make()
        if state is not None:
            _fill(network, state, description)
        model = VideoRegressor(
            backbone.split(network), n_features, description, mean=backbone.mean, std=backbone.std
        )
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return model


def _fill(network: nn.Module, state: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Load weights under the network's own names; what else the file holds (a head) stays out."""
    wanted = network.state_dict()
    missing = [
        key for key, value in wanted.items() if key not in state or state[key].shape != value.shape
    ]
    if missing:
        raise ValueError(
            f"the weights {description['weights']!r} do not fit {description['model']}: "
            f"{len(missing)} arrays are missing or of another shape, the first {missing[0]!r}; "
            "fetch or pre-train them again."
        )
    network.load_state_dict({key: state[key] for key in wanted})


def _probe(description: Mapping[str, Any]) -> int:
    """Number of features, found by sending an empty clip through the network without weights."""
    name, frames, size = (description[key] for key in ("model", "frames", "size"))
    backbone = BACKBONES[name]
    problem = f"{name} cannot take clips of {frames} frames of {size} × {size} px"
    if backbone.takes not in (None, (frames, size)):
        raise ValueError(f"{problem}; it takes {backbone.takes[0]} of {backbone.takes[1]} px.")
    try:
        with torch.device("meta"), torch.no_grad():
            values = torch.empty(1, 3, frames, size, size)
            for stage in backbone.split(backbone.make()):
                values = stage.eval()(values)
    except (RuntimeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{problem} ({error}); use larger or more frames.") from error
    if values.numel() == 0:
        raise ValueError(f"{problem}; nothing is left of them, use larger or more frames.")
    return int(values.shape[1])


def save(path: Path | str, model: VideoRegressor, recipe: Mapping[str, Any]) -> Path:
    """Write weights (safetensors) with what made them: the model's description and the recipe."""
    metadata = {"model": json.dumps(model.description), "recipe": json.dumps(dict(recipe))}
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    with store.atomic(path) as temporary:
        save_file(state, temporary, metadata=metadata)
        # safetensors makes the file private; a result may be read by whoever may read its folder.
        temporary.chmod(0o644)
    return Path(path)


def load(path: Path | str) -> tuple[VideoRegressor, dict[str, Any]]:
    """Model (``eval`` mode) and recipe that ``save`` wrote.

    Raises
    ------
    ValueError
        The file is not one of ours, or its weights do not fit the network it names.
    """
    state, metadata = _read(Path(path))
    if "model" not in metadata:
        raise ValueError(f"{path} does not say which model it holds; write it with models.save.")
    description = json.loads(metadata["model"])
    model = _assemble(description, seed=0)
    _fill(model, state, description)
    return model.eval(), json.loads(metadata["recipe"])


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise ValueError(f"no checkpoint at {path}; train one first (chapter 3).")
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
