"""Training: one loop for every model, whatever its loss.

A model is a torch module with ``loss(batch)``. Three more members tell the loop what some models need:

    players             modules by name that play against each other: each has an optimiser of its own and the loss is
                        ``loss(batch, player)`` (a GAN's generator and discriminator)
    paces               factors of the learning rate, by the first part of a parameter's name (codes of images)
    begin_epoch(epoch)  called with the number of the epoch, from 0, before it (a term that is warmed up)

A batch is a tensor, or a tuple of tensors if the data are a tuple of arrays, such as images and their labels. The same
seed gives the same bits wherever a run was cut and resumed, with the same number of torch's threads.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ebm.history import History, Record
from models.training_run import TrainingRun
from samplers.progress import progress_bar


def fit(
    model: torch.nn.Module,
    data: Any,
    *,
    epochs: int,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    seed: int | None = None,
    optimiser: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    schedule: Callable[[float], float] | None = None,
    averaging: float = 0.0,
    l2: float = 0.0,
    augment: Callable[[Any], Any] | None = None,
    validation: Any = None,
    patience: int | None = None,
    after_step: Callable[[torch.nn.Module, float], Any] | None = None,
    measure: Callable[[torch.nn.Module], Record] | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    callback: Callable[[Record], Any] | None = None,
) -> History:
    """Make a model's loss small on data, in place.

    Args:
        model: a torch module with `loss(batch)`, the mean over the batch.
        data: array or tensor (n, ...), or a tuple of such with the same n; numbers with a fraction take the model's
            precision, integers stay what they are.
        epochs: passes over the data, in all (also when a run is resumed).
        batch_size: rows of one step; the last batch of an epoch may be smaller.
        learning_rate: of the optimiser.
        seed: non-negative integer; None takes one from the operating system.
        optimiser: what makes an optimiser of torch from parameters and lr, such as torch.optim.LBFGS or
            functools.partial(torch.optim.SGD, momentum=0.9).
        schedule: time in epochs, a fraction within one -> factor of the learning rate.
        averaging: decay of the exponential moving average of the parameters, and of the running means and variances of
            batch norm, over steps, from 0 (none) to below 1: the model has the averages between epochs and at the end.
        l2: weight of the penalty l2/2 |W|^2 of all matrices and filters W (no biases, no scales of a norm) that each
            step adds to the loss. The decay of torch's AdamW is another one: no root mean square of gradients divides
            it (Loshchilov and Hutter 2019).
        augment: batch -> batch, by torch's global generator, made anew each time: binarisation, shifts.
        validation: data that are only looked at; their loss joins the record.
        patience: epochs without a better validation loss after which learning stops; the model then has the parameters
            of the best epoch.
        after_step: called with the model and the learning rate after each step, such as a proximal operator.
        measure: called with the model, in evaluation mode, after each epoch; its numbers by name join the record.
        checkpoint: file from which a run that was cut goes on.
        resume: go on from the checkpoint if there is one.
        progress: show a progress bar on a terminal.
        callback: called with each epoch's record; the model is in evaluation mode.

    Returns:
        History: epoch, learning_rate, loss (a loss a player) and seconds of every epoch, validation_loss and what
        `measure` returned.

    Raises:
        ValueError, TypeError: an argument is out of range, or the data do not fit the model.
        LearningError: the loss or a parameter became NaN or infinite; the message says where.
        StoreError: the checkpoint exists (without `resume`), is of another run, or cannot be written. Functions cannot
            be compared, but for the factors that `schedule` gave at the beginning of each epoch.

    Example:
        >>> import numpy as np
        >>> from torch import nn
        >>> class Line(nn.Linear):
        ...     def loss(self, batch):
        ...         x, y = batch
        ...         return (self(x) - y).square().mean()
        >>> x = np.linspace(-1, 1, 50)[:, None]
        >>> line = Line(1, 1)
        >>> history = fit(line, (x, 2 * x + 1), epochs=200, batch_size=50, learning_rate=0.1, seed=1)
        >>> [round(p.item(), 3) for p in line.parameters()]
        [2.0, 1.0]

        Cross-validation takes its folds from scikit-learn, and a model for each:

        >>> from sklearn.model_selection import KFold
        >>> data, losses = (x, 2 * x**2), []
        >>> for kept, left_out in KFold(5, shuffle=True, random_state=0).split(x):
        ...     learned, others = ([part[rows] for part in data] for rows in (kept, left_out))
        ...     found = fit(Line(1, 1), tuple(learned), epochs=200, learning_rate=0.1, validation=tuple(others), seed=1)
        ...     losses.append(found["validation_loss"][-1])
        >>> round(float(np.mean(losses)), 1)  # no line explains the 0.36 that 2 x^2 varies by
        0.4
    """
    run = TrainingRun(
        model, data, epochs, batch_size, learning_rate, seed, optimiser, schedule, averaging, l2, augment, validation,
        patience, after_step, measure, checkpoint, resume,
    )  # fmt: skip
    with progress_bar(progress, epochs, "epoch", run.state.epoch) as bar:
        for record in run.epochs_left():
            shown = {name: f"{value:.4g}" for name, value in record.items() if name not in ("epoch", "seconds")}
            bar.set_postfix(shown, refresh=False)
            bar.update()
            if callback is not None:
                callback(record)
    return History(run.state.records)
