/* The calls of OpenSSL that can fail, for lib/failing.h. The linker's --wrap puts these before the library's own. */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "lib/failing.h"

#define CALL(type, name, params, args, failure) FAILING_CALL(FAILING_TLS, type, name, params, args, failure)

typedef int on_ticket(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, EVP_MAC_CTX *, int);

CALL(SSL_CTX *, SSL_CTX_new, (const SSL_METHOD *method), (method), NULL)
CALL(long, SSL_CTX_ctrl, (SSL_CTX *ctx, int what, long number, void *arg), (ctx, what, number, arg), 0)
CALL(int, SSL_CTX_set_cipher_list, (SSL_CTX *ctx, const char *list), (ctx, list), 0)
CALL(int, SSL_CTX_set_ciphersuites, (SSL_CTX *ctx, const char *list), (ctx, list), 0)
CALL(int, SSL_CTX_use_certificate_chain_file, (SSL_CTX *ctx, const char *path), (ctx, path), 0)
CALL(int, SSL_CTX_use_PrivateKey_file, (SSL_CTX *ctx, const char *path, int type), (ctx, path, type), 0)
CALL(int, SSL_CTX_check_private_key, (const SSL_CTX *ctx), (ctx), 0)
CALL(int, SSL_CTX_set_ex_data, (SSL_CTX *ctx, int i, void *data), (ctx, i, data), 0)
CALL(int, SSL_CTX_set_tlsext_ticket_key_evp_cb, (SSL_CTX *ctx, on_ticket *cb), (ctx, cb), 0)
CALL(ASN1_TIME *, ASN1_TIME_set, (ASN1_TIME *time, time_t at), (time, at), NULL)
CALL(SSL *, SSL_new, (SSL_CTX *ctx), (ctx), NULL)
CALL(BIO *, BIO_new, (const BIO_METHOD *method), (method), NULL)
CALL(int, BIO_write, (BIO *bio, const void *bytes, int len), (bio, bytes, len), -1)
CALL(int, SSL_read, (SSL *ssl, void *bytes, int len), (ssl, bytes, len), -1)
CALL(int, SSL_write, (SSL *ssl, const void *bytes, int len), (ssl, bytes, len), -1)
CALL(int, RAND_bytes, (unsigned char *bytes, int len), (bytes, len), 0)
CALL(int, RAND_priv_bytes, (unsigned char *bytes, int len), (bytes, len), 0)
CALL(int, EVP_MAC_CTX_set_params, (EVP_MAC_CTX *mac, const OSSL_PARAM params[]), (mac, params), 0)
CALL(int, EVP_CipherInit_ex, (EVP_CIPHER_CTX *ctx, const EVP_CIPHER *type, ENGINE *engine, const unsigned char *key,
    const unsigned char *iv, int seal), (ctx, type, engine, key, iv, seal), 0)
