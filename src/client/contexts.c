/* Keeps the sign-ins of each gateway in one private JSON file. */
#include "client/contexts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/privfile.h"
#include "codec/b64url.h"

#define FILE_NAME "contexts.json"

void
cpn_context_fini(cpn_context *c)
{
    free(c->gateway);
    free(c->ca);
    free(c->user);
    free(c->type);
    free(c->object_id);
    free(c->subscription);
    cpn_secret_wipe(&c->access_token);
    cpn_secret_wipe(&c->refresh_token);
    cpn_proof_key_wipe(&c->key);
    *c = (cpn_context){ 0 };
}

cpn_rc
cpn_contexts_dir(char *out, size_t size, cpn_err *err)
{
    const char *xdg = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    int n = -1;

    if (xdg && xdg[0] == '/')
        n = snprintf(out, size, "%s/caponier", xdg);
    else if (home && home[0] == '/')
        n = snprintf(out, size, "%s/.config/caponier", home);
    if (n < 0 || (size_t)n >= size)
        return cpn_fail(err, CPN_E_CONF,
                        "neither XDG_CONFIG_HOME nor HOME names a folder for the sign-in");
    return CPN_OK;
}

cpn_rc
cpn_contexts_folder(const char *name, char *out, size_t size, cpn_err *err)
{
    cpn_rc rc = cpn_contexts_dir(out, size, err);
    size_t n = rc == CPN_OK ? strlen(out) : 0;

    if (rc == CPN_OK && (size_t)snprintf(out + n, size - n, "/%s", name) >= size - n)
        return cpn_fail(err, CPN_E_CONF, "the configuration folder's name is too long");
    return rc;
}

static cpn_rc
load(int dirfd, json_t **out, cpn_err *err)
{
    cpn_buf b = { .max = CPN_CONTEXTS_BYTES };
    json_error_t why;
    cpn_rc rc = cpn_privfile_read(dirfd, FILE_NAME, &b, err);

    *out = NULL;
    if (rc == CPN_OK) {
        *out = json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES, &why);
        if (!json_is_object(*out) || !json_is_array(json_object_get(*out, "contexts")) ||
            json_integer_value(json_object_get(*out, "version")) != 1)
            rc = cpn_fail(err, CPN_E_CONF,
                          "%s is not what caponier wrote; move it away and sign in", FILE_NAME);
    }
    if (rc != CPN_OK) {
        json_decref(*out);
        *out = NULL;
    }
    cpn_buf_fini(&b);
    return rc;
}

static bool
is_text(const json_t *c, const char *key, const char *want)
{
    const char *s = json_string_value(json_object_get(c, key));

    return !want || (s && strcasecmp(s, want) == 0);
}

/* The first of this gateway and account, each NULL for any; *at: its place. */
static json_t *
find(const json_t *all, const char *gateway, const char *user, size_t *at)
{
    const json_t *list = json_object_get(all, "contexts");

    for (*at = 0; *at < json_array_size(list); (*at)++) {
        json_t *c = json_array_get(list, *at);

        if (is_text(c, "gateway", gateway) && is_text(c, "user", user))
            return c;
    }
    return NULL;
}

static char *
dup_text(const json_t *c, const char *key)
{
    const char *s = json_string_value(json_object_get(c, key));

    return s ? cpn_xstrdup(s) : NULL;
}

/* Absent, or 32 bytes. */
static bool
decode_key(const json_t *c, cpn_proof_key *out)
{
    const json_t *key = json_object_get(c, "key");
    cpn_view text = { (const uint8_t *)json_string_value(key), json_string_length(key) };
    size_t n = 0;

    out->set = cpn_b64url_decode(text, out->seed, sizeof(out->seed), &n) == CPN_OK &&
               n == sizeof(out->seed);
    return !key || out->set;
}

static cpn_rc
decode(const json_t *c, cpn_context *out, cpn_err *err)
{
    *out = (cpn_context){ .gateway = dup_text(c, "gateway"),
                          .ca = dup_text(c, "ca"),
                          .user = dup_text(c, "user"),
                          .type = dup_text(c, "type"),
                          .object_id = dup_text(c, "objectId"),
                          .subscription = dup_text(c, "subscription"),
                          .expires_s = json_integer_value(json_object_get(c, "expiresOn")) };
    if (cpn_secret_set(&out->access_token, cpn_view_str(json_string_value(
                                               json_object_get(c, "accessToken")))) == CPN_OK &&
        cpn_secret_set(&out->refresh_token, cpn_view_str(json_string_value(
                                                json_object_get(c, "refreshToken")))) == CPN_OK &&
        decode_key(c, &out->key))
        return CPN_OK;
    cpn_context_fini(out);
    return cpn_fail(err, CPN_E_CONF, "%s holds a token or a key that is not ours", FILE_NAME);
}

cpn_rc
cpn_contexts_get(const char *dir, const char *gateway, const char *user, cpn_context *out,
                 cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = -1;
    json_t *all = NULL;
    json_t *c;
    size_t at;
    cpn_rc rc = cpn_privdir_open(dir, false, &fd, err);

    if (rc == CPN_OK)
        rc = load(fd, &all, err);
    if (rc != CPN_OK)
        return rc < 0 ? cpn_ctx(err, rc, "%s", dir) : rc;
    c = find(all, gateway, user, &at);
    rc = c ? decode(c, out, err) : cpn_fail(err, CPN_NOT_FOUND, "not signed in");
    json_decref(all);
    return rc;
}

static void
set_text(json_t *o, const char *key, const char *value)
{
    if (value)
        json_object_set_new(o, key, json_string(value));
}

static void
set_secret(json_t *o, const char *key, const cpn_secret *s)
{
    if (s->n)
        json_object_set_new(o, key, json_stringn((const char *)s->b, s->n));
}

static void
set_key(json_t *o, const cpn_proof_key *key)
{
    char text[CPN_B64_SIZE(sizeof(key->seed))];

    if (key->set &&
        cpn_b64url_encode((cpn_view){ key->seed, sizeof(key->seed) }, text, sizeof(text)))
        json_object_set_new(o, "key", json_string(text));
    explicit_bzero(text, sizeof(text));
}

static json_t *
encode(const cpn_context *c)
{
    json_t *o = json_object();

    set_text(o, "gateway", c->gateway);
    set_text(o, "ca", c->ca);
    set_text(o, "user", c->user);
    set_text(o, "type", c->type);
    set_text(o, "objectId", c->object_id);
    set_text(o, "subscription", c->subscription);
    set_secret(o, "accessToken", &c->access_token);
    set_secret(o, "refreshToken", &c->refresh_token);
    set_key(o, &c->key);
    json_object_set_new(o, "expiresOn", json_integer(c->expires_s));
    return o;
}

static cpn_rc
save(int dirfd, const json_t *all, cpn_err *err)
{
    char *text = json_dumps(all, JSON_INDENT(1));
    cpn_rc rc;

    if (!text)
        return cpn_fail(err, CPN_E_NOMEM, "%s", FILE_NAME);
    if (strlen(text) > CPN_CONTEXTS_BYTES) /* it could not be read again */
        rc = cpn_fail(err, CPN_LIMIT, "%s would be longer than %d bytes", FILE_NAME,
                      CPN_CONTEXTS_BYTES);
    else
        rc = cpn_privfile_write(dirfd, FILE_NAME, cpn_view_str(text), err);
    explicit_bzero(text, strlen(text));
    free(text);
    return rc;
}

/* Open, lock and read for a change. */
static cpn_rc
begin(const char *dir, bool make, int *fd, json_t **all, cpn_err *err)
{
    cpn_rc rc = cpn_privdir_open(dir, make, fd, err);

    if (rc == CPN_OK)
        rc = cpn_privdir_lock(*fd, err);
    if (rc == CPN_OK)
        rc = load(*fd, all, err);
    if (rc == CPN_NOT_FOUND && make && *fd >= 0) {
        *all = json_pack("{s:i, s:[]}", "version", 1, "contexts");
        if (err)
            err->msg[0] = '\0';
        rc = CPN_OK;
    }
    return rc < 0 ? cpn_ctx(err, rc, "%s", dir) : rc;
}

/* Into its place in the list. */
static cpn_rc
place(json_t *all, const cpn_context *c, bool current, cpn_err *err)
{
    json_t *list = json_object_get(all, "contexts");
    size_t at;
    bool there = find(all, c->gateway, c->user, &at) != NULL;

    if (!there && !current)
        return cpn_fail(err, CPN_NOT_FOUND, "signed out meanwhile");
    if (!there && json_array_size(list) >= CPN_CONTEXTS_MAX)
        return cpn_fail(err, CPN_LIMIT, "more than %d accounts; 'caponier logout' forgets one",
                        CPN_CONTEXTS_MAX);
    if (there)
        json_array_remove(list, at);
    json_array_insert_new(list, current ? 0 : at, encode(c));
    return CPN_OK;
}

cpn_rc
cpn_contexts_put(const char *dir, const cpn_context *c, bool current, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = -1;
    json_t *all = NULL;
    cpn_rc rc = begin(dir, current, &fd, &all, err);

    if (rc == CPN_OK)
        rc = place(all, c, current, err);
    if (rc == CPN_OK)
        rc = save(fd, all, err);
    json_decref(all);
    return rc < 0 ? cpn_ctx(err, rc, "%s", dir) : rc;
}

cpn_rc
cpn_contexts_forget(const char *dir, const char *gateway, const char *user, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = -1;
    json_t *all = NULL;
    size_t at;
    cpn_rc rc = begin(dir, false, &fd, &all, err);

    if (rc != CPN_OK)
        return rc;
    if (!find(all, gateway, user, &at)) {
        rc = cpn_fail(err, CPN_NOT_FOUND, "not signed in");
    } else {
        json_array_remove(json_object_get(all, "contexts"), at);
        rc = save(fd, all, err);
    }
    json_decref(all);
    return rc < 0 ? cpn_ctx(err, rc, "%s", dir) : rc;
}

cpn_rc
cpn_contexts_list(const char *dir, json_t **out, cpn_err *err)
{
    static const char *const keys[] = { "gateway",  "user",         "type",
                                        "objectId", "subscription", "expiresOn" };
    CPN_AUTO(cpn_auto_fd) int fd = -1;
    json_t *all = NULL, *rows, *c;
    size_t i;
    cpn_rc rc = cpn_privdir_open(dir, false, &fd, err);

    if (rc == CPN_OK)
        rc = load(fd, &all, err);
    if (rc != CPN_OK && rc != CPN_NOT_FOUND)
        return rc < 0 ? cpn_ctx(err, rc, "%s", dir) : rc;
    if (err)
        err->msg[0] = '\0';
    rows = json_array();
    json_array_foreach(json_object_get(all, "contexts"), i, c)
    {
        json_t *row = json_object();

        for (size_t k = 0; k < CPN_COUNT(keys); k++)
            if (json_object_get(c, keys[k]))
                json_object_set(row, keys[k], json_object_get(c, keys[k]));
        json_object_set_new(row, "current", json_boolean(i == 0));
        json_array_append_new(rows, row);
    }
    json_decref(all);
    *out = rows;
    return CPN_OK;
}
