/* A certificate and its key, for tests of TLS. */
#ifndef LULAB_TESTS_TLS_PAIR_H
#define LULAB_TESTS_TLS_PAIR_H

#include <check.h>
#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

/* A certificate for 127.0.0.1 that signs itself, and its key, over whatever was there. */
static inline void tls_pair_make(const char *cert_path, const char *key_path, const char *common_name, int days)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = X509_NAME_new();
	X509_EXTENSION *alt = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
	FILE *file;

	ck_assert(key != NULL && cert != NULL && name != NULL && alt != NULL);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * days);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
	X509_set_subject_name(cert, name);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	X509_add_ext(cert, alt, -1);
	ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
	file = fopen(cert_path, "w");
	ck_assert(file != NULL && PEM_write_X509(file, cert) == 1);
	fclose(file);
	file = fopen(key_path, "w");
	ck_assert(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(file);
	X509_EXTENSION_free(alt);
	X509_NAME_free(name);
	X509_free(cert);
	EVP_PKEY_free(key);
}

#endif
