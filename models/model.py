"""What the models have in common: settings that make them anew, a loss, and a file.

A model is a torch module with ``loss(batch)``, the mean over a batch of what `models.fit` makes small. Any other torch
module with a ``loss`` can be fitted too; this base class only adds the file.
"""

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ebm.whole_file import write_bytes
from samplers.store import StoreError

KIND = "ebmlab model"


class Model(nn.Module):
    """A network that learns by `models.fit` and can be saved.

    Args:
        settings: the arguments that make this model anew, of the constructor's own names.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        self.settings = settings

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters."""
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def loss(self, batch: Any) -> torch.Tensor:
        """Return the mean loss of a batch, a tensor of one number."""
        raise NotImplementedError

    def save(self, path: str | Path) -> None:
        """Write the settings and all weights to a new file, which `models.load` reads.

        Raises:
            StoreError: there is such a file, or it cannot be written; what was there stays.
        """
        image = io.BytesIO()
        record = {"format": KIND, "model": type(self).__name__, "settings": self.settings, "state": self.state_dict()}
        torch.save(record, image)
        write_bytes(Path(path), image.getvalue(), replace=False)


def load(path: str | Path) -> Model:
    """Read a model that was saved. Only numbers and text are read from the file, never code.

    Raises:
        StoreError: no such file, or not a model of ours.

    Example:
        >>> import models, tempfile
        >>> vae = models.VAE((2,), latent=1, hidden=(8,), likelihood="gaussian", seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     vae.save(Path(folder) / "vae.pt")
        ...     type(models.load(Path(folder) / "vae.pt")).__name__
        'VAE'
    """
    import models

    record = read_record(Path(path), KIND)
    if record["model"] not in models.SAVED:
        raise StoreError(f"{path} holds a {record['model']}, which this version does not know: update ebmlab")
    model = getattr(models, record["model"])(**record["settings"])
    model.to(next(value.dtype for value in record["state"].values() if value.is_floating_point()))
    model.load_state_dict(record["state"])
    return model


def read_record(path: Path, kind: str) -> dict[str, Any]:
    """Return the dictionary of a file of this kind.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    try:
        record = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist") from None
    except Exception as error:  # torch raises many kinds for a file that is cut short or of something else
        raise StoreError(f"{path} is not a readable {kind}: {str(error).splitlines()[0]}") from error
    if not isinstance(record, dict) or record.get("format") != kind:
        raise StoreError(f"{path} is not an {kind}")
    return record
