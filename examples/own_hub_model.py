"""Bring your own model as the Hugging Face Hub stores models: a folder with config.json and model.safetensors.

    python examples/own_hub_model.py FOLDER_OR_REPOSITORY [MODEL.onnx]

The network is yours; here it is a small vision transformer. Weights are read from safetensors only, which cannot run code.
A repository's name needs `pip install huggingface_hub`; a folder needs nothing else. `python examples/own_hub_model.py new
FOLDER` writes an untrained one to start from.
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from handigit import Reader

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "digits"


@dataclass(frozen=True)
class Config:
    """The network's sizes, as config.json has them."""

    width: int = 64
    layers: int = 2
    heads: int = 4
    patch: int = 7


class DigitTransformer(nn.Module):
    """A vision transformer (Dosovitskiy et al. 2021) for glyphs: sixteen patches of 7 x 7 pixels, ten logits."""

    def __init__(self, config: Config = Config()) -> None:  # noqa: B008 - frozen
        super().__init__()
        self.config = config
        patches = (28 // config.patch) ** 2
        self.embed = nn.Conv2d(1, config.width, config.patch, stride=config.patch)
        self.positions = nn.Parameter(torch.zeros(1, patches, config.width))
        layer = nn.TransformerEncoderLayer(
            config.width, config.heads, 2 * config.width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.head = nn.Linear(config.width, 10)

    def forward(self, glyphs: Tensor) -> Tensor:
        """Logits (n, 10) of glyphs (n, 1, 28, 28) in 0..1, ink bright."""
        patches = self.embed(glyphs).flatten(2).transpose(1, 2) + self.positions
        logits: Tensor = self.head(self.encoder(patches).mean(dim=1))
        return logits

    def save_pretrained(self, folder: Path) -> None:
        """Write config.json and model.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=2), encoding="utf-8")
        save_file({name: weight.contiguous() for name, weight in self.state_dict().items()}, folder / "model.safetensors")

    @classmethod
    def from_pretrained(cls, name: str) -> "DigitTransformer":
        """The model in a folder, or in a repository of the Hub."""
        folder = Path(name)
        if not folder.is_dir():
            from huggingface_hub import snapshot_download

            folder = Path(snapshot_download(name, allow_patterns=["config.json", "model.safetensors"]))
        config = Config(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
        model = cls(config)
        model.load_state_dict(load_file(folder / "model.safetensors"))
        return model.eval()


def export(model: DigitTransformer, path: Path) -> None:
    """Write the ONNX file that `handigit.Reader`, `handigit evaluate` and `handigit compare` take."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        model,
        (torch.zeros(1, 1, 28, 28),),
        path,
        input_names=["glyphs"],
        output_names=["logits"],
        dynamic_axes={"glyphs": {0: "n"}, "logits": {0: "n"}},
        external_data=False,
        dynamo=False,
    )


def main(name: str, path: Path) -> None:
    """Load, export, read the samples."""
    export(DigitTransformer.from_pretrained(name), path)
    reader = Reader(path)
    for picture in sorted(SAMPLES.glob("*.png")):
        print(picture.name, repr(reader.digit(picture)))  # noqa: T201


if __name__ == "__main__":
    if sys.argv[1:2] == ["new"]:
        DigitTransformer().save_pretrained(Path(sys.argv[2]))
    else:
        main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else Path("out/hub.onnx"))
