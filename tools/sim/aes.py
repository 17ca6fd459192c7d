"""AES-256-CBC with PKCS#7 padding, which the standard library lacks: the system's libcrypto, which lulab itself needs."""

import ctypes
import ctypes.util

_crypto = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
_crypto.EVP_CIPHER_CTX_new.restype = ctypes.c_void_p
_crypto.EVP_aes_256_cbc.restype = ctypes.c_void_p


def encrypt_cbc(key, iv, plain):
    """key of 32 bytes, iv of 16."""
    out = ctypes.create_string_buffer(len(plain) + 32)
    n, m = ctypes.c_int(0), ctypes.c_int(0)
    context = ctypes.c_void_p(_crypto.EVP_CIPHER_CTX_new())
    try:
        ok = _crypto.EVP_EncryptInit_ex(context, ctypes.c_void_p(_crypto.EVP_aes_256_cbc()), None, key, iv) == 1
        ok = ok and _crypto.EVP_EncryptUpdate(context, out, ctypes.byref(n), plain, len(plain)) == 1
        ok = ok and _crypto.EVP_EncryptFinal_ex(context, ctypes.byref(out, n.value), ctypes.byref(m)) == 1
    finally:
        _crypto.EVP_CIPHER_CTX_free(context)
    if not ok:
        raise RuntimeError("libcrypto refused to encrypt")
    return out.raw[:n.value + m.value]
