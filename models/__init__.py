"""The networks of machine learning, each also an energy, and the data they learn from.

models.datasets    toy densities known exactly, and handwritten digits
"""

from models import datasets

__all__ = ["datasets"]
