#!/usr/bin/env python3
"""The second verifier against the published vectors, and every proof up to seventy leaves: the exhaustive
case that the program's own tests have too, here with proofs made by their definition."""

import hashlib
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import verify  # noqa: E402

LEAVES = [bytes.fromhex(x) for x in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PROOFS = [
    ("inclusion", 5, 8, [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    ("inclusion", 6, 7, [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    ("consistency", 3, 8, [
        "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7",
        "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    ("consistency", 6, 8, [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    ("consistency", 4, 7, [
        "837dbb152e9b079010717e84e865da4ebc0fa198a806d59d31bf15accef22d0e",
    ]),
]
NOTE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = """This is an example message.

\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""
LOG_KEY = "log.example.test/events+d23885f3+AdBKsjJ0K7SrOhNovUYV5ObQIkq3GgFrr4UgozLJd4c3"
WITNESS_KEY = "witness.example.test/w1+daa85b2a+BKCapfR6Z1mAL/lV+NwtKhSlyZ0jvpf4ZBJ/+Tg0VaTw"
CHECKPOINT = """log.example.test/events
8
XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=

\u2014 log.example.test/events 0jiF89fPqN3X1jjHKgAL3rf/zHnkDL/JCQrbp+qp7oskBiIeoX/8umcdVr+JTlKSa7upLjgVrdJM8Gi1Ey63myKmYQQ=
\u2014 witness.example.test/w1 2qhbKgAAAABoTuGA2s4i1HhVC657tau2VU6kiyeWpdedIWJbt8+8HU14HkYvyyDc2HkGes+aGhd0xkqqEssdypVlWMoqcIjDI62dCA==
"""


def split(n):
    """The largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(leaves):
    """By the definition, not level by level as the verifier does it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return verify.node(mth(leaves[:k]), mth(leaves[k:]))


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return path(m, leaves[:k]) + [mth(leaves[k:])]
    return path(m - k, leaves[k:]) + [mth(leaves[:k])]


def sub(m, leaves, whole):
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return sub(m, leaves[:k], whole) + [mth(leaves[k:])]
    return sub(m - k, leaves[k:], False) + [mth(leaves[:k])]


class Vectors(unittest.TestCase):
    leaves = [verify.leaf_of(x) for x in LEAVES]

    def test_roots(self):
        for size, root in enumerate(ROOTS):
            self.assertEqual(verify.root_of(self.leaves[:size]).hex(), root)
            self.assertEqual(mth(self.leaves[:size]).hex(), root)
        self.assertEqual(self.leaves[5].hex(), "4271a26be0d8a84f0bd54c8c302e7cb3a3b5d1fa6780a40bcce2873477dab658")

    def test_proofs(self):
        for kind, a, b, hashes in PROOFS:
            proof = [bytes.fromhex(x) for x in hashes]
            made = path(a, self.leaves[:b]) if kind == "inclusion" else sub(a, self.leaves[:b], True)
            self.assertEqual(made, proof)
            roots = [bytes.fromhex(x) for x in ROOTS]
            if kind == "inclusion":
                self.assertTrue(verify.inclusion_holds(a, b, self.leaves[a], proof, roots[b]))
            else:
                self.assertTrue(verify.consistency_holds(a, b, roots[a], roots[b], proof))

    def test_notes(self):
        text, signed = verify.open_note(NOTE.encode(), [verify.Key(NOTE_KEY)])
        self.assertEqual((text, len(signed)), ("This is an example message.\n", 1))
        keys = [verify.Key(LOG_KEY), verify.Key(WITNESS_KEY)]
        self.assertEqual(len(verify.open_note(CHECKPOINT.encode(), keys)[1]), 2)
        size, root, by = verify.open_checkpoint(CHECKPOINT.encode(), keys)
        self.assertEqual((size, root.hex(), by), (8, ROOTS[8], keys[:1]))
        with self.assertRaises(verify.Bad):
            verify.open_checkpoint(CHECKPOINT.replace("\n8\n", "\n7\n").encode(), keys)

    def test_every_proof_up_to_seventy_leaves_and_no_spoiled_one(self):
        leaves = [verify.leaf_of(b"%d" % i) for i in range(70)]
        other, n = verify.leaf_of(b"other"), 0
        for size in range(1, 71):
            root = mth(leaves[:size])
            for i in range(size):
                n += self.only_the_true_one(path(i, leaves[:size]), other, lambda p, i=i, size=size, root=root:
                                            verify.inclusion_holds(i, size, leaves[i], p, root))
            for m in range(size + 1):
                proof = sub(m, leaves[:size], True) if m else []
                n += self.only_the_true_one(proof, other, lambda p, m=m, size=size, root=root:
                                            verify.consistency_holds(m, size, mth(leaves[:m]), root, p))
        self.assertEqual(n, 5040)

    def only_the_true_one(self, proof, other, holds):
        self.assertTrue(holds(proof))
        self.assertFalse(holds(proof + [other]))
        if proof:
            self.assertFalse(holds([other] + proof[1:]))
            self.assertFalse(holds(proof[1:]))
        return 1


if __name__ == "__main__":
    unittest.main()
