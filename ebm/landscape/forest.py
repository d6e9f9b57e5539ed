"""Lakes that rise and join: the bookkeeping of a disconnectivity graph (union-find, Tarjan 1975).

Members are minima, or configurations. Those that are connected form a lake; a lake has a node of the tree once it holds
a minimum, and gets a new one whenever it joins others that have one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Forest:
    """Lakes of members 0 .. members - 1, and the tree so far: the height of each node, and its parent (-1: none)."""

    members: int
    heights: list[float] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.root = list(range(self.members))  # of the lake of each member
        self.node: dict[int, int] = {}  # of the tree, by the root of its lake

    def find(self, member: int) -> int:
        """Return the root of the lake of a member."""
        root = self.root
        while root[member] != member:
            root[member] = root[root[member]]
            member = root[member]
        return member

    def leaf(self, member: int, height: float) -> None:
        """Make the lake of this member a leaf of the tree."""
        self.node[self.find(member)] = self._new(height)

    def _new(self, height: float) -> int:
        self.heights.append(height)
        self.parents.append(-1)
        return len(self.heights) - 1

    def union(self, edges: Sequence[tuple[int, int]], height: float) -> None:
        """Join lakes along all edges of one height: a union of two nodes or more makes a new one of this height."""
        joined: dict[int, list[int]] = {}  # root -> nodes of the lakes that met in it at this height
        for a, b in edges:
            first, second = self.find(a), self.find(b)
            if first == second:
                continue
            nodes = joined.pop(first, self._nodes(first)) + joined.pop(second, self._nodes(second))
            self.root[second] = first
            self.node.pop(second, None)
            joined[first] = nodes
        for root, nodes in joined.items():
            if len(nodes) == 1:
                self.node[root] = nodes[0]
            elif nodes:
                self.node[root] = self._new(height)
                for node in nodes:
                    self.parents[node] = self.node[root]

    def _nodes(self, root: int) -> list[int]:
        return [self.node[root]] if root in self.node else []
