/* Signing in: the enrolment code, passwords, refresh tokens, the token endpoint. Refusals first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "codec/json.h"
#include "identity/flows.h"
#include "identity/oauth.h"
#include "identity/refresh.h"
#include "model/resource.h"
#include "store/private_file.h"

#define ADA "0a1b2c3d-0000-4000-8000-00000000000a"
#define CI "0a1b2c3d-0000-4000-8000-00000000000b"
#define CI_APP "0a1b2c3d-0000-4000-8000-0000000000ff"
#define AZ "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

static uv_loop_t loop;
static cpn_store *store;
static cpn_identity *identity;
static char dir[64], code_path[128];

/* ---- credentials ---- */

typedef struct checked {
    unsigned calls;
    cpn_rc rc;
    char phc[256];
} checked;

static void
on_credential(void *owner, cpn_rc rc, const char *phc)
{
    checked *c = owner;

    c->calls++;
    c->rc = rc;
    snprintf(c->phc, sizeof(c->phc), "%s", phc ? phc : "");
}

static const char *
phc_of(const char *password)
{
    static checked c;
    cpn_secret s = { 0 };

    assert_int_equal(cpn_secret_set(&s, cpn_view_str(password)), CPN_OK);
    assert_int_equal(cpn_credential_hash(identity, &s, on_credential, &c), CPN_OK);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(c.rc, CPN_OK);
    return c.phc;
}

static cpn_rc
check(const char *phc, const char *password)
{
    checked c = { 0 };
    cpn_secret s = { 0 };

    assert_int_equal(cpn_secret_set(&s, cpn_view_str(password)), CPN_OK);
    assert_int_equal(cpn_credential_check(identity, phc, &s, NULL, on_credential, &c), CPN_OK);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(c.calls, 1);
    assert_string_equal(c.phc, "");
    return c.rc;
}

static void
wrong_passwords_are_refused(void **state)
{
    char phc[256];

    (void)state;
    snprintf(phc, sizeof(phc), "%s", phc_of("correct horse"));
    assert_non_null(strstr(phc, "$argon2id$v=19$m=19456,t=3,p=1$"));
    assert_int_equal(check(phc, "correct horsf"), CPN_DENIED);
    assert_int_equal(check(phc, ""), CPN_DENIED);
    assert_int_equal(check(NULL, "correct horse"), CPN_DENIED);
    assert_int_equal(check("", "x"), CPN_DENIED);
    assert_int_equal(check("$argon2id$v=19$m=9999999,t=3,p=1$AAAAAAAAAAA$AAAA", "x"), CPN_DENIED);
    assert_int_equal(check("$argon2i$v=19$m=65536,t=3,p=1$AAAAAAAAAAA$AAAA", "x"), CPN_DENIED);
    assert_int_equal(check(phc, "correct horse"), CPN_OK);
}

/* Of the whole process, so that a busy machine makes no difference. */
static int64_t
work_of(cpn_identity *i, const char *phc)
{
    checked c = { 0 };
    cpn_secret s = { .n = 5, .b = "wrong" };
    struct timespec from, to;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    assert_int_equal(cpn_credential_check(i, phc, &s, NULL, on_credential, &c), CPN_OK);
    uv_run(&loop, UV_RUN_DEFAULT);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    assert_int_equal(c.rc, CPN_DENIED);
    return (to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000;
}

static void
same_work(cpn_identity *i, const char *a, const char *b)
{
    int64_t of_a = work_of(i, a), of_b = work_of(i, b);

    if (of_a > 2 * of_b || of_b > 2 * of_a)
        fail_msg("%ld us of work against %ld", (long)of_a, (long)of_b);
}

/* password_memory was another when the password was set: 8 KiB, or the 19 MiB of all others here.
 * Without more each of these took a thousandth of the other. */
static void
checks_of_old_passwords_tell_nobody(void **state)
{
    static const char cheap[] = "$argon2id$v=19$m=8,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
                                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    cpn_identity_options o = { .public_url = "https://h",
                               .access_token_ttl_s = 1,
                               .refresh_token_ttl_s = 1,
                               .state_dir = dir,
                               .password_memory_kib = 8 };
    cpn_identity *less = NULL;
    char dear[256];

    (void)state;
    snprintf(dear, sizeof(dear), "%s", phc_of("correct horse"));
    same_work(identity, NULL, cheap);
    same_work(identity, dear, cheap);
    assert_int_equal(cpn_identity_open(&less, &loop, store, &o, NULL), CPN_OK);
    cpn_credential_kept(less, dear);
    same_work(less, NULL, dear);
    same_work(less, cheap, dear);
    cpn_identity_free(less);
}

static void
waiting_checks_have_an_end(void **state)
{
    checked c = { 0 };
    cpn_secret s = { .n = 1, .b = "x" };
    cpn_identity *other = NULL;
    cpn_identity_options o = { .public_url = "https://h",
                               .access_token_ttl_s = 1,
                               .refresh_token_ttl_s = 1,
                               .state_dir = dir,
                               .password_memory_kib = 19456 };
    unsigned taken = 0;

    (void)state;
    assert_int_equal(cpn_identity_open(&other, &loop, store, &o, NULL), CPN_OK);
    while (cpn_credential_check(other, NULL, &s, NULL, on_credential, &c) == CPN_OK)
        assert_true(++taken <= 66);
    assert_int_equal(taken, 66); /* 2 at work, 64 waiting */
    cpn_identity_free(other);    /* nobody is called any more */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(c.calls, 0);
}

/* The first wrong one keeps out those that were let in beside it and wait for their turn. */
static bool
none_was_wrong(void *owner)
{
    return ((checked *)owner)->rc != CPN_DENIED;
}

static void
on_one_of_many(void *owner, cpn_rc rc, const char *phc)
{
    checked *c = owner;

    (void)phc;
    c->calls++;
    if (rc == CPN_DENIED)
        c->rc = rc;
    else if (rc == CPN_AGAIN)
        c->phc[0]++; /* how many were not tried */
}

static void
a_check_is_asked_about_again_when_its_turn_comes(void **state)
{
    checked c = { 0 };
    cpn_secret s = { .n = 1, .b = "x" };

    (void)state;
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(
            cpn_credential_check(identity, NULL, &s, none_was_wrong, on_one_of_many, &c), CPN_OK);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(c.calls, 20);
    assert_in_range(c.phc[0], 18, 19); /* two work at a time */
}

/* ---- enrolment ---- */

static bool
read_code(char out[24])
{
    CPN_AUTO(cpn_buf_fini) cpn_buf b = { .max = 23 };

    return cpn_private_file_read(code_path, &b, NULL) == CPN_OK &&
           cpn_view_copy(cpn_buf_view(&b), out, 24);
}

static void
enrolment_codes_work_once(void **state)
{
    char code[24], typed[64], second[24];

    (void)state;
    assert_false(cpn_enrolment_check(identity, CPN_VIEW_LIT("00000-00000-00000")));
    assert_false(cpn_enrolment_check(identity, CPN_VIEW_LIT("")));
    assert_int_equal(cpn_enrolment_begin(identity, -1, NULL), CPN_OK);
    assert_true(read_code(code)); /* checks owner and mode too */
    assert_int_equal(strlen(code), 18);
    code[17] = '\0';
    assert_false(cpn_enrolment_check(identity, CPN_VIEW_LIT("")));
    assert_false(cpn_enrolment_check(identity, (cpn_view){ (uint8_t *)code, 16 }));
    snprintf(typed, sizeof(typed), "%s0", code);
    assert_false(cpn_enrolment_check(identity, cpn_view_str(typed)));
    /* As a person types it. */
    for (size_t i = 0; code[i]; i++)
        typed[i] = (char)(code[i] >= 'A' && code[i] <= 'Z' ? code[i] + 32
                          : code[i] == '0'                 ? 'o'
                          : code[i] == '1'                 ? 'L'
                          : code[i] == '-'                 ? ' '
                                                           : code[i]);
    assert_true(cpn_enrolment_check(identity, (cpn_view){ (uint8_t *)typed, 17 }));
    for (int i = 0; i < 7; i++) /* with the three above: ten */
        assert_false(cpn_enrolment_check(identity, CPN_VIEW_LIT("wrong")));
    assert_false(cpn_enrolment_check(identity, cpn_view_str(code)));
    assert_true(read_code(second));
    second[17] = '\0';
    assert_true(cpn_enrolment_check(identity, cpn_view_str(second)));
    cpn_enrolment_end(identity);
    assert_false(cpn_enrolment_check(identity, cpn_view_str(second)));
    assert_int_not_equal(access(code_path, F_OK), 0);
}

/* ---- refresh tokens ---- */

typedef struct redeemed {
    unsigned calls;
    cpn_rc rc;
    cpn_refresh_grant grant;
} redeemed;

static void
on_redeemed(void *owner, cpn_rc rc, const cpn_refresh_grant *grant)
{
    redeemed *r = owner;

    r->calls++;
    r->rc = rc;
    if (grant)
        r->grant = *grant;
}

/* The store's own clock says when a token was first used: soon after a test's `now`. */
#define GRACE_MS (CPN_REFRESH_GRACE_S * 1000)
#define LATER_MS (2 * GRACE_MS)

static cpn_rc
ask_redeem(const char *token, int64_t now_ms, bool look, redeemed *r)
{
    cpn_refresh_ask ask = { .store = store,
                            .now_ms = now_ms,
                            .ttl_ms = 86400000,
                            .done = on_redeemed,
                            .owner = r,
                            .look = look };
    cpn_rc rc;

    memset(r, 0, sizeof(*r));
    rc = cpn_refresh_redeem(&ask, cpn_view_str(token));
    if (rc != CPN_OK)
        return rc;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(r->calls, 1);
    return r->rc;
}

static cpn_rc
redeem(const char *token, int64_t now_ms, redeemed *r)
{
    return ask_redeem(token, now_ms, false, r);
}

static cpn_rc
look(const char *token, int64_t now_ms, redeemed *r)
{
    return ask_redeem(token, now_ms, true, r);
}

#define TTL_MS 86400000

static void
next_token(const cpn_refresh_grant *g, int64_t now_ms, char out[CPN_REFRESH_TEXT])
{
    cpn_batch *b = cpn_batch_new();

    cpn_refresh_issue(b, g, now_ms, TTL_MS, out);
    assert_int_equal(cpn_store_commit_wait(store, b, NULL), CPN_OK);
}

static void
a_sign_in_ends_however_often_it_is_refreshed(void **state)
{
    cpn_refresh_grant g = { .object_id = ADA, .client_id = AZ, .rotated = true };
    char token[CPN_REFRESH_TEXT];
    int64_t now = cpn_wall_ms();
    redeemed r;

    (void)state;
    g.began_ms = now - TTL_MS - 1; /* its last token was still good a moment ago */
    next_token(&g, now, token);
    assert_int_equal(redeem(token, now, &r), CPN_NOT_FOUND);
    g.began_ms = now - TTL_MS + 60000;
    for (int i = 0; i < 3; i++) {
        next_token(&g, now, token);
        assert_int_equal(redeem(token, now, &r), CPN_OK);
        assert_int_equal(r.grant.began_ms, g.began_ms);
        g = r.grant;
    }
}

static void
a_copied_refresh_token_ends_its_family(void **state)
{
    cpn_refresh_grant g = { .object_id = ADA, .client_id = AZ };
    char first[CPN_REFRESH_TEXT], second[CPN_REFRESH_TEXT], third[CPN_REFRESH_TEXT];
    char other[CPN_REFRESH_TEXT];
    int64_t now = cpn_wall_ms();
    redeemed r;

    (void)state;
    assert_int_equal(redeem("", now, &r), CPN_NOT_FOUND);
    assert_int_equal(redeem("short", now, &r), CPN_NOT_FOUND);
    assert_int_equal(redeem("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", now, &r), CPN_NOT_FOUND);
    next_token(&g, now, first);
    next_token(&g, now, other);
    assert_int_equal(redeem(first, now, &r), CPN_OK);
    assert_string_equal(r.grant.object_id, ADA);
    assert_string_equal(r.grant.client_id, AZ);
    next_token(&r.grant, now, second);
    /* Soon again: a neighbour process. Its token is of the same family. */
    assert_int_equal(redeem(first, now + GRACE_MS, &r), CPN_OK);
    assert_string_equal(r.grant.object_id, ADA);
    next_token(&r.grant, now, third);
    assert_int_equal(redeem(second, now + GRACE_MS, &r), CPN_OK);
    next_token(&r.grant, now, second);
    /* Later again: a copy. The whole family ends, another sign-in does not. */
    assert_int_equal(look(first, now + LATER_MS, &r), CPN_NOT_FOUND);
    assert_int_equal(redeem(second, now + LATER_MS, &r), CPN_NOT_FOUND);
    assert_int_equal(redeem(third, now + LATER_MS, &r), CPN_NOT_FOUND);
    assert_int_equal(redeem(other, now + LATER_MS, &r), CPN_OK);
}

/* refresh_token_ttl may have been lowered since the token was given. */
static void
a_revocation_outlives_every_token(void **state)
{
    cpn_refresh_grant g = { .object_id = ADA, .client_id = AZ };
    char token[CPN_REFRESH_TEXT];
    int64_t now = cpn_wall_ms();
    cpn_batch *b = cpn_batch_new();
    redeemed r;

    (void)state;
    next_token(&g, now, token);
    assert_int_equal(redeem(token, now, &r), CPN_OK);
    next_token(&r.grant, now, token);
    cpn_refresh_revoke(b, r.grant.family, now - 90ll * TTL_MS); /* 90 days ago */
    assert_int_equal(cpn_store_commit_wait(store, b, NULL), CPN_OK);
    assert_int_equal(redeem(token, now, &r), CPN_NOT_FOUND);
}

static void
a_refresh_token_has_so_many_successors(void **state)
{
    cpn_refresh_grant g = { .object_id = ADA, .client_id = AZ };
    char token[CPN_REFRESH_TEXT], next[CPN_REFRESH_TEXT];
    int64_t now = cpn_wall_ms();
    redeemed r;

    (void)state;
    next_token(&g, now, token);
    for (int i = 0; i < CPN_REFRESH_SUCCESSORS; i++) {
        assert_int_equal(look(token, now, &r), CPN_OK); /* which counts nothing */
        assert_int_equal(redeem(token, now, &r), CPN_OK);
    }
    next_token(&r.grant, now, next);
    assert_int_equal(redeem(token, now, &r), CPN_AGAIN);
    assert_int_equal(redeem(next, now, &r), CPN_OK); /* the family goes on */
}

/* ---- the token endpoint ---- */

static cpn_principal ada = { .kind = CPN_PRINCIPAL_USER,
                             .object_id = ADA,
                             .name = "ada@example.test",
                             .app_id = "",
                             .enabled = true };
static cpn_principal ci = {
    .kind = CPN_PRINCIPAL_SERVICE, .object_id = CI, .name = "ci", .app_id = CI_APP, .enabled = true
};
static cpn_flows *flows;
static uint64_t policy_epoch = 5;
static bool signed_out_meanwhile; /* of ada, while her password is checked */
static char ada_phc[256], ci_phc[256];

static const cpn_principal *
by_name(void *owner, cpn_view name)
{
    (void)owner;
    return cpn_view_is(name, ada.name) ? &ada : cpn_view_is(name, ci.app_id) ? &ci : NULL;
}

static const cpn_principal *
by_id(void *owner, cpn_view id)
{
    (void)owner;
    return cpn_view_is(id, ADA) ? &ada : cpn_view_is(id, CI) ? &ci : NULL;
}

static const char *
credential(void *owner, const cpn_principal *who)
{
    (void)owner;
    return who == &ada ? ada_phc : ci_phc;
}

static bool
may_try(void *call, const char *name)
{
    (void)call;
    (void)name;
    if (signed_out_meanwhile)
        ada.sign_ins_since = policy_epoch + 1;
    return true;
}

/* What the next certificate comes to. */
static cpn_oauth_cert cert_answer;
static cpn_ssh_ask cert_asked;

static void
certify(void *owner, const cpn_principal *who, const cpn_ssh_ask *ask,
        cpn_oauth_certified *certified, void *call)
{
    (void)owner;
    assert_non_null(who);
    cert_asked = *ask;
    certified(call, &cert_answer);
}

typedef struct said {
    unsigned calls;
    int status;
    json_t *body;
    bool ok, wrong_secret;
    char reason[32], object_id[40], name[300];
} said;

static void
on_said(void *owner, int status, const json_t *body, const cpn_oauth_outcome *o)
{
    said *s = owner;

    s->calls++;
    s->status = status;
    s->body = json_deep_copy(body);
    s->ok = o->ok;
    s->wrong_secret = o->wrong_secret;
    snprintf(s->reason, sizeof(s->reason), "%s", o->reason);
    snprintf(s->object_id, sizeof(s->object_id), "%s", o->object_id);
    snprintf(s->name, sizeof(s->name), "%s", o->name);
}

static const char *
member(const said *s, const char *name)
{
    const char *v = json_string_value(json_object_get(s->body, name));

    return v ? v : "";
}

static void
ask(const char *form_text, said *s)
{
    cpn_oauth o = { .identity = identity,
                    .by_name = by_name,
                    .by_id = by_id,
                    .credential = credential,
                    .may_try = may_try,
                    .epoch = policy_epoch,
                    .certify = certify,
                    .flows = flows };
    char *text = strdup(form_text);
    cpn_form form;

    json_decref(s->body);
    memset(s, 0, sizeof(*s));
    assert_int_equal(cpn_form_parse((uint8_t *)text, strlen(text), &form, NULL), CPN_OK);
    cpn_oauth_token(&o, &form, on_said, s);
    memset(text, 'x', strlen(form_text)); /* the form is only lent */
    free(text);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(s->calls, 1);
}

#define ADA_FORM "grant_type=password&client_id=" AZ "&username=ada%40example.test&password="
#define CI_FORM "grant_type=client_credentials&client_id=" CI_APP "&client_secret="
#define CNF                                                                                        \
    "%7b%22kty%22:%22OKP%22,%22crv%22:%22Ed25519%22,%22x%22:"                                      \
    "%2211qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo%22%7d"
#define CERT                                                                                       \
    "&token_type=ssh-cert&key_id=k&scope=https%3a%2f%2fpas.windows.net%2fCheckMyAccess%2fLinux"    \
    "%2f.default+offline_access+openid+profile&req_cnf=" CNF

static void
a_missing_role_signs_nobody_out(void **state)
{
    char form[4096], refresh[CPN_REFRESH_TEXT];
    said s = { 0 };

    (void)state;
    ask(ADA_FORM "ada-secret&scope=offline_access", &s);
    assert_int_equal(s.status, 200);
    snprintf(refresh, sizeof(refresh), "%s", member(&s, "refresh_token"));
    snprintf(form, sizeof(form), "grant_type=refresh_token&client_id=" AZ "&refresh_token=%s%s",
             refresh, CERT);
    cert_answer = (cpn_oauth_cert){ .rc = CPN_DENIED, .sentence = "no role on /x" };
    ask(form, &s);
    assert_int_equal(s.status, 400);
    assert_false(s.wrong_secret);
    assert_string_equal(member(&s, "error"), "unauthorized_client");
    assert_string_equal(member(&s, "error_description"), "no role on /x");
    cert_answer = (cpn_oauth_cert){ .rc = CPN_OK, .body = "AAAA", .expires_in = 600 };
    ask(form, &s); /* the same refresh token */
    assert_int_equal(s.status, 200);
    assert_string_equal(member(&s, "token_type"), "ssh-cert");
    assert_string_equal(member(&s, "access_token"), "AAAA");
    assert_string_not_equal(member(&s, "refresh_token"), refresh);
    assert_string_not_equal(member(&s, "refresh_token"), "");
    assert_string_not_equal(member(&s, "id_token"), "");
    assert_string_not_equal(member(&s, "client_info"), "");
    assert_int_equal(cert_asked.key.kind, CPN_SSHKEY_ED25519);
    ask(form, &s); /* a second connection at the same time */
    assert_int_equal(s.status, 200);
    assert_string_equal(member(&s, "token_type"), "ssh-cert");
    json_decref(s.body);
}

static void
bad_requests_are_refused(void **state)
{
    static const struct {
        const char *form;
        int status;
        const char *error;
    } refused[] = {
        { "", 400, "invalid_request" },
        { "grant_type=", 400, "invalid_request" },
        { "grant_type=authorization_code&client_id=a", 400, "invalid_request" },
        { "grant_type=authorization_code&client_id=a&code=x", 400, "invalid_grant" },
        { "grant_type=device_code&client_id=a", 400, "invalid_request" },
        { "grant_type=device_code&client_id=a&code=x", 400, "invalid_grant" },
        { "grant_type=implicit&client_id=a", 400, "unsupported_grant_type" },
        { "grant_type=Password&client_id=a", 400, "unsupported_grant_type" },
        { "grant_type=password&username=a&password=b", 400, "invalid_request" },
        { "grant_type=password&client_id=a&password=b", 400, "invalid_request" },
        { "grant_type=password&client_id=a&username=b", 400, "invalid_request" },
        { "grant_type=password&client_id=a&username=b&password=", 400, "invalid_request" },
        { "grant_type=password&client_id=a&username=b%0a&password=c", 400, "invalid_request" },
        { "grant_type=password&client_id=a%ff&username=b&password=c", 400, "invalid_request" },
        { "grant_type=password&client_id=a&username=b&password=c&scope=%01", 400, "invalid_scope" },
        { "grant_type=client_credentials&client_id=a", 400, "invalid_request" },
        { "grant_type=refresh_token&client_id=a", 400, "invalid_request" },
        { "grant_type=refresh_token&client_id=a&refresh_token=x", 400, "invalid_grant" },
    };
    said s = { 0 };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        ask(refused[i].form, &s);
        if (s.status != refused[i].status || s.ok ||
            strcmp(member(&s, "error"), refused[i].error) != 0 || !*member(&s, "error_description"))
            fail_msg("%s: %d %s", refused[i].form, s.status, member(&s, "error"));
    }
    json_decref(s.body);
}

static void
bad_secrets_are_refused_alike(void **state)
{
    static const struct {
        const char *form;
        bool disabled;
        int status;
        const char *error, *reason;
    } refused[] = {
        { ADA_FORM "wrong", false, 400, "invalid_grant", "wrong_secret" },
        { ADA_FORM "ada-secret", true, 400, "invalid_grant", "wrong_secret" },
        { "grant_type=password&client_id=a&username=nobody&password=ada-secret", false, 400,
          "invalid_grant", "unknown" },
        { "grant_type=password&client_id=a&username=" CI_APP "&password=ci-secret", false, 400,
          "invalid_grant", "unknown" },
        { CI_FORM "wrong", false, 401, "invalid_client", "wrong_secret" },
        { "grant_type=client_credentials&client_id=ada%40example.test&client_secret=ada-secret",
          false, 401, "invalid_client", "unknown" },
    };
    char first[256] = "";
    said s = { 0 };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        ada.enabled = !refused[i].disabled;
        ask(refused[i].form, &s);
        ada.enabled = true;
        assert_int_equal(s.status, refused[i].status);
        assert_string_equal(member(&s, "error"), refused[i].error);
        assert_string_equal(s.reason, refused[i].reason);
        assert_true(s.wrong_secret);
        assert_int_equal(json_object_size(s.body), 2);
        if (i == 0)
            snprintf(first, sizeof(first), "%s", member(&s, "error_description"));
        else if (i < 4) /* no telling apart */
            assert_string_equal(member(&s, "error_description"), first);
    }
    json_decref(s.body);
}

/* A device code that ada approved; the form that asks for its tokens. */
static void
approve(char form[256])
{
    static const uint8_t browser[32] = { 1 };
    cpn_flow_ask a = { .device = true, .client_id = AZ, .scope = "offline_access" };
    char code[CPN_FLOW_SECRET], none[CPN_FLOW_SECRET];
    cpn_flow *flow;

    assert_int_equal(cpn_flow_device(flows, &a, cpn_mono_ms(), code, &flow), CPN_OK);
    assert_int_equal(cpn_flow_claim(flows, flow->user_code, browser, cpn_mono_ms(), &flow), CPN_OK);
    cpn_flow_proved(flow, ADA, ada.name, policy_epoch);
    cpn_flow_decide(flow, true, cpn_mono_ms(), none);
    snprintf(form, 256, "grant_type=device_code&client_id=" AZ "&device_code=%s", code);
}

static void
a_new_password_ends_what_the_old_one_approved(void **state)
{
    char form[256];
    said s = { 0 };

    (void)state;
    approve(form);
    ada.sign_ins_since = ++policy_epoch;
    ask(form, &s);
    assert_int_equal(s.status, 400);
    assert_string_equal(member(&s, "error"), "invalid_grant");
    assert_string_equal(s.reason, "signed_out");
    approve(form);
    ask(form, &s);
    assert_int_equal(s.status, 200);
    assert_string_not_equal(member(&s, "refresh_token"), "");
    json_decref(s.body);
}

static void
grants_give_tokens(void **state)
{
    char form[256], refresh[64];
    cpn_claims claims;
    cpn_reason why;
    said s = { 0 };

    (void)state;
    ask(CI_FORM "ci-secret&scope=https%3A%2F%2Flocalhost%3A8443%2F.default&client_info=1", &s);
    assert_int_equal(s.status, 200);
    assert_true(s.ok);
    assert_string_equal(s.object_id, CI);
    assert_string_equal(member(&s, "token_type"), "Bearer");
    assert_null(json_object_get(s.body, "refresh_token"));
    assert_null(json_object_get(s.body, "id_token"));
    assert_int_equal(cpn_identity_verify(identity, cpn_view_str(member(&s, "access_token")),
                                         cpn_wall_s(), &claims, &why, NULL),
                     CPN_OK);
    assert_true(claims.service);
    ask(ADA_FORM "ada-secret&scope=openid+profile+offline_access", &s);
    assert_int_equal(s.status, 200);
    assert_string_equal(member(&s, "scope"), "openid profile offline_access");
    assert_true(*member(&s, "id_token") && *member(&s, "client_info"));
    snprintf(refresh, sizeof(refresh), "%s", member(&s, "refresh_token"));
    assert_int_equal(strlen(refresh), 43);
    snprintf(form, sizeof(form), "grant_type=refresh_token&client_id=" AZ "&refresh_token=%s",
             refresh);
    ask(form, &s);
    assert_int_equal(s.status, 200);
    assert_string_equal(s.object_id, ADA);
    assert_string_not_equal(member(&s, "refresh_token"), refresh);
    snprintf(refresh, sizeof(refresh), "%s", member(&s, "refresh_token"));
    ask(form, &s); /* the old one, by a thread that read it before */
    assert_int_equal(s.status, 200);
    assert_string_not_equal(member(&s, "refresh_token"), refresh);
    for (int i = 2; i <= CPN_REFRESH_SUCCESSORS; i++)
        ask(form, &s);
    assert_int_equal(s.status, 429); /* come later, and no guess of a secret */
    assert_string_equal(member(&s, "error"), "temporarily_unavailable");
    assert_false(s.wrong_secret);
    ada.enabled = false; /* disabled since */
    snprintf(form, sizeof(form), "grant_type=refresh_token&client_id=" AZ "&refresh_token=%s",
             refresh);
    ask(form, &s);
    ada.enabled = true;
    assert_string_equal(member(&s, "error"), "invalid_grant");
    assert_string_equal(s.reason, "disabled");
    ask(ADA_FORM "ada-secret&scope=offline_access", &s); /* another client's token */
    snprintf(form, sizeof(form), "grant_type=refresh_token&client_id=b&refresh_token=%s",
             member(&s, "refresh_token"));
    ask(form, &s);
    assert_string_equal(s.reason, "other_client");
    json_decref(s.body);
}

static void
ask_refresh(const char *token, said *s)
{
    char form[256];

    snprintf(form, sizeof(form), "grant_type=refresh_token&client_id=" AZ "&refresh_token=%s",
             token);
    ask(form, s);
}

static void
refused_as_signed_out(const char *token, said *s)
{
    ask_refresh(token, s);
    assert_string_equal(member(s, "error"), "invalid_grant");
    assert_string_equal(s->reason, "signed_out");
}

/* Whatever the clock said when the sign-in began, and when it was ended. */
static void
a_user_who_is_signed_out_loses_every_family(void **state)
{
    cpn_refresh_grant ahead = { .object_id = ADA, .client_id = AZ, .epoch = policy_epoch };
    char first[CPN_REFRESH_TEXT], rotated[CPN_REFRESH_TEXT], tomorrow[CPN_REFRESH_TEXT];
    cpn_claims claims;
    cpn_reason why;
    said s = { 0 };

    (void)state;
    next_token(&ahead, cpn_wall_ms() + TTL_MS, tomorrow);
    ask(ADA_FORM "ada-secret&scope=offline_access", &s);
    snprintf(first, sizeof(first), "%s", member(&s, "refresh_token"));
    ask_refresh(first, &s);
    assert_int_equal(s.status, 200);
    snprintf(rotated, sizeof(rotated), "%s", member(&s, "refresh_token"));
    ada.sign_ins_since = ++policy_epoch;
    refused_as_signed_out(first, &s);
    refused_as_signed_out(rotated, &s);
    refused_as_signed_out(tomorrow, &s);
    signed_out_meanwhile = true;
    ask(ADA_FORM "ada-secret&scope=offline_access", &s);
    signed_out_meanwhile = false;
    assert_string_equal(s.reason, "signed_out");
    assert_int_equal(s.status, 400);
    policy_epoch++;
    ask(ADA_FORM "ada-secret&scope=offline_access", &s);
    assert_int_equal(s.status, 200);
    assert_int_equal(cpn_identity_verify(identity, cpn_view_str(member(&s, "access_token")),
                                         cpn_wall_s(), &claims, &why, NULL),
                     CPN_OK);
    assert_int_equal(claims.epoch, policy_epoch);
    ask_refresh(member(&s, "refresh_token"), &s);
    assert_int_equal(s.status, 200);
    json_decref(s.body);
}

static void
whose_token_it_is_not_uses_nothing_up(void **state)
{
    char other[256], own[256];
    said s = { 0 };

    (void)state;
    ask(ADA_FORM "ada-secret&scope=offline_access", &s);
    snprintf(other, sizeof(other), "grant_type=refresh_token&client_id=b&refresh_token=%s",
             member(&s, "refresh_token"));
    snprintf(own, sizeof(own), "grant_type=refresh_token&client_id=" AZ "&refresh_token=%s",
             member(&s, "refresh_token"));
    for (int i = 0; i <= CPN_REFRESH_SUCCESSORS; i++) {
        ask(other, &s);
        assert_string_equal(s.reason, "other_client");
    }
    ask(own, &s);
    assert_int_equal(s.status, 200);
    json_decref(s.body);
}

static void
ask_revoke(const char *client, const char *token, said *s)
{
    char text[256];
    cpn_form form;

    json_decref(s->body);
    memset(s, 0, sizeof(*s));
    snprintf(text, sizeof(text), "client_id=%s&token=%s", client, token);
    assert_int_equal(cpn_form_parse((uint8_t *)text, strlen(text), &form, NULL), CPN_OK);
    cpn_oauth_revoke(identity, &form, on_said, s);
    memset(text, 'x', sizeof(text));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(s->calls, 1);
}

static void
a_sign_in_is_revoked(void **state)
{
    static const char *const other[] = { "x", "", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                         "eyJhbGciOiJub25lIn0.e30." };
    static const int status[] = { 200, 400, 200, 400 };
    char form[256], refresh[CPN_REFRESH_TEXT];
    said s = { 0 };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(other); i++) {
        ask_revoke(AZ, other[i], &s);
        assert_int_equal(s.status, status[i]);
        assert_false(s.ok);
    }
    assert_string_equal(member(&s, "error"), "unsupported_token_type");
    ask(ADA_FORM "ada-secret&scope=offline_access", &s);
    snprintf(refresh, sizeof(refresh), "%s", member(&s, "refresh_token"));
    snprintf(form, sizeof(form), "grant_type=refresh_token&client_id=" AZ "&refresh_token=%s",
             refresh);
    ask_revoke("b", refresh, &s); /* another client's */
    assert_int_equal(s.status, 200);
    assert_false(s.ok);
    ask(form, &s);
    assert_int_equal(s.status, 200);
    snprintf(refresh, sizeof(refresh), "%s", member(&s, "refresh_token"));
    snprintf(form, sizeof(form), "grant_type=refresh_token&client_id=" AZ "&refresh_token=%s",
             refresh);
    ask_revoke(AZ, refresh, &s);
    assert_int_equal(s.status, 200);
    assert_true(s.ok);
    assert_string_equal(s.object_id, ADA);
    ask(form, &s);
    assert_string_equal(member(&s, "error"), "invalid_grant");
    ask_revoke(AZ, refresh, &s); /* twice is no error */
    assert_int_equal(s.status, 200);
    json_decref(s.body);
}

/* ---- the files ---- */

static void
unsafe_key_files_are_refused(void **state)
{
    cpn_identity_options o = { .public_url = "https://h",
                               .access_token_ttl_s = 1,
                               .refresh_token_ttl_s = 1,
                               .state_dir = dir,
                               .password_memory_kib = 19456 };
    cpn_identity *i = NULL;
    char key[128];
    cpn_err err = { 0 };

    (void)state;
    snprintf(key, sizeof(key), "%s/token-key.pem", dir);
    assert_int_equal(chmod(key, 0644), 0);
    assert_int_equal(cpn_identity_open(&i, &loop, store, &o, &err), CPN_E_CONF);
    assert_non_null(strstr(err.msg, "chmod 600"));
    assert_int_equal(chmod(key, 0600), 0);
    assert_int_equal(chmod(dir, 0777), 0);
    assert_int_equal(cpn_identity_open(&i, &loop, store, &o, &err), CPN_E_CONF);
    assert_int_equal(chmod(dir, 0700), 0);
    o.public_url = "http://h";
    assert_int_equal(cpn_identity_open(&i, &loop, store, &o, &err), CPN_E_CONF);
    o.public_url = "https://h";
    assert_int_equal(cpn_private_file_write(key, CPN_VIEW_LIT("not a key"), NULL), CPN_OK);
    assert_int_equal(cpn_identity_open(&i, &loop, store, &o, &err), CPN_E_CONF);
    assert_non_null(strstr(err.msg, "holds no P-256 private key"));
    assert_null(i);
}

static int
setup(void **state)
{
    cpn_identity_options o = { .public_url = "https://localhost:8443",
                               .access_token_ttl_s = 3600,
                               .refresh_token_ttl_s = 86400,
                               .state_dir = dir,
                               .password_memory_kib = 19456 };
    cpn_err err = { 0 };

    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/cpn-signin-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(code_path, sizeof(code_path), "%s/enrolment-code", dir);
    uv_loop_init(&loop);
    if (cpn_store_open(&store, &loop, "sqlite::memory:", &err) != CPN_OK ||
        cpn_identity_open(&identity, &loop, store, &o, &err) != CPN_OK) {
        print_error("%s\n", err.msg);
        return -1;
    }
    flows = cpn_flows_new(16, 16);
    snprintf(ada_phc, sizeof(ada_phc), "%s", phc_of("ada-secret"));
    snprintf(ci_phc, sizeof(ci_phc), "%s", phc_of("ci-secret"));
    return 0;
}

static int
teardown(void **state)
{
    char path[128];

    (void)state;
    cpn_flows_free(flows);
    cpn_identity_free(identity);
    cpn_store_free(store);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    snprintf(path, sizeof(path), "%s/token-key.pem", dir);
    unlink(path);
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(a_missing_role_signs_nobody_out),
        cmocka_unit_test(bad_secrets_are_refused_alike),
        cmocka_unit_test(wrong_passwords_are_refused),
        cmocka_unit_test(a_sign_in_ends_however_often_it_is_refreshed),
        cmocka_unit_test(a_copied_refresh_token_ends_its_family),
        cmocka_unit_test(a_revocation_outlives_every_token),
        cmocka_unit_test(a_refresh_token_has_so_many_successors),
        cmocka_unit_test(a_user_who_is_signed_out_loses_every_family),
        cmocka_unit_test(enrolment_codes_work_once),
        cmocka_unit_test(checks_of_old_passwords_tell_nobody),
        cmocka_unit_test(waiting_checks_have_an_end),
        cmocka_unit_test(a_check_is_asked_about_again_when_its_turn_comes),
        cmocka_unit_test(a_new_password_ends_what_the_old_one_approved),
        cmocka_unit_test(whose_token_it_is_not_uses_nothing_up),
        cmocka_unit_test(grants_give_tokens),
        cmocka_unit_test(a_sign_in_is_revoked),
        cmocka_unit_test(unsafe_key_files_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
