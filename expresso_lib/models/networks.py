"""Networks that read a severity score from a clip: one call builds, saves or loads any of them.

Every network takes float32 ``(N, 3, T, H, W)`` RGB in 0 to 1 and returns ``(N,)`` score points.
Normalisation is inside; so is the channel *frame minus clip mean* of the small network. Each ends
in a mean over time (and place) and one linear head.

``stages`` are cut at the two freeze boundaries: ``model.features(clips)`` gives what the head
reads, ``model.features(clips, until="last")`` what the last block reads, and
``model.finish(features, since=...)`` does the rest.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from expresso_lib import _checks, manifest, store
from expresso_lib.models import own, small


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

    def __init__(self, stages: list[nn.Module], n_features: int, description: Mapping[str, Any], *,
                 mean: tuple[float, ...], std: tuple[float, ...]) -> None:  # fmt: skip
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1, 1), persistent=False)
        self.stages = nn.Sequential(*stages)
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
        return self.stages[: self._cut(until)]((clips - self.mean) / self.std)

    def finish(self, features: Tensor, *, since: str = "head") -> Tensor:
        """Score points (N,) from what ``features(clips, until=since)`` gave."""
        return self.head(self.stages[self._cut(since) :](features)).squeeze(1)

    def forward(self, clips: Tensor) -> Tensor:
        """Score points (N,) of clips (N, 3, T, H, W)."""
        return self.finish(self.features(clips))

    def above(self, boundary: str) -> list[nn.Parameter]:
        """Parameters of what reads the features at a boundary, the head's included."""
        return [*self.stages[self._cut(boundary) :].parameters(), *self.head.parameters()]

    def _cut(self, boundary: str) -> int:
        _checks.one_of(boundary, ("head", "last"), "boundary")
        # The last two stages are the last block and the pooling after it; a network of yours has
        # one stage, which begins with the clips.
        return len(self.stages) if boundary == "head" else max(0, len(self.stages) - 2)


class MeanOver(nn.Module):
    """Mean over every axis after the second; with ``spread`` the standard deviation beside it."""

    def __init__(self, *, spread: bool = False) -> None:
        super().__init__()
        self.spread = spread

    def forward(self, values: Tensor) -> Tensor:
        """(N, D, ...) to (N, D), or (N, 2 D) with the spread."""
        flat = values.flatten(2)
        mean = flat.mean(dim=2)
        return torch.cat([mean, flat.std(dim=2)], dim=1) if self.spread else mean


class PerFrame(nn.Module):
    """An image network applied to each frame: (N, C, T, H, W) to (N, D, T, h, w)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Tensor:
        """Maps of every frame."""
        maps = self.network(clips.transpose(1, 2).flatten(0, 1))
        return maps.unflatten(0, (len(clips), clips.shape[2])).transpose(1, 2)


def _split_resnet3d(network: nn.Module) -> list[nn.Module]:
    early = nn.Sequential(network.stem, network.layer1, network.layer2, network.layer3)
    return [early, network.layer4, MeanOver()]


def _split_swin3d(network: nn.Module) -> list[nn.Module]:
    from torchvision.ops import Permute

    blocks = list(network.features)
    early = nn.Sequential(network.patch_embed, network.pos_drop, *blocks[:-1])
    # Transformers keep the channels last.
    last = nn.Sequential(blocks[-1], network.norm, Permute([0, 4, 1, 2, 3]))
    return [early, last, MeanOver()]


def _split_image_resnet(network: nn.Module) -> list[nn.Module]:
    stem = [network.conv1, network.bn1, network.relu, network.maxpool]
    early = nn.Sequential(*stem, network.layer1, network.layer2, network.layer3)
    return [PerFrame(early), PerFrame(network.layer4), MeanOver()]


def _torchvision(name: str) -> nn.Module:
    from torchvision.models import get_model  # takes a second to load, and few ask for it

    return get_model(name)


def _small(*, alone: bool = False, spread: bool = False) -> nn.Module:
    parts = small.trunk(alone=alone), small.last_block(alone=alone)
    whiten = small.Whiten((1 + spread) * small.N_FEATURES)
    return nn.Sequential(*parts, nn.Sequential(MeanOver(spread=spread), whiten))


class Backbone(NamedTuple):
    """How a network is made and cut into stages, the weights it can carry, its normalisation."""

    make: Callable[[], nn.Module]
    split: Callable[[nn.Module], list[nn.Module]]
    n_features: int
    weights: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


_OURS = ("facial-actions", (0.5,) * 3, (0.25,) * 3)
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_KINETICS = ("kinetics400", (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))
_TORCHVISION = {
    "r2plus1d_18": (_split_resnet3d, 512, *_KINETICS),
    "r3d_18": (_split_resnet3d, 512, *_KINETICS),
    "swin3d_t": (_split_swin3d, 768, "kinetics400", *_IMAGENET),
    "resnet18": (_split_image_resnet, 512, "imagenet", *_IMAGENET),
}
BACKBONES = {
    "small": Backbone(_small, list, 256, *_OURS),
    "small_image": Backbone(partial(_small, alone=True), list, 256, *_OURS),
    "small_image_sd": Backbone(partial(_small, alone=True, spread=True), list, 512, *_OURS),
} | {name: Backbone(partial(_torchvision, name), *how) for name, how in _TORCHVISION.items()}


def build(
    name: str, *, weights: str = "none", frames: int = 32, size: int = 64, seed: int = 0
) -> VideoRegressor:
    """A network by name, in ``eval`` mode.

    Parameters
    ----------
    name
        One of ``BACKBONES``, or ``package.module:function`` for a network of yours (`own.make`).
        ``small`` is ours; ``small_image`` and ``small_image_sd`` are its
        trunk without time (mean, or mean and standard deviation over frames); the rest are
        torchvision's, ``resnet18`` applied per frame and averaged.
    weights
        ``none``; ``facial-actions`` (ours, small networks); ``kinetics400`` (video networks) or
        ``imagenet`` (``resnet18``), fetched once and checked by their hash.
    frames, size
        T and H = W of the clips it will see.
    seed
        Of the random weights: all of them with ``none``, else those of the head.

    Raises
    ------
    ValueError
        Unknown name, or weights that this network has not.
    """
    description = {"model": name, "weights": weights, "frames": frames, "size": size}
    if ":" in name:
        return _own(description | {"weights": "own"})
    _checks.one_of(name, BACKBONES, "backbone")
    _checks.one_of(weights, ("none", BACKBONES[name].weights), f"{name}: weights")
    state = None
    if weights == "facial-actions":
        state = {key.removeprefix("stages."): value for key, value in _read(shipped())[0].items()}
        state["2.1.weight"] = state.get(f"whiten.{name}", state["2.1.weight"])
    elif weights != "none":
        path = manifest.fetch(f"weights_{name}")
        state = torch.load(path, map_location="cpu", weights_only=True)
    return _assemble(description, seed, state)


def _own(description: Mapping[str, Any]) -> VideoRegressor:
    frames, size = description["frames"], description["size"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # made once more it must be the same, as far as torch draws it
        body, head = own.make(description["model"], frames=frames, size=size)
        scale = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
        model = VideoRegressor([body], head.in_features, description, **scale)
    model.head = head
    return model.eval()


def shipped() -> Path:
    """The checkpoint behind the weights ``facial-actions``."""
    return Path(__file__).parents[1] / "assets" / "facial_actions.safetensors"


def _assemble(
    description: Mapping[str, Any], seed: int, state: Mapping[str, Tensor] | None = None
) -> VideoRegressor:
    backbone = BACKBONES[description["model"]]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = backbone.make()
        if state is not None:
            _fill(network, state, description)
        stages, scale = backbone.split(network), {"mean": backbone.mean, "std": backbone.std}
        return VideoRegressor(stages, backbone.n_features, description, **scale).eval()


def _fill(network: nn.Module, state: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Load weights under the network's own names; what else the file holds (a head) stays out."""
    wanted = network.state_dict()
    odd = [key for key in wanted if key not in state or state[key].shape != wanted[key].shape]
    if odd:
        raise ValueError(
            f"the weights {description['weights']!r} do not fit {description['model']}: "
            f"{len(odd)} arrays are missing or of another shape, the first {odd[0]!r}."
        )
    network.load_state_dict({key: state[key] for key in wanted})


def save(path: Path | str, model: VideoRegressor, recipe: Mapping[str, Any], *,
         dtype: torch.dtype = torch.float32, others: Mapping[str, Tensor] | None = None
         ) -> Path:  # fmt: skip
    """Write weights (safetensors) with what made them: the model's description and the recipe.

    `dtype` is what weights are stored as; they are float32 again when read. `others` are arrays
    that networks of the same trunk need.
    """
    metadata = {"model": json.dumps(model.description), "recipe": json.dumps(dict(recipe))}
    state = model.state_dict() | dict(others or {})
    # Copies: a layer may stand under two names, and the file knows no shared memory.
    state = {key: value.detach().to("cpu", dtype, copy=True).contiguous()
             for key, value in state.items()}  # fmt: skip
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
    if not {"model", "recipe"} <= set(metadata):
        raise ValueError(f"{path} does not say which model it holds; write it with models.save.")
    description = json.loads(metadata["model"])
    model = _own(description) if ":" in description["model"] else _assemble(description, seed=0)
    _fill(model, state, description)
    return model, json.loads(metadata["recipe"])


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise ValueError(f"no checkpoint at {path}; train one first (chapter 3).")
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name).float() for name in names}, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is no whole checkpoint ({error}); copy it again, or make it again (chapter 3)."
        ) from error
