"""Arrays that learning changes: an energy's parameters, always finite when they are set, and of one shape for life."""

from typing import Any

import numpy as np

from ebm.energy import finite_array


class Parameter:
    """A writable array of an energy: `energy.W` is the array itself, `energy.W = value` copies checked values into it.

    Raises:
        ValueError: the value has another shape or is not finite.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> np.ndarray:
        if self._name not in instance.__dict__:
            raise AttributeError(f"this {type(instance).__name__} has no {self._name}")
        return instance.__dict__[self._name]

    def __set__(self, instance: Any, value: Any) -> None:
        array = self.__get__(instance)
        array[...] = finite_array(value, self._name, array.shape, array.dtype)

    def create(self, instance: Any, value: Any, shape: tuple[int, ...], dtype: Any) -> None:
        """Give the instance its array, with the first values and the shape it will keep."""
        array = finite_array(value, self._name, shape, dtype)
        array.flags.writeable = True
        instance.__dict__[self._name] = array
