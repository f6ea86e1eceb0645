"""Your own network: ``training.model = "package.module:function"`` in place of ours.

The function takes no argument and returns a `torch.nn.Module` from clips (N, 3, T, H, W) in 0 to
1 to scores (N,) or (N, 1), with its weights in it. It is tried out once, and then treated as
every other network: a ridge head on what its last linear layer reads, fine-tuning, attribution.
"""

import copy
import importlib.util
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor, nn


class OwnNetworkError(ValueError):
    """A factory or its network does not fit; the message says how."""


class Body(nn.Module):
    """A network up to its last linear layer: clips (N, 3, T, H, W) to what that reads, (N, D)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Tensor:
        """Features (N, D); D is 1 where the score itself is all there is to read."""
        return self.network(clips).reshape(len(clips), -1)


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
    with _told(f"model {name!r} cannot take clips {tuple(clips.shape)} in 0 to 1", remedy):
        scores = network(clips)
    shape = tuple(getattr(scores, "shape", [type(scores).__name__]))
    if shape not in ((2,), (2, 1)):
        raise OwnNetworkError(
            f"model {name!r} returned {shape} for two clips, not (2,); return the one output meant."
        )
    if not torch.isfinite(scores).all():
        raise OwnNetworkError(f"model {name!r} returned no finite number for clips in 0 to 1.")
    if not scores.requires_grad:
        raise OwnNetworkError(f"model {name!r} keeps no gradients; drop torch.no_grad and detach.")
    return scores.detach().flatten()


def _parted(network: nn.Module, clips: Tensor, scores: Tensor) -> tuple[Body, nn.Linear]:
    """Take the last linear layer off, if the network ends in it; else its score is the feature."""
    layers = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear)]
    ends = [(name, head) for name, head in layers if name and head.out_features == 1]
    if ends:
        name, head = ends[-1]
        body = Body(copy.deepcopy(network))
        body.network.set_submodule(name, nn.Identity())
        with suppress(RuntimeError, IndexError), torch.no_grad():
            if torch.allclose(head(body(clips)).flatten(), scores, rtol=1e-4, atol=1e-5):
                return body, head
    whole = nn.Linear(1, 1)
    nn.init.ones_(whole.weight)
    nn.init.zeros_(whole.bias)
    return Body(network), whole
