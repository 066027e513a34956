/* front/route.h -- from a request's head to what the front does with it. Pure: the whole policy of
 * what a request may look like beyond its syntax (codec/httphead.h) stands here.
 *
 *     421 Host is not ours          403 an Origin that is not allowed   404 no such path (admin)
 *     413 body over the limit       417 Expect other than 100-continue  414, 431 a field too long
 *     400, 405, 426 a bad upgrade   401 no bearer for a tunnel
 *
 * Every X-Forwarded field is ignored, and so are cookies, but for one of our own on the pages where
 * people sign in: /device, /signin/..., .../authorize. There, and at the Azure door, an Origin is
 * taken that is our own. */
#ifndef CPN_FRONT_ROUTE_H
#define CPN_FRONT_ROUTE_H

#include "codec/httphead.h"

#define CPN_ROUTE_APPLY_MAX 33554432u /* the most that apply_body_max can be */
#define CPN_ROUTE_TICKET_MAX 256
#define CPN_ROUTE_NODE_MAX 128
#define CPN_ROUTE_PROOF_MAX 2048           /* bound of the messages */
#define CPN_ROUTE_COOKIE "__Host-caponier" /* which browser this is, while somebody signs in */
#define CPN_ROUTE_COOKIE_BYTES 43

typedef enum cpn_route_kind {
    CPN_ROUTE_REFUSE = 0, /* with status and sentence */
    CPN_ROUTE_API,        /* control answers */
    CPN_ROUTE_TUNNEL,     /* own door */
    CPN_ROUTE_WEBTUNNEL,  /* Azure door */
    CPN_ROUTE_HEALTH,     /* admin_listen only, like the next two */
    CPN_ROUTE_READY,
    CPN_ROUTE_METRICS
} cpn_route_kind;

typedef struct cpn_route_facts {
    const char *host; /* what Host must equal, without case; "name" also stands for "name:443" */
    bool az_clients;
    uint32_t body_max; /* but of /v1/apply, whose bound control knows */
    bool admin;        /* came in by admin_listen: any Host, three paths */
} cpn_route_facts;

/* Views point into the head. */
typedef struct cpn_route {
    cpn_route_kind kind;
    int status;           /* of REFUSE */
    const char *sentence; /* of REFUSE */
    bool azure;           /* the Azure door's own paths */
    bool expects;         /* Expect: 100-continue */
    cpn_view key;         /* of an upgrade: Sec-WebSocket-Key */
    cpn_view bearer;      /* of Authorization; secret */
    cpn_view proof;       /* DPoP: that the bearer's key is held */
    cpn_view ticket;      /* of WEBTUNNEL; secret */
    cpn_view node;        /* X-Node-Id of its query, or empty */
    cpn_view origin;
    cpn_view cookie; /* of a sign-in page: ours; secret */
    cpn_view basic;  /* of Authorization, where a service proves itself; secret */
    bool identity;   /* the managed-identity path: takes secrets in fields of their own */
} cpn_route;

void cpn_route_of(const cpn_http_head *head, const cpn_route_facts *facts, cpn_route *out);

#endif
