/* Makes and frees the struct that the files of control share, and turns its clock. */
#include "control/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "audit/record.h"
#include "base/log.h"
#include "control/arm_ops.h"
#include "control/azbastion.h"
#include "control/azdoor.h"
#include "control/cut.h"
#include "control/fronts.h"
#include "control/oidc.h"
#include "control/penalties.h"
#include "control/publish.h"
#include "control/sessions.h"
#include "control/signin.h"
#include "control/sshcert.h"
#include "control/trail.h"

#define TICK_MS 1000
#define HOURLY_MS 3600000
#define HOURLY_FIRST_MS 60000 /* after the start */

extern const cpn_channel_handler cpn_keeper_handler;

char *
cpn_json_text(const json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT);

    if (!text)
        abort(); /* no memory, or a value that is not of ours */
    return text;
}

const char *
cpn_json_string(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));

    return s ? s : "";
}

/* Old sessions leave the table; their audit records stay. */
static void
prune(cpn_control *c)
{
    cpn_batch *b = cpn_batch_new();

    cpn_batch_sessions_prune(b, cpn_wall_ms() - (int64_t)c->set.retain_sessions);
    /* A store with no room, or no time, is asked again in an hour. */
    (void)!cpn_store_commit(c->store, b, NULL, NULL);
}

/* Times on either side of a jump cannot be compared: the log says so, and so does the record. True:
 * there was one. */
static bool
look_at_clock(cpn_control *c)
{
    int64_t jump =
        cpn_clock_jump(&c->wall, cpn_wall_ms(), (int64_t)(cpn_boot_ns() / CPN_NS_PER_MS));
    char message[96];

    if (!jump)
        return false;
    cpn_log(CPN_LOG_WARN, "clock.jumped", CPN_KI("seconds", jump / 1000));
    snprintf(message, sizeof(message), "the wall clock jumped %s by %lld s",
             jump > 0 ? "forward" : "back", llabs((long long)jump / 1000));
    cpn_trail_gateway(c, CPN_AUDIT_GATEWAY_CLOCK, message);
    return true;
}

static void
tick(uv_timer_t *t)
{
    cpn_control *c = t->data;
    uint64_t now = cpn_mono_ms();
    bool jumped = look_at_clock(c), hour;

    c->ticks++;
    hour = c->ticks % (HOURLY_MS / TICK_MS) == HOURLY_FIRST_MS / TICK_MS;
    cpn_fronts_check(c, now);
    cpn_sessions_tick(c, now);
    cpn_trail_flush(c, now, false);
    if (c->ticks % (CPN_RECHECK_MS / TICK_MS) == 0)
        cpn_cut_recheck(c, now);
    if (hour)
        prune(c);
    if ((hour || jumped) && c->on_hour)
        c->on_hour(c);
}

cpn_rc
cpn_control_new(cpn_control **out, uv_loop_t *loop, const cpn_config *set, cpn_store *store,
                cpn_identity *identity, CPN_TAKES cpn_snapshot *snapshot, CPN_TAKES int keeper_fd,
                cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int owned = keeper_fd;
    cpn_control *c = cpn_xcalloc(1, sizeof(*c));
    cpn_url url;
    cpn_rc rc;

    c->loop = loop;
    c->set = *set;
    c->store = store;
    c->identity = identity;
    c->snapshot = snapshot;
    c->publish = cpn_publish_new(c);
    c->sessions = cpn_sessions_new(c);
    c->azdoor = cpn_azdoor_new();
    c->az_named = cpn_az_named_new();
    c->penalties = cpn_penalties_new(set);
    c->trail = cpn_trail_new();
    c->arm_ops = cpn_arm_ops_new();
    c->signin = cpn_signin_new(set);
    c->holders = cpn_holders_new(CPN_HOLDER_SETS, false);
    c->token_holders = cpn_holders_new(CPN_HOLDER_SETS_TOKEN, true);
    c->cert_pem = cpn_xstrdup("");
    c->key_pem = cpn_xstrdup("");
    uv_timer_init(loop, &c->tick);
    c->tick.data = c;
    uv_timer_start(&c->tick, tick, TICK_MS, TICK_MS);
    (void)look_at_clock(c);
    if (gethostname(c->node, sizeof(c->node) - 1) < 0 || !c->node[0])
        memcpy(c->node, "gateway", sizeof("gateway"));
    if ((rc = cpn_url_parse(cpn_view_str(set->public_url), &url, err)) != CPN_OK) {
        cpn_control_free(c);
        return cpn_ctx(err, CPN_E_CONF, "public_url");
    }
    cpn_url_hostport(&url, c->host);
    rc = cpn_channel_new(&c->keeper, loop, cpn_steal_fd(&owned), CPN_ROLE_CONTROL, CPN_ROLE_KEEPER,
                         &cpn_keeper_handler, c, err);
    if (rc != CPN_OK) {
        cpn_control_free(c);
        return rc;
    }
    *out = c;
    return CPN_OK;
}

static void
tick_closed(uv_handle_t *h)
{
    cpn_control *c = h->data;

    explicit_bzero(c, sizeof(*c));
    free(c);
}

void
cpn_control_free(cpn_control *c)
{
    if (!c)
        return;
    cpn_fronts_free(c);
    cpn_channel_free(c->keeper);
    c->keeper = NULL;
    cpn_sessions_free(c->sessions);
    cpn_azdoor_free(c->azdoor);
    cpn_az_named_free(c->az_named);
    cpn_publish_free(c->publish);
    cpn_penalties_free(c->penalties);
    cpn_trail_free(c->trail);
    cpn_arm_ops_free(c->arm_ops);
    cpn_sshcert_close(c);
    cpn_signin_free(c->signin);
    cpn_holders_free(c->holders);
    cpn_holders_free(c->token_holders);
    cpn_oidc_free(c->oidc);
    cpn_snapshot_unref(c->snapshot);
    free(c->cert_pem);
    explicit_bzero(c->key_pem, strlen(c->key_pem));
    free(c->key_pem);
    uv_close((uv_handle_t *)&c->tick, tick_closed);
}
