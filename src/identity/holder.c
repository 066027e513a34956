/* Checks proofs of a key against the request that they came with, and remembers them. */
#include "identity/holder.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "codec/digest.h"
#include "codec/url.h"

typedef struct entry {
    uint8_t id[16];
    int64_t until_s; /* 0: free */
} entry;

struct cpn_holders {
    unsigned sets;
    bool evict;
    entry (*set)[CPN_HOLDER_WAYS];
};

cpn_holders *
cpn_holders_new(unsigned sets, bool evict)
{
    cpn_holders *h = cpn_xcalloc(1, sizeof(*h));

    h->sets = sets;
    h->evict = evict;
    h->set = cpn_xcalloc(sets, sizeof(*h->set));
    return h;
}

void
cpn_holders_free(cpn_holders *h)
{
    if (!h)
        return;
    free(h->set);
    free(h);
}

/* False: it was used before, or there is no room to remember it. */
static bool
use_up(cpn_holders *h, const cpn_proof *p, bool here, int64_t now_s, cpn_err *err)
{
    const cpn_view piece[] = { { p->thumb.b, sizeof(p->thumb.b) }, cpn_view_str(p->jti) };
    uint8_t id[CPN_SHA256_BYTES];
    entry *set, *to;

    cpn_sha256_pieces(piece, CPN_COUNT(piece), id);
    set = h->set[((unsigned)id[30] << 8 | id[31]) % h->sets];
    to = &set[0];
    for (unsigned i = 0; i < CPN_HOLDER_WAYS; i++) {
        if (set[i].until_s >= now_s && memcmp(set[i].id, id, sizeof(set[i].id)) == 0) {
            cpn_fail(err, CPN_EXISTS, "the proof was used before");
            return false;
        }
        if (set[i].until_s < to->until_s)
            to = &set[i];
    }
    if (to->until_s >= now_s && !here && !h->evict) {
        cpn_fail(err, CPN_LIMIT, "too many proofs in a short time");
        return false;
    }
    memcpy(to->id, id, sizeof(to->id));
    to->until_s = CPN_MAX(p->iat, now_s) + CPN_PROOF_WINDOW_S;
    return true;
}

static bool
is_here(const cpn_proof *p, cpn_view exporter)
{
    return p->has_exporter && exporter.n == sizeof(p->exporter) &&
           cpn_ct_eq((cpn_view){ p->exporter, sizeof(p->exporter) }, exporter);
}

/* RFC 9449 4.3: the same URL without regard to case of the host or its default port. */
static bool
is_url(const cpn_proof *p, const cpn_holder_ask *ask)
{
    char host[CPN_URL_HOSTPORT_SIZE];
    cpn_view rest;
    cpn_url url;

    return cpn_url_split(cpn_view_str(p->url), &url, &rest, NULL) == CPN_OK && url.tls &&
           strcmp(cpn_url_hostport(&url, host), ask->host) == 0 && cpn_view_eq(rest, ask->path);
}

static bool
is_token(const cpn_proof *p, cpn_view token)
{
    uint8_t digest[CPN_SHA256_BYTES];

    if (token.n == 0)
        return !p->has_token;
    cpn_sha256(token, digest);
    return p->has_token && memcmp(p->token, digest, sizeof(digest)) == 0;
}

/* What the proof itself says against it; NULL: nothing. */
static const char *
fault(const cpn_proof *p, const cpn_holder_ask *ask, bool here)
{
    if (ask->expect && !cpn_thumb_eq(ask->expect, &p->thumb))
        return "the proof is of another key than the token's";
    if (!cpn_view_is(ask->method, p->method) || !is_url(p, ask))
        return "the proof is for another request";
    if (!is_token(p, ask->token))
        return "the proof is for another token";
    if (p->iat > ask->now_s + CPN_PROOF_WINDOW_S)
        return "the proof is from the future: check the clocks";
    if (!here && p->iat < ask->now_s - CPN_PROOF_WINDOW_S)
        return "the proof is too old: check the clocks";
    return cpn_proof_signed(p) ? NULL : "the proof's signature is wrong";
}

cpn_held
cpn_holder_check(cpn_holders *h, const cpn_holder_ask *ask, cpn_thumb *key, cpn_err *err)
{
    const char *why;
    cpn_proof p;
    bool here;

    *key = (cpn_thumb){ .set = false };
    if (ask->proof.n == 0) {
        cpn_fail(err, CPN_UNAUTHENTICATED, "there is no proof of the key");
        return CPN_HELD_NOT;
    }
    if (cpn_proof_parse(&p, ask->proof, err) != CPN_OK)
        return CPN_HELD_NOT;
    here = is_here(&p, ask->exporter);
    if ((why = fault(&p, ask, here)) != NULL) {
        cpn_fail(err, CPN_UNAUTHENTICATED, "%s", why);
        return CPN_HELD_NOT;
    }
    if (!use_up(h, &p, here, ask->now_s, err))
        return CPN_HELD_NOT;
    *key = p.thumb;
    return here ? CPN_HELD_HERE : CPN_HELD_ELSEWHERE;
}
