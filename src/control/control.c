/* The life of a control process: settings, store, policy, identity, keeper; then the loop; then a
 * tidy end. */
#include "control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/accounts.h"
#include "control/api.h"
#include "control/cut.h"
#include "control/fronts.h"
#include "control/oidc.h"
#include "control/penalties.h"
#include "control/publish.h"
#include "control/sessions.h"
#include "control/signin.h"
#include "control/sshcert.h"
#include "control/tls.h"
#include "control/trail.h"

#define DRAIN_LOOK_MS 50

typedef struct life {
    uv_loop_t loop;
    cpn_config set;
    const char *config_path;
    cpn_store *store;
    cpn_identity *identity;
    cpn_control *c;
    char *cert_pem, *key_pem; /* read, not yet with c */
    uv_timer_t drain;
    uint64_t drain_until_ms;
} life;

/* ---- settings ---- */

static void
log_setup(const cpn_config *set)
{
    cpn_log_setup("control", strcmp(set->log_format, "json") == 0, cpn_log_level_of(set->log_level),
                  2);
}

static cpn_rc
lines(cpn_buf *out, const cpn_config_list *list, const char *key, cpn_err *err)
{
    for (size_t i = 0; i < list->n; i++)
        if (cpn_buf_printf(out, "%s\n", list->item[i]) != CPN_OK)
            return cpn_fail(err, CPN_E_CONF, "%s: longer than keeper takes", key);
    return CPN_OK;
}

/* The first message: keeper binds, drops privileges and starts the fronts by it. */
static cpn_rc
config_send(life *l, cpn_err *err)
{
    const cpn_config *s = &l->set;
    cpn_buf listen = { .max = 1024 }, admin = { .max = 256 }, deny = { .max = 8192 };
    cpn_msg m = { .type = CPN_MSG_CONFIG };
    cpn_rc rc;

    if ((rc = lines(&listen, &s->listen, "listen", err)) == CPN_OK &&
        (rc = lines(&admin, &s->admin_listen, "admin_listen", err)) == CPN_OK &&
        (rc = lines(&deny, &s->fence_deny, "fence_deny", err)) == CPN_OK) {
        m.CONFIG = (cpn_msg_CONFIG){ .fronts = (uint8_t)s->fronts,
                                     .fence_allow_loopback = s->fence_allow_loopback,
                                     .log_json = strcmp(s->log_format, "json") == 0,
                                     .log_level = (uint8_t)cpn_log_level_of(s->log_level),
                                     .dial_timeout_ms = (uint32_t)s->dial_timeout,
                                     .drain_ms = (uint32_t)s->drain,
                                     .dials_max = (uint32_t)s->dials_max,
                                     .listen = cpn_buf_view(&listen),
                                     .admin_listen = cpn_buf_view(&admin),
                                     .user = cpn_view_str(s->user),
                                     .fence_deny = cpn_buf_view(&deny) };
        cpn_keeper_send(l->c, &m);
    }
    cpn_buf_fini(&listen);
    cpn_buf_fini(&admin);
    cpn_buf_fini(&deny);
    return rc;
}

/* ---- SIGHUP ---- */

typedef struct reload_log {
    const cpn_config *was, *next;
} reload_log;

static void
setting_changed(void *arg, const char *key, bool reload)
{
    const reload_log *r = arg;
    cpn_buf was = { .max = 4096 }, now = { .max = 4096 };
    char a[512] = "", b[512] = "";

    if (cpn_config_value(r->was, key, &was) == CPN_OK)
        (void)cpn_view_copy(cpn_buf_view(&was), a, sizeof(a));
    if (cpn_config_value(r->next, key, &now) == CPN_OK)
        (void)cpn_view_copy(cpn_buf_view(&now), b, sizeof(b));
    cpn_log(reload ? CPN_LOG_INFO : CPN_LOG_WARN, "config.changed", CPN_KV("setting", key),
            CPN_KV("was", a), CPN_KV("now", b), CPN_KV("applied", reload ? "yes" : "at restart"));
    cpn_buf_fini(&was);
    cpn_buf_fini(&now);
}

static cpn_rc
tls_read(life *l, cpn_err *err)
{
    return cpn_tls_identity(&l->set, &l->cert_pem, &l->key_pem, err);
}

static void
tls_take(life *l)
{
    if (!l->key_pem)
        return;
    free(l->c->cert_pem);
    explicit_bzero(l->c->key_pem, strlen(l->c->key_pem));
    free(l->c->key_pem);
    l->c->cert_pem = cpn_steal(&l->cert_pem);
    l->c->key_pem = cpn_steal(&l->key_pem);
}

static void
reload(life *l)
{
    cpn_config *next = cpn_xcalloc(1, sizeof(*next)), *was = cpn_xcalloc(1, sizeof(*was));
    reload_log r = { .was = was, .next = next };
    cpn_err err = { 0 };
    bool took;

    *was = l->set;
    if (cpn_config_load(next, l->config_path, stderr, &err) == CPN_OK) {
        size_t n = cpn_config_reload(&l->set, next, setting_changed, &r);

        l->c->set = l->set;
        log_setup(&l->set);
        cpn_penalties_reload(l->c->penalties, &l->set);
        cpn_signin_reload(l->c->signin, &l->set);
        cpn_identity_lifetimes(l->identity, (int64_t)l->set.access_token_ttl / 1000,
                               (int64_t)l->set.refresh_token_ttl / 1000);
        cpn_log(CPN_LOG_INFO, "config.reloaded", CPN_KI("changes", n));
        took = config_send(l, &err) == CPN_OK && tls_read(l, &err) == CPN_OK;
        if (!took)
            cpn_log(CPN_LOG_ERROR, "config.reload_failed", CPN_KE(&err));
        cpn_trail_gateway(l->c, "gateway.reload",
                          took ? "settings and certificate were read again"
                               : "settings were read again; the log says what failed");
        tls_take(l);
        cpn_fronts_setup(l->c);
    } else {
        cpn_log(CPN_LOG_ERROR, "config.reload_failed", CPN_KE(&err));
    }
    free(next);
    free(was);
}

/* Our own certificate, before it runs out. */
static void
on_hour(cpn_control *c)
{
    life *l = c->owner;
    cpn_err err = { 0 };
    bool same;

    if (l->set.tls_cert[0])
        return;
    if (tls_read(l, &err) != CPN_OK) {
        cpn_log(CPN_LOG_ERROR, "tls.renewal_failed", CPN_KE(&err));
        return;
    }
    same = strcmp(l->cert_pem, c->cert_pem) == 0;
    tls_take(l);
    if (!same)
        cpn_fronts_setup(c);
}

/* ---- SIGTERM ---- */

static bool
anything_live(const cpn_control *c)
{
    const cpn_session *s, *next;

    HASH_ITER (hh, c->sessions->by_id, s, next) {
        if (s->row == CPN_ROW_DURABLE || s->row == CPN_ROW_WRITING)
            return true;
    }
    return false;
}

/* What is left is cut, so that clients hear why. */
static void
cut_all(cpn_control *c)
{
    cpn_session *s, *next;

    HASH_ITER (hh, c->sessions->by_id, s, next) {
        if (!s->ended)
            (void)cpn_cut(c, s, CPN_WHY_SHUTDOWN, "", cpn_mono_ms());
    }
}

static void
drain_look(uv_timer_t *t)
{
    life *l = t->data;

    /* A control that was started to drain has to learn first what lives. */
    if ((l->c->sessions->rows || anything_live(l->c)) && cpn_mono_ms() < l->drain_until_ms)
        return;
    cut_all(l->c);
    cpn_trail_flush(l->c, cpn_mono_ms(), true);
    cpn_trail_gateway(l->c, "gateway.stop", "drained");
    uv_stop(&l->loop);
}

static void
drain(life *l)
{
    if (l->c->draining)
        return;
    l->c->draining = true;
    l->drain_until_ms = cpn_mono_ms() + l->set.drain;
    cpn_log(CPN_LOG_INFO, "gateway.drain", CPN_KI("ms", l->set.drain));
    cpn_fronts_drain(l->c, (uint32_t)l->set.drain);
    uv_timer_start(&l->drain, drain_look, DRAIN_LOOK_MS, DRAIN_LOOK_MS);
}

static void
on_signal(cpn_control *c, uint32_t signal)
{
    life *l = c->owner;

    if (signal == SIGHUP)
        reload(l);
    else if (signal == SIGTERM)
        drain(l);
}

/* ---- start ---- */

static cpn_rc
enrolment(life *l, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int tty = -1;

    if (cpn_accounts_owned(l->c->snapshot))
        return CPN_OK;
    tty = isatty(2) ? open("/dev/tty", O_WRONLY | O_CLOEXEC | O_NOCTTY) : -1;
    return cpn_enrolment_begin(l->identity, tty, err);
}

static cpn_rc
store_open(life *l, cpn_snapshot **snapshot, cpn_err *err)
{
    cpn_identity_options o = { .public_url = l->set.public_url,
                               .access_token_ttl_s = (int64_t)l->set.access_token_ttl / 1000,
                               .refresh_token_ttl_s = (int64_t)l->set.refresh_token_ttl / 1000,
                               .state_dir = l->set.state_dir,
                               .password_memory_kib = (uint32_t)(l->set.password_memory >> 10) };
    cpn_rc rc;

    if ((rc = cpn_store_open(&l->store, &l->loop, l->set.store, err)) != CPN_OK)
        return cpn_ctx(err, rc, "store %s", l->set.store);
    if ((rc = cpn_identity_open(&l->identity, &l->loop, l->store, &o, err)) != CPN_OK)
        return cpn_ctx(err, rc, "identity");
    if ((rc = cpn_publish_load(snapshot, l->store, &l->set, err)) == CPN_OK)
        cpn_accounts_costs(*snapshot, l->identity);
    return rc;
}

static cpn_rc
begin(life *l, const cpn_role_args *args, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int channel = args->channel;
    cpn_snapshot *snapshot = NULL;
    char message[CPN_CONFIG_TEXT + 64];
    cpn_rc rc;

    if ((rc = cpn_api_check(err)) != CPN_OK ||
        (rc = cpn_config_load(&l->set, args->config_path, stderr, err)) != CPN_OK)
        return rc;
    log_setup(&l->set);
    /* Before anything is read: what only root may read, the next control could not. */
    if ((rc = cpn_role_drop(l->set.user, err)) != CPN_OK ||
        (rc = store_open(l, &snapshot, err)) != CPN_OK)
        return rc;
    rc = cpn_control_new(&l->c, &l->loop, &l->set, l->store, l->identity, snapshot,
                         cpn_steal_fd(&channel), err);
    if (rc != CPN_OK)
        return rc;
    l->c->owner = l;
    l->c->on_signal = on_signal;
    l->c->on_hour = on_hour;
    if ((rc = cpn_oidc_new(&l->c->oidc, l->c, err)) != CPN_OK)
        return rc;
    if (l->c->oidc)
        cpn_oidc_offer(l->c->oidc);
    if ((rc = tls_read(l, err)) != CPN_OK)
        return rc;
    tls_take(l);
    if ((rc = cpn_sshcert_open(l->c, err)) != CPN_OK || (rc = enrolment(l, err)) != CPN_OK)
        return rc;
    cpn_sessions_rows(l->c);
    if ((rc = config_send(l, err)) != CPN_OK)
        return rc;
    cpn_keeper_send(l->c, &(cpn_msg){ .type = CPN_MSG_LIST });
    snprintf(message, sizeof(message), "version %s, %s", CPN_VERSION, l->set.public_url);
    cpn_trail_gateway(l->c, "gateway.start", message);
    cpn_log(CPN_LOG_INFO, "control.start", CPN_KV("version", CPN_VERSION),
            CPN_KI("epoch", cpn_snapshot_epoch(l->c->snapshot)));
    return CPN_OK;
}

static void
close_handle(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

int
cpn_control_main(const cpn_role_args *args)
{
    life *l = cpn_xcalloc(1, sizeof(*l));
    cpn_err err = { 0 };
    cpn_rc rc;
    int status = 1;

    cpn_log_setup("control", false, CPN_LOG_INFO, 2);
    l->config_path = args->config_path;
    uv_loop_init(&l->loop);
    uv_timer_init(&l->loop, &l->drain);
    l->drain.data = l;
    rc = begin(l, args, &err);
    if (rc == CPN_OK) {
        uv_run(&l->loop, UV_RUN_DEFAULT);
        status = l->c->keeper_gone ? 1 : 0;
    } else {
        cpn_log(CPN_LOG_ERROR, "control.start_failed", CPN_KE(&err));
        status = cpn_rc_exit(rc) ? cpn_rc_exit(rc) : 1;
    }
    /* The store calls back what it still owes before sessions and calls go. */
    cpn_store_free(l->store);
    cpn_control_free(l->c);
    cpn_identity_free(l->identity);
    uv_close((uv_handle_t *)&l->drain, NULL);
    uv_run(&l->loop, UV_RUN_NOWAIT);
    uv_walk(&l->loop, close_handle, NULL);
    uv_run(&l->loop, UV_RUN_NOWAIT);
    free(l);
    return status;
}
