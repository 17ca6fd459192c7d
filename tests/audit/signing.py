"""Signs notes for the tests that forge them: Ed25519 (RFC 8032) over the arithmetic of verify.py."""

import base64
import hashlib

import verify


def point_encode(p):
    z = pow(p[2], verify.P - 2, verify.P)
    x, y = p[0] * z % verify.P, p[1] * z % verify.P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def ed25519_sign(seed, message):
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little") & ((1 << 254) - 8) | 1 << 254
    public = point_encode(verify.point_mul(a, verify.G))
    r = int.from_bytes(hashlib.sha512(h[32:] + message).digest(), "little") % verify.L
    big_r = point_encode(verify.point_mul(r, verify.G))
    k = int.from_bytes(hashlib.sha512(big_r + public + message).digest(), "little") % verify.L
    return big_r + ((r + k * a) % verify.L).to_bytes(32, "little")


def note_line(vkey, seed, text):
    """A signature line over the text of a note, by the log's key."""
    name, key_id = vkey.split("+")[:2]
    signature = ed25519_sign(seed, text.encode())
    return "\u2014 %s %s\n" % (name, base64.b64encode(bytes.fromhex(key_id) + signature).decode())


def checkpoint(vkey, seed, size, root):
    text = "%s\n%d\n%s\n" % (vkey.split("+")[0], size, base64.b64encode(root).decode())
    return (text + "\n" + note_line(vkey, seed, text)).encode()
