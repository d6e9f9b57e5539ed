"""Your own energy: numba functions for the compiled tier, or any torch callable for the array tier."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError

from ebm.energy import Energy, check_shape
from samplers import protocols
from samplers.compiled import Functions, difference
from samplers.inner import inline


class CompiledEnergy(Energy):
    """An energy of your own from functions that numba can compile: full speed with every sampler.

    Args:
        energy: `f(x, params) -> float`, the energy of one configuration x of the given shape.
        grad: `g(x, params, out)` writes dE/dx into out; needed by samplers that use gradients.
        delta: `d(x, site, value, params) -> float`, the change of E when x.flat[site] becomes `value`, without
            altering x; without it local moves cost two evaluations of f.
        shape: shape of one configuration.
        domain: "real", "angle", "spin", "binary" or "states".
        params: a (named) tuple of arrays and numbers handed to the functions.
        n_states: number of values of a site, for the domain "states".

    Raises:
        TypeError: a function has the wrong number of arguments, does not compile, or does not return a number.

    Example:
        >>> from numba import njit
        >>> @njit
        ... def f(x, params):
        ...     return params[0] * (x[0] ** 4 + x[1] ** 2)
        >>> CompiledEnergy(energy=f, shape=(2,), params=(0.5,))(np.array([[1.0, 2.0]]))
        array([2.5])
    """

    def __init__(
        self,
        energy: Callable,
        grad: Callable | None = None,
        delta: Callable | None = None,
        *,
        shape: Any,
        domain: str = "real",
        params: tuple = (),
        n_states: int | None = None,
    ) -> None:
        self.shape = check_shape(shape)
        if domain not in protocols.DOMAINS:
            raise ValueError(f"domain must be one of {', '.join(protocols.DOMAINS)}, got {domain!r}")
        self.domain = domain
        if domain == "states":
            protocols.check_positive(n_states, "n_states", integer=True)
            self.n_states = int(n_states)  # type: ignore[arg-type]
        if not isinstance(params, tuple):
            raise TypeError(f"params must be a tuple of arrays and numbers, got {type(params).__name__}")
        self.params = params
        f = _compile(energy, "energy", 2, "f(x, params) -> float")
        g = None if grad is None else _compile(grad, "grad", 3, "g(x, params, out)")
        d = None if delta is None else _compile(delta, "delta", 4, "d(x, site, value, params) -> float")
        self._try(f, g, d)
        self._functions = _wrap(f, g, d, self.shape)._replace(params=params)

    def _try(self, f: Dispatcher, g: Dispatcher | None, d: Dispatcher | None) -> None:
        """Call each function once, so that a fault is told here and by its name."""
        x = np.zeros(self.shape, protocols.dtype_of(self))
        x[...] = 1 if self.domain == "spin" else 0
        calls: list[tuple[str, Dispatcher | None, tuple]] = [
            ("energy", f, (x, self.params)),
            ("grad", g, (x, self.params, np.zeros(self.shape))),
            ("delta", d, (x, 0, x.flat[0], self.params)),
        ]
        for name, function, arguments in calls:
            if function is None:
                continue
            try:
                value = function(*arguments)
            except NumbaError as error:
                reason = str(error).strip().splitlines()
                told = next((line for line in reason if line and not line.startswith(("Failed", "\x1b"))), reason[0])
                raise TypeError(f"{name} does not compile with numba for x of shape {self.shape}: {told}") from error
            if name != "grad" and not isinstance(value, int | float | np.number):
                raise TypeError(f"{name} must return one number, got {type(value).__name__}")

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return self._functions

    def parameters(self) -> dict[str, Any]:
        """Return shape, domain and parameters; functions cannot be written to a file."""
        numbers = {f"params[{i}]": np.asarray(value) for i, value in enumerate(self.params)}
        return {"shape": self.shape, "domain": self.domain, **numbers}


def _compile(function: Any, name: str, arguments: int, need: str) -> Dispatcher:
    if not callable(function):
        raise TypeError(f"{name} must be a function {need}, got {function!r}")
    plain = function.py_func if isinstance(function, Dispatcher) else function
    given = len(inspect.signature(plain).parameters)
    if given != arguments:
        raise TypeError(f"{name} must take {arguments} arguments, {need}, got {given}: {inspect.signature(plain)}")
    return function if isinstance(function, Dispatcher) else njit(error_model="numpy")(function)


def _wrap(f: Dispatcher, g: Dispatcher | None, d: Dispatcher | None, shape: tuple[int, ...]) -> Functions:
    """Put functions of one configuration of the given shape behind the conventions of samplers.compiled."""
    flat = len(shape) == 1

    @inline
    def reduced(x, beta, p):
        return beta * f(x if flat else x.reshape(shape), p)

    gradient = None
    if g is not None:

        @inline
        def gradient(x, beta, weight, p, out, work):
            g(x if flat else x.reshape(shape), p, work if flat else work.reshape(shape))
            for i in range(x.shape[0]):
                out[i] += weight * beta * work[i]

    if d is None:
        return Functions(reduced, gradient, difference(reduced), ())

    @inline
    def change(x, site, value, beta, p):
        return beta * d(x if flat else x.reshape(shape), site, value, p)

    return Functions(reduced, gradient, change, ())


class TorchEnergy(Energy):
    """Any torch callable as an energy: (n, *shape) -> (n,) or (n, 1); its gradient comes from autograd.

    numpy in gives numpy out in float64, torch in gives torch out. Sampled in the array tier: one batched call a step.

    Args:
        module: a torch module or a function of tensors.
        shape: shape of one configuration.
        domain: "real", "angle", "spin" or "binary".
        device: where the module lives; inputs are moved there.

    Example:
        >>> TorchEnergy(lambda x: (x**2).sum(1), shape=(2,))(np.array([[1.0, 2.0]]))
        array([5.])
    """

    def __init__(self, module: Callable, *, shape: Any, domain: str = "real", device: Any = "cpu") -> None:
        if not callable(module):
            raise TypeError(f"module must be a torch module or a function of tensors, got {module!r}")
        if domain not in protocols.DTYPES:
            raise ValueError(f"domain must be one of {', '.join(protocols.DTYPES)}, got {domain!r}")
        self.module, self.device = module, device
        self.shape, self.domain = check_shape(shape), domain
        parameter = next(iter(getattr(module, "parameters", lambda: [])()), None)
        self._dtype = None if parameter is None else parameter.dtype

    @property
    def compiled(self) -> None:  # type: ignore[override]
        """None: a network runs in the array tier."""
        return None

    def _value(self, x: Any) -> Any:
        value = self.module(x)
        if tuple(value.shape) not in ((len(x),), (len(x), 1)):
            raise ValueError(
                f"module must return one energy a configuration, shape ({len(x)},), got {tuple(value.shape)}"
            )
        return value.reshape(len(x))

    def tensor(self, x: np.ndarray) -> Any:
        """Return configurations (n, *shape) as a tensor where the module lives, in its precision."""
        import torch

        return torch.as_tensor(x, dtype=self._dtype or torch.float64, device=self.device)

    def __call__(self, x: Any) -> Any:
        """Return E(x), (n,): numpy for numpy, torch (with its graph) for torch."""
        import torch

        if isinstance(x, torch.Tensor):
            return self._value(x)
        with torch.no_grad():
            value = self._value(self.tensor(protocols.check_configurations(x, self)))
        return value.to(torch.float64).cpu().numpy()

    def grad(self, x: Any) -> Any:
        """Return dE/dx, (n, *shape), by autograd."""
        return self._value_and_grad(x)[1]

    def _value_and_grad(self, x: Any) -> tuple[Any, Any]:
        """Return E(x) and dE/dx from one pass forward and one back, without a graph."""
        import torch

        if self.domain not in protocols.CONTINUOUS:
            raise TypeError(f"TorchEnergy has no gradient on the domain {self.domain!r}")
        is_torch = isinstance(x, torch.Tensor)
        tensor = x if is_torch else self.tensor(protocols.check_configurations(x, self))
        tensor = tensor.detach().requires_grad_(True)  # the same memory, as a leaf of a new graph
        with torch.enable_grad():
            value = self._value(tensor)
        (gradient,) = torch.autograd.grad(value, tensor, torch.ones_like(value))
        value = value.detach()
        if is_torch:
            return value, gradient
        return value.to(torch.float64).cpu().numpy(), gradient.to(torch.float64).cpu().numpy()

    def reduced(self, x: Any, beta: Any) -> Any:
        """Return beta E(x), (n,)."""
        return beta * self(x)

    def reduced_grad(self, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
        """Return beta dE/dx, (n, *shape)."""
        return np.asarray(beta, np.float64).reshape(-1, *[1] * len(self.shape)) * self.grad(x)

    def reduced_and_grad(self, x: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
        """Return beta E(x), (n,), and beta dE/dx, (n, *shape), from one pass through the network."""
        value, gradient = self._value_and_grad(x)
        return beta * value, beta * gradient

    def score(self, x: Any, sigma: Any = None) -> Any:
        """Return the score -dE/dx at a tensor x (n, *shape), with its graph; `sigma` is for noise-conditional ones."""
        import torch

        x = x if x.requires_grad else x.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(self._value(x).sum(), x, create_graph=True)
        return -gradient

    def learnable(self) -> dict[str, np.ndarray]:
        """Return the module's parameters by name: arrays that share its memory."""
        from ebm.autograd import learnable

        return learnable(self.module)

    def parameter_gradient(self, x: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return sum_i weights_i dE(x_i)/dparameter by name, for x (n, *shape) and weights (n,)."""
        import torch

        from ebm.autograd import derivative

        with torch.enable_grad():
            value = self._value(self.tensor(x))
            return derivative((value * torch.as_tensor(weights, dtype=value.dtype)).sum(), self.module)

    def slope_gradient(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return d/dparameter of the mean of |dE/dx|^2 over x (n, *shape), by name."""
        import torch

        from ebm.autograd import derivative

        with torch.enable_grad():
            return derivative(self.score(self.tensor(x)).flatten(1).square().sum(1).mean(), self.module)

    def parameters(self) -> dict[str, Any]:
        """Return the module's weights by name, and shape and domain."""
        state: dict[str, Any] = getattr(self.module, "state_dict", dict)()
        weights = {f"module.{name}": value.detach().cpu().numpy() for name, value in state.items()}
        return {"shape": self.shape, "domain": self.domain, **weights}

    def __repr__(self) -> str:
        name = getattr(self.module, "__name__", type(self.module).__name__)
        return f"TorchEnergy({name}, shape={self.shape}, domain={self.domain!r})"
