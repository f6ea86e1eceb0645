"""Your own network: ``training.model = "package.module:function"`` in place of ours.

The function takes no argument and returns a `torch.nn.Module` from clips (N, 3, T, H, W) in 0 to
1 to scores (N,) or (N, 1), with its weights in it. It is tried out once, and then treated as
every other network: a ridge head on what its last linear layer reads, fine-tuning, attribution.
"""

import importlib.util
import logging
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)


class OwnNetworkError(ValueError):
    """A factory or its network does not fit; the message says how."""


class Removed(nn.Module):
    """Stands where a last linear layer stood: as wide an answer, and no weights to learn.

    Its weight and bias are no parameters; a forward may ask for its shape and type.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight.detach(), getattr(layer.bias, "data", None)
        self.in_features, self.out_features = layer.in_features, layer.out_features

    def forward(self, values: Tensor) -> Tensor:
        """Any (..., 1) of values (..., D); `Body` takes the values themselves."""
        return values[..., :1]


class Body(nn.Module):
    """A network up to its last linear layer: clips (N, 3, T, H, W) to what that reads, (N, D).

    Without a layer's name the score itself is all there is to read, and D is 1.
    """

    def __init__(self, network: nn.Module, last: str = "") -> None:
        super().__init__()
        self.network, self.last = network, last

    def forward(self, clips: Tensor) -> Tensor:
        """Features (N, D)."""
        if not self.last:
            return self.network(clips).reshape(len(clips), -1)
        read: list[Tensor] = []
        layer = self.network.get_submodule(self.last)
        with layer.register_forward_pre_hook(lambda _, given: read.append(given[0])):
            self.network(clips)
        return read[-1].reshape(len(clips), -1)


def make(name: str, *, frames: int, size: int) -> tuple[Body, nn.Linear]:
    """Call a factory, try its network on two clips, and part it into body and head.

    Parameters
    ----------
    name : str
        ``package.module:function``.
    frames, size : int
        T and H = W of the clips that it must take.

    Returns
    -------
    body, head
        ``head(body(clips))`` is the network's score, (N, 1).

    Raises
    ------
    OwnNetworkError
        It cannot be imported or called, returns no network, or the network returns another shape,
        no finite number, or nothing that depends on the clips.
    """
    network = _called(name).eval()
    clips = torch.rand(2, 3, frames, size, size, generator=torch.Generator().manual_seed(0))
    clips[1] = clips[1, :, :1]  # of somebody who holds still
    return _parted(network, clips, _tried(name, network, clips))


def source(name: str) -> tuple[Path, ...]:
    """The file in which the factory stands; nothing where there is none, or for a name of ours.

    What is computed rests on it; what it imports or loads is not followed.

    >>> [path.name for path in source("torch.nn:Identity")], source("small")
    (['__init__.py'], ())
    """
    module, colon, _ = name.partition(":")
    with suppress(Exception):  # what a module raises is told when it is called
        found = importlib.util.find_spec(module) if colon else None
        path = Path(found.origin or "") if found else Path()
        return (path,) if path.is_file() else ()
    return ()


@contextmanager
def _told(what: str, remedy: str) -> Iterator[None]:
    """Say in our words what somebody's code raises, whatever that is."""
    try:
        yield
    except Exception as error:
        raise OwnNetworkError(f"{what} ({type(error).__name__}: {error}); {remedy}") from error


def _called(name: str) -> nn.Module:
    remedy = "give package.module:function, and install it or put its folder on PYTHONPATH."
    with _told(f"model {name!r} cannot be imported", remedy):
        factory = pkgutil.resolve_name(name)
    with _told(f"model {name!r} raised an error", "it must return a network without arguments."):
        network = factory()
    if not isinstance(network, nn.Module):
        raise OwnNetworkError(f"model {name!r} returned {type(network)}, no torch.nn.Module.")
    return network


def _tried(name: str, network: nn.Module, clips: Tensor) -> Tensor:
    remedy = "set clips.frames and clips.size to what it takes, or normalise and resize inside it."
    if any(p.is_floating_point() and p.dtype != torch.float32 for p in network.parameters()):
        remedy = "its weights are not float32, as clips are: return network.float()."
    with _told(f"model {name!r} cannot take clips {tuple(clips.shape)} in 0 to 1", remedy):
        asked = clips.detach().clone().requires_grad_()
        scores = network(asked.clone())  # it may normalise in place
    shape = tuple(getattr(scores, "shape", [type(scores).__name__]))
    if shape not in ((2,), (2, 1)):
        raise OwnNetworkError(
            f"model {name!r} returned {shape} for two clips, not (2,); return the one output meant."
        )
    if not torch.isfinite(scores).all():
        raise OwnNetworkError(f"model {name!r} returned no finite number for clips in 0 to 1.")
    slopes = None
    if scores.requires_grad:
        # At the pixels, where explanations ask: its own weights may be frozen.
        with _told(f"model {name!r} cannot be derived", "change no activation in place."):
            [slopes] = torch.autograd.grad(scores.sum(), asked, allow_unused=True)
    if not torch.is_tensor(slopes):
        raise OwnNetworkError(f"model {name!r} keeps no gradients; drop torch.no_grad and detach.")
    if not torch.isfinite(slopes).all():
        raise OwnNetworkError(f"model {name!r} has no finite gradient where pixels stand still (a "
                              "root or logarithm at 0?); add a small number below it.")  # fmt: skip
    return scores.detach().flatten()


def _parted(network: nn.Module, clips: Tensor, scores: Tensor) -> tuple[Body, nn.Linear]:
    """Read before the last linear layer, if the network ends in it; else its score is all."""
    layers = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear)]
    ends = [(name, last) for name, last in layers if name and last.out_features == 1]
    if ends:
        name, last = ends[-1]
        body, head = Body(network, name), nn.Linear(last.in_features, 1)
        with torch.no_grad():
            head.weight.copy_(last.weight)
            head.bias.copy_(getattr(last.bias, "data", torch.zeros(1)))  # it may have none
        network.set_submodule(name, Removed(last))
        # It may be called for parts of a clip, or never.
        with suppress(Exception), torch.no_grad():
            if torch.allclose(head(body(clips)).flatten(), scores, rtol=1e-4, atol=1e-5):
                return body, head
        network.set_submodule(name, last)
        log.info("a network does not end in its layer %s: its score is the only feature", name)
    whole = nn.Linear(1, 1)
    nn.init.ones_(whole.weight)
    nn.init.zeros_(whole.bias)
    return Body(network), whole
