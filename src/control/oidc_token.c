/* What the provider's token endpoint is asked: the ID token behind a code, and whether a service's
 * secret is right. */
#include "control/oidc.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "codec/url.h"

#define FORM_MAX CPN_SECRET_MAX

/* ---- forms ---- */

static cpn_rc
put_field(cpn_buf *form, const char *name, cpn_view value)
{
    cpn_rc rc = cpn_buf_printf(form, "%s%s=", form->n ? "&" : "", name);

    return rc == CPN_OK ? cpn_percent_put(form, value) : rc;
}

/* RFC 6749 2.3.1: both are form-encoded before they become Basic's. */
static cpn_rc
set_encoded(cpn_secret *out, cpn_view text)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf b = { .max = CPN_SECRET_MAX - 1 };
    cpn_rc rc = cpn_percent_put(&b, text);

    return rc == CPN_OK ? cpn_secret_set(out, cpn_buf_view(&b)) : rc;
}

cpn_rc
cpn_oidc_post(cpn_oidc *o, const char *client_id, cpn_view secret, CPN_TAKES cpn_buf *form,
              cpn_fetch_done *done, void *owner)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf owned = *form;
    CPN_AUTO(cpn_secret_wipe) cpn_secret body = { 0 }, user = { 0 }, password = { 0 };
    cpn_fetch_ask ask = { .url = o->described.token_endpoint, .form = &body };
    cpn_rc rc = CPN_OK;

    *form = (cpn_buf){ .max = 0 };
    if (secret.n && o->described.basic) {
        if ((rc = set_encoded(&user, cpn_view_str(client_id))) != CPN_OK ||
            (rc = set_encoded(&password, secret)) != CPN_OK)
            return rc;
        ask.user = &user;
        ask.password = &password;
    } else {
        if ((rc = put_field(&owned, "client_id", cpn_view_str(client_id))) == CPN_OK && secret.n)
            rc = put_field(&owned, "client_secret", secret);
    }
    if (rc == CPN_OK)
        rc = cpn_secret_set(&body, cpn_buf_view(&owned));
    return rc == CPN_OK ? cpn_fetch(o->fetcher, &ask, done, owner) : rc;
}

/* The answer's object; NULL: it is none. */
static json_t *
answer_object(const cpn_fetch_answer *a)
{
    json_t *j = NULL;

    return cpn_json_load_object(&j, cpn_buf_view(&a->body), 65536, 64, NULL) == CPN_OK ? j : NULL;
}

/* ---- a person ---- */

typedef struct redemption {
    cpn_oidc *o;
    char code[CPN_OIDC_CODE_MAX + 1];
    char verifier[CPN_OIDC_VERIFIER];
    char nonce[CPN_OIDC_VERIFIER];
    json_t *answer;
    cpn_oidc_person *done;
    void *owner;
} redemption;

static void
finish(redemption *r, cpn_rc rc, const cpn_idtoken *who, const cpn_err *err)
{
    r->done(r->owner, rc, rc == CPN_OK ? who : NULL, err);
    json_decref(r->answer);
    explicit_bzero(r, sizeof(*r));
    free(r);
}

static cpn_rc
verify(redemption *r, const cpn_jwks *keys, cpn_idtoken *who, cpn_err *err)
{
    const cpn_config *set = &r->o->c->set;
    const char *token = cpn_json_string(r->answer, "id_token");
    cpn_idtoken_rules rules = { .issuer = set->oidc_issuer,
                                .client_id = set->oidc_client_id,
                                .nonce = r->nonce,
                                .access_token =
                                    cpn_view_str(cpn_json_string(r->answer, "access_token")),
                                .name_claim = set->oidc_username_claim,
                                .groups_claim = set->oidc_groups_claim,
                                .now_s = cpn_wall_s() };

    return cpn_idtoken_verify(who, cpn_view_str(token), keys, &rules, err);
}

/* The last word, by the keys that there are. */
static void
conclude(redemption *r, cpn_rc rc, const cpn_jwks *keys)
{
    CPN_AUTO(cpn_idtoken_fini) cpn_idtoken who = { .groups = NULL };
    cpn_err err = { 0 };

    if (rc != CPN_OK)
        (void)cpn_fail(&err, rc, "the provider's keys are not to be had");
    else
        rc = verify(r, keys, &who, &err);
    if (rc == CPN_NOT_FOUND) /* no key, and none newer to be had */
        rc = CPN_UNAUTHENTICATED;
    finish(r, rc, &who, &err);
}

static void
newer_keys(void *owner, cpn_rc rc, const cpn_discovery *d, const cpn_jwks *keys)
{
    (void)d;
    conclude(owner, rc, keys);
}

static void
some_keys(void *owner, cpn_rc rc, const cpn_discovery *d, const cpn_jwks *keys)
{
    redemption *r = owner;
    cpn_idtoken who = { .groups = NULL };

    (void)d;
    if (rc == CPN_OK && verify(r, keys, &who, NULL) == CPN_NOT_FOUND &&
        cpn_keycache_unknown(&r->o->keys, cpn_mono_ms()))
        cpn_oidc_prepare(r->o, CPN_OIDC_NEW_KEYS, newer_keys, r);
    else
        conclude(r, rc, keys);
    cpn_idtoken_fini(&who);
}

static void
code_answered(void *owner, cpn_rc rc, const cpn_fetch_answer *a, const cpn_err *err)
{
    redemption *r = owner;
    cpn_err why = *err;

    if (rc == CPN_OK && !(r->answer = answer_object(a)))
        rc = cpn_fail(&why, CPN_UNAVAILABLE, "the token endpoint: HTTP %d without an object",
                      a->status);
    if (rc == CPN_OK && (a->status != 200 || !cpn_json_string(r->answer, "id_token")[0]))
        rc = cpn_fail(&why, a->status >= 500 ? CPN_UNAVAILABLE : CPN_UNAUTHENTICATED,
                      "the token endpoint: HTTP %d, error %.60s", a->status,
                      cpn_json_string(r->answer, "error"));
    if (rc == CPN_OK)
        cpn_oidc_prepare(r->o, CPN_OIDC_KEYS, some_keys, r);
    else
        finish(r, rc, NULL, &why);
}

static void
code_ready(void *owner, cpn_rc rc, const cpn_discovery *d, const cpn_jwks *keys)
{
    redemption *r = owner;
    cpn_oidc *o = r->o;
    cpn_buf form = { .max = FORM_MAX };
    cpn_err err = { 0 };

    (void)d;
    (void)keys;
    if (rc == CPN_OK &&
        (rc = put_field(&form, "grant_type", CPN_VIEW_LIT("authorization_code"))) == CPN_OK &&
        (rc = put_field(&form, "code", cpn_view_str(r->code))) == CPN_OK &&
        (rc = put_field(&form, "redirect_uri", cpn_view_str(o->redirect_uri))) == CPN_OK &&
        (rc = put_field(&form, "code_verifier", cpn_view_str(r->verifier))) == CPN_OK)
        rc = cpn_oidc_post(o, o->c->set.oidc_client_id, cpn_secret_view(&o->secret), &form,
                           code_answered, r);
    cpn_buf_fini(&form);
    if (rc == CPN_OK)
        return;
    (void)cpn_fail(&err, CPN_UNAVAILABLE, "the token endpoint cannot be asked: %s",
                   cpn_rc_word(rc));
    finish(r, CPN_UNAVAILABLE, NULL, &err);
}

void
cpn_oidc_redeem(cpn_oidc *o, const char *code, const char *verifier, const char *nonce,
                cpn_oidc_person *done, void *owner)
{
    redemption *r = cpn_xcalloc(1, sizeof(*r));

    r->o = o;
    r->done = done;
    r->owner = owner;
    snprintf(r->code, sizeof(r->code), "%s", code);
    snprintf(r->verifier, sizeof(r->verifier), "%s", verifier);
    snprintf(r->nonce, sizeof(r->nonce), "%s", nonce);
    cpn_oidc_prepare(o, CPN_OIDC_DESCRIPTION, code_ready, r);
}

/* ---- a service ---- */

typedef struct cpn_oidc_trial {
    cpn_oidc *o;
    char client_id[256];
    cpn_secret secret;
    cpn_credential_may *may;
    cpn_credential_done *done;
    void *owner;
    struct cpn_oidc_trial *next;
} trial;

static void
trial_free(trial *t)
{
    cpn_secret_wipe(&t->secret);
    free(t);
}

static void trials_start(cpn_oidc *o);

/* Told before the next one starts: what it was decides whether that may. */
static void
trial_finish(trial *t, cpn_rc rc)
{
    cpn_oidc *o = t->o;

    t->done(t->owner, rc, NULL);
    trial_free(t);
    o->trials_running--;
    trials_start(o);
}

/* Only the two errors that speak of the client say that its secret is wrong; and a refusal without
 * a word, which is all that some providers answer (glewlwyd: 403). */
static bool
says_no(const cpn_fetch_answer *a, const char *error)
{
    if (a->status == 400 || a->status == 401)
        return strcmp(error, "invalid_client") == 0 || strcmp(error, "unauthorized_client") == 0;
    return a->status == 403 && a->body.n == 0;
}

/* Only a token in the answer says that the secret is right. */
static void
trial_answered(void *owner, cpn_rc rc, const cpn_fetch_answer *a, const cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *j = rc == CPN_OK ? answer_object(a) : NULL;
    const char *error = cpn_json_string(j, "error");

    (void)err;
    if (rc == CPN_OK && a->status == 200 && cpn_json_string(j, "access_token")[0])
        trial_finish(owner, CPN_OK);
    else if (rc == CPN_OK && says_no(a, error))
        trial_finish(owner, CPN_DENIED);
    else
        trial_finish(owner, CPN_UNAVAILABLE);
}

static void
trial_ready(void *owner, cpn_rc rc, const cpn_discovery *d, const cpn_jwks *keys)
{
    trial *t = owner;
    const char *scope = t->o->c->set.oidc_service_scope;
    cpn_buf form = { .max = FORM_MAX };

    (void)d;
    (void)keys;
    if (rc == CPN_OK)
        rc = put_field(&form, "grant_type", CPN_VIEW_LIT("client_credentials"));
    if (rc == CPN_OK && scope[0])
        rc = put_field(&form, "scope", cpn_view_str(scope));
    if (rc == CPN_OK)
        rc = cpn_oidc_post(t->o, t->client_id, cpn_secret_view(&t->secret), &form, trial_answered,
                           t);
    cpn_buf_fini(&form);
    if (rc != CPN_OK)
        trial_finish(t, rc == CPN_LIMIT ? CPN_LIMIT : CPN_UNAVAILABLE);
}

static void
trials_start(cpn_oidc *o)
{
    while (o->trials && o->trials_running < CPN_OIDC_TRIALS_MAX) {
        trial *t = o->trials;

        LL_DELETE(o->trials, t);
        o->trials_n--;
        if (t->may && !t->may(t->owner)) {
            t->done(t->owner, CPN_AGAIN, NULL);
            trial_free(t);
            continue;
        }
        o->trials_running++;
        cpn_oidc_prepare(o, CPN_OIDC_DESCRIPTION, trial_ready, t);
    }
}

void
cpn_oidc_client_check(cpn_oidc *o, const char *client_id, const cpn_secret *secret,
                      cpn_credential_may *may, cpn_credential_done *done, void *owner)
{
    trial *t = cpn_xcalloc(1, sizeof(*t));
    cpn_rc rc = CPN_OK;

    t->o = o;
    t->may = may;
    t->done = done;
    t->owner = owner;
    if (!client_id[0] || secret->n == 0 ||
        !cpn_view_copy(cpn_view_str(client_id), t->client_id, sizeof(t->client_id)) ||
        cpn_secret_set(&t->secret, cpn_secret_view(secret)) != CPN_OK)
        rc = CPN_DENIED;
    else if (o->trials_n >= CPN_OIDC_TRIALS_WAITING)
        rc = CPN_LIMIT;
    if (rc != CPN_OK) {
        trial_free(t);
        done(owner, rc, NULL);
        return;
    }
    LL_APPEND(o->trials, t);
    o->trials_n++;
    trials_start(o);
}

void
cpn_oidc_trials_free(cpn_oidc *o)
{
    trial *t, *next;

    LL_FOREACH_SAFE (o->trials, t, next)
        trial_free(t);
}
