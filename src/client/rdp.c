/* The settings of a desktop session: read and kept. */
#include "client/rdp.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/privfile.h"
#include "codec/digest.h"
#include "codec/json.h"

#define KEPT_MAX 16384
/* Below those that the kernel picks by itself (ip_local_port_range), above those of services. */
#define OWN_PORT_FROM 20000
#define OWN_PORTS 12000

void
cpn_rdp_fini(cpn_rdp *r)
{
    json_decref(r->kept);
    *r = (cpn_rdp){ 0 };
}

/* ---- checks ---- */

static bool
is_plain(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

static bool
is_size(const char *s)
{
    cpn_view wide, high;
    uint64_t n;

    return cpn_view_cut(cpn_view_str(s), 'x', &wide, &high) && cpn_view_u64(wide, 16384, &n) &&
           n >= 200 && cpn_view_u64(high, 16384, &n) && n >= 200;
}

static bool
begins(const char *s, const char *with)
{
    return strncasecmp(s, with, strlen(with)) == 0;
}

/* Passwords would be seen by everybody on this machine; the address is the tunnel's. */
static cpn_rc
check_arg(const char *s, cpn_err *err)
{
    static const char *const secret[] = { "p",
                                          "password",
                                          "gp",
                                          "gateway-password",
                                          "pth",
                                          "pass",
                                          "pass-the-hash",
                                          "smartcard-logon",
                                          "gateway",
                                          "assistance" };
    static const char *const ours[] = { "v", "server", "port", "args-from", "load-balance-info" };
    const char *name = s[0] == '-' && s[1] == '-' ? s + 2 : s + 1;
    size_t n = strcspn(name, ":= ");

    if (!is_plain(s) || (s[0] != '/' && s[0] != '+' && s[0] != '-') || !s[1])
        return cpn_fail(err, CPN_INVALID, "'%s' is no option of FreeRDP's", s);
    for (size_t i = 0; i < CPN_COUNT(secret); i++)
        if (n == strlen(secret[i]) && begins(name, secret[i]))
            return cpn_fail(err, CPN_INVALID,
                            "%.*s would show a secret to everybody on this machine; FreeRDP asks "
                            "for it, or reads it by --password-stdin",
                            (int)(name - s + (long)n), s);
    for (size_t i = 0; i < CPN_COUNT(ours); i++)
        if (n == strlen(ours[i]) && begins(name, ours[i]))
            return cpn_fail(err, CPN_INVALID, "%.*s is said by the tunnel",
                            (int)(name - s + (long)n), s);
    return CPN_OK;
}

static cpn_rc
check(const cpn_rdp *r, cpn_err *err)
{
    cpn_rc rc = CPN_OK;

    if (r->user && (!r->user[0] || strlen(r->user) > CPN_RDP_USER_MAX || !is_plain(r->user)))
        return cpn_fail(err, CPN_INVALID, "this cannot be a user's name");
    if (r->size && !is_size(r->size))
        return cpn_fail(err, CPN_INVALID, "'%s' is no size (expected WIDTHxHEIGHT)", r->size);
    if (r->size && r->full_screen)
        return cpn_fail(err, CPN_INVALID, "either a size or the full screen");
    for (unsigned i = 0; i < r->args && rc == CPN_OK; i++)
        rc = check_arg(r->arg[i], err);
    return rc;
}

cpn_rc
cpn_rdp_read(cpn_rdp *r, const cpn_cli *cli, cpn_err *err)
{
    const cpn_args *a = &cli->args;
    unsigned first =
        cpn_args_has(a, "target-resource-id") || cpn_args_has(a, "target-ip-address") ? 0 : 1;

    if (cpn_args_has(a, "username"))
        r->user = cpn_args_get(a, "username");
    if (cpn_args_has(a, "size")) {
        r->size = cpn_args_get(a, "size");
        r->full_screen = cpn_args_has(a, "full-screen");
    } else if (cpn_args_has(a, "full-screen")) {
        r->size = NULL;
        r->full_screen = true;
    }
    if (cpn_args_has(a, "multi-monitor"))
        r->all_monitors = true;
    if (cpn_args_has(a, "port")) {
        cpn_rc rc = cpn_args_number(a, "port", 0, 65535, &r->port, err);

        if (rc != CPN_OK)
            return rc;
        r->any_port = r->port == 0;
    }
    if (a->args > first)
        r->args = 0;
    for (unsigned i = first; i < a->args; i++) {
        if (r->args == CPN_RDP_ARGS_MAX)
            return cpn_fail(err, CPN_INVALID, "more than %d arguments", CPN_RDP_ARGS_MAX);
        r->arg[r->args++] = a->arg[i];
    }
    return check(r, err);
}

/* ---- kept ---- */

/* One for each machine of each gateway, and for each of its ports. */
static void
digest_of(const cpn_api *a, const cpn_target *t, char hex[CPN_SHA256_HEX_SIZE])
{
    char text[CPN_ID_MAX + 1024];

    snprintf(text, sizeof(text), "%s:%u\n%s\n%u", a->url.host, (unsigned)a->url.port,
             t->resource[0] ? t->resource : t->address, t->port);
    for (char *p = text; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    cpn_sha256_hex(cpn_view_str(text), hex);
}

static void
file_of(const cpn_api *a, const cpn_target *t, char out[96])
{
    char hex[CPN_SHA256_HEX_SIZE];

    digest_of(a, t, hex);
    snprintf(out, 96, "rdp-%.32s.json", hex);
}

unsigned
cpn_rdp_own_port(const cpn_api *a, const cpn_target *t)
{
    char hex[CPN_SHA256_HEX_SIZE];

    digest_of(a, t, hex);
    hex[8] = '\0';
    return OWN_PORT_FROM + (unsigned)(strtoul(hex, NULL, 16) % OWN_PORTS);
}

static cpn_rc
folder_open(const cpn_api *a, bool make, int *fd, cpn_err *err)
{
    if (!a->dir[0])
        return cpn_fail(err, CPN_E_CONF, "neither HOME nor XDG_CONFIG_HOME names a folder");
    return cpn_privdir_open(a->dir, make, fd, err);
}

static cpn_rc
take_kept(cpn_rdp *r, cpn_err *err)
{
    const json_t *one, *args = json_object_get(r->kept, "args");
    json_int_t port;
    size_t i;

    r->user = json_string_value(json_object_get(r->kept, "username"));
    r->size = json_string_value(json_object_get(r->kept, "size"));
    r->full_screen = json_is_true(json_object_get(r->kept, "fullScreen"));
    r->all_monitors = json_is_true(json_object_get(r->kept, "multiMonitor"));
    port = json_integer_value(json_object_get(r->kept, "port"));
    if (port < 0 || port > 65535)
        return cpn_fail(err, CPN_E_CONF, "the saved port is none");
    r->port = (unsigned)port;
    json_array_foreach(args, i, one)
    {
        if (!json_is_string(one) || r->args == CPN_RDP_ARGS_MAX)
            return cpn_fail(err, CPN_E_CONF, "the saved settings are not well formed");
        r->arg[r->args++] = json_string_value(one);
    }
    return check(r, err);
}

cpn_rc
cpn_rdp_load(cpn_rdp *r, const cpn_api *a, const cpn_target *t, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int dir = -1;
    CPN_AUTO(cpn_buf_fini) cpn_buf b = { .max = KEPT_MAX };
    char name[96];
    cpn_rc rc;

    if (!a->dir[0])
        return CPN_OK;
    file_of(a, t, name);
    rc = folder_open(a, false, &dir, err);
    if (rc == CPN_OK)
        rc = cpn_privfile_read(dir, name, &b, err);
    if (rc == CPN_NOT_FOUND) {
        err->msg[0] = '\0';
        return CPN_OK;
    }
    if (rc == CPN_OK)
        rc = cpn_json_load_object(&r->kept, cpn_buf_view(&b), KEPT_MAX, 64, err);
    if (rc == CPN_OK)
        rc = take_kept(r, err);
    return rc == CPN_OK ? CPN_OK : cpn_ctx(err, rc, "%s/%s", a->dir, name);
}

cpn_rc
cpn_rdp_save(const cpn_rdp *r, const cpn_api *a, const cpn_target *t, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int dir = -1;
    CPN_AUTO(cpn_auto_mem) char *text = NULL;
    json_auto_t *args = json_array();
    json_auto_t *all = NULL;
    char name[96];
    cpn_rc rc;

    for (unsigned i = 0; i < r->args; i++)
        json_array_append_new(args, json_string(r->arg[i]));
    all = json_pack("{s:s, s:s*, s:s*, s:b, s:b, s:i, s:O}", "machine", t->label, "username",
                    r->user, "size", r->size, "fullScreen", r->full_screen, "multiMonitor",
                    r->all_monitors, "port", (int)r->port, "args", args);
    text = all ? json_dumps(all, JSON_INDENT(1)) : NULL;
    if (!text)
        return cpn_fail(err, CPN_INVALID, "the options are not UTF-8");
    file_of(a, t, name);
    rc = folder_open(a, true, &dir, err);
    if (rc == CPN_OK) /* a second one would take our temporary file away */
        rc = cpn_privdir_lock(dir, err);
    return rc == CPN_OK ? cpn_privfile_write(dir, name, cpn_view_str(text), err) : rc;
}
