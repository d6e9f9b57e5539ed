"""Bugs to be planted in the kernels of lattices and clusters."""

from bug import Bug

_ENERGIES = "tests/energies/test_energies.py::"
_START = "tests/samplers/test_exact_start.py::"
_WORDS = "tests/samplers/test_bit_lattice.py::"
_STATES = "tests/samplers/test_state_lattice.py::"
_CLUSTERS = "tests/samplers/test_clusters.py::"

BUGS = (
    Bug(
        "the local change has the wrong sign",
        "ebm/lattice.py",
        "    return (x[site] - value) * _ising_field(x, site, p)",
        "    return (value - x[site]) * _ising_field(x, site, p)",
        (_ENERGIES + "test_every_energy_passes_its_check[ising ring]",),
        slow=True,
    ),
    Bug(
        "an energy per spin where the total is needed",
        "ebm/lattice.py",
        "        energy -= 0.5 * x[i] * (_ising_field(x, i, p) + p[3][i])",
        "        energy -= 0.5 * x[i] * (_ising_field(x, i, p) + p[3][i]) / x.shape[0]",
        (_ENERGIES + "test_every_energy_passes_its_check[ising on a graph]",),
    ),
    Bug(
        "clusters of spins grow as if they were states",
        "samplers/clusters.py",
        "np.abs(weights) * (2.0 if ",
        "np.abs(weights) * (1.0 if ",
        (_START + "test_discrete_law_stays[ising ring-wolff-1.0]",),
    ),
    Bug(
        "a cluster leaves a row into the next one",
        "samplers/wolff.py",
        "site + stride - (side * stride if place == side - 1 else 0)",
        "site + stride - (x.shape[0] if site + stride >= x.shape[0] else 0)",
        (_START + "test_discrete_law_stays[ising ferromagnet in three dimensions-wolff-1.0]",),
        slow=True,
    ),
    Bug(
        "the probability of a bond is rounded to sixteen bits",
        "samplers/clusters.py",
        "        return uint8(u < rest), stream",
        "        return uint8(1), stream",
        (_CLUSTERS + "test_the_probability_of_a_bond_is_not_rounded",),
        slow=True,
    ),
    Bug(
        "the bits that open bonds also turn the clusters",
        "samplers/swendsen_wang.py",
        "        expand(key, first + low // 64, words)",
        "        expand(key, low // 64, words)",
        (_CLUSTERS + "test_trajectories_are_those_of_the_plain_twin[swendsen-wang-ring]",),
        slow=True,
    ),
    Bug(
        "the neighbours of a spin that flips see half of it",
        "ebm/lattice.py",
        "        fields[indices[k]] += step * weights[k]",
        "        fields[indices[k]] += 0.5 * step * weights[k]",
        (_ENERGIES + "test_every_energy_passes_its_check[ising on a graph]",),
        slow=True,
    ),
    Bug(
        "probabilities are rounded to the bits that are drawn at once",
        "samplers/bit_sweep.py",
        "            less = drawn < digit\n",
        "            less = False\n",
        (_WORDS + "test_ties_are_settled_to_the_last_bit_of_the_probability",),
        slow=True,
    ),
    Bug(
        "words of bits take their second neighbour from the wrong side",
        "samplers/bit_layout.py",
        "        if (colour + row_parity[row]) & 1:  #",
        "        if colour & 1:  #",
        (_WORDS + "test_words_move_as_their_plain_twin[square-metropolis]",),
        slow=True,
    ),
    Bug(
        "rows updated together take the first neighbours of a next piece from their own piece",
        "samplers/bit_layout.py",
        " if last[row] else IN_PLACE)",
        " if last[row] and together == 1 else IN_PLACE)",
        (_WORDS + "test_words_move_as_their_plain_twin[square-metropolis]",),
        slow=True,
    ),
    Bug(
        "chains that share words are given generators in the wrong order",
        "samplers/bit_sweep.py",
        "    return (w // width * chains + c) * width + w % width\n",
        "    return (c * chains + w // width) * width + w % width\n",
        (_WORDS + "test_bits_do_not_depend_on_threads_or_on_how_chains_share_words[shape2]",),
        slow=True,
    ),
    Bug(
        "blocks of one lattice share their random bits",
        "samplers/bit_lattice.py",
        "        for block in range(lanes.shape[1]):\n            for lane",
        "        for block in range(lanes.shape[1]):\n"
        "            stream = random.load(streams, chain)\n            for lane",
        (_WORDS + "test_every_word_and_chain_has_random_bits_of_its_own",),
        slow=True,
    ),
    Bug(
        "Potts states in vector registers never propose one of the states",
        "samplers/state_lattice.py",
        "(words[used + w] >> uint64(32)) * (q - uint64(1))",
        "(words[used + w] >> uint64(32)) * (q - uint64(2))",
        (_STATES + "test_states_move_as_their_plain_twin[three states-metropolis]",),
    ),
)
