/* audit/record.h -- one audit record, from plain fields to the JSON that the store chains.
 *
 * Members are Azure's of BastionAuditLogs (time, operationName, category, level, resourceId,
 * userName, userEmail, clientIpAddress, clientPort, userAgent, protocol, targetResourceId,
 * targetVMIPAddress, resourceType, message, tunnelId, sessionStartTime, sessionEndTime, duration)
 * and ours: node, objectId, port, bytesUp, bytesDown, reason, policyEpoch, decisionId, binding,
 * door, count. What is empty is left out. The store adds seq and prev (codec/chain.h).
 *
 * Texts may come from a peer: each is cut at CPN_RECORD_TEXT_MAX bytes (at a character's border),
 * and bytes that are not UTF-8, or are control characters, become '?'. A record is therefore
 * always valid and never longer than CPN_RECORD_MAX. */
#ifndef CPN_AUDIT_RECORD_H
#define CPN_AUDIT_RECORD_H

#include <jansson.h>

#include "base/buf.h"

#define CPN_RECORD_TEXT_MAX 1024

/* operationName. One API call is "api.<event>" with the event of its route. */
#define CPN_AUDIT_SESSION_START "session.start"
#define CPN_AUDIT_SESSION_END "session.end"
#define CPN_AUDIT_SESSION_REFUSED "session.refused"
#define CPN_AUDIT_LOGIN_OK "login.ok"
#define CPN_AUDIT_LOGIN_FAILED "login.failed"
#define CPN_AUDIT_GATEWAY_START "gateway.start"
#define CPN_AUDIT_GATEWAY_STOP "gateway.stop"
#define CPN_AUDIT_GATEWAY_RELOAD "gateway.reload"
#define CPN_AUDIT_GATEWAY_CLOCK "gateway.clock"

/* Zero-initialise; NULL, "" and 0 leave a member out, except where noted. All borrowed. */
typedef struct cpn_record {
    const char *operation;
    int64_t wall_ms;
    const char *node;
    uint64_t policy_epoch; /* always there */
    /* who, from where */
    const char *user_email; /* the sign-in name */
    const char *user_name;  /* the account on the machine, where known */
    const char *object_id;
    const char *client_ip;
    uint16_t client_port;
    const char *user_agent;
    /* to what */
    const char *resource_id; /* the bastion */
    const char *target_id;   /* the machine; with target_ip alone the type is IP */
    const char *target_ip;
    uint16_t port;
    const char *protocol; /* "ssh", "rdp" */
    const char *door;
    /* what */
    const char *message;
    const char *reason;
    const char *decision_id;
    const char *binding;
    const char *session_id;
    int64_t start_wall_ms;
    int64_t end_wall_ms; /* with it, duration and both byte counts are there, even when 0 */
    int64_t duration_ms; /* by the monotonic clock */
    uint64_t bytes_up;
    uint64_t bytes_down;
    unsigned count; /* merged refusals */
} cpn_record;

/* A new reference; NULL: no memory. */
json_t *cpn_record_json(const cpn_record *r);
/* Its text in canonical form, appended. CPN_LIMIT, CPN_E_NOMEM. */
cpn_rc cpn_record_text(const cpn_record *r, cpn_buf *out) CPN_MUST_CHECK;

#endif
