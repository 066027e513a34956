/* What is known of the provider: its description and keys, fetched when they are needed. */
#include "control/oidc.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "store/private_file.h"

#define WELL_KNOWN "/.well-known/openid-configuration"

typedef struct cpn_oidc_waiter {
    cpn_oidc_need need;
    cpn_oidc_ready *done;
    void *owner;
    struct cpn_oidc_waiter *next;
} waiter;

static void step(cpn_oidc *o);

/* ---- what is there ---- */

static bool
description_usable(const cpn_oidc *o, uint64_t now_ms)
{
    return o->described_ms && now_ms - o->described_ms < CPN_KEYS_FRESH_MAX_MS;
}

static bool
description_due(const cpn_oidc *o, uint64_t now_ms)
{
    return !o->described_ms || now_ms - o->described_ms >= CPN_OIDC_DESCRIBED_MS;
}

static void
failed(const char *event, const cpn_err *err)
{
    cpn_log(CPN_LOG_WARN, event, CPN_KE(err));
}

/* ---- fetching ---- */

static void
described(void *owner, cpn_rc rc, const cpn_fetch_answer *a, const cpn_err *err)
{
    cpn_oidc *o = owner;
    cpn_discovery d;
    cpn_err why = *err;

    o->fetching = false;
    if (rc == CPN_OK && a->status != 200)
        rc = cpn_fail(&why, CPN_UNAVAILABLE, "the provider's description: HTTP %d", a->status);
    if (rc == CPN_OK)
        rc = cpn_discovery_read(&d, cpn_buf_view(&a->body), o->c->set.oidc_issuer, &why);
    if (rc == CPN_OK) {
        o->described = d;
        o->described_ms = cpn_mono_ms();
    } else {
        failed("provider.description_failed", &why);
    }
    step(o);
}

static void
keys_came(void *owner, cpn_rc rc, const cpn_fetch_answer *a, const cpn_err *err)
{
    cpn_oidc *o = owner;
    cpn_jwks *keys = NULL;
    const char *left_out;
    cpn_err why = *err;

    o->fetching = false;
    if (rc == CPN_OK && a->status != 200)
        rc = cpn_fail(&why, CPN_UNAVAILABLE, "the provider's keys: HTTP %d", a->status);
    if (rc == CPN_OK)
        rc = cpn_jwks_read(&keys, cpn_buf_view(&a->body), &why);
    if (rc == CPN_OK) {
        cpn_log(CPN_LOG_INFO, "provider.keys", CPN_KI("keys", cpn_jwks_count(keys)),
                CPN_KI("left_out", cpn_jwks_left_out(keys, &left_out)),
                CPN_KV("left_out_for", left_out));
        cpn_keycache_put(&o->keys, keys, cpn_view_str(a->cache_control), cpn_mono_ms());
    } else {
        failed("provider.keys_failed", &why);
    }
    step(o);
}

/* ---- the queue ---- */

static void
answer(cpn_oidc *o, const waiter *w)
{
    uint64_t now = cpn_mono_ms();
    const cpn_jwks *keys = cpn_keycache_get(&o->keys, now);
    bool good = description_usable(o, now) && (w->need == CPN_OIDC_DESCRIPTION || keys);

    w->done(w->owner, good ? CPN_OK : CPN_UNAVAILABLE, good ? &o->described : NULL,
            good ? keys : NULL);
}

/* Whoever is called may ask again: that one waits in the next round. */
static void
answer_all(cpn_oidc *o)
{
    waiter *list = cpn_steal(&o->waiting), *w, *next;

    o->waiting_n = 0;
    o->want_keys = o->tried_description = o->tried_keys = false;
    LL_FOREACH_SAFE (list, w, next) {
        answer(o, w);
        free(w);
    }
}

static bool
needs_keys(const cpn_oidc *o, uint64_t now_ms)
{
    const waiter *w;

    if (o->want_keys)
        return true;
    LL_FOREACH (o->waiting, w) {
        if (w->need != CPN_OIDC_DESCRIPTION)
            return cpn_keycache_due(&o->keys, now_ms);
    }
    return false;
}

/* The next thing that those who wait need. A refusal of the fetcher counts as a failed fetch. */
static void
step(cpn_oidc *o)
{
    uint64_t now = cpn_mono_ms();
    char url[CPN_CONFIG_TEXT + 64];
    cpn_fetch_ask ask = { .url = url };

    if (o->fetching || !o->waiting)
        return;
    if (description_due(o, now) && !o->tried_description) {
        o->tried_description = true;
        snprintf(url, sizeof(url), "%s%s", o->c->set.oidc_issuer, WELL_KNOWN);
        o->fetching = cpn_fetch(o->fetcher, &ask, described, o) == CPN_OK;
    } else if (description_usable(o, now) && needs_keys(o, now) && !o->tried_keys) {
        o->tried_keys = true;
        ask.url = o->described.jwks_uri;
        o->fetching = cpn_fetch(o->fetcher, &ask, keys_came, o) == CPN_OK;
    }
    if (!o->fetching)
        answer_all(o);
}

void
cpn_oidc_prepare(cpn_oidc *o, cpn_oidc_need need, cpn_oidc_ready *done, void *owner)
{
    waiter *w;

    if (o->waiting_n >= CPN_OIDC_WAITING_MAX) {
        done(owner, CPN_UNAVAILABLE, NULL, NULL);
        return;
    }
    w = cpn_xcalloc(1, sizeof(*w));
    w->need = need;
    w->done = done;
    w->owner = owner;
    LL_APPEND(o->waiting, w);
    o->waiting_n++;
    if (need == CPN_OIDC_NEW_KEYS)
        o->want_keys = true;
    step(o);
}

/* ---- life ---- */

static cpn_rc
read_secret(cpn_oidc *o, const char *path, cpn_err *err)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf text = { .max = 1024 };
    cpn_rc rc;

    if (!path[0])
        return CPN_OK;
    rc = cpn_private_file_read(path, &text, err);
    if (rc != CPN_OK)
        return rc == CPN_E_CONF
                   ? rc
                   : cpn_fail(err, CPN_E_CONF, "oidc_client_secret_file %s: %s", path,
                              rc == CPN_NOT_FOUND ? "there is no such file" : "it cannot be read");
    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    if (text.n == 0)
        return cpn_fail(err, CPN_E_CONF, "oidc_client_secret_file %s: it is empty", path);
    return cpn_secret_set(&o->secret, cpn_buf_view(&text));
}

cpn_rc
cpn_oidc_new(cpn_oidc **out, cpn_control *c, cpn_err *err)
{
    cpn_oidc *o;
    cpn_rc rc;

    *out = NULL;
    if (!c->set.oidc_issuer[0])
        return CPN_OK;
    o = cpn_xcalloc(1, sizeof(*o));
    o->c = c;
    snprintf(o->redirect_uri, sizeof(o->redirect_uri), "%s/signin/callback", c->set.public_url);
    snprintf(o->password_hint, sizeof(o->password_hint),
             "%s; people of %s sign in with a device code or in a browser",
             c->set.oidc_local_passwords ? "the user name or password is wrong"
                                         : "passwords are not taken here",
             c->set.oidc_label);
    if ((rc = read_secret(o, c->set.oidc_client_secret_file, err)) == CPN_OK &&
        (rc = cpn_fetcher_new(&o->fetcher, c->loop, c->set.oidc_ca, err)) == CPN_OK) {
        cpn_log(CPN_LOG_INFO, "provider.configured", CPN_KV("issuer", c->set.oidc_issuer));
        *out = o;
        return CPN_OK;
    }
    cpn_oidc_free(o);
    return rc;
}

void
cpn_oidc_free(cpn_oidc *o)
{
    waiter *w, *next;

    if (!o)
        return;
    cpn_fetcher_free(o->fetcher);
    LL_FOREACH_SAFE (o->waiting, w, next)
        free(w);
    cpn_oidc_trials_free(o);
    cpn_keycache_fini(&o->keys);
    cpn_secret_wipe(&o->secret);
    free(o);
}
