"""Trees and proofs: the standards' own vectors, and the laws for any number of entries."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_helpers import root_of

from kiosk.proofs import (
    EMPTY_ROOT,
    Frontier,
    ProofError,
    completed_nodes,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_at,
    verify_consistency,
    verify_inclusion,
)

VECTORS = Path(__file__).parent / "captures" / "standards" / "rfc6962"
INCLUSION = sorted((VECTORS / "testdata" / "inclusion").rglob("*.json"))
CONSISTENCY = sorted((VECTORS / "testdata" / "consistency").rglob("*.json"))
SIZES = st.integers(1, 140)


def vector_name(path: Path) -> str:
    return str(path.relative_to(VECTORS / "testdata").with_suffix(""))


class Tree:
    """A tree in memory that keeps complete subtrees only, as the database does."""

    def __init__(self, size: int) -> None:
        self.leaves = [leaf_hash(b"entry %d" % number) for number in range(size)]
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.reads = 0
        for index, leaf in enumerate(self.leaves):
            for level, position, value in completed_nodes(index, leaf, self.node):
                self.nodes[level, position] = value

    def node(self, level: int, index: int) -> bytes:
        self.reads += 1
        return self.nodes[level, index]


def slow_root(leaves: list[bytes]) -> bytes:
    """The definition in RFC 6962, word by word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return node_hash(slow_root(leaves[:middle]), slow_root(leaves[middle:]))


def fails(check: Callable[[], None]) -> bool:
    try:
        check()
    except ProofError:
        return True
    return False


def test_there_are_as_many_vectors_as_the_source_has() -> None:
    assert (len(INCLUSION), len(CONSISTENCY)) == (98, 98)


@pytest.mark.parametrize("path", INCLUSION, ids=vector_name)
def test_an_inclusion_vector_of_the_reference_is_judged_as_the_reference_does(path: Path) -> None:
    vector = json.loads(path.read_text())
    proof = [base64.b64decode(step) for step in vector["proof"] or ()]
    leaf, root = base64.b64decode(vector["leafHash"]), base64.b64decode(vector["root"])
    refused = fails(lambda: verify_inclusion(leaf, vector["leafIdx"], vector["treeSize"], proof, root))
    assert refused is vector["wantErr"]


@pytest.mark.parametrize("path", CONSISTENCY, ids=vector_name)
def test_a_consistency_vector_of_the_reference_is_judged_as_the_reference_does(path: Path) -> None:
    vector = json.loads(path.read_text())
    proof = [base64.b64decode(step) for step in vector["proof"] or ()]
    first, second = base64.b64decode(vector["root1"]), base64.b64decode(vector["root2"])
    refused = fails(lambda: verify_consistency(vector["size1"], vector["size2"], first, second, proof))
    assert refused is vector["wantErr"]


def test_the_reference_leaves_give_the_reference_roots_at_every_size() -> None:
    reference = json.loads((VECTORS / "reference_roots.json").read_text())
    leaves = [leaf_hash(bytes.fromhex(data)) for data in reference["leaf_inputs_hex"]]
    assert [leaf.hex() for leaf in leaves] == reference["leaf_hashes"]
    assert [root_of(leaves[:size]).hex() for size in range(len(leaves) + 1)] == reference["roots_by_size"]


@given(SIZES)
def test_the_growing_edge_and_the_kept_subtrees_agree_with_the_definition(size: int) -> None:
    tree = Tree(size)
    frontier = Frontier()
    kept = {(level, index): value for leaf in tree.leaves for level, index, value in frontier.append(leaf)}
    assert kept == tree.nodes
    assert frontier.root() == root_of(tree.leaves) == root_at(size, tree.node) == slow_root(tree.leaves)


@given(st.data())
def test_every_entry_is_proved_in_every_later_tree_and_no_other_entry_is(data: st.DataObject) -> None:
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda number: size == 1 or number != index))
    tree = Tree(size)
    path = inclusion_path(index, size, tree.node)
    root = root_of(tree.leaves)
    verify_inclusion(tree.leaves[index], index, size, path, root)
    if size > 1:
        assert fails(lambda: verify_inclusion(tree.leaves[other], index, size, path, root))
        assert fails(lambda: verify_inclusion(tree.leaves[index], other, size, path, root))


@given(st.data())
def test_every_earlier_tree_is_proved_a_beginning_of_every_later_one(data: st.DataObject) -> None:
    second = data.draw(SIZES)
    first = data.draw(st.integers(1, second))
    tree = Tree(second)
    path = consistency_path(first, second, tree.node)
    roots = root_of(tree.leaves[:first]), root_of(tree.leaves)
    verify_consistency(first, second, *roots, path)


def flipped(value: bytes, bit: int) -> bytes:
    return (int.from_bytes(value, "big") ^ (1 << bit)).to_bytes(len(value), "big")


@given(st.data())
def test_one_flipped_bit_anywhere_breaks_an_inclusion_proof(data: st.DataObject) -> None:
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    tree = Tree(size)
    values = [tree.leaves[index], root_of(tree.leaves), *inclusion_path(index, size, tree.node)]
    where = data.draw(st.integers(0, len(values) - 1))
    values[where] = flipped(values[where], data.draw(st.integers(0, 255)))
    assert fails(lambda: verify_inclusion(values[0], index, size, values[2:], values[1]))


@given(st.data())
def test_one_flipped_bit_anywhere_breaks_a_consistency_proof(data: st.DataObject) -> None:
    second = data.draw(st.integers(2, 140))
    first = data.draw(st.integers(1, second - 1))
    tree = Tree(second)
    values = [root_of(tree.leaves[:first]), root_of(tree.leaves), *consistency_path(first, second, tree.node)]
    where = data.draw(st.integers(0, len(values) - 1))
    values[where] = flipped(values[where], data.draw(st.integers(0, 255)))
    assert fails(lambda: verify_consistency(first, second, values[0], values[1], values[2:]))


@given(st.data())
def test_a_history_rewritten_before_the_known_size_cannot_be_proved_consistent(data: st.DataObject) -> None:
    second = data.draw(st.integers(2, 100))
    first = data.draw(st.integers(1, second))
    honest, forged = Tree(second), Tree(second)
    changed = data.draw(st.integers(0, first - 1))
    forged.leaves[changed] = leaf_hash(b"something else")
    rewritten: dict[tuple[int, int], bytes] = {}
    for index, leaf in enumerate(forged.leaves):
        nodes = completed_nodes(index, leaf, lambda level, position: rewritten[level, position])
        rewritten.update({(level, position): value for level, position, value in nodes})
    path = consistency_path(first, second, lambda level, index: rewritten[level, index])
    known, shown = root_of(honest.leaves[:first]), root_of(forged.leaves)
    assert fails(lambda: verify_consistency(first, second, known, shown, path))


def test_a_proof_in_a_large_log_reads_a_few_dozen_subtrees() -> None:
    tree = Tree(5000)
    tree.reads = 0
    inclusion_path(4998, 4999, tree.node)
    consistency_path(2501, 4999, tree.node)
    root_at(4999, tree.node)
    assert tree.reads < 60


def test_an_entry_that_is_not_there_has_no_proof() -> None:
    with pytest.raises(ValueError, match="no entry 3 in a log of 3"):
        inclusion_path(3, 3, Tree(3).node)


def test_a_shorter_log_does_not_extend_a_longer_one() -> None:
    with pytest.raises(ValueError, match="does not extend"):
        consistency_path(4, 3, Tree(4).node)


def test_from_an_empty_log_there_is_nothing_to_prove() -> None:
    assert consistency_path(0, 3, Tree(3).node) == []
