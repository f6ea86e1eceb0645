"""Your own network: a factory's network is parted, refused with one clear message, or both."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from expresso_lib import attribution, config, models, store
from expresso_lib.models import experiments, own
from expresso_lib.pipeline import chapters, project

NOBODY = pd.DataFrame(columns=["participant", "recording", "score"])


class Plain(nn.Module):
    """Convolution, mean, linear head; `wrong` breaks one thing."""

    def __init__(self, wrong: str = "") -> None:
        super().__init__()
        self.convolve = nn.Conv3d(3, 5, 3, padding=1)
        self.rectify = nn.ReLU()
        self.head = nn.Linear(5, 2 if wrong == "outputs" else 1)
        self.wrong = wrong

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        if self.wrong == "size" and clips.shape[-1] != 112:
            raise RuntimeError("takes 112 px")
        values = self.rectify(self.convolve(clips)).mean(dim=(2, 3, 4))
        if self.wrong == "nan":
            values = values / 0 - values / 0
        if self.wrong == "gradients":
            values = values.detach()
            return values.sum(dim=1)
        if self.wrong == "body":  # the head alone has gradients
            values = values.detach()
        if self.wrong == "in_place":
            values = torch.sigmoid(values)
            values -= 0.5
        if self.wrong == "asks":
            values = values.reshape(-1, self.head.in_features)
        if self.wrong == "elsewhere":
            return self.head(values).squeeze(-1) ** 2
        if self.wrong == "column":
            return self.head(values.to(self.head.weight.dtype))[:, 0]
        return self.head(values).squeeze(-1)


def lazy() -> nn.Module:
    network = Plain()
    network.head = nn.LazyLinear(1)
    return network


def column() -> nn.Module:
    return Plain("column")


def normed() -> nn.Module:
    network = Plain("column")
    nn.utils.parametrizations.weight_norm(network.head)
    return network


def unbiased() -> nn.Module:
    network = Plain()
    network.head = nn.Linear(5, 1, bias=False)
    return network


def plain() -> nn.Module:
    return Plain()


def elsewhere() -> nn.Module:
    return Plain("elsewhere")


def outputs() -> nn.Module:
    return Plain("outputs")


def asks() -> nn.Module:
    return Plain("asks")


def in_place() -> nn.Module:
    return Plain("in_place")


def nan() -> nn.Module:
    return Plain("nan")


def size() -> nn.Module:
    return Plain("size")


def gradients() -> nn.Module:
    return Plain("gradients")


def body() -> nn.Module:
    return Plain("body")


def frozen() -> nn.Module:
    return Plain("").requires_grad_(False)


def raises() -> nn.Module:
    raise KeyError("weights")


def nothing() -> str:
    return "no network"


HERE = __name__


@pytest.mark.parametrize("function", ["plain", "column", "normed", "unbiased", "asks"])
def test_own_network_is_parted_at_its_last_linear_layer(function: str) -> None:
    """Features times head is the network's own score; a ridge head can take the head's place."""
    model = models.build(f"{HERE}:{function}", frames=4, size=16)
    clips = torch.rand(2, 3, 4, 16, 16)
    assert model.features(clips).shape == (2, 5)
    torch.testing.assert_close(model.finish(model.features(clips)), model(clips))
    result = attribution.attribute(model, clips, "DeepLift", "zero")
    assert result.complete.all()


def test_a_factory_with_random_weights_gives_the_same_network_every_time() -> None:
    """The head is fitted on one call's features and explained on another's."""
    for function in ("plain", "lazy"):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        one, other = (models.build(f"{HERE}:{function}", frames=4, size=16) for _ in range(2))
        assert torch.equal(torch.get_rng_state(), before)
        clips = torch.rand(2, 3, 4, 16, 16)
        assert torch.equal(one(clips), other(clips))


def test_a_parted_network_keeps_no_layer_that_nothing_reads() -> None:
    """Its last layer is the model's head, once: fitted, saved and shuffled as such."""
    model = models.build(f"{HERE}:plain", frames=4, size=16)
    assert len(list(attribution.randomised(model))) == 2
    assert [name for name in model.state_dict() if name.endswith("weight")] == [
        "stages.0.network.convolve.weight", "head.weight"]  # fmt: skip


def test_own_network_without_a_linear_end_keeps_its_score() -> None:
    """What cannot be parted is read by its score alone."""
    model = models.build(f"{HERE}:elsewhere", frames=4, size=16)
    clips = torch.rand(2, 3, 4, 16, 16)
    assert model.features(clips).shape == (2, 1)
    torch.testing.assert_close(model(clips), model.stages[0].network(clips))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("outputs", r"returned \(2, 2\) for two clips"),
        ("nan", "no finite number"),
        ("size", "cannot take clips .* takes 112 px"),
        ("gradients", "keeps no gradients"),
        ("body", "keeps no gradients"),
        ("in_place", "cannot be derived .* in place"),
        ("raises", r"raised an error \(KeyError"),
        ("nothing", "returned .*str"),
        ("missing", "cannot be imported"),
    ],
)
def test_own_network_is_refused_with_one_message(function: str, words: str) -> None:
    """Each fault has its own message, with what to do."""
    with pytest.raises(own.OwnNetworkError, match=words):
        models.build(f"{HERE}:{function}", frames=4, size=16)


def test_a_frozen_network_is_taken_and_explained() -> None:
    """What its maker froze are weights; explanations ask at the pixels."""
    model = models.build(f"{HERE}:frozen", frames=4, size=16).eval()
    clips = torch.rand(2, 3, 4, 16, 16)
    assert attribution.attribute(model, clips, "DeepLift", "zero").values.abs().sum() > 0


def test_what_rests_on_an_own_network_is_done_again_when_its_file_changes(
    tmp_path, monkeypatch
) -> None:
    """Work is kept by the file's contents, and so is a chapter's freshness."""
    file = tmp_path / "networks_of_mine.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    recipe, root = models.Recipe(model="networks_of_mine:plain"), project.project_root()
    parameters = config.validate({"training": {"model": recipe.model}, "run": {"name": "none"}})
    study = experiments.Study(NOBODY, NOBODY, {"face": tmp_path}, NOBODY, tmp_path)
    keys, marks = [], []
    for text in ("one = 1", "two = 2"):
        file.write_text(text)
        keys.append(store.item_key(store.Item("features", {}, study.inputs(recipe)), ""))
        marks.append(chapters.fingerprint(chapters.find("3"), parameters, root))
    assert keys[0] != keys[1]
    assert {name for name in marks[0] if marks[0][name] != marks[1][name]} == {"network"}


def test_own_network_is_tried_with_its_weights_and_at_its_length_only() -> None:
    """Of an own network nothing is called random, and none is asked for clips it cannot take."""
    parameters = config.validate({"training": {"model": f"{HERE}:plain"}, "clips": {"frames": 8}})
    default = experiments.default_recipe(parameters)
    assert default.weights == "own"
    own = [one for one in experiments.grid(default, full=True) if one.model == default.model]
    assert {(one.weights, one.frames) for one in own} == {("own", 8)}
    assert {one.fit for one in own} == {"ridge", "all"}
    study = experiments.Study(NOBODY, NOBODY, {"face": Path("x")}, NOBODY, Path("x"), size=16)
    assert study.model(default).description["weights"] == "own"
    assert len(study.inputs(default)) == 1  # this file; not the weights that ship


@pytest.mark.parametrize("text", ["def plain(:", "raise RuntimeError('no GPU')", "1 / 0"])
def test_a_module_that_breaks_while_it_is_read_is_named(text, tmp_path, monkeypatch) -> None:
    """Whatever a module raises is one message, and asking for its file raises nothing."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    assert own.source("broken.networks:plain") == ()
    with pytest.raises(own.OwnNetworkError, match=r"cannot be imported \(\w+Error: "):
        models.build("broken:plain", frames=4, size=16)


def twice() -> nn.Module:
    network = Plain()
    network.parts = nn.ModuleList([network.convolve])
    return network


def test_a_layer_under_two_names_is_saved(tmp_path) -> None:
    """The file knows no shared memory: what is read gives the same scores."""
    model = models.build(f"{HERE}:twice", frames=4, size=16)
    again, _ = models.load(models.save(tmp_path / "m.safetensors", model, {}))
    clips = torch.rand(2, 3, 4, 16, 16)
    torch.testing.assert_close(again(clips), model(clips))


def test_own_network_comes_back_from_disk(tmp_path) -> None:
    """A saved network of yours is made by its factory and filled with the saved weights."""
    model = models.build(f"{HERE}:plain", frames=4, size=16)
    with torch.no_grad():
        model.head.bias.fill_(7.0)
    back, _ = models.load(models.save(tmp_path / "own.safetensors", model, {}))
    clips = torch.rand(1, 3, 4, 16, 16)
    torch.testing.assert_close(back(clips), model(clips))
