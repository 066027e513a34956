/* identity/identity_core.h -- what the files of this folder share. Internal to src/identity. */
#ifndef CPN_IDENTITY_IDENTITY_CORE_H
#define CPN_IDENTITY_IDENTITY_CORE_H

#include <limits.h>

#include "identity/memo.h"
#include "identity/tokenkey.h"

#define CPN_URL_MAX 512
#define CPN_ENROLMENT_SYMBOLS 15 /* 75 bits, in three groups of five */

typedef struct cpn_credentials cpn_credentials;

/* The one-time code. Open: it counts. */
typedef struct cpn_enrolment {
    bool open;
    char code[CPN_ENROLMENT_SYMBOLS];
    unsigned wrong;
    int tty_fd;
} cpn_enrolment;

struct cpn_identity {
    cpn_store *store;
    char public_url[CPN_URL_MAX];
    char issuer[CPN_URL_MAX + 8];
    char tenant[CPN_UUID_TEXT];
    char state_dir[PATH_MAX / 2];
    int64_t access_token_ttl_s;
    int64_t refresh_token_ttl_s;
    cpn_token_key key;
    cpn_memo *memo;
    cpn_credentials *credentials;
    cpn_enrolment enrolment;
};

/* memory_kib: argon2's, for each password that is set from now on. */
cpn_credentials *cpn_credentials_new(uv_loop_t *loop, uint32_t memory_kib);
/* What waits is dropped without an answer; what runs ends by itself. */
void cpn_credentials_free(cpn_credentials *c);

#endif
