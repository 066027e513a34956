/* net/gcm.h -- AES-128-GCM for the records of TLS 1.3 by Intel's multi-buffer library, where the
 * processor has vector AES (VAES and AVX-512): three times OpenSSL 3.0's own. docs/adr/0014 says
 * why.
 *
 * It comes as an OpenSSL provider named "caponier" of one cipher, which only who asks for it gets:
 * libssl does the handshake, the keys, the nonces and the records as ever. The cipher does what a
 * record needs and no more: a nonce of 12 bytes, given anew for each text; at most CPN_GCM_AAD
 * bytes of associated data in one piece; a text that is not empty, in one piece; a tag of 16 bytes.
 * What goes beyond that seals and opens nothing. TLS 1.2 does, so a context that asks for it offers
 * no AES-128-GCM there. */
#ifndef CPN_NET_GCM_H
#define CPN_NET_GCM_H

#include <stddef.h>

#define CPN_GCM_AAD 16

/* OpenSSL's property query under which the cipher is found, for SSL_CTX_new_ex and
 * EVP_CIPHER_fetch. NULL: this build, processor, system or OpenSSL (3.1 and later are as fast) has
 * no use for it, the system demands FIPS, or it failed its trial against OpenSSL's. The first call
 * loads the library, which takes a third of a millisecond and, in a sandbox, nothing but memory; it
 * replaces OpenSSL's default properties, if the machine's openssl.cnf sets other ones than FIPS. */
const char *cpn_gcm_query(void);

#endif
