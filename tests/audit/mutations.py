"""The ways in which an export of a log can be spoiled, from a flipped bit to a whole history signed anew.

WAYS is the list; each takes an Export and a random.Random and changes files through the former, which puts
them back afterwards. Nothing but the random generator decides what is done, so that a case can be repeated."""

import os
import re

import signing
import verify


def split_bundle(data):
    records, at = [], 0
    while at < len(data):
        n = int.from_bytes(data[at : at + 2], "big")
        records.append(data[at + 2 : at + 2 + n])
        at += 2 + n
    return records


def join_bundle(records):
    return b"".join(len(r).to_bytes(2, "big") + r for r in records)


class Export:
    """An export whose files can be changed and put back."""

    def __init__(self, directory, size=0, sign_every=1, vkey="", seed=b""):
        self.dir, self.size, self.sign_every, self.saved = directory, size, sign_every, {}
        self.vkey, self.seed = vkey, seed  # of the log, whose operator is not above suspicion
        self.old = None
        self.may_be_good = False

    @property
    def n_tiles(self):
        return (self.size + 255) // 256

    def path(self, name):
        return os.path.join(self.dir, name)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def write(self, name, data):
        self.saved.setdefault(name, self.read(name) if os.path.exists(self.path(name)) else None)
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as f:
            f.write(data)

    def remove(self, name):
        data = self.read(name)
        self.saved.setdefault(name, data)
        os.unlink(self.path(name))

    def restore(self):
        for name, data in self.saved.items():
            if data is None:
                if os.path.exists(self.path(name)):
                    os.unlink(self.path(name))
            else:
                with open(self.path(name), "wb") as f:
                    f.write(data)
        self.saved.clear()
        self.old, self.may_be_good = None, False

    def files(self, prefix):
        found = []
        for place, _, names in os.walk(self.path(prefix)):
            found += [os.path.relpath(os.path.join(place, n), self.dir) for n in names]
        return sorted(found)


def bundle_name(e, tile):
    return verify.tile_path("entries", tile, min(256, e.size - 256 * tile))


def hashes_name(e, tile):
    return verify.tile_path("0", tile, min(256, e.size - 256 * tile))


def flip(data, r):
    at = r.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << r.randrange(8)]) + data[at + 1 :]


# Each way to spoil an export gives the first index that is wrong, or None when that is not a matter of one record.
# What it leaves in e.old is handed to the verifiers as the auditor's older checkpoint.


def alter_record(e, r):
    i = r.randrange(e.size)
    records = split_bundle(e.read(bundle_name(e, i // 256)))
    records[i % 256] = flip(records[i % 256], r)
    e.write(bundle_name(e, i // 256), join_bundle(records))
    return i


def swap_records(e, r):
    tile = r.randrange(e.n_tiles)
    records = split_bundle(e.read(bundle_name(e, tile)))
    i, j = sorted(r.sample(range(len(records)), 2))
    records[i], records[j] = records[j], records[i]
    e.write(bundle_name(e, tile), join_bundle(records))
    return 256 * tile + i


def drop_record(e, r):
    i = r.randrange(e.size)
    records = split_bundle(e.read(bundle_name(e, i // 256)))
    del records[i % 256]
    e.write(bundle_name(e, i // 256), join_bundle(records))
    return i


def repeat_record(e, r):
    i = r.randrange(1, e.size)
    records = split_bundle(e.read(bundle_name(e, i // 256)))
    records[i % 256] = records[i % 256 - 1]
    e.write(bundle_name(e, i // 256), join_bundle(records))
    return i


def cut_bundle(e, r):
    tile = r.randrange(e.n_tiles)
    records = split_bundle(e.read(bundle_name(e, tile)))
    keep = r.randrange(len(records))
    whole = join_bundle(records[:keep])
    part = join_bundle(records[keep : keep + 1])
    e.write(bundle_name(e, tile), whole + part[: r.randrange(len(part))])
    return 256 * tile + keep


def lengthen_bundle(e, r):
    tile = r.randrange(e.n_tiles)
    e.write(bundle_name(e, tile), e.read(bundle_name(e, tile)) + r.randbytes(r.randrange(1, 9)))
    return None


def alter_hash(e, r):
    i = r.randrange(e.size)
    data = bytearray(e.read(hashes_name(e, i // 256)))
    data[32 * (i % 256) + r.randrange(32)] ^= 1 << r.randrange(8)
    e.write(hashes_name(e, i // 256), bytes(data))
    return i


def cut_hashes(e, r):
    name = r.choice(e.files("tile/0") + e.files("tile/1"))
    data = e.read(name)
    e.write(name, data[: r.randrange(len(data))])
    return None


def alter_higher_hash(e, r):
    name = r.choice(e.files("tile/1"))
    e.write(name, flip(e.read(name), r))
    return None


def alter_blob(e, r):
    name = r.choice(e.files("blob"))
    e.write(name, flip(e.read(name), r))
    return None


def cut_blob(e, r):
    name = r.choice(e.files("blob"))
    e.write(name, e.read(name)[:-1])
    return None


def has_two_signatures(note):
    """Then one may be by a key that nobody knows, which is no fault."""
    return note.count("\n\u2014 ".encode()) > 1


def alter_checkpoint(e, r):
    e.may_be_good = has_two_signatures(e.read("checkpoint"))
    e.write("checkpoint", flip(e.read("checkpoint"), r))
    return None


def alter_old_note(e, r):
    name = r.choice(e.files("checkpoints"))
    e.may_be_good = has_two_signatures(e.read(name))
    e.write(name, flip(e.read(name), r))
    return None


def rename_note(e, r):
    name = r.choice(e.files("checkpoints"))
    other = r.choice([i for i in range(1, e.size) if name != "checkpoints/%d" % i])
    e.write("checkpoints/%d" % other, e.read(name))
    return None


def shorten(e, r):
    """What a restored backup looks like: an older checkpoint, and all that was signed after it forgotten."""
    older = "checkpoints/%d" % (e.sign_every * r.randrange(1, e.size // e.sign_every))
    e.write("checkpoint", e.read(older))
    return None


def remove_file(e, r):
    names = e.files("tile") + ["checkpoint"] + r.sample(e.files("blob"), 3)
    e.remove(r.choice(names))
    return None


def rewrite(e, i, record):
    """History changed as a whole: record, leaf and the tiles above agree; only the signatures do not."""
    bundles = [split_bundle(e.read(bundle_name(e, t))) for t in range(e.n_tiles)]
    bundles[i // 256][i % 256] = record
    leaves = [verify.leaf_of(x) for b in bundles for x in b]
    e.write(bundle_name(e, i // 256), join_bundle(bundles[i // 256]))
    for tile in range(e.n_tiles):
        e.write(hashes_name(e, tile), b"".join(leaves[256 * tile : 256 * tile + 256]))
    e.write(verify.tile_path("1", 0, 1), verify.root_of(leaves[:256]))


def ordinary(e, r):
    """An index whose record is a delivery, not one about keys."""
    while True:
        i = r.randrange(e.size)
        if b"meeting.something-new" in split_bundle(e.read(bundle_name(e, i // 256)))[i % 256]:
            return i


def rewrite_history(e, r):
    i = ordinary(e, r)
    record = split_bundle(e.read(bundle_name(e, i // 256)))[i % 256]
    rewrite(e, i, record.replace(b"meeting.something-new", b"meeting.something-old"))
    return None


def rewrite_badly(e, r):
    """The same with a record that no writer of this log makes."""
    i = ordinary(e, r)
    record = split_bundle(e.read(bundle_name(e, i // 256)))[i % 256]
    bad = [
        record.replace(b'{"specversion"', b'{ "specversion"', 1),
        record.replace(b'"1.0"', b'"1.1"', 1),
        record.replace(b'"specversion":"1.0",', b"", 1),
        record[:-1] + b',"more":1}',
        record[:-1] + b',"data":{}}',
        record.replace(b'"actor"', b'"Actor"', 1),
        record.replace(b"Z\",\"sequence", b"+00:00\",\"sequence", 1),
        record + b"\n",
        record.replace(b"unknown_event", b"unknown\xffevent", 1),
        record.replace(b"unknown_event", b"unknown\\ud800event", 1),
        record.replace(b"unknown_event", b"unknown\tevent", 1),
        b"[]",
        b"",
    ]
    rewrite(e, i, r.choice(bad))
    return None


def flip_anywhere(e, r):
    name = r.choice([n for n in e.files(".") if os.path.getsize(e.path(n)) > 0])
    e.write(name, flip(e.read(name), r))
    e.may_be_good = name == "keys" or has_two_signatures(e.read(name))
    return None


def cut_anywhere(e, r):
    name = r.choice([n for n in e.files(".") if os.path.getsize(e.path(n)) > 0])
    data = e.read(name)
    e.write(name, data[: r.randrange(len(data))])
    e.may_be_good = name == "keys" or has_two_signatures(data)
    return None


def swap_files(e, r):
    """Two files of one kind, in each other's place."""
    names = r.choice([e.files("blob"), e.files("checkpoints"), e.files("tile/entries"), e.files("tile/0")])
    if len(names) < 2:
        names = e.files("checkpoints")
    a, b = r.sample(names, 2)
    data = e.read(a)
    e.write(a, e.read(b))
    e.write(b, data)
    return None


def remove_old_note(e, r):
    """Nothing says how many there were: the verifiers agree that they cannot know."""
    e.remove(r.choice(e.files("checkpoints")))
    e.may_be_good = True
    return None


def garble_note(e, r):
    """Signature lines left out, repeated, in another order, by strangers, or of another length."""
    name = r.choice(e.files("checkpoints") + ["checkpoint"])
    text, _, lines = e.read(name).decode().rpartition("\n\n")
    lines = lines.splitlines()
    stranger = "\u2014 witness.example.test/w1 2qhbKgAAAABoTuGA2s4i1HhVC657tau2VU6kiyeWpdedIWJbt8+8HU14HkYvyyDc2HkGes+aGhd0xkqqEssdypVlWMoqcIjDI62dCA=="
    line = r.choice(lines)
    lines = r.choice([
        [], lines + [line], lines + [stranger], [stranger], [stranger] + lines, [stranger] * 64 + lines, [line[:-8]],
        [line.replace(" ", "  ", 1)], [line + "\r"], [line + " "], [line[2:]], [line.upper()], lines[::-1],
        [line.replace("+", "-").replace("/", "_")] if "+" in line + "/" else [],
    ])
    text = r.choice([text, text, text, text + "\n", text + "\nmore", text.replace("\n", "\n0", 1), text + "\n\n"])
    e.write(name, (text + "\n\n" + "".join(x + "\n" for x in lines)).encode())
    e.may_be_good = True
    return None


def two_things(e, r):
    """Two of the others at once: what one hides of the other is the same for both verifiers."""
    for way in r.sample(SIMPLE_WAYS, 2):
        try:
            way(e, r)
        except (OSError, IndexError, ValueError, KeyError):
            pass  # the first left the second nothing to spoil
    e.may_be_good = True
    return None


# ---- the log's own operator, who can sign ---------------------------------------------------


def all_records(e):
    return [x for t in range(e.n_tiles) for x in split_bundle(e.read(bundle_name(e, t)))]


def write_history(e, records):
    """An export of these records that agrees with itself: bundles, tiles, and a newly signed checkpoint; no older ones."""
    leaves = [verify.leaf_of(x) for x in records]
    for name in e.files("tile") + e.files("checkpoints"):
        e.remove(name)
    for t in range((len(records) + 255) // 256):
        some = records[256 * t : 256 * t + 256]
        e.write(verify.tile_path("entries", t, len(some)), join_bundle(some))
        e.write(verify.tile_path("0", t, len(some)), b"".join(leaves[256 * t : 256 * t + 256]))
    full = len(records) // 256
    if full:
        e.write(verify.tile_path("1", 0, full), b"".join(verify.root_of(leaves[256 * t : 256 * t + 256]) for t in range(full)))
    note = signing.checkpoint(e.vkey, e.seed, len(records), verify.root_of(leaves))
    e.write("checkpoint", note)
    e.write("checkpoints/%d" % len(records), note)


def renumber(records):
    return [re.sub(rb'"sequence":"\d{20}"', b'"sequence":"%020d"' % i, x, count=1) for i, x in enumerate(records)]


def resign_altered(e, r):
    """A record rewritten, everything signed again: only who kept an older checkpoint can tell, and only if it covers it."""
    e.old = e.read(r.choice(e.files("checkpoints")))
    i = ordinary(e, r)
    records = all_records(e)
    records[i] = records[i].replace(b"meeting.something-new", b"meeting.something-old")
    write_history(e, records)
    e.may_be_good = verify.parse_checkpoint(verify.parse_note(e.old)[0])[1] <= i
    return None


def resign_dropped(e, r):
    e.old = e.read(r.choice(e.files("checkpoints")))
    records = all_records(e)
    del records[r.randrange(e.size)]
    write_history(e, renumber(records))
    e.may_be_good = True
    return None


def resign_added(e, r):
    e.old = e.read(r.choice(e.files("checkpoints")))
    records = all_records(e)
    i = r.randrange(e.size + 1)
    records.insert(i, records[r.randrange(e.size)])
    write_history(e, renumber(records))
    e.may_be_good = True
    return None


def resign_shortened(e, r):
    """The newest records forgotten, and the rest signed again."""
    e.old = e.read("checkpoint")
    write_history(e, all_records(e)[: r.randrange(e.size)])
    return None


def resign_without_renumbering(e, r):
    records = all_records(e)
    i = r.randrange(e.size - 1)
    del records[i]
    write_history(e, records)
    return i


def resign_time(e, r):
    """A record of before its time, everything signed again."""
    records = all_records(e)
    i = r.randrange(1, e.size)
    records[i] = re.sub(rb'"time":"\d{4}', b'"time":"2001', records[i], count=1)
    write_history(e, records)
    return i


def resign_fork(e, r):
    """One more checkpoint of the log's own, over a history that was never shown to this auditor."""
    size = r.randrange(e.size // 2 + 2, e.size)
    e.write("checkpoints/%d" % size, signing.checkpoint(e.vkey, e.seed, size, r.randbytes(32)))
    return None


SIMPLE_WAYS = [
    alter_record, swap_records, drop_record, repeat_record, cut_bundle, lengthen_bundle, alter_hash, cut_hashes,
    alter_higher_hash, alter_blob, cut_blob, alter_checkpoint, alter_old_note, rename_note, shorten, remove_file,
    rewrite_history, rewrite_badly, flip_anywhere, cut_anywhere, swap_files, remove_old_note, garble_note,
]
WAYS = SIMPLE_WAYS + [
    two_things, resign_altered, resign_dropped, resign_added, resign_shortened, resign_without_renumbering, resign_time, resign_fork,
]
