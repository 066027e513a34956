/* Builds audit records; nothing a peer sends can make one invalid. */
#include "audit/record.h"

#include "base/clock.h"
#include "codec/chars.h"
#include "codec/json.h"

/* Bytes of the character that p starts, at most n; 0: none. */
static size_t
char_length(const uint8_t *p, size_t n)
{
    if (p[0] < 0x20 || p[0] == 0x7f)
        return 0;
    for (size_t len = 1; len <= CPN_MIN(n, 4); len++)
        if (cpn_is_utf8((cpn_view){ p, len }))
            return len;
    return 0;
}

static void
put_str(json_t *out, const char *name, const char *value)
{
    const uint8_t *p = (const uint8_t *)value;
    char clean[CPN_RECORD_TEXT_MAX];
    size_t n = value ? strnlen(value, 4 * CPN_RECORD_TEXT_MAX) : 0, used = 0;

    if (n == 0)
        return;
    if (n <= sizeof(clean) && cpn_is_plain((cpn_view){ p, n })) {
        json_object_set_new_nocheck(out, name, json_stringn_nocheck(value, n));
        return;
    }
    while (n) {
        size_t len = char_length(p, n);

        if (sizeof(clean) - used < CPN_MAX(len, 1))
            break;
        if (len)
            memcpy(clean + used, p, len);
        else
            clean[used] = '?';
        len = CPN_MAX(len, 1);
        used += len;
        p += len;
        n -= len;
    }
    json_object_set_new(out, name, json_stringn(clean, used));
}

static void
put_int(json_t *out, const char *name, uint64_t value, bool always)
{
    if (value || always)
        json_object_set_new(out, name, json_integer((json_int_t)CPN_MIN(value, INT64_MAX)));
}

static void
put_time(json_t *out, const char *name, int64_t wall_ms)
{
    char text[CPN_TIME_SIZE];

    if (wall_ms)
        put_str(out, name, cpn_time_rfc3339(wall_ms, text));
}

static bool
has(const char *text, const char *part)
{
    return text && strcasestr(text, part);
}

static const char *
resource_type(const cpn_record *r)
{
    if (r->target_id && *r->target_id)
        return has(r->target_id, "/virtualMachineScaleSets/") ? "VMSS" : "VM";
    return r->target_ip && *r->target_ip ? "IP" : NULL;
}

static void
put_who(json_t *out, const cpn_record *r)
{
    put_str(out, "userEmail", r->user_email);
    put_str(out, "userName", r->user_name);
    put_str(out, "objectId", r->object_id);
    put_str(out, "clientIpAddress", r->client_ip);
    put_int(out, "clientPort", r->client_port, false);
    put_str(out, "userAgent", r->user_agent);
}

static void
put_target(json_t *out, const cpn_record *r)
{
    put_str(out, "resourceId", r->resource_id);
    put_str(out, "targetResourceId", r->target_id);
    put_str(out, "targetVMIPAddress", r->target_ip);
    put_str(out, "resourceType", resource_type(r));
    put_int(out, "port", r->port, false);
    put_str(out, "protocol", r->protocol);
    put_str(out, "door", r->door);
}

static void
put_session(json_t *out, const cpn_record *r)
{
    put_str(out, "tunnelId", r->session_id);
    put_time(out, "sessionStartTime", r->start_wall_ms);
    if (r->end_wall_ms == 0)
        return;
    put_time(out, "sessionEndTime", r->end_wall_ms);
    put_int(out, "duration", (uint64_t)CPN_MAX(r->duration_ms, 0), true);
    put_int(out, "bytesUp", r->bytes_up, true);
    put_int(out, "bytesDown", r->bytes_down, true);
}

json_t *
cpn_record_json(const cpn_record *r)
{
    json_t *out = json_object();

    if (!out)
        return NULL;
    put_time(out, "time", r->wall_ms);
    put_str(out, "operationName", r->operation);
    put_str(out, "category", "BastionAuditLogs");
    put_str(out, "level", "Informational");
    put_str(out, "node", r->node);
    put_int(out, "policyEpoch", r->policy_epoch, true);
    put_who(out, r);
    put_target(out, r);
    put_session(out, r);
    put_str(out, "message", r->message);
    put_str(out, "reason", r->reason);
    put_str(out, "decisionId", r->decision_id);
    put_str(out, "binding", r->binding);
    put_int(out, "count", r->count, false);
    return out;
}

cpn_rc
cpn_record_text(const cpn_record *r, cpn_buf *out)
{
    CPN_AUTO(cpn_json_auto) json_t *j = cpn_record_json(r);

    return j ? cpn_json_dump_canonical(j, out) : CPN_E_NOMEM;
}
