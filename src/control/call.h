/* control/call.h -- one HTTP request, from the front's REQUEST to the answer.
 *
 *     begin → match the route → who → body pieces → may → handler → (audit) → reply
 *
 * A handler owns the call until it answers exactly once with reply.h; it may do so later. The
 * connection may go in between: the answer then goes nowhere, but the handler's work and its audit
 * record stand. Policy must be looked up afresh in every callback: the snapshot may have changed.
 */
#ifndef CPN_CONTROL_CALL_H
#define CPN_CONTROL_CALL_H

#include "base/buf.h"
#include "base/clock.h"
#include "codec/form.h"
#include "control/api.h"
#include "control/fronts.h"

struct cpn_call {
    cpn_control *c;
    cpn_conn *conn; /* NULL: the connection is gone */
    const cpn_route *route;
    cpn_error_style errors; /* the row's; without one, those of the address's neighbours */
    uint64_t began_ms;

    cpn_addr peer;
    uint16_t peer_port;
    char user_agent[513];
    bool own_client; /* Caponier-Client: 1 */
    /* Of the ARM subset; "" when not given, conditions that never hold when too long. */
    char if_match[257], if_none_match[257], client_request_id[65];
    /* Of sign-in pages: our cookie, or "". Of services that prove themselves: secrets. */
    char browser[44], basic[513], identity_header[513];
    bool metadata;        /* Metadata: true */
    char *proof;          /* DPoP; NULL: none */
    uint8_t exporter[32]; /* of its connection */
    size_t exporter_n;
    char *path; /* as it came, for links to further pages */
    cpn_params params;
    uint8_t *query_text;
    cpn_form query;

    uint64_t length; /* of the body, as announced */
    cpn_buf body;    /* wiped: it may hold secrets */
    json_t *json;
    cpn_form form;

    bool signed_in;
    cpn_claims claims;

    json_t *noted; /* members for the audit record, or NULL; see cpn_call_note */
    bool audited;  /* the record went with the change itself */
    /* Nothing has changed: of calls that come again, one record counts the rest (trail.h). */
    bool only_read;
    /* The session's own records will tell it again: this one may wait to be written with them. */
    bool told_again;

    /* Among those whose body is not whole, oldest first. */
    struct cpn_call *prev, *next;
    bool collecting;
    bool dispatched; /* the body is whole: the handler owns the call */
    bool answered;
    cpn_buf headers; /* further lines of the answer; see cpn_call_header */
    uint8_t *out;    /* the rest of an answer that the channel could not take yet */
    size_t out_n;
    size_t out_sent;
};

void cpn_call_begin(cpn_front *f, const cpn_msg_REQUEST *m);
void cpn_call_body(cpn_front *f, const cpn_msg_BODY *m);
/* The connection is gone. Frees the call when it waits for nothing, else its handler's reply does.
 */
void cpn_call_detach(cpn_call *call);
/* After the answer has left: reply.c only. */
void cpn_call_free(cpn_call *call);

/* The caller in the current snapshot; NULL when not signed in, disabled or deleted meanwhile. */
const cpn_principal *cpn_call_who(const cpn_call *call);
/* May the account that the checked claims name act now? False: answered with the reason. */
bool cpn_call_account_ok(cpn_call *call);
/* A parameter of the path, decoded; "" when the row has no such one. */
const char *cpn_call_param(const cpn_call *call, const char *name);
/* A query parameter into out; false when absent or too long. */
bool cpn_call_query(const cpn_call *call, const char *name, char *out, size_t size);
/* A further line of the answer. Values are ours; one that would break the line is left out. */
void cpn_call_header(cpn_call *call, const char *name, const char *value);
/* A member for the audit record. */
void cpn_call_note(cpn_call *call, const char *name, const char *value);

#endif
