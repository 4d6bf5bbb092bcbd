"""Bring your own model as the Hugging Face Hub stores models: a folder with config.json and model.safetensors.

    python examples/own_hub_model.py FOLDER_OR_REPOSITORY [MODEL.onnx]

The network is yours; here it is a small MLP mixer. Weights are read from safetensors only, which cannot run code.
A repository's name needs `pip install huggingface_hub`; a folder needs nothing else.
`python examples/own_hub_model.py new FOLDER` writes an untrained one to start from.
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
    layers: int = 4
    patch: int = 4


class MixerLayer(nn.Module):
    """Mixes the patches, then the channels."""

    def __init__(self, patches: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.patches = nn.Sequential(nn.Linear(patches, 2 * patches), nn.GELU(), nn.Linear(2 * patches, patches))
        self.channels = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, patches, width), mixed."""
        x = x + self.patches(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = x + self.channels(self.norms[1](x))
        return mixed


class DigitMixer(nn.Module):
    """An MLP mixer (Tolstikhin et al. 2021) for glyphs: 49 patches of 4 x 4 pixels, ten logits."""

    def __init__(self, config: Config = Config()) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Conv2d(1, config.width, config.patch, stride=config.patch)
        patches = (28 // config.patch) ** 2
        self.layers = nn.Sequential(*(MixerLayer(patches, config.width) for _ in range(config.layers)))
        self.head = nn.Linear(config.width, 10)

    def forward(self, glyphs: Tensor) -> Tensor:
        """Logits (n, 10) of glyphs (n, 1, 28, 28) in 0..1, ink bright."""
        patches = self.embed(glyphs).flatten(2).transpose(1, 2)
        logits: Tensor = self.head(self.layers(patches).mean(dim=1))
        return logits

    def save_pretrained(self, folder: Path) -> None:
        """Write config.json and model.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=2), encoding="utf-8")
        save_file(
            {name: weight.contiguous() for name, weight in self.state_dict().items()}, folder / "model.safetensors"
        )

    @classmethod
    def from_pretrained(cls, name: str) -> "DigitMixer":
        """The model in a folder, or in a repository of the Hub."""
        folder = Path(name)
        if not folder.is_dir():
            from huggingface_hub import snapshot_download

            folder = Path(snapshot_download(name, allow_patterns=["config.json", "model.safetensors"]))
        config = Config(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
        model = cls(config)
        model.load_state_dict(load_file(folder / "model.safetensors"))
        return model.eval()


def export(model: DigitMixer, path: Path) -> None:
    """Write the ONNX file that `handigit.Reader`, `handigit evaluate` and `handigit compare` take."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        model,
        (torch.zeros(2, 1, 28, 28),),
        path,
        input_names=["glyphs"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("n")},),
        external_data=False,
        verbose=False,
    )


def main(name: str, path: Path) -> None:
    """Load, export, read the samples."""
    export(DigitMixer.from_pretrained(name), path)
    reader = Reader(path)
    for picture in sorted(SAMPLES.glob("*.png")):
        print(picture.name, repr(reader.digit(picture)))  # noqa: T201


if __name__ == "__main__":
    if sys.argv[1:2] == ["new"]:
        DigitMixer().save_pretrained(Path(sys.argv[2]))
    else:
        main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else Path("out/hub.onnx"))
